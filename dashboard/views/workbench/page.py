"""The workbench: makes a policy by hand, from nothing, a stored policy, a published method or what can rest."""

from __future__ import annotations

from typing import Any

import streamlit as st
from pydantic import ValidationError

from compute.policy.graph import ComponentGraph
from compute.policy.liveness import ResolvedSchedule, resolve
from compute.policy.rules import rules_of
from compute.policy.schedule import Schedule
from compute.policy.skip_policy import PolicyError
from dashboard.charts.network.phase_ribbon import Ribbon
from dashboard.charts.network.policy_coloring import policy_coloring, used_parts
from dashboard.charts.policy_map import PolicyMap, map_schedule, network_order
from dashboard.charts.policy_map_chart import policy_map_chart
from dashboard.data.draft import TEXT_LIMIT, NoDraft, draft_of, draft_policy, draft_text
from dashboard.data.sweep import Sweep
from dashboard.views.workbench.forecast import problem_line, show_forecast
from dashboard.views.workbench.rule_form import show_rule_form, toggle
from dashboard.views.workbench.starts import Start, starts, template_for
from dashboard.widgets import choices
from dashboard.widgets.cached_chart import cached_chart
from dashboard.widgets.escaping import escape_markdown
from dashboard.widgets.network_map import drawn_network, network_map, phase_boundary, stored_graph
from dashboard.widgets.page_template import render_page
from dashboard.widgets.panels import errors_as_panel, note, panel, section
from dashboard.widgets.tables import table
from dashboard.words.action_labels import action_label
from dashboard.words.component_labels import component_label
from dashboard.words.formatting import window_label
from store.errors import SkipscopeError

_DRAFT, _KEPT = "draft", "workbench draft"
_NAME = "draft"


def show(sweep: Sweep) -> None:
    """Show the page."""
    graph = stored_graph(sweep)
    if graph is None:
        panel("No workbench here", "A draft needs the network's component graph, which this store does not hold.")
        return
    _show_bench(sweep, graph)


@st.fragment
def _show_bench(sweep: Sweep, graph: ComponentGraph) -> None:
    with errors_as_panel():
        draft = _stored_draft(sweep.steps)
        started = _show_start(sweep, graph)
        if started is not None:
            _keep(started)
            draft = started
        problem, resolved = _resolved(graph, draft)
        shown = map_schedule(draft, network_order(resolved, ()) or _names(graph, draft), resolved)
        section("The draft", help="Click tiles to tick components, choose steps and an action, and apply it to them.")
        _show_map(sweep, graph, draft, shown)
        show_rule_form(graph, draft, _keep)
        if problem:
            panel("This draft cannot run", problem, tone="bad")
        section("What to expect", help="Nothing here is measured: validate the draft before using it.")
        if resolved is not None:
            show_forecast(sweep, resolved)
            _show_steps(sweep, draft, shown)
        _show_rules(draft)
        if resolved is not None:
            _show_download(sweep, draft)


def _stored_draft(steps: int) -> Schedule:
    """Return the draft of the address, else the one that this session keeps."""
    text, kept = st.query_params.get(_DRAFT), st.session_state.get(_KEPT)
    if kept is not None and kept[1].steps == steps and text in (None, kept[0]):
        draft: Schedule = kept[1]
    else:
        try:
            draft = draft_of(text or "", steps)
        except NoDraft:
            note("The address asks for a draft that is none for this sweep. Shown instead: full compute.")
            draft = Schedule.empty(steps)
    _keep(draft)
    return draft


def _keep(draft: Schedule) -> None:
    """Keep a draft, in the address, too, where it is short enough."""
    text = draft_text(draft)
    st.session_state[_KEPT] = (text, draft)
    if text and len(text) <= TEXT_LIMIT:
        if st.query_params.get(_DRAFT) != text:
            st.query_params[_DRAFT] = text
    elif _DRAFT in st.query_params:
        del st.query_params[_DRAFT]


