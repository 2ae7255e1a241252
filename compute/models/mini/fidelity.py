"""A model's prompt fidelity on many captions of a split, with confidence intervals."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from compute.metrics.judge import ASPECTS, Aspect, Judge
from compute.models.judges import judge_for
from compute.models.loading import load_model
from compute.models.mini.captioned_sheet import write_captioned_sheet
from compute.models.mini.scenes.scene import SPLITS, Scene, captions
from compute.models.model import Model
from compute.models.source import ModelSource
from compute.progress import bar
from compute.provenance import provenance
from compute.statistics.proportion import Proportion
from store.errors import SkipscopeError
from store.records import Condition
from store.sampler import SamplerSettings

_BATCH = 50
_FIRST_SEED = 1_000_000  # sweeps and demos use small seeds
_ON_SHEET = 40

Fidelities = dict[Aspect, list[float]]


@dataclass(frozen=True, kw_only=True)
class FidelityReport:
    """The prompt fidelity of a model: the shares of what is right, by aspect and by number of objects."""

    model: str
    weights: str
    split: str
    sampler: dict[str, Any]
    guidance: float
    shares: dict[str, Proportion]
    provenance: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        """Return the report as a JSON object."""
        return asdict(self)

    def describe(self) -> str:
        """Return the report as a table for a terminal."""
        width = max(map(len, self.shares))
        steps = f"{self.sampler['steps']} {self.sampler['name']} steps, guidance {self.guidance:g}"
        heading = (
            f"{self.model} on {self.shares['all'].count} {self.split} prompts, {steps} (share right, 95% interval)"
        )
        return "\n".join([heading, *(f"  {name:<{width}}  {p}  n={p.count}" for name, p in self.shares.items())])


def evaluate_fidelity(
    source: ModelSource, split: str, *, count: int, sampler: SamplerSettings, guidance: float, sheet: Path | None = None
) -> FidelityReport:
    """Sample a picture of each of the first `count` captions of a split, and let the model's judge compare them.

    `split` is one of SPLITS; each caption has a seed of its own. The first 40 pictures are written to `sheet`, a PNG.
    Raises SkipscopeError for an unknown split and for a model without a judge.
    """
    if split not in SPLITS:
        raise SkipscopeError(f"--split: {split!r} is no split; accepted: {', '.join(SPLITS)}")
    model, judge = load_model(source), judge_for(source)
    if judge is None:
        raise SkipscopeError(f"--model: {source.name!r} has no judge of its pictures; glide-mini has one")
    prompts = captions(split, count, seed=1)
    conditions = [Condition(prompt=p, seed=_FIRST_SEED + i, guidance=guidance) for i, p in enumerate(prompts)]
    fidelities, first_pictures = _sample_and_judge(model, judge, conditions, sampler)
    if sheet is not None:
        write_captioned_sheet(first_pictures, prompts[: len(first_pictures)], sheet)
    single = np.array([Scene.parse(prompt).second is None for prompt in prompts])
    whole = np.array(fidelities["all"])
    return FidelityReport(
        model=source.name,
        weights=source.digest,
        split=split,
        sampler=sampler.model_dump(mode="json"),
        guidance=guidance,
        shares={
            **{aspect: Proportion.of(values) for aspect, values in fidelities.items()},
            "all, one object": Proportion.of(whole[single].tolist()),
            "all, two objects": Proportion.of(whole[~single].tolist()),
        },
        provenance=provenance(),
    )


def _sample_and_judge(
    model: Model, judge: Judge, conditions: list[Condition], sampler: SamplerSettings
) -> tuple[Fidelities, Float[Tensor, "B 3 H W"]]:
    """Return the fidelity of every picture by aspect, and the first _ON_SHEET pictures."""
    fidelities: Fidelities = {aspect: [] for aspect in ASPECTS}
    batches: list[Tensor] = []
    with bar("fidelity", len(conditions), unit="picture") as progress:
        for start in range(0, len(conditions), _BATCH):
            batch = conditions[start : start + _BATCH]
            batches.append(model.run(batch, sampler))
            for aspect, values in judge.fidelity(batches[-1], [condition.prompt for condition in batch]).items():
                fidelities[aspect] += values.tolist()
            progress.advance(f"whole prompt right so far {np.mean(fidelities['all']):.1%}", count=len(batch))
    return fidelities, torch.cat(batches)[:_ON_SHEET]
