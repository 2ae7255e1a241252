"""Colours are distinguishable from their background, and text is readable on them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compute.analysis.impact.scale import Scale
from dashboard.theme.colors import luminance
from dashboard.theme.palette import DARK, LIGHT, Palette, palette_of
from dashboard.views.impact.color_scale import ColorScale

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
            text_color = "#1B1F26" if colors.needs_dark_text(value) else "#FFFFFF"
            assert contrast(text_color, colors.color(value)) > 3


def test_the_palette_of_no_theme_is_light() -> None:
    assert palette_of(None) is LIGHT
    assert palette_of("dark") is DARK
