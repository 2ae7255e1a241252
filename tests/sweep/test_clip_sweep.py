"""Sweeps with the CLIP score, and the same measured later."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from compute.analysis.impact.ablation_impact import impact_of
from compute.metrics.clip import CLIP_VARIABLE
from compute.metrics.metric import MetricError
from compute.metrics.metric_weights import MetricWeights
from compute.sweep.launch import sweep
from compute.sweep.measure import measure
from compute.sweep.worker.worker_spec import WorkerSpec
from store.care.verify import verify
from store.errors import SkipscopeError
from store.records import PromptSwitch
from store.sweep_store import SweepStore
from tests.metrics.tiny_clip import save_clip
from tests.pipeline.tiny_pipelines import PIPELINES
from tests.sweep.stores import metric_values

FIELDS: dict[str, Any] = {
    "sampler": {"name": "DDIMScheduler", "num_inference_steps": 3},
    "conditions_per_unit": 2,
    "components": ["unet"],
    "windows": [[1, 2]],
    "actions": ["reuse"],
    "metrics": ["mse", "clip_score"],
}
WITH_TEXT = FIELDS | {
    "prompts": ["a cat", "a dog on grass"],
    "call": {"height": 16, "width": 16},
    "prompt_switch": [1],
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_clip(tmp_path_factory.mktemp("clip") / "model")


@pytest.fixture(autouse=True)
def _nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CLIP_VARIABLE, raising=False)


def config(tmp_path: Path, kind: str, fields: dict[str, Any]) -> Path:
    model = tmp_path / "model"
    if not model.exists():
        PIPELINES[kind]().save_pretrained(model)
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(fields | {"model": str(model)}))
    return path


def test_a_score_that_is_measured_later_is_that_of_the_sweep(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = config(tmp_path, "text to image", WITH_TEXT)
    monkeypatch.chdir(clip.parent)
    assert sweep(path, tmp_path / "first", address="serial", clip=clip.name).failed == 0
    assert sweep(path, tmp_path / "later", address="serial").failed == 0
    first, later = (SweepStore.open(tmp_path / name) for name in ("first", "later"))
    for unit in later.header.plan:
        with later.read(unit.key) as reader:
            (score,) = (metric for metric in reader.metrics if metric.info.name == "clip_score")
        assert score.values is None and score.absent is not None and "--clip" in score.absent
    assert measure(later, ["clip_score"], weights=MetricWeights(clip=clip)) == (len(later.header.plan), {})
    scores = []
    for unit in first.header.plan:
        own, added = metric_values(first, unit.key), metric_values(later, unit.key)
        assert own.keys() == added.keys()
        assert ("clip_score_other" in own) == isinstance(unit.intervention, PromptSwitch)
        for name in own.keys() - {"mse"}:
            np.testing.assert_allclose(own[name], added[name], atol=0.2)  # pictures are stored in half precision
        scores += own["clip_score"].tolist()
        if "clip_score_other" in own:
            assert own["clip_score_other"].tolist() != own["clip_score"].tolist()
    assert np.ptp(scores) > 0
    assert np.isfinite(impact_of(first, "clip_score").ablations[0].effect.mean)
    assert not verify(later)


def test_workers_get_absolute_paths(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They may run in another folder than the driver."""
    path = config(tmp_path, "text to image", WITH_TEXT)
    given: list[WorkerSpec] = []

    def refuse(_address: str, spec: WorkerSpec, *_: object) -> None:
        given.append(spec)
        raise SkipscopeError("no executor")

    monkeypatch.setattr("compute.sweep.launch.executor_at", refuse)
    monkeypatch.chdir(clip.parent)
    with pytest.raises(SkipscopeError, match="no executor"):
        sweep(path, tmp_path / "store", address="serial", clip=clip.name)
    assert [spec.weights for spec in given] == [MetricWeights(clip=clip)]


def test_pictures_without_a_prompt_have_no_score(clip: Path, tmp_path: Path) -> None:
    path = config(tmp_path, "unconditional", FIELDS | {"seeds": [0, 1]})
    assert sweep(path, tmp_path / "store", address="serial", clip=clip).failed == 0
    store = SweepStore.open(tmp_path / "store")
    assert all(np.isnan(metric_values(store, unit.key)["clip_score"]).all() for unit in store.header.plan)


def test_a_folder_that_cannot_be_used_is_refused_before_anything_is_written(clip: Path, tmp_path: Path) -> None:
    path = config(tmp_path, "text to image", WITH_TEXT)
    with pytest.raises(MetricError, match=r"--clip: clip_score can't be measured: .* is not a folder") as refusal:
        sweep(path, tmp_path / "store", address="serial", clip=clip / "nowhere")
    assert "\n" not in str(refusal.value)
    with pytest.raises(MetricError, match=r"--lpips-trunk: lpips can't be measured: its trunk .* is not a file"):
        path = config(tmp_path, "text to image", WITH_TEXT | {"metrics": ["lpips"]})
        sweep(path, tmp_path / "store", address="serial", lpips_trunk=clip)
    assert not (tmp_path / "store").exists()
