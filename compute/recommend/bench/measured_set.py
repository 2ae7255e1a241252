"""Contestants on one set of conditions: what has to be run for them, and what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from compute.policy.bench_report import BenchComparison, BenchQuality, Criterion
from compute.policy.skip_policy import SkipPolicy
from compute.progress import Bar
from compute.recommend.bench.contestants import Contestant, plain
from compute.recommend.bench.engine import Engine
from compute.recommend.bench.quality import Yardstick, prompts_of, real_quality, real_reference
from compute.recommend.bench.results import Outcome
from store.records import Condition


@dataclass(frozen=True, kw_only=True, eq=False)
class MeasuredSet:
    """Contestants on conditions, with the baseline and the many-step references that they are measured with."""

    engine: Engine
    conditions: Sequence[Condition]
    contestants: Sequence[Contestant]
    baseline: SkipPolicy
    references: Mapping[str, SkipPolicy]
    metric: str
    renderings: int
    directions: int

    @property
    def policies(self) -> list[SkipPolicy]:
        """Everything that has to be run: the contestants, full compute for those with rules, and the references."""
        named = {contestant.reference for contestant in self.contestants}
        return [
            self.baseline,
            *(policy for name, policy in self.references.items() if name in named),
            *(plain(contestant.policy) for contestant in self.contestants),
            *(contestant.policy for contestant in self.contestants),
        ]

    @property
    def reseeded(self) -> list[Condition]:
        """The same prompts with other seeds."""
        return [condition.reseeded() for condition in self.conditions]

    @property
    def left(self) -> int:
        """The evaluations that are still to be run."""
        return self.engine.left(self.policies, self.conditions) + self.engine.left([self.baseline], self.reseeded)

    def run(self, bar: Bar) -> None:
        """Run what is left; what was run is kept."""
        self.engine.run([self.baseline], self.reseeded, bar)
        self.engine.run(self.policies, self.conditions, bar)

    def quality(self, contestant: Contestant) -> BenchQuality:
        """Return the quality of a contestant's pictures."""
        return self.yardstick.quality(
            self._outcome(contestant.policy),
            full=self._outcome(plain(contestant.policy)) if contestant.policy.rules else None,
            reference=self._reference(contestant),
        )

    def compared(self, own: Contestant, rival: Contestant, criterion: Criterion) -> BenchComparison:
        """Return a contestant minus its rival."""
        pair = (own, rival)
        against = [self._against(contestant, criterion) for contestant in pair]
        return self.yardstick.compared(
            self._outcome(own.policy),
            self._outcome(rival.policy),
            criterion,
            rival=rival.label,
            against=None if against[0] is None or against[1] is None else (against[0], against[1]),
        )

    def lines(self, rounded: Engine | None) -> dict[str, BenchQuality]:
        """Return the quality of what nothing competes with; `rounded` is an engine in another precision."""
        baseline = self._outcome(self.baseline)
        other = self.engine.outcome(self.baseline, self.reseeded)
        lines = {"another seed": self.yardstick.quality(other, full=baseline)}
        if rounded is not None:
            name = str(rounded.model.dtype).removeprefix("torch.")
            lines[name] = self.yardstick.quality(rounded.outcome(self.baseline, self.conditions), full=baseline)
        if self.engine.judge is not None and self.yardstick.real is not None:
            lines["real scenes"] = real_quality(
                self.engine.judge,
                self.yardstick.real,
                prompts_of(self.conditions),
                baseline.pictures.shape[-1],
                float(np.median(baseline.seconds)),
            )
        return lines

    @cached_property
    def yardstick(self) -> Yardstick:
        """What all outcomes are measured with."""
        baseline, judge = self._outcome(self.baseline), self.engine.judge
        real = None
        if judge is not None:
            real = real_reference(
                judge,
                prompts_of(self.conditions),
                baseline.pictures.shape[-1],
                renderings=self.renderings,
                directions=self.directions,
            )
        return Yardstick(
            baseline=baseline,
            reseeded=self.engine.outcome(self.baseline, self.reseeded),
            metric=self.metric,
            real=real,
        )

    def _against(self, contestant: Contestant, criterion: Criterion) -> Outcome | None:
        if criterion == "distance":
            return self._reference(contestant)
        return self._outcome(plain(contestant.policy)) if criterion == "damage" else None

    def _reference(self, contestant: Contestant) -> Outcome | None:
        name = contestant.reference
        return None if name is None else self._outcome(self.references[name])

    def _outcome(self, policy: SkipPolicy) -> Outcome:
        return self.engine.outcome(policy, self.conditions)
