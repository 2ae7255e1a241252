"""Chooses the best of each group at each level, from the quality on the calibration prompts alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from compute.config.bench_schema import BenchConfig
from compute.config.errors import ConfigError
from compute.policy.bench_report import HIGHER_IS_BETTER, BenchEntry, BenchFinalist, Criterion, Unit

_ROUNDING = 1e-6


@dataclass(frozen=True, kw_only=True)
class Level:
    """A budget that is not exceeded, or a speedup over `full` that is reached."""

    value: float
    unit: Unit
    full: str | None = None

    def admits(self, entry: BenchEntry, steps: Mapping[str, float]) -> bool:
        """Return whether an entry keeps the level; `steps` holds the evaluations of full compute by label."""
        if self.unit == "evaluations":
            return entry.evaluations <= self.value * (1 + _ROUNDING)
        if self.unit == "seconds":
            return entry.calibration.seconds <= self.value
        return (
            entry.full is not None
            and entry.full == self.full
            and entry.evaluations * self.value <= steps[entry.full] * (1 + _ROUNDING)
        )


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The finalists of a level by one criterion, and the rival: the best of all groups but ours."""

    finalists: tuple[BenchFinalist, ...]
    rival: str | None


def check_budgets(config: BenchConfig, evaluations: Mapping[str, float]) -> None:
    """Raise ConfigError for a budget that no contestant keeps; `evaluations` is by label."""
    least = min(evaluations, key=evaluations.__getitem__)
    for number, budget in enumerate(config.budgets):
        if evaluations[least] > budget * (1 + _ROUNDING):
            raise ConfigError(
                f"budgets.{number}: no contestant takes at most {budget:g} evaluations; the least is "
                f"{evaluations[least]:.3g} ({least})"
            )


def choices(config: BenchConfig, entries: Sequence[BenchEntry], full: Mapping[str, float]) -> tuple[Choice, ...]:
    """Return the choices at every level by every criterion that was measured.

    `full` holds the evaluations of the full runs by label. Raises ConfigError for seconds that nothing keeps.
    """
    made = []
    for level in _levels(config, full):
        admitted = [entry for entry in entries if level.admits(entry, full)]
        if level.unit == "seconds" and not admitted:
            fastest = min(entries, key=lambda entry: entry.calibration.seconds)
            raise ConfigError(
                f"seconds: {level.value:g}: no contestant is that fast on this machine; the fastest takes "
                f"{fastest.calibration.seconds:.3g} s a picture ({fastest.label})"
            )
        for criterion in _criteria(level):
            if choice := _choice(level, criterion, admitted, config.ours):
                made.append(choice)
    return tuple(made)


def _levels(config: BenchConfig, full: Mapping[str, float]) -> Iterator[Level]:
    yield from (Level(value=value, unit="evaluations") for value in config.budgets)
    yield from (Level(value=value, unit="seconds") for value in config.seconds)
    for label in full:
        yield from (Level(value=value, unit="speedup", full=label) for value in config.speedups)


def _criteria(level: Level) -> tuple[Criterion, ...]:
    return ("damage",) if level.unit == "speedup" else ("fidelity", "frechet", "distance")


def _choice(level: Level, criterion: Criterion, admitted: Sequence[BenchEntry], ours: Sequence[str]) -> Choice | None:
    measured = [entry for entry in admitted if entry.calibration.value(criterion) is not None]
    groups = dict.fromkeys(entry.group for entry in measured)
    best = {group: _best([e for e in measured if e.group == group], criterion) for group in groups}
    others = [entry for group, entry in best.items() if group not in ours]
    if not best:
        return None
    return Choice(
        finalists=tuple(
            BenchFinalist(
                level=level.value,
                unit=level.unit,
                criterion=criterion,
                group=group,
                label=entry.label,
                full=level.full,
            )
            for group, entry in best.items()
        ),
        rival=_best(others, criterion).label if others else None,
    )


def _best(entries: Sequence[BenchEntry], criterion: Criterion) -> BenchEntry:
    """Return the best by a criterion; of equal ones the cheapest, then the first by label."""
    sign = -1 if criterion in HIGHER_IS_BETTER else 1

    def key(entry: BenchEntry) -> tuple[float, float, str]:
        value = entry.calibration.value(criterion)
        assert value is not None, "only measured entries are compared"
        return sign * value, entry.evaluations, entry.label

    return min(entries, key=key)
