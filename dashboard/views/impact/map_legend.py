"""What the marks of the map mean: kinds of components, and ablations that are not finished."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard.data.impact_cells import MissingCell
from dashboard.theme.browser_theme import shown_palette
from dashboard.theme.palette import SHAPE_SIGNS
from dashboard.widgets.escaping import escape_html
from dashboard.widgets.panels import note
from dashboard.words.component_labels import KIND_LABELS, ablated_label
from store.records import Components


def show_kinds(components: Sequence[Components]) -> None:
    """Show the legend of kinds, which wraps where the map is narrow."""
    present = {ablated_label(names).kind for names in components}
    colors = shown_palette().kinds
    items = "".join(
        f'<li><span style="color:{colors[kind]}" aria-hidden="true">{SHAPE_SIGNS[kind]}</span> '
        f"{escape_html(label)}</li>"
        for kind, label in KIND_LABELS.items()
        if kind in present
    )
    st.html(f'<ul class="sk-legend" aria-label="Kinds of components">{items}</ul>')


def show_missing(missing: Sequence[MissingCell]) -> None:
    """Say how many ablations are hatched and crossed; nothing if none is."""
    failed = sum(cell.failure is not None for cell in missing)
    parts = [f"hatched: {len(missing) - failed} not run yet"] if failed < len(missing) else []
    parts += [f"with a cross: {failed} failed; the page Overview says why"] if failed else []
    if parts:
        text = "; ".join(parts)
        note(f"{text[0].upper()}{text[1:]}.")
