"""The ablations of an impact as pages show them: one cell each."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from compute.analysis.impact.ablation_impact import AblationImpact, Impact
from dashboard.words.component_labels import GROUPS, ComponentLabel, ablated_label
from store.records import Ablation, Action, Components, Condition, Unit

Actions = tuple[Action, ...]
"""Actions that are shown together: a single one, or all that remove a component."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One ablation with its effect on the impact's scale, over all conditions or on a single one."""

    ablation: Ablation
    label: ComponentLabel
    mean: float
    low: float | None
    high: float | None
    """The 95% interval over conditions; None for a single condition."""
    conditions: int
    rank: int
    """Among all ablations of the metric; 1 is the most harmful."""
    distinguishable: bool
    """Whether it can be told from doing nothing, corrected for the number of ablations."""

    @property
    def length(self) -> int:
        """The number of steps of its window."""
        return self.ablation.window.stop - self.ablation.window.start


@dataclass(frozen=True, kw_only=True)
class MissingCell:
    """A planned ablation of which no run is finished; `failure` says why if one failed, else it was not run yet."""

    ablation: Ablation
    failure: str | None


def missing_cells(
    plan: Iterable[Unit], done: Collection[str], failures: Mapping[str, str], condition: Condition | None = None
) -> list[MissingCell]:
    """Return the planned ablations without a finished run, on any condition or on one of them, in the plan's order.

    `done` holds the keys of the finished units, `failures` the reason of each failed one.
    """
    finished: set[Ablation] = set()
    missing: dict[Ablation, str | None] = {}
    for unit in plan:
        ablation = unit.intervention
        if not isinstance(ablation, Ablation) or not ablation.components:
            continue
        if condition is not None and condition not in unit.conditions:
            continue
        if unit.key in done:
            finished.add(ablation)
        else:
            missing[ablation] = missing.get(ablation) or failures.get(unit.key)
    return [
        MissingCell(ablation=ablation, failure=failure)
        for ablation, failure in missing.items()
        if ablation not in finished
    ]


def ranked_cells(impact: Impact, condition: Condition | None = None) -> list[Cell]:
    """Return a cell for each ablation, the most harmful first, over all conditions or on one of them."""
    if condition is None:
        return [_cell(ablation, rank) for rank, ablation in enumerate(impact.ranked(), start=1)]
    if condition not in impact.conditions:
        return []
    place, sign = impact.conditions.index(condition), -1 if impact.higher_is_worse else 1
    measured = [(value, ablation) for ablation in impact.ablations if (value := ablation.values[place]) is not None]
    measured.sort(key=lambda pair: sign * pair[0])
    return [_cell(ablation, rank, value) for rank, (value, ablation) in enumerate(measured, start=1)]


def _cell(ablation: AblationImpact, rank: int, value: float | None = None) -> Cell:
    effect = ablation.effect
    return Cell(
        ablation=ablation.ablation,
        label=ablated_label(ablation.ablation.components),
        mean=effect.mean if value is None else value,
        low=effect.low if value is None else None,
        high=effect.high if value is None else None,
        conditions=ablation.conditions if value is None else 1,
        rank=rank,
        distinguishable=ablation.distinguishable,
    )


def values_by_condition(impact: Impact, ablation: Ablation) -> Mapping[Condition, float]:
    """Return an ablation's effect on each condition on which it was tried."""
    values = next((a.values for a in impact.ablations if a.ablation == ablation), ())
    return {c: value for c, value in zip(impact.conditions, values, strict=False) if value is not None}


def in_network_order(components: Iterable[Components]) -> list[Components]:
    """Return components sorted by group; within a group they keep their order, which is the plan's."""
    return sorted(components, key=lambda names: GROUPS.index(ablated_label(names).group))
