"""Which units hold an ablation on which condition: from a cell of the map to its pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from store.records import Ablation, Action, Components, Condition, Reseed, Unit, Window


@dataclass(frozen=True, kw_only=True)
class AblationRun:
    """An ablation on one condition: units by key, the place of the condition in their batch, and its number."""

    key: str
    baseline: str
    index: int
    condition: int


@dataclass(frozen=True, kw_only=True)
class AblationRuns:
    """All finished ablations with their runs; `reseeds` has for a baseline the unit of the reseed control."""

    conditions: tuple[Condition, ...]
    of: Mapping[Ablation, tuple[AblationRun, ...]]
    reseeds: Mapping[str, str]

    @cached_property
    def components(self) -> tuple[Components, ...]:
        """What was ablated, in the plan's order."""
        return tuple(dict.fromkeys(ablation.components for ablation in self.of))

    def actions(self, components: Components) -> list[Action]:
        """Return the actions that were tried on some components."""
        return list(dict.fromkeys(ablation.action for ablation in self.of if ablation.components == components))

    def windows(self, components: Components, action: Action) -> list[Window]:
        """Return the windows in which an action was tried on some components, in order."""
        windows = {a.window for a in self.of if a.components == components and a.action == action}
        return sorted(windows, key=lambda window: (window.start, window.stop))


def ablation_runs(plan: Iterable[Unit], done: set[str]) -> AblationRuns:
    """Return the runs of a plan's finished units, in the plan's order.

    A condition has the number of its first appearance among the baselines.
    """
    numbers: dict[Condition, int] = {}
    runs: dict[Ablation, list[AblationRun]] = {}
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
            runs.setdefault(unit.intervention, []).extend(
                AblationRun(
                    key=unit.key, baseline=unit.baseline, index=i, condition=numbers.setdefault(c, len(numbers))
                )
                for i, c in enumerate(unit.conditions)
            )
    return AblationRuns(
        conditions=tuple(numbers), of={ablation: tuple(found) for ablation, found in runs.items()}, reseeds=reseeds
    )
