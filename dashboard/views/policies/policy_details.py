"""One validated policy: its file to download, its findings, its map, its validation, its pictures."""

from __future__ import annotations

import streamlit as st

from compute.policy.liveness import ResolvedSchedule, resolve
from compute.policy.skip_policy import SkipPolicy
from dashboard.charts.network.phase_ribbon import Ribbon
from dashboard.charts.network.policy_coloring import policy_coloring, used_parts
from dashboard.charts.policy_map import PolicyMap, cost_share, map_policy, network_order
from dashboard.charts.policy_map_chart import policy_map_chart
from dashboard.data.policy_files import PolicyFile
from dashboard.data.sweep import Sweep
from dashboard.data.validation_pictures import ValidationPictures
from dashboard.views.policies.run_labels import RUN_CAPTIONS, RUN_LABELS
from dashboard.views.policies.validation_sentences import validation_sentences
from dashboard.views.policies.validation_tables import run_rows, setting_facts
from dashboard.widgets.cached_chart import cached_chart
from dashboard.widgets.escaping import escape_markdown
from dashboard.widgets.images import data_url
from dashboard.widgets.network_map import drawn_network, network_map, phase_boundary
from dashboard.widgets.panels import fact_list, note, panel, section, sentence_list
from dashboard.widgets.picture_cards import Shot, card, card_grid
from dashboard.widgets.tables import table
from store.actions import ACTIONS
from store.errors import SkipscopeError

_MAX_PICTURES = 12
_COMPUTED = ACTIONS["compute"].state
_IN_PYTHON = """\
from skipscope import SkipPolicy, applied, load_model

pipe = load_model(MODEL).pipe  # or a diffusers pipeline of your own
policy = SkipPolicy.load("policy.json")
with applied(policy, pipe):
    picture = pipe("a cat on a blue background").images[0]
"""
_MAP_HELP = (
    "A row a component, a column a step. A component whose output no running component reads does not run either: that "
    "saves most of the time."
)


def show_policy(sweep: Sweep, file: PolicyFile, title: str, reason: str) -> None:
    """Show a validated policy; `reason` says why it is shown."""
    policy = file.policy
    assert policy is not None and policy.validation is not None, "only validated policies have details"
    section(escape_markdown(title))
    note(reason)
    sentence_list(validation_sentences(policy.validation))
    _show_download(file, policy)
    section("What it does at each step", help=_MAP_HELP)
    _show_map(sweep, file.stem, policy)
    section("Its validation", help="Run closed-loop on prompts and seeds that took no part in the search.")
    table(run_rows(policy.validation), name=f"validation-{file.stem}")
    fact_list(setting_facts(policy, policy.validation))
    section("Pictures beside full compute")
    _show_pictures(sweep, file.stem)


def in_python(policy: SkipPolicy, name: str) -> str:
    """Return a program that applies a policy's file of that name."""
    return _IN_PYTHON.replace("MODEL", repr(policy.model.name)).replace("policy.json", name)


def _show_download(file: PolicyFile, policy: SkipPolicy) -> None:
    name = f"{file.stem}.json"
    st.download_button(
        f"Download policy {escape_markdown(name)}",
        file.data,
        file_name=name,
        mime="application/json",
        icon=":material/download:",
        on_click="ignore",
    )
    python, shell = st.columns(2, gap="large")
    with python:
        note("In Python, on a diffusers pipeline")
        st.code(in_python(policy, name), language="python", wrap_lines=True)
    with shell:
        note("On the command line")
        st.code(
            f'skipscope sample --policy {name} \\\n  --prompt "a cat on a blue background" -o out.png',
            language="shell",
            wrap_lines=True,
        )


def _show_map(sweep: Sweep, stem: str, policy: SkipPolicy) -> None:
    resolved = _resolved(sweep, policy)
    policy_map = map_policy(policy, network_order(resolved, sweep.header.plan), resolved)
    if resolved is not None:
        note(f"It takes {cost_share(resolved):.0%} of the arithmetic of full compute.")
        _show_network(sweep, stem, policy, resolved, policy_map)
    cached_chart(
        "policy map",
        lambda palette: policy_map_chart(policy_map, policy.sampler.steps, palette),
        sweep,
        stem,
        alt_text="What each component does at each step",
    )
    if policy_map.left_out:
        note(f"{policy_map.left_out} more components are not shown.")


@st.fragment
def _show_network(
    sweep: Sweep, stem: str, policy: SkipPolicy, resolved: ResolvedSchedule, policy_map: PolicyMap
) -> None:
    """Show the network, coloured by what its parts do at a step; of another number of steps than the sweep's."""
    steps = policy.sampler.steps
    layout, unfolded = drawn_network("network", resolved.graph, used_parts(policy_map))
    first = next((span.window.start for span in policy_map.spans if span.state != _COMPUTED), 0)
    network_map(
        "policy network",
        layout,
        lambda palette: policy_coloring(policy_map, layout, steps, palette),
        sweep,
        stem,
        unfolded,
        steps=steps,
        step=first,
        ribbon=Ribbon(steps=steps, boundary=phase_boundary(sweep) if steps == sweep.steps else None),
        alt_text="What each part of the network does, one step at a time",
    )


def _resolved(sweep: Sweep, policy: SkipPolicy) -> ResolvedSchedule | None:
    """Return what the policy runs; without a matching component graph, show why it is not known and return None."""
    try:
        graph = sweep.graph()
        if graph is None:
            note(
                "The store has no component graph, so components that do not run because their output is not used are "
                "not marked: only the rules are shown. Running the sweep's command again writes the graph."
            )
            return None
        return resolve(graph, policy.schedule)
    except SkipscopeError as error:
        panel("Only the rules are shown", str(error), tone="bad")
        return None


def _show_pictures(sweep: Sweep, stem: str) -> None:
    try:
        pictures = sweep.validation_pictures(stem)
    except SkipscopeError as error:
        panel("The pictures cannot be shown", str(error), tone="bad")
        return
    if pictures is None:
        note(f"No pictures: there is no policies/{stem}.png; `validate` writes it beside the policy.")
        return
    st.html(_picture_cards(pictures))
    if len(pictures.conditions) > _MAX_PICTURES:
        note(f"The first {_MAX_PICTURES} conditions of {len(pictures.conditions)}.")


def _picture_cards(pictures: ValidationPictures) -> str:
    """Return a card for each condition, with the pictures of its runs side by side."""
    cards = []
    for index, (prompt, seed) in enumerate(pictures.conditions[:_MAX_PICTURES]):
        shots = [
            (Shot(source=data_url(tiles[index]), alt=f"{RUN_LABELS[run]}: {prompt}"), RUN_CAPTIONS[run])
            for run, tiles in pictures.tiles.items()
        ]
        cards.append(card(shots, prompt, f"Seed {seed}"))
    return card_grid(cards)
