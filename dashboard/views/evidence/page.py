"""The evidence page: the pictures behind a number, for every condition and step by step."""

from __future__ import annotations

import streamlit as st

from compute.analysis.impact.ablation_impact import Impact, NoImpact
from dashboard.charts.color_scale import ColorScale
from dashboard.data.impact_cells import in_network_order
from dashboard.data.sweep import Sweep
from dashboard.views.evidence.condition_cards import show_conditions
from dashboard.views.evidence.step_by_step import show_step_by_step
from dashboard.widgets import choices
from dashboard.widgets.escaping import escape_html
from dashboard.widgets.impact_coloring import impact_coloring
from dashboard.widgets.network_map import drawn_network, network_map, stored_graph
from dashboard.widgets.page_template import render_page
from dashboard.widgets.panels import panel, section
from dashboard.words.action_labels import action_label, action_token
from dashboard.words.component_labels import ablated_label
from dashboard.words.explanations import NO_ABLATION
from dashboard.words.formatting import interval_text, number_text, window_label
from dashboard.words.metric_labels import metric_in_sentence, scale_label
from store.records import Ablation, components_text


def show(sweep: Sweep) -> None:
    """Show the page."""
    if not sweep.runs.by_ablation:
        panel("No evidence yet", f"{NO_ABLATION}; pictures appear here as units get done.")
        return
    impact = _impact(sweep)
    ablation = _show_choices(sweep, impact)
    _show_summary(sweep, impact, ablation)
    _show_place(sweep, impact, ablation)
    show_conditions(sweep, impact, ablation)
    show_step_by_step(sweep, ablation)


def _impact(sweep: Sweep) -> Impact | None:
    """Return the impact by the chosen metric, or None if the controls are not finished."""
    names = sweep.metrics
    if not names:
        return None
    try:
        return sweep.impact(choices.chosen_token("metric", names, names[0], sweep.metric_label))
    except NoImpact:
        return None


def _show_choices(sweep: Sweep, impact: Impact | None) -> Ablation:
    """Return the chosen ablation; the default is the most harmful one."""
    runs = sweep.runs
    harmful = sweep.cells(impact.metric)[0].ablation if impact else next(iter(runs.by_ablation))
    component_column, action_column, window_column, metric_column = st.columns([4, 3, 2, 3])
    with component_column:
        components = choices.select(
            "component",
            "Component",
            in_network_order(runs.components),
            token=components_text,
            format_func=lambda components: ablated_label(components).full,
            default=harmful.components,
        )
    is_harmful = components == harmful.components
    actions = runs.actions(components)
    with action_column:
        action = choices.select(
            "action",
            "Action",
            actions,
            token=action_token,
            format_func=action_label,
            default=harmful.action if is_harmful else actions[0],
        )
    windows = runs.windows(components, action)
    with window_column:
        window = choices.select(
            "window",
            "Window",
            windows,
            format_func=window_label,
            default=harmful.window if is_harmful and harmful.window in windows else windows[0],
        )
    if impact:
        with metric_column:
            choices.select("metric", "Metric", sweep.metrics, format_func=sweep.metric_label)
    return Ablation(components=components, action=action, window=window)


def _show_summary(sweep: Sweep, impact: Impact | None, ablation: Ablation) -> None:
    """Show which ablation was chosen, and its effect."""
    label = ablated_label(ablation.components)
    section(f"{label.full} · {action_label(ablation.action).lower()} · {window_label(ablation.window)}")
    cells = sweep.cells(impact.metric) if impact else []
    cell = next((cell for cell in cells if cell.ablation == ablation), None)
    sentence = f"Tried on {len(sweep.runs.by_ablation[ablation])} conditions."
    if impact and cell and cell.low is not None and cell.high is not None:
        sentence = (
            f"{scale_label(impact)} {number_text(cell.mean)} (95% interval {interval_text(cell.low, cell.high)}) by "
            f"{metric_in_sentence(impact.metric, impact.label)} over {cell.conditions} conditions, "
            f"rank {cell.rank} of {len(impact.ablations)} ablations (1 is the most harmful)."
        )
    st.html(
        f'<p class="sk-note">{escape_html(sentence)} {escape_html(label.kind_label)}, '
        f"module path <code>{escape_html(label.path)}</code>.</p>"
    )


def _show_place(sweep: Sweep, impact: Impact | None, ablation: Ablation) -> None:
    """Show where the component lies in the network, among what others change in the same steps; a click goes there."""
    if impact is None or len(ablation.components) != 1:
        return
    with st.expander("Where it lies in the network", expanded=True):
        graph = stored_graph(sweep)
        if graph is None:
            return
        cells = sweep.cells(impact.metric)
        here = [
            cell for cell in cells if cell.ablation.window == ablation.window and len(cell.ablation.components) == 1
        ]
        layout, unfolded = drawn_network("network", graph, sorted({cell.ablation.components[0] for cell in here}))
        pin = network_map(
            "place",
            layout,
            lambda palette: impact_coloring(
                here,
                (),
                layout,
                sweep.steps,
                ColorScale.of([cell.mean for cell in cells], impact.scale, impact.higher_is_worse, palette),
                f"{scale_label(impact)}, {window_label(ablation.window)}",
            ),
            sweep,
            impact.metric,
            str(ablation.window),
            unfolded,
            steps=sweep.steps,
            step=ablation.window.start,
            pinned=ablation.components[0],
            alt_text="The network, with a frame around the component that is shown",
        )
    if pin is not None and pin.component != ablation.components[0]:
        # Without another default, because the chosen one depends on the metric.
        choices.set_choice("component", pin.component, "")
        choices.set_choice("window", str(ablation.window), "")
        st.rerun()


if __name__ == "__main__":
    render_page(
        "The pictures behind a number: the baseline beside the ablated run of the same prompt, seed and noise.", show
    )
