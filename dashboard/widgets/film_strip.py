"""Film strips of several trajectories, as HTML. All text is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dashboard.widgets.escaping import escape_html
from dashboard.widgets.picture_cards import Shot
from store.records import Window

LABEL_WIDTH = 72  # pixels


def film_strips(
    rows: Mapping[str, Sequence[Shot | None]], steps: Sequence[int], *, window: Window, current: int
) -> str:
    """Return labelled rows of pictures, one column a step; None stands for a picture that was not kept.

    A line above marks the steps of the window, a frame the current step.
    """
    head = "".join(f'<span class="{_step_classes(step, window, current)}">{step}</span>' for step in steps)
    body = ""
    for label, shots in rows.items():
        cells = "".join(_cell(shot, step == current) for shot, step in zip(shots, steps, strict=True))
        body += f"<b>{escape_html(label)}</b>{cells}"
    columns = f"grid-template-columns: {LABEL_WIDTH}px repeat({len(steps)}, minmax(0, 1fr))"
    return f'<div class="sk-strip" style="{columns}"><b class="sk-head">Step</b>{head}{body}</div>'


def _step_classes(step: int, window: Window, current: int) -> str:
    classes = "sk-in" if step in window else "sk-out"
    return f"{classes} sk-at" if step == current else classes


def _cell(shot: Shot | None, is_current: bool) -> str:
    mark = " sk-at" if is_current else ""
    if shot is None:
        return f'<i class="sk-none{mark}" title="not kept"></i>'
    faint = " sk-faint" if shot.faint else ""
    source, alt = escape_html(shot.source), escape_html(shot.alt)
    return f'<i class="{(mark + faint).strip()}"><img src="{source}" alt="{alt}"></i>'
