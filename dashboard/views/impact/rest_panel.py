"""What can rest in a range of steps: its choices, the answer, and the list to download."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from compute.analysis.impact.ablation_impact import Impact
from compute.analysis.impact.resting import TOGETHER, Rest
from compute.analysis.report.findings import NEGLIGIBLE
from dashboard.data.draft import draft_text, schedule_of_ablations
from dashboard.data.rest import THRESHOLDS, default_start, removal_windows, rest_of
from dashboard.data.sweep import Sweep
from dashboard.navigation import go_to
from dashboard.widgets import choices
from dashboard.widgets.panels import note, section, sentence_list
from dashboard.widgets.tables import table
from dashboard.words.action_labels import action_label
from dashboard.words.component_labels import ablated_label
from dashboard.words.formatting import window_label
from store.records import Window

_NAMED = 12


def show_rest(sweep: Sweep, impact: Impact) -> Rest | None:
    """Show what can rest, and return it; None where damage was not measured or nothing was removed."""
    windows = removal_windows(sweep, impact.metric)
    if not windows:
        return None
    section(
        "What can rest",
        help="Components whose damage stays below the threshold in every window of the range, by the upper end of its "
        "95% interval. They are outlined in the map.",
    )
    rest = _chosen_rest(sweep, impact.metric, windows)
    sentence_list([rest_sentence(rest)])
    note(TOGETHER)
    if rest.passed:
        with st.expander(f"The {len(rest.components)} components as a table"):
            table([_row(rest, names) for names in rest.components], name="what-can-rest")
        if st.button("Take them to the workbench", icon=":material/build:", key="to workbench"):
            draft = schedule_of_ablations((ablation.ablation for ablation in rest.passed), sweep.steps)
            go_to("workbench", {"draft": draft_text(draft)})
    return rest


def _chosen_rest(sweep: Sweep, metric: str, windows: Sequence[Window]) -> Rest:
    starts = sorted({window.start for window in windows})
    first, last, limit = st.columns(3)
    with first:
        start = choices.select(
            "rest_from",
            "From step",
            starts,
            default=default_start(sweep, metric),
            help="The default is where composition has ended.",
        )
    with last:
        ends = sorted({window.stop for window in windows if window.start >= start})
        stop = choices.select("rest_to", "To step", ends, format_func=lambda stop: str(stop - 1), default=ends[-1])
    with limit:
        threshold = choices.select(
            "rest_below", "Damage below", THRESHOLDS, format_func=lambda value: f"{value:g}", default=NEGLIGIBLE
        )
    return rest_of(sweep, metric, start=start, stop=stop, threshold=threshold)


def rest_sentence(rest: Rest) -> str:
    """Return how many components can rest, and which."""
    steps = "this range" if rest.steps is None else window_label(rest.steps)
    found = len(rest.components)
    if not found:
        return f"None of {rest.tried} components stays below damage {rest.threshold:g} in {steps}."
    names = [ablated_label(names).full for names in rest.components]
    more = f" and {found - _NAMED} more" if found > _NAMED else ""
    return f"{found} of {rest.tried} components stay below damage {rest.threshold:g} in {steps}: " + (
        f"{', '.join(names[:_NAMED])}{more}."
    )


def _row(rest: Rest, names: Any) -> dict[str, Any]:
    own = [ablation for ablation in rest.passed if ablation.ablation.components == names]
    worst = max(own, key=lambda ablation: ablation.effect.high)
    return {
        "Component": ablated_label(names).full,
        "Action": action_label(worst.ablation.action),
        "Greatest damage": worst.effect.mean,
        "Upper end": worst.effect.high,
        "In": window_label(worst.ablation.window),
        "Module path": ablated_label(names).path,
    }
