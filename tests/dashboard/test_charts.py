"""The charts of impact hold every row."""

from __future__ import annotations

import pytest

from compute.analysis.impact.ablation_impact import impact_of
from compute.analysis.impact.group_curves import by_kind
from dashboard.charts.color_scale import ColorScale
from dashboard.charts.group_chart import group_chart
from dashboard.data.impact_cells import in_network_order, ranked_cells
from dashboard.theme.palette import DARK, LIGHT, Palette, themed
from dashboard.views.impact.heat_map import heat_map
from dashboard.views.impact.ranking_chart import ranking_chart
from store.sweep_store import SweepStore
from tests.dashboard.stores import ABLATED, STEPS


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=lambda palette: palette.theme)
def test_the_map_has_a_tile_for_each_cell(sweep: SweepStore, palette: Palette) -> None:
    impact = impact_of(sweep)
    cells = ranked_cells(impact)
    colors = ColorScale.of([cell.mean for cell in cells], impact.scale, True, palette)
    components = in_network_order([(name,) for name, _ in ABLATED])
    spec = themed(heat_map(cells, components, STEPS, colors, "Damage"), palette).to_dict()
    tiles = spec["layer"][0]
    data = tiles.get("data", {}).get("values") or next(iter(spec["datasets"].values()))
    assert {(row["path"], row["start"], row["stop"]) for row in data} == {
        (cell.label.path, cell.ablation.window.start, cell.ablation.window.stop) for cell in cells
    }
    assert [row for row in tiles["encoding"]["y"]["scale"]["domain"] if not row.startswith("§")] == [
        name for (name,) in components
    ]
    assert tiles["encoding"]["x"]["axis"]["orient"] == "top"  # below, it is out of sight on a tall map
    assert spec["config"]["background"] == "transparent"


def test_ranking_and_group_curves_are_valid_charts(sweep: SweepStore) -> None:
    impact = impact_of(sweep)
    cells = ranked_cells(impact)
    assert len(ranking_chart(cells, "Damage", LIGHT, reseed=1.0).to_dict()["layer"]) == 3
    of_one = ranked_cells(impact, impact.conditions[0])
    assert len(ranking_chart(of_one, "Damage", LIGHT, reseed=None).to_dict()["layer"]) == 2
    curves = by_kind(impact)
    chart = group_chart(curves, {curve.group: curve.group for curve in curves}, STEPS, "Damage", DARK).to_dict()
    assert len(chart["layer"]) == 3
