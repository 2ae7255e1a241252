"""Random cost models for random graphs."""

from __future__ import annotations

from hypothesis import strategies as st

from compute.policy.cost import CostModel
from compute.policy.graph import Component, ComponentGraph


@st.composite
def costs(draw: st.DrawFn, graph: ComponentGraph) -> CostModel:
    """Seconds of every node; a shortcut takes at most half as long as its component."""
    seconds = st.integers(1, 1000).map(float)
    computed = {name: draw(seconds) for name in graph.nodes if name != "unet"}
    residual = [name for name, node in graph.nodes.items() if isinstance(node, Component) and "bypass" in node.actions]
    return CostModel(
        batch=2,
        run=draw(seconds),
        step=draw(seconds),
        network=draw(seconds),
        computed=computed,
        bypassed={name: draw(st.floats(0, computed[name] / 2)) for name in residual},
    )
