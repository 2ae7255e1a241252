"""What pages show of an impact: a cell for each component and window, in the order of the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from compute.analysis.impact.ablation_impact import AblationImpact, Impact
from dashboard.data.ablation_runs import Spot
from dashboard.words.labels import ComponentLabel, Group, action_label, component_label
from store.records import Condition, Window

REMOVE = "remove"
_REMOVALS = ("bypass", "zero")
GROUPS: tuple[Group, ...] = ("Encoder", "Middle", "Decoder", "Skip connections", "Whole network")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One ablation with its effect on the impact's scale; of a single condition it has no interval (low, high None).

    `rank` counts from 1, the most harmful, over all ablations of the metric.
    """

    label: ComponentLabel
    action: str
    window: Window
    mean: float
    low: float | None
    high: float | None
    conditions: int
    rank: int
    told: bool
    """Whether it can be told from doing nothing, corrected for the number of ablations."""

    @property
    def spot(self) -> Spot:
        """Which ablation it is."""
        return Spot(component=self.label.path, action=self.action, start=self.window.start, stop=self.window.stop)


def cells_of(impact: Impact, condition: Condition | None = None) -> list[Cell]:
    """Every ablation of an impact, the most harmful first; over all conditions, or on one of them."""
    if condition is None:
        return [_cell(ablation, rank) for rank, ablation in enumerate(impact.ranked(), start=1)]
    if condition not in impact.conditions:
        return []
    place, sign = impact.conditions.index(condition), -1 if impact.higher_is_worse else 1
    there = [(value, ablation) for ablation in impact.ablations if (value := ablation.values[place]) is not None]
    there.sort(key=lambda pair: sign * pair[0])
    return [_cell(ablation, rank, value) for rank, (value, ablation) in enumerate(there, start=1)]


def _cell(ablation: AblationImpact, rank: int, value: float | None = None) -> Cell:
    damage = ablation.damage
    return Cell(
        label=component_label(ablation.components),
        action=ablation.action,
        window=ablation.window,
        mean=damage.mean if value is None else value,
        low=damage.low if value is None else None,
        high=damage.high if value is None else None,
        conditions=ablation.conditions if value is None else 1,
        rank=rank,
        told=ablation.distinguishable,
    )


def values_of(impact: Impact, spot: Spot) -> Mapping[Condition, float]:
    """An ablation's number on each condition, where it was tried."""
    for ablation in impact.ablations:
        if (ablation.components, ablation.action, ablation.window) == (spot.component, spot.action, spot.window):
            pairs = zip(impact.conditions, ablation.values, strict=True)
            return {condition: value for condition, value in pairs if value is not None}
    return {}


def action_choices(cells: Sequence[Cell]) -> list[str]:
    """What to choose an action from: removal first where it is both bypass and zero, then each action."""
    actions = sorted({cell.action for cell in cells})
    return ([REMOVE] if set(_REMOVALS) <= set(actions) else []) + actions


def choice_label(action: str) -> str:
    """The text of an action to choose."""
    return "Remove (bypass or zero)" if action == REMOVE else action_label(action)


def actions_in(action: str) -> tuple[str, ...]:
    """The actions that a choice stands for."""
    return _REMOVALS if action == REMOVE else (action,)


def lengths(cells: Sequence[Cell]) -> list[int]:
    """The lengths of window that there are: first the one with most cells."""
    counts: dict[int, int] = {}
    for cell in cells:
        length = cell.window.stop - cell.window.start
        counts[length] = counts.get(length, 0) + 1
    return sorted(counts, key=lambda length: (-counts[length], length))


def in_network_order(names: Sequence[str]) -> list[str]:
    """Components by group, and within a group in the order given, which is the plan's."""
    return sorted(names, key=lambda name: GROUPS.index(component_label(name).group))
