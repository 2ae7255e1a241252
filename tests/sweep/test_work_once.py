"""A serial sweep loads its model once, resolves a schedule once an ablation, and encodes prompts once a batch."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from compute.models.glide import GlidePipeline
from compute.models.glide.text_transformer import TextTransformer
from compute.policy.schedule import Schedule
from compute.sweep.plan import runs
from store.records import Ablation
from tests.sweep.run_sweep import sweep


def test_nothing_is_done_twice(config_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[Path] = []
    encoded: Counter[tuple[int, ...]] = Counter()
    resolved: Counter[str] = Counter()
    load, encode, resolve = GlidePipeline.from_pretrained, TextTransformer.forward, runs.resolve

    def counted_load(folder: Path, **options: Any) -> Any:
        loads.append(folder)
        return load(folder, **options)

    def counted_encode(encoder: TextTransformer, tokens: torch.Tensor, mask: torch.Tensor) -> Any:
        if tokens.any():  # not of the run that is tried before the sweep, with empty prompts
            encoded[tuple(tokens.flatten().tolist())] += 1
        return encode(encoder, tokens, mask)

    def counted_resolve(graph: Any, schedule: Schedule) -> Any:
        resolved[schedule.model_dump_json()] += 1
        return resolve(graph, schedule)

    monkeypatch.setattr(GlidePipeline, "from_pretrained", counted_load)
    monkeypatch.setattr(TextTransformer, "forward", counted_encode)
    monkeypatch.setattr(runs, "resolve", counted_resolve)
    store = sweep(config_file, tmp_path / "store")
    batches = {tuple(c.prompt for c in unit.conditions) for unit in store.header.plan}
    ablations = {unit.intervention for unit in store.header.plan if isinstance(unit.intervention, Ablation)}
    assert len(loads) == 1
    assert len(encoded) == len(batches)
    assert set(encoded.values()) == {1}
    resolved.pop(Schedule.empty(4).model_dump_json())  # of the baselines, and of the null ablation
    assert len(resolved) >= len({ablation for ablation in ablations if ablation.components})
    assert set(resolved.values()) == {1}
