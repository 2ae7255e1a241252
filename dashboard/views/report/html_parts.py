"""Parts of the report as HTML. All of them escape their text, and isolate its direction from what surrounds it."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Any

from dashboard.theme.palette import Figure
from dashboard.views.report.inline_svg import chart_svg
from dashboard.widgets.escaping import escape_html
from dashboard.widgets.tables import table_csv
from dashboard.words.formatting import number_text

_CHARACTERS = 20_000  # of one text


def text_html(value: object) -> str:
    """Return a text, escaped; what it holds of another direction, or of marks that turn the direction, stays inside."""
    text = str(value)
    shown = text if len(text) <= _CHARACTERS else f"{text[:_CHARACTERS]}…"
    return f"<bdi>{escape_html(shown)}</bdi>"


def heading(text: str, level: int = 2) -> str:
    """Return a heading."""
    return f"<h{level}>{text_html(text)}</h{level}>"


def paragraph(text: str, kind: str = "") -> str:
    """Return a paragraph; `kind` is its class."""
    return f'<p class="{kind}">{text_html(text)}</p>' if kind else f"<p>{text_html(text)}</p>"


def bullets(texts: Iterable[str]) -> str:
    """Return a list."""
    return f"<ul>{''.join(f'<li>{text_html(text)}</li>' for text in texts)}</ul>"


def facts_html(facts: Sequence[tuple[str, str]]) -> str:
    """Return pairs of a term and its value."""
    rows = "".join(f"<div><dt>{text_html(term)}</dt><dd>{text_html(value)}</dd></div>" for term, value in facts)
    return f"<dl>{rows}</dl>"


def table_html(rows: Sequence[dict[str, Any]], caption: str) -> str:
    """Return a table; the keys of the rows are its headings. Numbers have three decimals."""
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{text_html(name)}</th>' for name in rows[0])
    body = "".join(f"<tr>{''.join(_cell(value) for value in row.values())}</tr>" for row in rows)
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape_html(caption)}"><table>'
        f"<caption>{text_html(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f'<td class="number">{number_text(value)}</td>'
    return f"<td>{text_html('–' if value is None else value)}</td>"


def download(label: str, name: str, data: bytes, kind: str) -> str:
    """Return a link that saves data, which stands in the link itself, as a file of that name."""
    source = f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
    return f'<p><a class="file" download="{escape_html(name)}" href="{source}">{text_html(label)}</a></p>'


def csv_download(rows: list[dict[str, Any]], name: str) -> str:
    """Return a link that saves rows with all their digits as `name`.csv."""
    return download(f"{name}.csv: all {len(rows)} rows", f"{name}.csv", table_csv(rows), "text/csv")


class Figures:
    """The charts of a document, numbered in their order."""

    def __init__(self) -> None:
        self._count = 0

    def figure(self, chart: Figure, caption: str, *, width: int | None = None) -> str:
        """Return a chart with its caption."""
        self._count += 1
        svg = chart_svg(chart, caption, self._count, width=width)
        scrolled = f'<div class="wide" tabindex="0" role="group" aria-label="{escape_html(caption)}">{svg}</div>'
        return f'<figure class="chart">{scrolled}<figcaption>{text_html(caption)}</figcaption></figure>'


def picture(source: str, caption: str, alt: str) -> str:
    """Return a picture, whose `source` is a `data:` address."""
    image = f'<img src="{escape_html(source)}" alt="{escape_html(alt[:_CHARACTERS])}">'
    return f"<figure>{image}<figcaption>{text_html(caption)}</figcaption></figure>"


def picture_card(pictures: Sequence[str], title: str, details: str) -> str:
    """Return pictures side by side above a title."""
    return (
        f'<article><div class="row">{"".join(pictures)}</div><h4>{text_html(title)}</h4>{paragraph(details)}</article>'
    )


def cards(some: Sequence[str]) -> str:
    """Return cards in a grid."""
    return f'<div class="cards">{"".join(some)}</div>' if some else ""
