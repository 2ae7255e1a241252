"""A page that runs without a browser, and what a user sees of it."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from typing import Any

from streamlit.testing.v1 import AppTest

OpenPage = Callable[..., AppTest]
"""Opens a page on a store: `open_page("impact", path, component="unet")`, query parameters by name."""


def markup(app: AppTest) -> str:
    """The dashboard's own HTML."""
    return "\n".join(str(element.proto.body) for element in app.get("html"))


def text(app: AppTest) -> str:
    """The words of a page: titles, HTML without its tags, captions, Markdown, code."""
    words = [
        element.value for kind in ("title", "subheader", "caption", "markdown", "code") for element in app.get(kind)
    ]
    return "\n".join([*words, html.unescape(re.sub(r"<[^>]*>", " ", markup(app)))])


def line(app: AppTest) -> str:
    """The words of a page on one line, without the backslashes that escape Markdown."""
    return " ".join(text(app).replace("\\", "").split())


def charts(app: AppTest) -> list[Any]:
    """The charts of a page."""
    return list(app.get("vega_lite_chart"))


def chart_rows(chart: Any) -> list[list[dict[str, Any]]]:
    """The rows of data that stand in each layer of a chart's specification."""
    spec = json.loads(chart.proto.spec)
    return [layer["data"]["values"] for layer in spec["layer"] if "values" in layer.get("data", {})]
