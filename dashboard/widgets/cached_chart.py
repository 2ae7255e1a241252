"""Charts that are kept as finished specifications: building one takes longer than all else on a page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from dashboard.data.sweep import Sweep
from dashboard.theme.palette import Figure, Palette, Theme, palette_of, themed
from dashboard.widgets import panels as content

_KEPT = 128


def drawn(
    name: str,
    make: Callable[[Palette], Figure],
    sweep: Sweep,
    *depends: str,
    select: bool = False,
    alt_text: str = "",
) -> Any:
    """Draw what `make` gives over the full width, made once for each theme, sweep and `depends`.

    `depends` are all the choices that the chart depends on. With `select`, returns what was clicked.
    """
    spec = _spec(make, name, content.palette().theme, str(sweep.path), sweep.stamp, depends)
    return st.vega_lite_chart(
        spec,
        width="stretch",
        theme=None,
        key=name,
        on_select="rerun" if select else "ignore",
        alt=alt_text or None,
    )


@st.cache_data(max_entries=_KEPT, show_spinner=False)
def _spec(
    _make: Callable[[Palette], Figure],
    name: str,
    theme: Theme,
    path: str,
    stamp: tuple[int, ...],
    depends: tuple[str, ...],
) -> dict[str, Any]:
    palette = palette_of(theme)
    figure = themed(_make(palette), palette)
    spec: dict[str, Any] = figure.to_dict(validate=False)  # which takes most of the time; the charts' tests validate
    return spec
