"""Random component graphs and schedules: a main path with skip connections, as in a UNet but of any shape."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import strategies as st

from compute.policy.graph import Component, ComponentGraph, Edge, Structure
from compute.policy.schedule import Schedule
from store.actions import ActionName
from store.records import Action

SHORTCUT: tuple[ActionName, ...] = ("compute", "bypass", "reuse", "reuse_delta")
PLAIN: tuple[ActionName, ...] = ("compute", "reuse")
SKIP: tuple[ActionName, ...] = ("compute", "zero", "reuse")


def chain(*names: str, skips: tuple[tuple[str, str], ...] = ()) -> ComponentGraph:
    """A graph of conv_in, the named components in order, and conv_out.

    `skips` lead from a component into the concatenation before another. Names that begin with `plain` admit no bypass,
    those that begin with `former` are transformers with two parts. FLOPs are powers of two, so that a sum shows its
    terms; those of a transformer include its parts'.
    """
    sources = {target: source for source, target in skips}
    components: list[Component] = []
    structures: list[Structure] = []
    edges: list[Edge] = []
    positions: Iterator[int] = iter(range(1000))

    def component(name: str, kind: str, actions: tuple[ActionName, ...], flops: int) -> None:
        components.append(
            Component(
                name=name,
                kind=kind,
                parameters=1,
                flops=flops,
                bypass_flops=flops // 4,
                actions=actions,
                level=0,
                position=next(positions),
            )
        )

    component("unet", "unet", PLAIN, 0)
    structures.append(Structure(name="time_embedding", kind="embedding", flops=1, position=next(positions)))
    structures.append(Structure(name="conv_in", kind="convolution", flops=2, position=next(positions)))
    previous = "conv_in"
    for index, name in enumerate(names):
        if name in sources:
            skip, concat = f"skip:{sources[name]}", f"concat:{name}"
            component(skip, "skip", SKIP, 0)
            structures.append(Structure(name=concat, kind="concat", position=next(positions)))
            edges += [(sources[name], skip), (skip, concat), (previous, concat)]
            previous = concat
        plain = name.startswith("plain")
        component(name, "downsampler" if plain else "resnet", PLAIN if plain else SHORTCUT, 4 << 2 * index)
        if name.startswith("former"):
            component(f"{name}.transformer_blocks.0.attn1", "self_attention", SHORTCUT, 1 << 2 * index)
            component(f"{name}.transformer_blocks.0.ff", "feed_forward", SHORTCUT, 2 << 2 * index)
        edges.append((previous, name))
        previous = name
    structures.append(Structure(name="conv_out", kind="output", flops=3, position=next(positions)))
    edges.append((previous, "conv_out"))
    return ComponentGraph(
        components=tuple(components),
        structures=tuple(structures),
        edges=tuple(edges),
        input_shape=(3, 8, 8),
        sequence_length=4,
    )


@st.composite
def graphs(draw: st.DrawFn) -> ComponentGraph:
    """A chain of two to eight components with skips from earlier to later ones."""
    count = draw(st.integers(2, 8))
    names = [draw(st.sampled_from(["block", "plain", "former"])) + f".{index}" for index in range(count)]
    skips = []
    for target in draw(st.lists(st.integers(1, count - 1), unique=True, max_size=4)):
        source = draw(st.integers(-1, target - 1))
        skips.append(("conv_in" if source < 0 else names[source], names[target]))
    sources = [source for source, _ in skips]
    return chain(*names, skips=tuple(skip for skip in skips if sources.count(skip[0]) == 1))


@st.composite
def schedules(draw: st.DrawFn, graph: ComponentGraph, max_steps: int = 6) -> Schedule:
    """Any admitted actions at any steps; many of the schedules can't be resolved."""
    steps = draw(st.integers(1, max_steps))
    actions = {step: draw(step_actions(graph, order=2)) for step in range(steps) if draw(st.booleans())}
    return Schedule(steps=steps, actions=actions)


@st.composite
def step_actions(draw: st.DrawFn, graph: ComponentGraph, order: int = 0) -> dict[str, Action]:
    """Actions of a graph's components at one step: of `unet` alone, or of up to five others."""
    if draw(st.integers(0, 5)) == 0:
        return {"unet": Action(name="reuse", space="eps")}
    names = draw(st.lists(st.sampled_from(graph.names[1:]), unique=True, max_size=5))
    return {name: draw(_action(graph, name, order)) for name in names}


@st.composite
def _action(draw: st.DrawFn, graph: ComponentGraph, name: str, order: int) -> Action:
    action = draw(st.sampled_from(graph.component(name).actions))
    reads = action in ("reuse", "reuse_delta")
    return Action(name=action, order=draw(st.integers(0, order)) if reads else 0)
