"""A chart as an SVG element within an HTML document, of which nothing but drawing is kept."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from dashboard.charts.chart_files import svg_of
from dashboard.theme.palette import LIGHT, Figure, themed
from dashboard.widgets.escaping import escape_html

_SVG = "{http://www.w3.org/2000/svg}"
_DRAWING = frozenset(
    f"{_SVG}{name}"
    for name in (
        *("svg", "g", "defs", "clipPath", "linearGradient", "radialGradient", "stop"),
        *("path", "rect", "circle", "line", "text", "tspan", "image"),
    )
)
_PICTURE = "data:image/png;base64,"
_REFERENCE = re.compile(r"url\(#([^)\"' ]+)\)")


def chart_svg(chart: Figure, alt_text: str, number: int, *, width: int | None = None) -> str:
    """Return a chart drawn in the light theme as an `svg` element; `number` makes its identifiers the document's own.

    `alt_text` says to a screen reader what it shows.
    """
    spec: dict[str, Any] = themed(chart, LIGHT).to_dict(validate=False)
    drawn = svg_of(spec, LIGHT) if width is None else svg_of(spec, LIGHT, width=width)
    return inline(drawn, alt_text, number)


def inline(svg: str, alt_text: str, number: int) -> str:
    """Return an SVG document as an element of an HTML document.

    Elements and attributes that draw nothing are dropped: scripts, links, events, addresses other than a PNG's data.
    """
    root = ElementTree.fromstring(svg)
    # Vega counts the identifiers of one process on and on; ours count within a chart, or no report would be the same.
    found = (element.attrib["id"] for element in root.iter() if "id" in element.attrib)
    names = {name: f"chart{number}-{place}" for place, name in enumerate(dict.fromkeys(found))}
    for element in root.iter():
        for child in [child for child in element if child.tag not in _DRAWING]:
            element.remove(child)
        kept = {name: _renamed(value, names) for name, value in element.attrib.items() if _draws(name, value)}
        if "id" in kept:
            kept["id"] = names[kept["id"]]
        element.attrib.clear()
        element.attrib.update(kept)
    ElementTree.register_namespace("", _SVG[1:-1])
    text = ElementTree.tostring(root, encoding="unicode")
    return text.replace("<svg ", f'<svg role="img" aria-label="{escape_html(alt_text)}" ', 1)


def _draws(name: str, value: str) -> bool:
    plain = name.rpartition("}")[2].lower()
    if plain == "href":
        return value.startswith(_PICTURE)
    return not plain.startswith(("on", "aria-", "role")) and plain not in ("class", "style")


def _renamed(value: str, names: Mapping[str, str]) -> str:
    return _REFERENCE.sub(lambda match: f"url(#{names.get(match[1], '')})", value)
