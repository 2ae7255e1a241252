"""Escapes text from outside (prompts, names, reasons) for Markdown and for HTML."""

from __future__ import annotations

import html
import re

_CODE = re.compile(r"`([^`]+)`")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~:$^])")


def escape_markdown(text: str) -> str:
    """Return a text on one line, escaped so that Markdown shows it unchanged."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def escape_with_code(text: str) -> str:
    """Return a text of ours escaped for HTML, with what stands between backticks as code."""
    return _CODE.sub(r"<code>\1</code>", escape_html(text))


def escape_html(text: object) -> str:
    """Return a text escaped for HTML, also within the quotes of an attribute."""
    return html.escape(str(text), quote=True)
