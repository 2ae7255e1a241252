"""The filters of the map of impact: actions that are shown together, and lengths of windows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from dashboard.data.impact_cells import Actions
from dashboard.words.action_labels import action_label, action_token
from store.actions import REMOVALS
from store.records import Ablation


def action_options(ablations: Sequence[Ablation]) -> list[Actions]:
    """Return all removals together, if every one is planned, then each action alone."""
    actions = sorted({ablation.action for ablation in ablations}, key=str)
    removals = tuple(action for action in actions if action.properties.removes)
    together = [removals] if {action.name for action in removals} >= set(REMOVALS) else []
    return [*together, *((action,) for action in actions)]


def actions_label(actions: Actions) -> str:
    """Return the label of an option of `action_options`."""
    if len(actions) == 1:
        return action_label(actions[0])
    return f"Remove ({' or '.join(action_label(action).lower() for action in actions)})"


def actions_token(actions: Actions) -> str:
    """Return the text of an option of `action_options` in a page's address."""
    return action_token(actions[0]) if len(actions) == 1 else "remove"


def length_options(ablations: Iterable[Ablation]) -> list[int]:
    """Return the lengths of the ablations' windows in steps, the most frequent first."""
    counts = Counter(ablation.window.stop - ablation.window.start for ablation in ablations)
    return sorted(counts, key=lambda length: (-counts[length], length))
