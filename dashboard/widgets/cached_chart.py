"""Charts whose specification is cached, because building it takes longer than the rest of a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import streamlit as st

from dashboard.charts.chart_files import png_of, svg_of
from dashboard.data.fingerprint import Fingerprint
from dashboard.data.sweep import Sweep
from dashboard.theme.browser_theme import shown_palette
from dashboard.theme.palette import Figure, Palette, Theme, palette_of, themed
from dashboard.widgets.keyboard_marks import keyboard_marks

_MAX_ENTRIES = 128


def cached_chart(
    name: str,
    build: Callable[[Palette], Figure],
    sweep: Sweep,
    *choices: str,
    select: bool = False,
    alt_text: str,
) -> Any:
    """Show the chart that `build` returns for a palette, in the page's full width.

    It is built once for each theme, state of the sweep and `choices`, which must hold every choice that the chart
    depends on. With `select`, returns what was clicked. `alt_text` says to a screen reader what the chart shows.
    """
    palette = shown_palette()
    spec = _specification(build, name, palette.theme, str(sweep.path), sweep.fingerprint, choices)
    event = st.vega_lite_chart(
        spec,
        width="stretch",
        theme=None,
        key=name,
        on_select="rerun" if select else "ignore",
        alt=alt_text,
    )
    if select:
        keyboard_marks(name)
    _show_downloads(name, spec, palette)
    return event


def _show_downloads(name: str, spec: dict[str, Any], palette: Palette) -> None:
    """Show a menu that saves the chart as SVG and as PNG, which are drawn when they are asked for."""
    file = name.replace(" ", "-")
    with (
        st.container(horizontal=True, horizontal_alignment="right", key=f"save {name}"),
        st.popover("Save chart", icon=":material/download:", type="tertiary"),
    ):
        for label, draw, mime in (("SVG", svg_of, "image/svg+xml"), ("PNG", png_of, "image/png")):
            st.download_button(
                f"{label} of the chart: {name}",
                partial(_drawn, draw, spec, palette),
                file_name=f"{file}.{label.lower()}",
                mime=mime,
                key=f"{label} {name}",
                on_click="ignore",
                type="tertiary",
            )


def _drawn(draw: Callable[[Mapping[str, Any], Palette], str | bytes], spec: dict[str, Any], palette: Palette) -> bytes:
    file = draw(spec, palette)
    return file.encode("utf-8") if isinstance(file, str) else file


@st.cache_data(max_entries=_MAX_ENTRIES, show_spinner=False)
def _specification(
    _build: Callable[[Palette], Figure],
    name: str,
    theme: Theme,
    path: str,
    fingerprint: Fingerprint,
    choices: tuple[str, ...],
) -> dict[str, Any]:
    palette = palette_of(theme)
    chart = themed(_build(palette), palette)
    spec: dict[str, Any] = chart.to_dict(validate=False)  # validation takes most of the time; the tests do it
    return spec