def _show_start(sweep: Sweep, graph: ComponentGraph) -> Schedule | None:
    """Let the user start anew; return the new draft, or None without one."""
    options = starts(sweep, graph)
    left, right = st.columns([4, 2], vertical_alignment="bottom")
    with left:
        start: Start = choices.select(
            "start", "Start from", options, token=lambda option: option.token, format_func=lambda option: option.label
        )
    parameters: dict[str, Any] = {}
    for column, (name, values) in zip(
        st.columns(max(len(start.parameters), 4)), start.parameters.items(), strict=False
    ):
        with column:
            parameters[name] = choices.select(f"start_{name}", name.replace("_", " ").capitalize(), list(values))
    with right:
        clicked = st.button("Start anew", help="Replaces the draft.", width="stretch")
    if start.source:
        note(start.source)
    if not clicked:
        return None
    try:
        return start.schedule(parameters)
    except SkipscopeError as error:
        panel("This cannot be started from", problem_line(error), tone="bad")
        return None


def _resolved(graph: ComponentGraph, draft: Schedule) -> tuple[str, ResolvedSchedule | None]:
    """Return what the draft runs, or the line that says why it cannot run."""
    try:
        return "", resolve(graph, draft)
    except SkipscopeError as error:
        return problem_line(error), None


def _names(graph: ComponentGraph, draft: Schedule) -> list[str]:
    return [name for name in graph.names if name not in graph.parents or name in draft.components]


def _show_map(sweep: Sweep, graph: ComponentGraph, draft: Schedule, shown: PolicyMap) -> None:
    layout, unfolded = drawn_network("network", graph, used_parts(shown))
    pin = network_map(
        "workbench map",
        layout,
        lambda palette: policy_coloring(shown, layout, draft.steps, palette),
        sweep,
        draft_text(draft),
        unfolded,
        steps=draft.steps,
        step=draft.steps // 2,
        ribbon=Ribbon(steps=draft.steps, boundary=phase_boundary(sweep)),
        alt_text="What each part of the network does in the draft, one step at a time",
    )
    if pin is not None:
        toggle(pin.component)


def _show_steps(sweep: Sweep, draft: Schedule, shown: PolicyMap) -> None:
    with st.expander("Every step of every component"):
        cached_chart(
            "draft steps",
            lambda palette: policy_map_chart(shown, draft.steps, palette),
            sweep,
            draft_text(draft),
            alt_text="What each component does at each step of the draft",
        )


def _show_rules(draft: Schedule) -> None:
    rules = rules_of(draft)
    if not rules:
        note("Everything is computed: tick components and apply an action.")
        return
    with st.expander(f"Its {len(rules)} rule{'s' * (len(rules) != 1)} as a table"):
        rows = [
            {
                "Components": ", ".join(component_label(name).full for name in rule.components),
                "Action": action_label(rule.action),
                "Steps": window_label(rule.window),
            }
            for rule in rules
        ]
        table(rows, name="draft-rules")


def _show_download(sweep: Sweep, draft: Schedule) -> None:
    section("Take it along")
    template = template_for(sweep)
    if template is None:
        note(
            "A policy file names the weights of the network that it is for, which this store knows from its policies "
            "alone. It has none for its own model yet: `skipscope recommend` writes one."
        )
        return
    left, _ = st.columns([1, 2])
    with left:
        name = st.text_input("Name", _NAME, max_chars=80, key="workbench name").strip()
    try:
        policy = draft_policy(template, draft, name)
    except (ValidationError, PolicyError):
        note("A name begins with a letter or a digit and has letters, digits, spaces, dots, dashes and underscores.")
        return
    file = f"{name.replace(' ', '-')}.json"
    st.download_button(
        f"Download policy {escape_markdown(file)}",
        policy.dumps().encode(),
        file_name=file,
        mime="application/json",
        icon=":material/download:",
        on_click="ignore",
    )
    note("It was not measured. This command runs it beside full compute on other prompts:")
    st.code(f"skipscope validate {file}", language="shell", wrap_lines=True)


if __name__ == "__main__":
    render_page("A policy made by hand: what it would cost and is predicted to do, before anything is run.", show)
