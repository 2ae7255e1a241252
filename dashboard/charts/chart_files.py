"""Charts as files, SVG and PNG, drawn on the server by Vega itself (vl-convert), without a browser or a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import altair as alt

from dashboard.theme.palette import Palette

FileFormat = Literal["svg", "png"]
WIDTH = 860
"""Pixels of a plot whose width the page would choose."""
_VEGA_LITE = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
_PNG_SCALE = 2.0
_NO_ADDRESS = ["data:"]  # what a chart may load: a specification that names an address on the web is refused
Specification = dict[str, Any]


def svg_of(spec: Mapping[str, Any], palette: Palette, *, width: int = WIDTH) -> str:
    """Return a chart's specification drawn as SVG, on the theme's background."""
    import vl_convert  # where it is used: it brings a JavaScript engine

    return vl_convert.vegalite_to_svg(_drawn(spec, palette, width), _VEGA_LITE, allowed_base_urls=_NO_ADDRESS)


def png_of(spec: Mapping[str, Any], palette: Palette, *, width: int = WIDTH) -> bytes:
    """Return a chart's specification drawn as PNG, with two pixels for each of the SVG's."""
    import vl_convert

    drawn = _drawn(spec, palette, width)
    return vl_convert.vegalite_to_png(drawn, _VEGA_LITE, scale=_PNG_SCALE, allowed_base_urls=_NO_ADDRESS)


def _drawn(spec: Mapping[str, Any], palette: Palette, width: int) -> Specification:
    """A specification of a size and a background of its own; without what only a page needs, clicks and tooltips."""
    config = {**spec.get("config", {}), "background": palette.paper}
    drawn = {**spec, "config": config}
    if "vconcat" not in spec and "hconcat" not in spec:
        drawn.setdefault("width", width)
    return drawn
