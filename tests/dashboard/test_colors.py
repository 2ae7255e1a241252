"""Colours are distinguishable from their background, and text is readable on them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compute.analysis.impact.scale import Scale
from dashboard.charts.color_scale import ColorScale
from dashboard.charts.policy_map import DEAD
from dashboard.charts.policy_map_chart import state_colors
from dashboard.theme.colors import luminance, rgb
from dashboard.theme.palette import DARK, LIGHT, Palette, palette_of
from store.actions import ACTIONS

STYLE = Path(__file__).parents[2] / "dashboard" / "theme" / "style.css"

BOTH = pytest.mark.parametrize("palette", [LIGHT, DARK], ids=lambda palette: palette.theme)


def contrast(one: str, other: str) -> float:
    """The contrast of two colours (WCAG 2.2)."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@BOTH
def test_colors_contrast_with_their_background(palette: Palette) -> None:
    assert contrast(palette.ink, palette.paper) > 7
    assert contrast(palette.muted, palette.paper) > 4.5
    marks = {**palette.kinds, "accent": palette.accent, "first": palette.first, "second": palette.second}
    assert {name: contrast(color, palette.paper) > 3 for name, color in marks.items()} == dict.fromkeys(marks, True)


@BOTH
def test_the_heat_scale_moves_steadily_away_from_the_background(palette: Palette) -> None:
    distances = [abs(luminance(color) - luminance(palette.paper)) for color in palette.heat]
    assert distances == sorted(distances)


@given(st.lists(st.floats(-2, 2), min_size=1), st.sampled_from(["damage", "difference", "value"]), st.booleans())
def test_numbers_are_readable_on_their_colors(values: list[float], scale: Scale, higher_is_worse: bool) -> None:
    for palette in (LIGHT, DARK):
        colors = ColorScale.of(values, scale, higher_is_worse, palette)
        assert colors.low < colors.high
        for value in values:
            text_color = "#000000" if colors.needs_dark_text(value) else "#FFFFFF"
            assert contrast(text_color, colors.color(value)) >= 4.5


def test_the_palette_of_no_theme_is_light() -> None:
    assert palette_of(None) is LIGHT
    assert palette_of("dark") is DARK


def _mixed(ink: str, paper: str, share: float) -> str:
    parts = zip(rgb(ink), rgb(paper), strict=True)
    return "#" + "".join(f"{round(a * share + b * (1 - share)):02x}" for a, b in parts)


@BOTH
def test_texts_of_the_style_sheet_contrast_with_every_background(palette: Palette) -> None:
    config = tomllib.loads((STYLE.parents[1] / ".streamlit" / "config.toml").read_text())["theme"][palette.theme]
    shares = re.findall(r"[;{ ]color: color-mix\(in srgb, currentColor ([0-9]+)%", STYLE.read_text())
    assert len(shares) > 5
    for background in (config["backgroundColor"], config["secondaryBackgroundColor"]):
        for share in shares:
            assert contrast(_mixed(config["textColor"], background, int(share) / 100), background) >= 4.5


@BOTH
def test_a_policy_map_is_loud_where_it_saves(palette: Palette) -> None:
    colors = state_colors(palette.theme)
    computed = colors.pop(ACTIONS["compute"].state)
    assert contrast(computed, palette.paper) < 1.5
    assert {state: contrast(color, palette.paper) > 1.5 for state, color in colors.items()} == dict.fromkeys(
        colors, True
    )
    assert contrast(colors[DEAD], palette.paper) > 4.5
