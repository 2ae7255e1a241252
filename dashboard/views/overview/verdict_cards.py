"""The verdict: three cards that answer first, each with a link to its evidence."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard.data.verdicts import Verdict
from dashboard.navigation import page, with_store
from dashboard.widgets.escaping import escape_html


def show_verdicts(verdicts: Sequence[Verdict]) -> None:
    """Show the cards side by side."""
    for column, verdict in zip(st.columns(len(verdicts), gap="medium"), verdicts, strict=True):
        with column, st.container(border=True, height="stretch"):
            _show(verdict)


def _show(verdict: Verdict) -> None:
    interval = f" <small>{escape_html(verdict.interval)}</small>" if verdict.interval else ""
    st.html(
        f'<div class="sk-answer"><h3>{escape_html(verdict.question)}</h3>'
        f"<b>{escape_html(verdict.answer)}{interval}</b><p>{escape_html(verdict.details)}</p></div>"
    )
    st.page_link(
        page(verdict.page),
        label=verdict.link,
        icon=":material/arrow_forward:",
        query_params=with_store(verdict.choices),
    )
