"""One validated policy on the Policies page: findings, map, table, pictures, and the file to take along."""

from __future__ import annotations

import streamlit as st

from compute.policy.liveness import ResolvedSchedule
from compute.policy.skip_policy import SkipPolicy
from dashboard.data.policy_files import PolicyFile, resolved_on
from dashboard.data.sweep import Sweep
from dashboard.data.validation_pictures import Comparison
from dashboard.pages.policies.policy_map import cost_share, map_of, network_order
from dashboard.pages.policies.policy_map_chart import policy_map
from dashboard.pages.policies.quality_axes import RUNS
from dashboard.pages.policies.validation_sentences import run_rows, sentences, setting
from dashboard.widgets import panels as content
from dashboard.widgets.cached_chart import drawn
from dashboard.widgets.images import source_of
from dashboard.widgets.picture_cards import Shot, card, cards
from store.errors import SkipscopeError

_PICTURES = 12
_SHORT = {"full": "Full compute", "policy": "Policy", "fewer_steps": "Fewer steps"}
_IN_PYTHON = """\
from skipscope import SkipPolicy, applied

policy = SkipPolicy.load("policy.json")
with applied(policy, pipe):
    picture = pipe("a cat on a blue background").images[0]
"""
_MAP_HELP = (
    "A row a component, a column a step. What no running component reads does not run either: that is where most of "
    "the time is saved."
)


def show(sweep: Sweep, file: PolicyFile, title: str, why: str) -> None:
    """All that is known of a validated policy under a title; `why` says why this one is shown."""
    policy = file.policy
    assert policy is not None and policy.validation is not None, "only validated policies have details"
    content.section(content.plain(title))
    content.note(why)
    content.findings(sentences(policy))
    _take_along(file)
    content.section("What it does at each step", help=_MAP_HELP)
    _map(sweep, file.stem, policy)
    content.section("Its validation", help="Run closed-loop on prompts and seeds that took no part in the search.")
    content.table(run_rows(policy.validation), name=f"validation-{file.stem}")
    content.facts(setting(policy))
    content.section("Pictures beside full compute")
    _pictures(sweep, file.stem)


def _take_along(file: PolicyFile) -> None:
    st.download_button(
        "Download policy",
        file.data,
        file_name=f"{file.stem}.json",
        mime="application/json",
        icon=":material/download:",
        on_click="ignore",
    )
    name = f"{file.stem}.json"
    python, shell = st.columns(2, gap="large")
    with python:
        st.caption("In Python, on a diffusers pipeline")
        st.code(_IN_PYTHON.replace("policy.json", name), language="python")
    with shell:
        st.caption("On the command line")
        st.code(
            f'skipscope sample --policy {name} \\\n  --prompt "a cat on a blue background" -o out.png',
            language="shell",
        )


def _map(sweep: Sweep, stem: str, policy: SkipPolicy) -> None:
    resolved = _resolved(sweep, policy)
    found = map_of(policy, network_order(resolved, sweep.header.plan), resolved)
    if resolved is not None:
        content.note(f"It takes {cost_share(resolved):.0%} of the arithmetic of full compute.")
    drawn(
        "policy map",
        lambda colours: policy_map(found.spans, found.rows, policy.sampler.steps, colours),
        sweep,
        stem,
        alt_text="What each component does at each step",
    )
    if found.left_out:
        content.note(f"{found.left_out} more components are not drawn.")


def _resolved(sweep: Sweep, policy: SkipPolicy) -> ResolvedSchedule | None:
    """What really runs, where the store knows the network; else a line says that only the rules are shown."""
    try:
        graph = sweep.graph()
        if graph is None:
            content.note(
                "The store has no component graph, so what does not run because nobody reads it is not marked: only "
                "the rules are shown. Running the sweep's command again writes the graph."
            )
            return None
        return resolved_on(graph, policy)
    except SkipscopeError as error:
        content.panel("Only the rules are shown", str(error), tone="bad")
        return None


def _pictures(sweep: Sweep, stem: str) -> None:
    try:
        comparison = sweep.comparison(stem)
    except SkipscopeError as error:
        content.panel("The pictures cannot be shown", str(error), tone="bad")
        return
    if comparison is None:
        content.note(f"No pictures: policies/{stem}.png is not there; `validate` writes it beside the policy.")
        return
    st.html(_sheet(comparison))
    left = len(comparison.conditions) - _PICTURES
    if left > 0:
        content.note(f"The first {_PICTURES} conditions of {len(comparison.conditions)}.")


def _sheet(comparison: Comparison) -> str:
    """The pictures as HTML: a card a condition, in it the runs beside each other."""
    drawn = []
    for index, (prompt, seed) in enumerate(comparison.conditions[:_PICTURES]):
        shots = [
            (Shot(source=source_of(tiles[index]), alt=f"{RUNS[run]}: {prompt}"), _SHORT[run])
            for run, tiles in comparison.rows.items()
        ]
        drawn.append(card(shots, prompt, f"Seed {seed}"))
    return cards(drawn)
