"""Pictures side by side on cards, as HTML. All text is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.widgets.escaping import escape_html

_COLUMNS = 3  # of the style sheet


@dataclass(frozen=True, kw_only=True)
class Shot:
    """A picture of a page: its `data:` address and its text for screen readers; `faint` shows it less opaque."""

    source: str
    alt: str
    faint: bool = False


def card(shots: Sequence[tuple[Shot, str]], title: str, details: str, *, baseline_right: bool | None = None) -> str:
    """Return a card: pictures with their captions, side by side, above a title and details.

    `baseline_right` adds a tick or a cross: whether the baseline shows what its prompt says.
    """
    verdict = "" if baseline_right is None else f'<p class="sk-verdict">{baseline_mark(baseline_right)}</p>'
    pictures = "".join(_figure(shot, caption) for shot, caption in shots)
    columns = f' style="grid-template-columns: repeat({len(shots)}, minmax(0, 1fr))"' if len(shots) > _COLUMNS else ""
    return (
        f'<article class="sk-card"><div class="sk-row"{columns}>{pictures}</div>'
        f"<h4>{escape_html(title)}</h4><p>{escape_html(details)}</p>{verdict}</article>"
    )


def baseline_mark(right: bool) -> str:
    """Return whether a baseline shows what its prompt says, as a tick or a cross with words."""
    return "✓ baseline right" if right else "✗ baseline wrong"


def _figure(shot: Shot, caption: str) -> str:
    caption_html = f"<figcaption>{escape_html(caption)}</figcaption>" if caption else ""
    source, alt = escape_html(shot.source), escape_html(shot.alt)
    return f'<figure class="sk-shot"><img src="{source}" alt="{alt}">{caption_html}</figure>'


def card_grid(cards: Sequence[str], *, small: bool = False) -> str:
    """Return cards in a grid over the page's width; small cards hold one picture each."""
    return f'<div class="sk-cards{" sk-small" if small else ""}">{"".join(cards)}</div>'
