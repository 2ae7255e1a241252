"""What impact shows, in sentences with their numbers: for a terminal and for the dashboard."""

from __future__ import annotations

from compute.analysis.impact.ablation_impact import Impact
from compute.statistics.significance import ALPHA
from store.records import Window


def steps_text(window: Window, *, dash: str = "-") -> str:
    """Return `steps 5-9`, with `dash` between the numbers, or `step 7` for a window of one step."""
    if window.stop - window.start == 1:
        return f"step {window.start}"
    return f"steps {window.start}{dash}{window.stop - 1}"


def caution(impact: Impact) -> str:
    """Return how many of the ablations can be told from doing nothing, given that so many are compared."""
    number, conditions = len(impact.ablations), max(a.conditions for a in impact.ablations)
    distinguishable = sum(a.distinguishable for a in impact.ablations)
    test = f"sign test over conditions, Holm's correction for {number} ablations"
    extremes = "The extremes of so many look more extreme than they are"
    if distinguishable:
        return (
            f"{distinguishable} of {number} ablations can be told from doing nothing ({test}: the chance that any of "
            f"them is wrong is at most {ALPHA:.0%}). {extremes}."
        )
    if conditions < impact.conditions_needed:
        return (
            f"{conditions} conditions are too few to tell any of {number} ablations from doing nothing ({test}: "
            f"{impact.conditions_needed} or more are needed). {extremes}: take the ranking as candidates."
        )
    return f"None of {number} ablations can be told from doing nothing ({test})."
