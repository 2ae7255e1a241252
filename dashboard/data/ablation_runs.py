"""Which units show an ablation on which condition: the way from a cell of the map to its pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from store.records import Ablation, Condition, Reseed, Unit, Window


@dataclass(frozen=True, kw_only=True, order=True)
class Spot:
    """An ablation, whatever it was tried on: components joined by " + ", the action's text, the window."""

    component: str
    action: str
    start: int
    stop: int

    @property
    def window(self) -> Window:
        """The window of steps."""
        return Window(start=self.start, stop=self.stop)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """An ablation on one condition: units by key, the place of the condition in their batch, and its number."""

    key: str
    baseline: str
    index: int
    condition: int


@dataclass(frozen=True, kw_only=True)
class Trials:
    """All finished ablations with what they were tried on; `reseeds` has the other seed's unit of a baseline."""

    conditions: tuple[Condition, ...]
    of: Mapping[Spot, tuple[Trial, ...]]
    reseeds: Mapping[str, str]

    @cached_property
    def components(self) -> tuple[str, ...]:
        """What was ablated, in the plan's order."""
        return tuple(dict.fromkeys(spot.component for spot in self.of))

    def actions(self, component: str) -> list[str]:
        """The actions that a component was tried with."""
        return list(dict.fromkeys(spot.action for spot in self.of if spot.component == component))

    def windows(self, component: str, action: str) -> list[Window]:
        """The windows of a component and an action, in order."""
        found = {(s.start, s.stop) for s in self.of if s.component == component and s.action == action}
        return [Window(start=start, stop=stop) for start, stop in sorted(found)]


def trials_of(plan: Iterable[Unit], done: set[str]) -> Trials:
    """The trials of a plan's finished units, in the plan's order; a condition has the number of its first appearance
    among the baselines."""
    numbers: dict[Condition, int] = {}
    found: dict[Spot, list[Trial]] = {}
    reseeds: dict[str, str] = {}
    for unit in plan:
        if unit.role == "baseline":
            for condition in unit.conditions:
                numbers.setdefault(condition, len(numbers))
        if unit.key not in done or unit.baseline is None:
            continue
        if isinstance(unit.intervention, Reseed):
            reseeds[unit.baseline] = unit.key
        elif isinstance(unit.intervention, Ablation) and unit.intervention.components and unit.baseline in done:
            found.setdefault(_spot(unit.intervention), []).extend(
                Trial(key=unit.key, baseline=unit.baseline, index=i, condition=numbers.setdefault(c, len(numbers)))
                for i, c in enumerate(unit.conditions)
            )
    return Trials(
        conditions=tuple(numbers), of={spot: tuple(trials) for spot, trials in found.items()}, reseeds=reseeds
    )


def _spot(ablation: Ablation) -> Spot:
    return Spot(
        component=" + ".join(ablation.components),
        action=str(ablation.action),
        start=ablation.window.start,
        stop=ablation.window.stop,
    )
