"""How policies are compared: the axes of time and of quality that their validations allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from compute.analysis.report.phase_sentences import by_importance, evidence_name
from compute.policy.quality import RunQuality
from compute.statistics.estimate import Estimate
from dashboard.data.policy_files import PolicyFile
from dashboard.words.component_labels import metric_words

RUNS: Mapping[str, str] = {"full": "Full compute", "policy": "Policy", "fewer_steps": "Full compute, fewer steps"}


@dataclass(frozen=True, kw_only=True)
class Time:
    """An axis of measured time."""

    token: Literal["speedup", "seconds"]

    @property
    def label(self) -> str:
        """Its name."""
        return "Speedup" if self.token == "speedup" else "Seconds per picture"

    @property
    def title(self) -> str:
        """Its name on an axis, with the better end."""
        return (
            "Speedup against full compute (right is better)"
            if self.token == "speedup"
            else ("Seconds per picture (left is better)")
        )

    @property
    def form(self) -> str:
        """The format of its numbers."""
        return ".2f" if self.token == "speedup" else ".3~g"

    def of(self, run: RunQuality) -> tuple[float, float | None, float | None]:
        """A run's time with its interval; seconds have none."""
        if self.token == "seconds":
            return run.seconds_per_picture, None, None
        return run.speedup.mean, run.speedup.low, run.speedup.high


TIMES = (Time(token="speedup"), Time(token="seconds"))


@dataclass(frozen=True, kw_only=True)
class Quality:
    """An axis of measured quality: prompt fidelity by aspect, damage by metric, or the kernel distance."""

    sort: Literal["fidelity", "damage", "kid"]
    name: str = ""

    @property
    def token(self) -> str:
        """Its text in an address."""
        return f"{self.sort}_{self.name}" if self.name else self.sort

    @property
    def label(self) -> str:
        """Its name."""
        if self.sort == "fidelity":
            return f"Prompt fidelity: {evidence_name(self.name)}"
        return f"Damage by {metric_words(self.name)}" if self.sort == "damage" else "KID"

    @property
    def title(self) -> str:
        """Its name on an axis, with the better end."""
        better = "up is better" if self.sort == "fidelity" else "down is better"
        return f"{self.label} ({better})"

    @property
    def form(self) -> str:
        """The format of its numbers."""
        return ".1%" if self.sort == "fidelity" else ".3~g"

    def of(self, run: RunQuality) -> Estimate | None:
        """A run's value, where there is one."""
        if self.sort == "kid":
            return run.kid
        if self.sort == "damage" and run.name == "full":
            return Estimate(mean=0, low=0, high=0)  # the reference itself, by definition
        return (run.fidelity if self.sort == "fidelity" else run.damage).get(self.name)


def qualities(files: Sequence[PolicyFile]) -> list[Quality]:
    """What the policies of some validated files were measured by: fidelity first, then damage and KID."""
    runs = [file.policy.validation.policy for file in files if file.policy and file.policy.validation]
    aspects = by_importance(sorted({name for run in runs for name in run.fidelity}))
    found = [Quality(sort="fidelity", name=name) for name in aspects]
    found += [Quality(sort="damage", name=name) for name in damage_metrics(files)]
    return found + ([Quality(sort="kid")] if any(run.kid for run in runs) else [])


def damage_metrics(files: Sequence[PolicyFile]) -> list[str]:
    """The metrics by which damage was validated, the most frequent first."""
    runs = [file.policy.validation.policy for file in files if file.policy and file.policy.validation]
    names = [name for run in runs for name in run.damage]
    return sorted(set(names), key=lambda name: (-names.count(name), name != "mse", name))
