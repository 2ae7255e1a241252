"""The form that adds to a draft: which components, at which steps, do what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from compute.policy.graph import UNET, Component, ComponentGraph
from compute.policy.schedule import COMPUTE, Schedule
from dashboard.charts.network.folding import block_label, block_of, blocks
from dashboard.data.draft import with_action
from dashboard.words.action_labels import action_label
from dashboard.words.component_labels import KIND_LABELS, component_label
from store.actions import ACTIONS, REMOVALS
from store.records import Action

TICKED = "workbench components"
"""The key of the ticked components."""
_REMOVE, _COMPUTE = "Remove (bypass or zero)", "Compute (take back)"
_EVERY = (1, 2, 3, 4, 5)


def show_rule_form(graph: ComponentGraph, draft: Schedule, keep: Callable[[Schedule], None]) -> None:
    """Show the form below the map; `keep` is given the changed draft when it is applied."""
    components = _ticked(graph)
    columns = st.columns([4, 2, 3, 2], vertical_alignment="bottom")
    with columns[0]:
        first, last = _steps(draft.steps)
    with columns[1]:
        every = st.selectbox("Of these steps", _EVERY, format_func=_every_label, key="workbench every")
    actions = _actions(graph, components)
    if actions and st.session_state.get("workbench action") not in actions:
        st.session_state["workbench action"] = next(iter(actions))
    with columns[2]:
        label = st.selectbox("Action", list(actions), key="workbench action", help=_ACTION_HELP)
    with columns[3]:
        st.button(
            "Apply",
            type="primary",
            disabled=not (components and label),
            width="stretch",
            on_click=lambda: keep(with_action(draft, actions[label], range(first, last + 1, every))),
        )


_ACTION_HELP = (
    "Those that all ticked components admit. Bypass drops what a block adds, zero empties a skip connection, reuse "
    "repeats what an earlier step computed."
)


def toggle(component: str) -> None:
    """Tick a component, or take its tick away. Before the form is shown."""
    ticked = list(st.session_state.get(TICKED, []))
    st.session_state[TICKED] = [t for t in ticked if t != component] if component in ticked else [*ticked, component]


def _ticked(graph: ComponentGraph) -> list[str]:
    left, right = st.columns([5, 2], vertical_alignment="bottom")
    groups = _groups(graph)
    with right:
        group = st.selectbox("Tick all of", ["", *groups], key="workbench group", format_func=lambda text: text or "–")
        if group and st.session_state.get("workbench group before") != group:
            ticked = dict.fromkeys([*st.session_state.get(TICKED, []), *groups[group]])
            st.session_state[TICKED] = list(ticked)
        st.session_state["workbench group before"] = group
    st.session_state[TICKED] = [name for name in st.session_state.get(TICKED, []) if name in graph.names]
    with left:
        return st.multiselect(
            "Ticked components",
            graph.names,
            key=TICKED,
            format_func=lambda name: component_label(name).full,
            placeholder="Click tiles of the map, or choose here",
        )


def _groups(graph: ComponentGraph) -> dict[str, list[str]]:
    whole = [name for name in graph.names if name != UNET and name not in graph.parents]
    groups = {block_label(block): [name for name in whole if block_of(name) == block] for block in blocks(graph)}
    by_kind: dict[str, list[str]] = {}
    for name in graph.names:
        if name != UNET:
            by_kind.setdefault(f"{KIND_LABELS[graph.component(name).kind]}: all", []).append(name)
    return groups | by_kind


def _steps(steps: int) -> tuple[int, int]:
    if steps == 1:
        return 0, 0
    key = "workbench steps"
    stored = st.session_state.get(key)
    if stored is None or max(stored) >= steps:
        st.session_state[key] = (steps // 2, steps - 1)
    chosen: Any = st.slider("Steps (0 is the noisiest)", 0, steps - 1, key=key)  # two, as its state is
    return int(chosen[0]), int(chosen[1])


def _every_label(every: int) -> str:
    return "every one" if every == 1 else f"every {every}{'nd' if every == 2 else 'rd' if every == 3 else 'th'}"


def _actions(graph: ComponentGraph, components: Sequence[str]) -> dict[str, dict[str, Action]]:
    """Return the choices of actions by their labels: for each component its action. Empty for no component."""
    nodes = [graph.component(name) for name in components]
    if not nodes:
        return {}
    choices: dict[str, dict[str, Action]] = {}
    removals = {node.name: removal for node in nodes if (removal := _removal(node)) is not None}
    if len(removals) == len(nodes):
        choices[_REMOVE] = removals
    for name in ACTIONS:
        if name == "compute" or not all(name in node.actions for node in nodes):
            continue
        spaces = ("x0", "eps") if components == [UNET] and name == "reuse" else (None,)
        orders = (0, 1) if ACTIONS[name].reads else (0,)
        for space in spaces:
            for order in orders:
                action = Action.model_validate({"name": name, "order": order, "space": space})
                choices[action_label(action)] = dict.fromkeys(components, action)
    return choices | {_COMPUTE: dict.fromkeys(components, COMPUTE)}


def _removal(node: Component) -> Action | None:
    return next((Action(name=name) for name in REMOVALS if name in node.actions), None)
