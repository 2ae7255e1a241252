"""The axes on which policies are compared: measured time and measured quality."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from compute.analysis.report.phase_sentences import by_importance
from compute.policy.quality import RunQuality
from compute.statistics.estimate import Estimate, bounded
from dashboard.words.metric_labels import metric_in_sentence, metric_label


@dataclass(frozen=True, kw_only=True)
class TimeAxis:
    """An axis of measured time; `token` is its text in a page's address."""

    token: Literal["speedup", "seconds"]
    label: str
    title: str
    """The label of the axis, with its better end."""
    number_format: str

    def value(self, run: RunQuality) -> tuple[float, float | None, float | None]:
        """Return a run's time and its 95% interval, which seconds do not have."""
        if self.token == "seconds":
            return run.seconds_per_picture, None, None
        return run.speedup.mean, run.speedup.low, run.speedup.high


SPEEDUP = TimeAxis(
    token="speedup", label="Speedup", title="Speedup against full compute (right is better)", number_format=".2f"
)
SECONDS = TimeAxis(
    token="seconds",
    label="Seconds per picture",
    title="Seconds per picture (left is better)",
    number_format=".3~g",
)
TIME_AXES = (SECONDS, SPEEDUP)


@dataclass(frozen=True, kw_only=True)
class QualityAxis:
    """An axis of measured quality: prompt fidelity by the aspect `name`, damage by the metric `name`, or KID."""

    measure: Literal["fidelity", "damage", "kid"]
    name: str = ""

    @property
    def token(self) -> str:
        """Its text in a page's address."""
        return f"{self.measure}_{self.name}" if self.name else self.measure

    @property
    def label(self) -> str:
        """Its label."""
        if self.measure == "fidelity":
            return metric_label(f"fidelity_{self.name}")
        return f"Damage by {metric_in_sentence(self.name)}" if self.measure == "damage" else "KID"

    @property
    def title(self) -> str:
        """The label of the axis, with its better end."""
        better = "up is better" if self.measure == "fidelity" else "down is better"
        return f"{self.label} ({better})"

    @property
    def number_format(self) -> str:
        """The format of its numbers."""
        return ".1%" if self.measure == "fidelity" else ".3~g"

    def value(self, run: RunQuality, conditions: int) -> Estimate | None:
        """Return a run's quality over so many conditions, or None if it was not measured."""
        if self.measure == "kid":
            return run.kid
        if self.measure == "damage" and run.name == "full":
            return Estimate(mean=0, low=0, high=0)  # the reference itself, by definition
        if self.measure == "damage":
            return run.damage.get(self.name)
        share = run.fidelity.get(self.name)
        return None if share is None else bounded(share, conditions)


def measured_qualities(runs: Sequence[RunQuality], metrics: Iterable[str]) -> list[QualityAxis]:
    """Return the axes of the qualities that were measured of any run: fidelity, damage by some metrics, KID."""
    aspects = by_importance(sorted({name for run in runs for name in run.fidelity}))
    axes = [QualityAxis(measure="fidelity", name=name) for name in aspects]
    axes += [QualityAxis(measure="damage", name=name) for name in metrics]
    return axes + ([QualityAxis(measure="kid")] if any(run.kid for run in runs) else [])
