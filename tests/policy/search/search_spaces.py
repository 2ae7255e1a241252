"""Search spaces to test with: random ones, and small ones of given evidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from compute.policy.cost import CostModel
from compute.policy.graph import ComponentGraph
from compute.policy.search.evidence import Evidence
from compute.policy.search.search_space import SearchSpace
from store.records import Ablation, Action, Window
from tests.policy.cost_models import costs
from tests.policy.graphs import chain, graphs

GRAPH = chain("block.0", "block.1", "plain.2", "block.3", skips=(("block.0", "block.3"),))
DROP = Action(name="reuse", space="x0")


@st.composite
def evidence_of(
    draw: st.DrawFn, graph: ComponentGraph, steps: int, *, actions: Sequence[str] = ("bypass", "zero", "reuse")
) -> Evidence:
    """An ablation that a sweep can run, with any damage; differences give small negative ones."""
    name = draw(st.sampled_from(graph.names))
    admitted = [action for action in graph.component(name).actions if action in actions]
    if not admitted:
        name, admitted = "unet", ["reuse"]
    chosen: Any = draw(st.sampled_from(admitted))
    reads = chosen in ("reuse", "reuse_delta")
    order = draw(st.integers(0, min(1, steps - 2))) if reads else 0
    start = draw(st.integers(order + 1 if reads else 0, steps - 1))
    window = Window(start=start, stop=draw(st.integers(start + 1, steps)))
    space: Any = draw(st.sampled_from(["x0", "eps"])) if name == "unet" else None
    action = Action(name=chosen, order=order, space=space)
    damage = draw(st.one_of(st.just(0.0), st.floats(-0.01, 1), st.floats(0, 1e-3)))
    return Evidence(ablation=Ablation(components=(name,), window=window, action=action), damage=damage)


@st.composite
def search_spaces(draw: st.DrawFn, actions: Sequence[str] = ("bypass", "zero", "reuse")) -> SearchSpace:
    """A search space over a random graph, with random evidence and costs."""
    graph, steps = draw(graphs()), draw(st.integers(2, 6))
    evidence = draw(st.lists(evidence_of(graph, steps, actions=actions), max_size=10))
    return SearchSpace(graph, steps, evidence, draw(costs(graph)))


def space_of(*evidence: tuple[str, Action, tuple[int, int], float], steps: int = 4) -> SearchSpace:
    """A search space over GRAPH: each node takes 10 s, a shortcut 1 s, and each step 1 s more.

    Evidence is given as (component, action, (start, stop), damage).
    """
    names = [name for name in GRAPH.nodes if name != "unet"]
    cost = CostModel(
        batch=1, run=0, step=1, network=0, computed=dict.fromkeys(names, 10.0), bypassed=dict.fromkeys(names, 1.0)
    )
    items = [
        Evidence(
            ablation=Ablation(components=(name,), window=Window(start=start, stop=stop), action=action), damage=damage
        )
        for name, action, (start, stop), damage in evidence
    ]
    return SearchSpace(GRAPH, steps, items, cost)
