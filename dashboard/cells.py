"""What the Impact page shows of an impact: a cell for each component and window, in the order of the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compute.analysis.impact import Impact
from dashboard.labels import ComponentLabel, Group, action_label, component_label
from store.records import Window

REMOVE = "remove"
_REMOVALS = ("bypass", "zero")
GROUPS: tuple[Group, ...] = ("Encoder", "Middle", "Decoder", "Skip connections", "Whole network")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One ablation with its effect; `rank` counts from 1, the greatest, over all ablations of the metric."""

    label: ComponentLabel
    action: str
    window: Window
    mean: float
    low: float
    high: float
    conditions: int
    rank: int


def cells_of(impact: Impact) -> list[Cell]:
    """Every ablation of an impact, the greatest first."""
    ranked = sorted(impact.ablations, key=lambda ablation: -ablation.damage.mean)
    return [
        Cell(
            label=component_label(ablation.components),
            action=ablation.action,
            window=ablation.window,
            mean=ablation.damage.mean,
            low=ablation.damage.low,
            high=ablation.damage.high,
            conditions=ablation.conditions,
            rank=rank,
        )
        for rank, ablation in enumerate(ranked, start=1)
    ]


def action_choices(cells: Sequence[Cell]) -> list[str]:
    """What to choose an action from: removal first where it is both bypass and zero, then each action."""
    actions = list(dict.fromkeys(cell.action for cell in sorted(cells, key=lambda cell: cell.action)))
    return ([REMOVE] if set(_REMOVALS) <= set(actions) else []) + actions


def choice_label(action: str) -> str:
    """The text of an action to choose."""
    return "Remove (bypass or zero)" if action == REMOVE else action_label(action)


def with_action(cells: Sequence[Cell], action: str) -> list[Cell]:
    """The cells of an action, or of removal."""
    wanted = _REMOVALS if action == REMOVE else (action,)
    return [cell for cell in cells if cell.action in wanted]


def lengths(cells: Sequence[Cell]) -> list[int]:
    """The lengths of window that there are: the longest number of cells first."""
    counts: dict[int, int] = {}
    for cell in cells:
        length = cell.window.stop - cell.window.start
        counts[length] = counts.get(length, 0) + 1
    return sorted(counts, key=lambda length: (-counts[length], length))


def in_network_order(names: Sequence[str]) -> list[str]:
    """Components by group, and within a group in the order given, which is the plan's."""
    return sorted(names, key=lambda name: GROUPS.index(component_label(name).group))
