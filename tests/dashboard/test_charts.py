"""Colours that can be told apart, charts that hold every row, pictures that are exact."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from compute.analysis.impact.ablation_impact import impact_of
from compute.analysis.impact.group_curves import by_kind
from compute.analysis.impact.scale import Scale
from dashboard.charts.group_chart import group_curves
from dashboard.data.impact_cells import cells_of, in_network_order
from dashboard.pages.impact.color_scale import Shades, luminance
from dashboard.pages.impact.heat_map import heat_map
from dashboard.pages.impact.ranking_chart import ranking
from dashboard.theme.palette import DARK, LIGHT, Palette, palette_of, themed
from dashboard.widgets.images import GAINS, distance_map, gain_for, heat_pixels, pixels_of, source_of
from dashboard.widgets.picture_cards import Shot, strip
from store.records import Window
from store.sweep_store import SweepStore
from tests.dashboard.stores import ABLATED, STEPS

BOTH = pytest.mark.parametrize("palette", [LIGHT, DARK], ids=lambda palette: palette.theme)
FLOATS = st.floats(-1, 1, width=32)
PICTURE = arrays(np.float32, (3, 4, 4), elements=FLOATS)


def contrast(one: str, other: str) -> float:
    """Contrast of two colours (WCAG 2.2)."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@BOTH
def test_colours_are_seen_on_their_background(palette: Palette) -> None:
    assert contrast(palette.ink, palette.paper) > 7
    assert contrast(palette.muted, palette.paper) > 4.5
    marks = {**palette.kinds, "accent": palette.accent, "first": palette.first, "second": palette.second}
    assert {name: contrast(colour, palette.paper) > 3 for name, colour in marks.items()} == dict.fromkeys(marks, True)


@BOTH
def test_heat_goes_steadily_away_from_the_background(palette: Palette) -> None:
    distances = [abs(luminance(colour) - luminance(palette.paper)) for colour in palette.heat]
    assert distances == sorted(distances)


@given(st.lists(st.floats(-2, 2), min_size=1), st.sampled_from(["damage", "difference", "value"]), st.booleans())
def test_numbers_are_readable_on_their_colours(values: list[float], scale: Scale, worse: bool) -> None:
    for palette in (LIGHT, DARK):
        shades = Shades.of(values, scale, worse, palette)
        assert shades.low < shades.high
        for value in values:
            letters = "#1B1F26" if shades.dark_ink(value) else "#FFFFFF"
            assert contrast(letters, shades.colour(value)) > 3


def test_the_palette_of_no_theme_is_light() -> None:
    assert palette_of(None) is LIGHT
    assert palette_of("dark") is DARK


@BOTH
def test_the_map_has_a_tile_for_each_cell(sweep: SweepStore, palette: Palette) -> None:
    impact = impact_of(sweep)
    cells = cells_of(impact)
    shades = Shades.of([cell.mean for cell in cells], impact.scale, True, palette)
    order = in_network_order([(name,) for name, _ in ABLATED])
    described = themed(heat_map(cells, order, STEPS, shades, "Damage"), palette).to_dict()
    tiles = described["layer"][0]
    data = tiles.get("data", {}).get("values") or next(iter(described["datasets"].values()))
    assert {(row["path"], row["start"], row["stop"]) for row in data} == {
        (cell.label.path, cell.ablation.window.start, cell.ablation.window.stop) for cell in cells
    }
    assert [row for row in tiles["encoding"]["y"]["scale"]["domain"] if not row.startswith("§")] == [
        name for (name,) in order
    ]
    assert described["config"]["background"] == "transparent"


def test_ranking_and_curves_are_charts(sweep: SweepStore) -> None:
    impact = impact_of(sweep)
    cells = cells_of(impact)
    assert len(ranking(cells, "Damage", LIGHT, one=1.0).to_dict()["layer"]) == 3
    assert len(ranking(cells_of(impact, impact.conditions[0]), "Damage", LIGHT, one=None).to_dict()["layer"]) == 2
    curves = by_kind(impact)
    figure = group_curves(curves, {curve.group: curve.group for curve in curves}, STEPS, "Damage", DARK).to_dict()
    assert len(figure["layer"]) == 3


@given(PICTURE)
def test_a_picture_in_the_page_is_exact(picture: np.ndarray) -> None:
    data = base64.b64decode(source_of(pixels_of(picture)).removeprefix("data:image/png;base64,"))
    found = np.asarray(Image.open(io.BytesIO(data)), dtype=np.float32).transpose(2, 0, 1) / 127.5 - 1
    assert np.abs(found - picture).max() <= 0.5 / 127.5 + 1e-6


@given(PICTURE, PICTURE)
def test_differences(one: np.ndarray, other: np.ndarray) -> None:
    found = distance_map(one, other)
    assert found.shape == (4, 4)
    assert 0 <= found.min() <= found.max() <= 1 + 1e-6
    assert np.array_equal(found, distance_map(other, one))
    assert not distance_map(one, one).any()
    gain = gain_for([found])
    assert gain in GAINS
    assert gain == 1 or np.quantile(found, 0.99) * gain <= 1
    assert heat_pixels(found, gain, LIGHT).shape == (4, 4, 3)


def test_latents_of_any_channels_are_drawn() -> None:
    assert pixels_of(np.zeros((1, 2, 2), np.float32)).shape == (2, 2, 3)
    assert pixels_of(np.zeros((4, 2, 2), np.float32)).shape == (2, 2, 3)
    assert gain_for([]) == 1
    assert gain_for([np.zeros((2, 2), np.float32)]) == 1


def test_a_film_strip_marks_its_window_and_step() -> None:
    shots: list[Shot | None] = [Shot(source="data:,", alt='a "quoted" <picture>'), None, None]
    found = strip({"Base<line>": shots}, [3, 4, 5], window=Window(start=4, stop=6), at=5)
    assert found.count("sk-in") == 2
    assert found.count('sk-at"') == 2
    assert "not kept" in found
    assert "<line>" not in found
    assert "<picture>" not in found
