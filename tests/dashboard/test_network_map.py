"""The network as a map: its layout from any graph, what it shows at each step, and that it fits large networks."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.policy.graph import ComponentGraph
from compute.policy.graph_document import read_stored_graph, write_graph
from compute.policy.liveness import resolve
from compute.policy.schedule import Schedule
from compute.statistics.estimate import Estimate
from dashboard.charts.color_scale import ColorScale
from dashboard.charts.network.folding import block_of, blocks, fold
from dashboard.charts.network.layout import NetworkLayout, Tile, network_layout, segments
from dashboard.charts.network.network_chart import network_chart
from dashboard.charts.network.phase_ribbon import Ribbon
from dashboard.charts.network.policy_coloring import MIXED, policy_coloring
from dashboard.charts.policy_map import DEAD, map_policy, network_order
from dashboard.data.arguments import EXAMPLE
from dashboard.data.impact_cells import Cell, MissingCell
from dashboard.theme.palette import DARK, LIGHT, Palette, themed
from dashboard.widgets.impact_coloring import impact_coloring
from dashboard.words.component_labels import component_label
from store.actions import ACTIONS
from store.records import Ablation, Action, Window
from store.sweep_store import SweepStore
from tests.dashboard.opened_page import OpenPage, charts, line
from tests.dashboard.stores import ABLATED
from tests.dashboard.validated_policies import REUSE
from tests.policy.graphs import chain, graphs
from tests.policy.policies import policy_of

STEPS = 20
UNET_LIKE = chain(
    ABLATED[0][0], ABLATED[1][0], "up_blocks.0.resnets.0", skips=((ABLATED[0][0], "up_blocks.0.resnets.0"),)
)

TWO_IN_A_BLOCK = chain("down_blocks.0.resnets.0", "down_blocks.0.resnets.1", "mid_block.attentions.0")


@pytest.fixture(scope="module")
def sdxl() -> ComponentGraph:
    """The graph of Stable Diffusion XL's UNet, with its 70 transformer blocks but few channels."""
    from compute.unet import read_graph
    from tests.unet.narrow import narrow_unet

    return read_graph(narrow_unet("sdxl-base", transformer_layers_per_block=[1, 2, 10]), sequence_length=4)


def cell(name: str, start: int, stop: int, mean: float) -> Cell:
    """A cell with a made-up effect."""
    ablation = Ablation(components=(name,), window=Window(start=start, stop=stop), action=Action(name="reuse"))
    return Cell(
        ablation=ablation,
        label=component_label(name),
        mean=mean,
        low=mean / 2,
        high=mean * 2,
        conditions=4,
        rank=1,
        distinguishable=True,
    )


def colors(palette: Palette = LIGHT) -> ColorScale:
    """Colours of damage from 0 to 1."""
    return ColorScale.of([0.0, 1.0], "damage", True, palette)


def overlap(one: Tile, other: Tile) -> bool:
    """Whether two tiles cover a common area."""
    across = min(one.right, other.right) - max(one.left, other.left)
    return across > 1e-6 and min(one.bottom, other.bottom) - max(one.top, other.top) > 1e-6


def check(graph: ComponentGraph, layout: NetworkLayout, parts: int) -> None:
    """Assert that every component has one tile, and that tiles neither overlap nor leave the drawing."""
    members = [name for tile in layout.tiles for name in tile.members]
    assert len(members) == len(set(members))
    assert set(members) >= {name for name in graph.names if name not in graph.parents}
    assert len([name for name in members if name in graph.parents]) == parts
    assert not [(a.name, b.name) for a, b in combinations(layout.tiles, 2) if overlap(a, b)]
    for tile in layout.tiles:
        assert -0.5 <= tile.left < tile.right <= layout.columns - 0.5
        assert 0 <= tile.top < tile.bottom <= layout.height
    for start, end, _ in segments(layout):
        assert min(start[1], end[1]) >= 0 and max(start[1], end[1]) <= layout.height


@given(graphs())
@settings(max_examples=60, deadline=None)
def test_any_network_is_drawn_with_each_component_once(graph: ComponentGraph) -> None:
    check(graph, network_layout(graph, parts=tuple(graph.parents)), len(graph.parents))


def test_the_bundled_network_is_a_u() -> None:
    graph = read_stored_graph(EXAMPLE)
    assert graph is not None
    layout = network_layout(graph)
    check(graph, layout, 0)
    tops = [tile.top for tile in layout.tiles if tile.sort == "component"]
    lowest = tops.index(max(tops))
    assert tops[:lowest] == sorted(tops[:lowest]) and tops[lowest:] == sorted(tops[lowest:], reverse=True)
    assert [text for _, text in layout.rows] == ["32×32", "16×16", "8×8"]
    assert len([tile for tile in layout.tiles if tile.sort == "skip"]) == 9
    for open_block in blocks(graph):
        folded = [block for block in blocks(graph) if block != open_block]
        some = network_layout(graph, folded=folded)
        check(graph, some, 0)
        alone = {tile.name for tile in some.tiles if tile.sort == "component"}
        assert alone == {n for n in graph.names if block_of(n) == open_block and not n.startswith("skip:")}


