"""The summed damage of a schedule, computed slowly from evidence: what the search must agree with."""

from __future__ import annotations

from collections.abc import Sequence

from compute.policy.schedule import Schedule, StepActions
from compute.policy.search.evidence import Evidence
from store.records import Ablation, Action


def row_of(ablation: Ablation) -> StepActions:
    """The actions of an ablation at each step of its window."""
    return dict.fromkeys(ablation.components, ablation.action)


def least_damage(schedule: Schedule, evidence: Sequence[Evidence]) -> float:
    """The least sum of damages that explains a schedule: each run of reusing steps, each eliminated component."""
    best = [0.0] + [float("inf")] * schedule.steps
    for step in range(schedule.steps):
        row = schedule.at(step)
        if not any(action.reads_cache for action in row.values()):
            shares = sum(least_share(name, action, step, evidence) for name, action in row.items())
            best[step + 1] = min(best[step + 1], best[step] + shares)
        for item in evidence:
            window, own = item.ablation.window, row_of(item.ablation)
            runs = range(window.start, window.stop)
            beside = [schedule.at(s) for s in (window.start - 1, window.stop) if 0 <= s < schedule.steps]
            if window.start == step and all(schedule.at(s) == own for s in runs) and own not in beside:
                best[window.stop] = min(best[window.stop], best[step] + max(0.0, item.damage))
    return best[-1]


def least_share(name: str, action: Action, step: int, evidence: Sequence[Evidence]) -> float:
    """The least damage of eliminating a component at one step, if a window's damage is shared by its steps."""
    return min(
        max(0.0, item.damage) / (item.ablation.window.stop - item.ablation.window.start)
        for item in evidence
        if item.ablation.components == (name,) and item.ablation.action == action and step in item.ablation.window
    )
