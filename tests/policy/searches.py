"""Random cost models and bodies of evidence for random graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from compute.policy.cost import CostModel
from compute.policy.graph import Component, ComponentGraph
from compute.policy.search import Evidence, Search
from store.records import Ablation, Action, Window
from tests.policy.graphs import graphs


@st.composite
def costs(draw: st.DrawFn, graph: ComponentGraph) -> CostModel:
    """Seconds of every node; a shortcut takes at most half as long as the component that it goes around."""
    seconds = st.integers(1, 1000).map(float)
    computed = {name: draw(seconds) for name in graph.nodes if name != "unet"}
    around = [name for name, node in graph.nodes.items() if isinstance(node, Component) and "bypass" in node.actions]
    return CostModel(
        batch=2,
        run=draw(seconds),
        step=draw(seconds),
        network=draw(seconds),
        computed=computed,
        bypassed={name: draw(st.floats(0, computed[name] / 2)) for name in around},
    )


@st.composite
def evidences(
    draw: st.DrawFn, graph: ComponentGraph, steps: int, *, actions: Sequence[str] = ("bypass", "zero", "reuse")
) -> Evidence:
    """An ablation that a sweep could have run, and any damage; small negative ones come from differences."""
    name = draw(st.sampled_from(graph.names))
    admitted = [it for it in graph.component(name).actions if it in actions]
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
def searches(draw: st.DrawFn, actions: Sequence[str] = ("bypass", "zero", "reuse")) -> tuple[Search, list[Evidence]]:
    """A search over a random graph, and its evidence."""
    graph, steps = draw(graphs()), draw(st.integers(2, 6))
    found = draw(st.lists(evidences(graph, steps, actions=actions), max_size=10))
    return Search(graph, steps, found, draw(costs(graph))), found
