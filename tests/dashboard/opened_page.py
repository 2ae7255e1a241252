"""What a person sees of a page that ran without a browser."""

from __future__ import annotations

import html
import re
from typing import Any

from streamlit.testing.v1 import AppTest


def markup(app: AppTest) -> str:
    """Our own HTML, as it is sent."""
    return "\n".join(str(element.proto.body) for element in app.get("html"))


def text(app: AppTest) -> str:
    """The words of a page: titles, our HTML without its tags, captions, code."""
    words = [
        element.value for kind in ("title", "subheader", "caption", "markdown", "code") for element in app.get(kind)
    ]
    return "\n".join([*words, html.unescape(re.sub(r"<[^>]*>", " ", markup(app)))])


def charts(app: AppTest) -> list[Any]:
    """The charts of a page."""
    return list(app.get("vega_lite_chart"))
