"""Colours and chart settings of the light and the dark theme. No Streamlit here.

Kinds have the colours of Okabe and Ito (2008), changed in lightness until each has a contrast of 3:1 to its background,
and different shapes, so that a chart can be read without colours. The heat scale is magma (perceptually uniform); its
end for zero is the one nearest to the background.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import altair as alt

from dashboard.words.component_labels import KIND_LABELS
from store.actions import Kind

Theme = Literal["light", "dark"]
Figure = alt.Chart | alt.LayerChart

_FONT = "Source Sans, sans-serif"
SHAPES: Mapping[Kind, str] = {
    "resnet": "square",
    "attention": "circle",
    "self_attention": "triangle-left",
    "cross_attention": "triangle-right",
    "feed_forward": "stroke",
    "downsampler": "triangle-down",
    "upsampler": "triangle-up",
    "skip": "diamond",
    "unet": "cross",
    "guidance": "arrow",
}
SHAPE_SIGNS: Mapping[Kind, str] = {
    "resnet": "■",
    "attention": "●",
    "self_attention": "◀",
    "cross_attention": "▶",
    "feed_forward": "▬",
    "downsampler": "▼",
    "upsampler": "▲",
    "skip": "◆",
    "unet": "✚",
    "guidance": "↑",
}
"""The same shapes as characters, for legends that wrap on a narrow screen."""
_MAGMA = (
    *("#fcfdbf", "#fed89a", "#feb47b", "#fb8861", "#f1605d", "#d3436e", "#a8327d", "#822681", "#5c167f", "#331067"),
    *("#140e36", "#050416"),
)


@dataclass(frozen=True, kw_only=True)
class Palette:
    """The colours of a theme, `#rrggbb`."""

    theme: Theme
    ink: str
    """Text."""
    muted: str
    """Axis labels and less important marks."""
    line: str
    """Axes and grids."""
    paper: str
    """The background."""
    accent: str
    """Selections and boundaries."""
    frame: str
    """A frame around cells of the heat scale."""
    shade: str
    """A band behind curves."""
    first: str
    second: str
    """Two curves to compare."""
    kinds: Mapping[Kind, str]
    heat: tuple[str, ...] = field(repr=False)
    """From zero to the greatest value."""
    difference: tuple[str, ...] = field(repr=False)
    """The same for difference pictures, where zero has the colour of the panel behind them."""
    change: tuple[str, ...] = field(repr=False)
    """From the greatest gain over zero to the greatest harm."""


LIGHT = Palette(
    theme="light",
    ink="#1B1F26",
    muted="#5B6472",
    line="#E1E4EA",
    paper="#FFFFFF",
    accent="#4F46B8",
    frame="#00695C",
    shade="#ECEBF8",
    first="#0069A8",
    second="#C65D00",
    kinds={
        "resnet": "#0069A8",
        "attention": "#C27700",
        "self_attention": "#9A5B00",
        "cross_attention": "#B0413E",
        "feed_forward": "#6B7A1F",
        "downsampler": "#00875F",
        "upsampler": "#2F97D3",
        "skip": "#B8588F",
        "unet": "#4A505B",
        "guidance": "#7B3FA0",
    },
    heat=_MAGMA[:-1],
    difference=("#F1F2F5", *_MAGMA[2:-1]),
    change=("#0B4F6C", "#4E8FA8", "#B5D3DC", "#F4F4F4", "#F1C4A8", "#CF7558", "#8C2F39"),
)
DARK = Palette(
    theme="dark",
    ink="#E7E9EE",
    muted="#9BA4B2",
    line="#2B313B",
    paper="#101318",
    accent="#A79CFF",
    frame="#2DE3B0",
    shade="#1F2036",
    first="#56B4E9",
    second="#F0A33A",
    kinds={
        "resnet": "#4FA3DC",
        "attention": "#E69F00",
        "self_attention": "#F3C677",
        "cross_attention": "#F08A80",
        "feed_forward": "#B9C95A",
        "downsampler": "#2DBE90",
        "upsampler": "#9AD6F7",
        "skip": "#DE8DBA",
        "unet": "#C2C8D2",
        "guidance": "#C79BE8",
    },
    heat=_MAGMA[-2::-1],
    difference=("#1B2028", *_MAGMA[-3::-1]),
    change=("#8FD3E8", "#4E9DB8", "#2B5B70", "#1C2129", "#6E3A2E", "#C4694C", "#FFB491"),
)


def palette_of(theme: str | None) -> Palette:
    """Return the palette of a theme; the light one for None."""
    return DARK if theme == "dark" else LIGHT


def kind_scale(palette: Palette) -> alt.Scale:
    """Return the colours of kinds, by the kinds' labels."""
    return alt.Scale(domain=[KIND_LABELS[kind] for kind in palette.kinds], range=list(palette.kinds.values()))


def shape_scale() -> alt.Scale:
    """Return the shapes of kinds, by the kinds' labels."""
    return alt.Scale(domain=[KIND_LABELS[kind] for kind in SHAPES], range=list(SHAPES.values()))


def themed(chart: Figure, palette: Palette) -> Figure:
    """Return a chart with the fonts, lines and transparent background that all charts share."""
    axis = {
        "labelColor": palette.muted,
        "titleColor": palette.muted,
        "labelFont": _FONT,
        "titleFont": _FONT,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": 500,
        "titlePadding": 8,
        "gridColor": palette.line,
        "domainColor": palette.line,
        "tickColor": palette.line,
        "labelLimit": 320,
    }
    legend = {name: value for name, value in axis.items() if name.startswith(("label", "title"))}
    config: Any = chart.configure(font=_FONT, background="transparent")
    config = config.configure_view(stroke=None).configure_axis(**axis)
    config = config.configure_legend(**legend, symbolSize=90, gradientThickness=10)
    return cast(
        Figure, config.configure_title(color=palette.ink, font=_FONT, fontSize=13, fontWeight=600, anchor="start")
    )
