"""What pages show of an impact: a cell for each ablation, in the order of harm or of the network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from compute.analysis.impact.ablation_impact import AblationImpact, Impact
from dashboard.words.component_labels import ComponentLabel, Group, ablated_label, action_label, action_token
from store.actions import REMOVALS
from store.records import Ablation, Action, Components, Condition

GROUPS: tuple[Group, ...] = ("Encoder", "Middle", "Decoder", "Skip connections", "Whole network")
Actions = tuple[Action, ...]
"""Actions that are shown together: a single one, or all that remove a component."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One ablation with its effect on the impact's scale; of a single condition it has no interval (low, high None).

    `rank` counts from 1, the most harmful, over all ablations of the metric.
    """

    ablation: Ablation
    label: ComponentLabel
    mean: float
    low: float | None
    high: float | None
    conditions: int
    rank: int
    distinguishable: bool
    """Whether it can be told from doing nothing, corrected for the number of ablations."""

    @property
    def length(self) -> int:
        """The number of steps of its window."""
        return self.ablation.window.stop - self.ablation.window.start


def cells_of(impact: Impact, condition: Condition | None = None) -> list[Cell]:
    """Return every ablation of an impact, the most harmful first; over all conditions, or on one of them."""
    if condition is None:
        return [_cell(ablation, rank) for rank, ablation in enumerate(impact.ranked(), start=1)]
    if condition not in impact.conditions:
        return []
    place, sign = impact.conditions.index(condition), -1 if impact.higher_is_worse else 1
    measured = [(value, ablation) for ablation in impact.ablations if (value := ablation.values[place]) is not None]
    measured.sort(key=lambda pair: sign * pair[0])
    return [_cell(ablation, rank, value) for rank, (value, ablation) in enumerate(measured, start=1)]


def _cell(ablation: AblationImpact, rank: int, value: float | None = None) -> Cell:
    damage = ablation.effect
    return Cell(
        ablation=ablation.ablation,
        label=ablated_label(ablation.ablation.components),
        mean=damage.mean if value is None else value,
        low=damage.low if value is None else None,
        high=damage.high if value is None else None,
        conditions=ablation.conditions if value is None else 1,
        rank=rank,
        distinguishable=ablation.distinguishable,
    )


def values_of(impact: Impact, ablation: Ablation) -> Mapping[Condition, float]:
    """Return an ablation's number on each condition on which it was tried."""
    values = next((a.values for a in impact.ablations if a.ablation == ablation), ())
    pairs = zip(impact.conditions, values, strict=False)
    return {condition: value for condition, value in pairs if value is not None}


def action_choices(cells: Sequence[Cell]) -> list[Actions]:
    """Return what to choose from: all removals first where there are several, then each action by itself."""
    actions = sorted({cell.ablation.action for cell in cells}, key=str)
    removals = tuple(action for action in actions if action.properties.removes)
    together = [removals] if {action.name for action in removals} >= set(REMOVALS) else []
    return [*together, *((action,) for action in actions)]


def choice_label(actions: Actions) -> str:
    """Return the text of a choice of actions."""
    if len(actions) == 1:
        return action_label(actions[0])
    return f"Remove ({' or '.join(action_label(action).lower() for action in actions)})"


def choice_token(actions: Actions) -> str:
    """Return a choice of actions for an address."""
    return action_token(actions[0]) if len(actions) == 1 else "remove"


def lengths(cells: Iterable[Cell]) -> list[int]:
    """Return the lengths of window that occur: first the one with most cells."""
    counts = Counter(cell.length for cell in cells)
    return sorted(counts, key=lambda length: (-counts[length], length))


def in_network_order(components: Iterable[Components]) -> list[Components]:
    """Return components by group, and within a group in the order given, which is the plan's."""
    return sorted(components, key=lambda names: GROUPS.index(ablated_label(names).group))
