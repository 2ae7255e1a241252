"""The quality of outcomes: prompt fidelity, Fréchet distance, damage and the distance to a many-step run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from compute.metrics.judge import Judge
from compute.metrics.registry import Sources, metrics
from compute.policy.bench_report import BenchComparison, BenchQuality, Criterion
from compute.recommend.bench.engine import as_tensor
from compute.recommend.bench.results import Outcome
from compute.statistics.estimate import Estimate, Floats, bounded, mean_of, ratio_of
from compute.statistics.frechet import FrechetReference
from compute.statistics.significance import sign_test
from store.records import Condition

_REFERENCE_SEED, _LINE_SEED = 312_000, 311_000  # of the real pictures that are compared with, and of one more a prompt
_TAIL = 0.95


def real_reference(
    judge: Judge, prompts: Sequence[str], side: int, *, renderings: int, directions: int
) -> FrechetReference:
    """Return the reference of several real pictures of each prompt, in the judge's features."""
    features = [
        judge.embed(judge.real_pictures(prompts, side, _REFERENCE_SEED + number)).numpy()
        for number in range(renderings)
    ]
    return FrechetReference.of(np.concatenate(features), directions)


def real_quality(
    judge: Judge, reference: FrechetReference, prompts: Sequence[str], side: int, seconds: float
) -> BenchQuality:
    """Return the quality of one more real picture of each prompt: what the judge says where nothing is wrong."""
    pictures = judge.real_pictures(prompts, side, _LINE_SEED)
    return BenchQuality(
        seconds=seconds,
        fidelity={
            aspect: _share(values.double().numpy()) for aspect, values in judge.fidelity(pictures, prompts).items()
        },
        frechet=reference.estimate(judge.embed(pictures).numpy()),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Yardstick:
    """What the outcomes on one set of conditions are measured with.

    `baseline` is a run at full compute, `reseeded` the same with other seeds: the distance between the two is 1 on the
    scale of damage and distance. `real` is there where a judge is.
    """

    baseline: Outcome
    reseeded: Outcome
    metric: str
    real: FrechetReference | None = None

    def quality(self, own: Outcome, *, full: Outcome | None = None, reference: Outcome | None = None) -> BenchQuality:
        """Return an outcome's quality: its damage against `full`, its distance to `reference`, where they are given."""
        losses: dict[Criterion, Floats] = {}
        if full is not None:
            losses["damage"] = self.losses(own, full)
        if reference is not None:
            losses["distance"] = self.losses(own, reference)
        scaled = {name: ratio_of(values, self.seeds) for name, values in losses.items()}
        return BenchQuality(
            seconds=float(np.median(own.seconds)),
            fidelity={aspect: _share(values.astype(np.float64)) for aspect, values in own.fidelity.items()},
            frechet=None if self.real is None else self.real.estimate(own.features),
            damage=scaled.get("damage"),
            distance=scaled.get("distance"),
            tail={name: float(np.quantile(values, _TAIL) / self.seeds.mean()) for name, values in losses.items()},
        )

    def compared(
        self,
        own: Outcome,
        other: Outcome,
        criterion: Criterion,
        *,
        rival: str,
        against: tuple[Outcome, Outcome] | None = None,
    ) -> BenchComparison:
        """Return an outcome minus its rival's, paired by condition.

        `against` are the pictures that the two are compared with, where the criterion is damage or distance.
        """
        fidelity = p = difference = None
        if "all" in own.fidelity:
            changes = own.fidelity["all"].astype(np.float64) - other.fidelity["all"]
            changes = changes[np.isfinite(changes)]
            fidelity, p = mean_of(changes), float(sign_test(changes[None], sided=False)[0])
        if criterion == "frechet" and self.real is not None:
            difference = self.real.difference(own.features, other.features)
        elif criterion == "fidelity":
            difference = fidelity
        elif against is not None:
            more = self.losses(own, against[0]) - self.losses(other, against[1])
            difference = ratio_of(more, self.seeds)
        return BenchComparison(rival=rival, fidelity=fidelity, p=p, criterion=difference)

    @cached_property
    def seeds(self) -> Floats:
        """The loss between the baseline's two seeds, of each prompt."""
        return self.losses(self.baseline, self.reseeded)

    def losses(self, own: Outcome, other: Outcome) -> Floats:
        """Return the loss of each picture of an outcome against another's, by the metric."""
        metric_set = metrics((self.metric,), Sources())
        with torch.inference_mode():
            values = metric_set.compute(as_tensor(own.pictures), as_tensor(other.pictures), [""] * len(own.pictures))
        return metric_set.descriptors[self.metric].info.loss(values[self.metric])


def prompts_of(conditions: Sequence[Condition]) -> list[str]:
    """Return the prompts of conditions, in their order."""
    return [condition.prompt for condition in conditions]


def _share(values: Floats) -> Estimate:
    """Return the mean of verdicts from 0 to 1, of those that are defined."""
    defined = values[np.isfinite(values)]
    return bounded(mean_of(defined), len(defined))
