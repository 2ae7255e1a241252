"""The units that hold the pictures of an ablation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from store.records import Ablation, Action, Components, Condition, Reseed, Unit, Window


@dataclass(frozen=True, kw_only=True)
class AblationRun:
    """An ablation on one condition.

    `key` and `baseline` are the keys of its unit and of that unit's baseline. `index` is the condition's position in
    their batch, `condition` its number in `AblationRuns.conditions`.
    """

    key: str
    baseline: str
    index: int
    condition: int


@dataclass(frozen=True, kw_only=True)
class AblationRuns:
    """The runs of every finished ablation, in the plan's order.

    `conditions` are in the order in which the plan's baselines first have them. `reseeds` has, for the key of a
    baseline, the key of its reseed control.
    """

    conditions: tuple[Condition, ...]
    by_ablation: Mapping[Ablation, tuple[AblationRun, ...]]
    reseeds: Mapping[str, str]

    @cached_property
    def components(self) -> tuple[Components, ...]:
        """The components that were ablated, in the plan's order."""
        return tuple(dict.fromkeys(ablation.components for ablation in self.by_ablation))

    def actions(self, components: Components) -> list[Action]:
        """Return the actions that were tried on some components, in the plan's order."""
        return list(
            dict.fromkeys(ablation.action for ablation in self.by_ablation if ablation.components == components)
        )

    def windows(self, components: Components, action: Action) -> list[Window]:
        """Return the windows in which an action was tried on some components, sorted."""
        windows = {a.window for a in self.by_ablation if a.components == components and a.action == action}
        return sorted(windows, key=lambda window: (window.start, window.stop))


def ablation_runs(plan: Iterable[Unit], done: set[str]) -> AblationRuns:
    """Return the runs of a plan's ablations; `done` holds the keys of the finished units."""
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
        conditions=tuple(numbers), by_ablation={ablation: tuple(own) for ablation, own in runs.items()}, reseeds=reseeds
    )