def test_seventy_blocks_fit_and_fold(sdxl: ComponentGraph) -> None:
    parts = tuple(sdxl.parents)
    assert len(parts) == 3 * 70
    layout = network_layout(sdxl, parts=parts)
    check(sdxl, layout, 210)
    assert layout.columns <= 48 and layout.height < 600
    folded = network_layout(sdxl, folded=blocks(sdxl), parts=parts)
    check(sdxl, folded, 210)  # within their blocks' tiles
    assert folded.columns < 12 and not [tile for tile in folded.tiles if tile.sort == "part"]
    assert len(fold(sdxl, ()).columns) == layout.columns


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=lambda palette: palette.theme)
def test_a_large_sweep_is_a_valid_chart_of_bearable_size(sdxl: ComponentGraph, palette: Palette) -> None:
    cells = [
        cell(name, start, start + 2, (7 * place + start) % 11 / 11)
        for place, name in enumerate(sdxl.names)
        for start in range(0, STEPS, 2)
    ]
    layout = network_layout(sdxl, parts=tuple(sdxl.parents))
    coloring = impact_coloring(cells, (), layout, STEPS, colors(palette), "Damage")
    ribbon = Ribbon(steps=STEPS, boundary=Estimate(mean=6, low=5, high=8))
    chart = themed(network_chart(layout, coloring, palette, steps=STEPS, step=3, ribbon=ribbon), palette)
    spec = chart.to_dict()
    assert len(str(spec)) < 1_500_000
    assert [parameter["name"] for parameter in spec["params"] if "bind" in parameter] == ["step"]


@given(
    st.lists(
        st.tuples(st.sampled_from(TWO_IN_A_BLOCK.names), st.integers(0, 18), st.integers(1, 6), st.floats(0, 1)),
        min_size=1,
        max_size=12,
    ),
    st.booleans(),
)
@settings(max_examples=80, deadline=None)
def test_a_tile_shows_what_matters_most_at_the_step(drawn: list[tuple[str, int, int, float]], folded: bool) -> None:
    cells = [cell(name, start, min(start + length, STEPS), mean) for name, start, length, mean in drawn]
    layout = network_layout(TWO_IN_A_BLOCK, folded=("down_blocks.0",) if folded else ())
    rows = impact_coloring(cells, (), layout, STEPS, colors(), "Damage").rows
    for tile in layout.tiles:
        for step in range(STEPS):
            shown = [row for row in rows if row["tile"] == tile.name and row["begin"] <= step < row["end"]]
            there = [c for c in cells if c.ablation.components[0] in tile.members and step in c.ablation.window]
            assert len(shown) == bool(there)
            if there and len({c.ablation.components for c in there}) == len(there):
                assert shown[0]["mean"] == pytest.approx(max(c.mean for c in there), abs=1e-6)


def test_what_was_not_run_is_marked_at_its_steps() -> None:
    missing = [
        MissingCell(ablation=cell(UNET_LIKE.names[1], 2, 5, 0).ablation, failure=None),
        MissingCell(ablation=cell("unet", 0, 3, 0).ablation, failure="out of memory"),
    ]
    coloring = impact_coloring([], missing, network_layout(UNET_LIKE), STEPS, colors(), "Damage")
    assert [(row["tile"], row["begin"], row["end"], row["state"]) for row in coloring.hatched] == [
        (UNET_LIKE.names[1], 2, 5, "Not run yet"),
        ("unet", 0, 3, "Failed: out of memory"),
    ]


def test_impact_draws_the_network_and_pins_by_a_link(open_page: OpenPage, sweep: SweepStore) -> None:
    assert "no component graph" in line(open_page("impact", sweep.root))
    write_graph(sweep.root, UNET_LIKE)
    app = open_page("impact", sweep.root, component=ABLATED[1][0], at="4")
    assert not app.exception and [chart.key for chart in charts(app)][:2] == ["network", "impact map"]
    assert "Middle · attention 0 · bypass · steps 3–5: damage" in line(app)
    app.button(key="way back component at").click().run()
    assert not app.exception
    assert "Middle · attention 0 · bypass · steps 3–5: damage" not in line(app)
    assert "component" not in app.query_params


def test_a_policy_is_drawn_with_each_state_at_its_steps() -> None:
    schedule = Schedule(steps=6, actions={3: {UNET_LIKE.names[1]: Action(name="bypass")}, 4: {"unet": REUSE}})
    resolved = resolve(UNET_LIKE, schedule)
    policy = policy_of(schedule)
    policy_map = map_policy(policy, network_order(resolved, ()), resolved)
    for folded in ((), ("down_blocks.0",)):
        layout = network_layout(UNET_LIKE, folded=folded)
        rows = policy_coloring(policy_map, layout, 6, LIGHT).rows
        for step, plan in enumerate(resolved.steps):
            shown = {row["tile"]: row["state"] for row in rows if row["begin"] <= step < row["end"]}
            assert shown.keys() == {tile.name for tile in layout.tiles if tile.members}
            assert all((shown[name] == DEAD) == (name in plan.dead) for name in shown if name != "down_blocks.0")
        assert shown["mid_block.attentions.0"] == ACTIONS["compute"].state


def test_a_folded_block_of_unlike_states_says_so() -> None:
    schedule = Schedule(steps=3, actions={1: {"down_blocks.0.resnets.0": Action(name="bypass")}})
    resolved = resolve(TWO_IN_A_BLOCK, schedule)
    policy_map = map_policy(policy_of(schedule), network_order(resolved, ()), resolved)
    layout = network_layout(TWO_IN_A_BLOCK, folded=("down_blocks.0",))
    rows = [row for row in policy_coloring(policy_map, layout, 3, DARK).rows if row["tile"] == "down_blocks.0"]
    computed = ACTIONS["compute"].state
    assert [(row["begin"], row["state"]) for row in rows] == [(0, computed), (1, MIXED), (2, computed)]


@pytest.mark.parametrize("text", ["nan", "<script>", "9" * 5000])
def test_hostile_pins_are_ignored(open_page: OpenPage, sweep: SweepStore, text: str) -> None:
    write_graph(sweep.root, UNET_LIKE)
    app = open_page("impact", sweep.root, component=text, at=text, network_unfold=text)
    assert not app.exception and charts(app)[0].key == "network"
