"""Our own markup for pictures: cards that compare, and film strips. Everything from outside is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dashboard.widgets.panels import escaped
from store.records import Window


@dataclass(frozen=True, kw_only=True)
class Shot:
    """A picture in the page: a `data:` address of ours, what it is, and whether it is drawn back."""

    source: str
    alt: str
    faint: bool = False


def picture(shot: Shot, caption: str = "") -> str:
    """A picture with a line below it."""
    below = f"<figcaption>{escaped(caption)}</figcaption>" if caption else ""
    faint = " sk-faint" if shot.faint else ""
    return (
        f'<figure class="sk-shot{faint}"><img src="{escaped(shot.source)}" alt="{escaped(shot.alt)}">{below}</figure>'
    )


def card(shots: Sequence[tuple[Shot, str]], title: str, details: str, *, chosen: bool = False) -> str:
    """Pictures side by side over what they show; `chosen` marks the card."""
    pictures = "".join(picture(shot, caption) for shot, caption in shots)
    mark = " sk-chosen" if chosen else ""
    return (
        f'<article class="sk-card{mark}"><div class="sk-row">{pictures}</div>'
        f"<h4>{escaped(title)}</h4><p>{escaped(details)}</p></article>"
    )


def cards(items: Sequence[str], *, small: bool = False) -> str:
    """Cards in a grid that fills the width; small ones hold one picture."""
    return f'<div class="sk-cards{" sk-small" if small else ""}">{"".join(items)}</div>'


def strip(
    rows: Mapping[str, Sequence[Shot | None]], steps: Sequence[int], *, window: Window | None, at: int | None
) -> str:
    """Film strips one below the other, a column a step; the window is marked above, the step `at` framed."""
    head = "".join(f'<span class="{_marks(step, window, at)}">{step}</span>' for step in steps)
    body = ""
    for name, shots in rows.items():
        cells = "".join(_cell(shot, step, at) for shot, step in zip(shots, steps, strict=True))
        body += f"<b>{escaped(name)}</b>{cells}"
    columns = f"grid-template-columns: 72px repeat({len(steps)}, minmax(0, 1fr))"
    return f'<div class="sk-strip" style="{columns}"><b class="sk-head">Step</b>{head}{body}</div>'


def _cell(shot: Shot | None, step: int, at: int | None) -> str:
    mark = " sk-at" if step == at else ""
    if shot is None:
        return f'<i class="sk-none{mark}" title="not kept"></i>'
    faint = " sk-faint" if shot.faint else ""
    return f'<i class="{(mark + faint).strip()}"><img src="{escaped(shot.source)}" alt="{escaped(shot.alt)}"></i>'


def _marks(step: int, window: Window | None, at: int | None) -> str:
    inside = "sk-in" if window is not None and step in window else "sk-out"
    return f"{inside} sk-at" if step == at else inside
