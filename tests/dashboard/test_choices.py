"""Choices in the address: a link restores the view, and a hostile address does no harm."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from dashboard.widgets.choices import SHARED, parse_token
from store.sweep_store import SweepStore
from tests.dashboard.opened_page import OpenPage, line, text
from tests.dashboard.stores import ABLATED

HOSTILE = (
    "",
    "-1",
    "99999999999999999999",
    "../../etc/passwd",
    "<script>alert(1)</script>",
    "nan",
    "a" * 10_000,
    "\x00",
)


@given(st.none() | st.text(), st.lists(st.text(), min_size=1, unique=True), st.data())
def test_a_parsed_token_is_always_an_option(text: str | None, tokens: list[str], data: st.DataObject) -> None:
    default = data.draw(st.sampled_from(tokens))
    token, invalid = parse_token(text, tokens, default)
    assert token in tokens
    assert invalid == (text is not None and text not in tokens)
    assert token == (text if text in tokens else default)


@given(st.lists(st.text(), min_size=1, unique=True), st.data())
def test_a_written_token_is_read_back(tokens: list[str], data: st.DataObject) -> None:
    token = data.draw(st.sampled_from(tokens))
    assert parse_token(token, tokens, tokens[0]) == (token, False)


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_values_are_noted_and_ignored(open_page: OpenPage, sweep: SweepStore, value: str) -> None:
    names = ("component", "action", "window", "metric", "condition", "step", "follow")
    app = open_page("evidence", sweep.root, **dict.fromkeys(names, value))
    assert not app.exception
    assert "The address asks for a component that is not available" in text(app)
    assert value == "" or value not in text(app)


def test_a_link_restores_the_view(open_page: OpenPage, sweep: SweepStore) -> None:
    app = open_page(
        "evidence", sweep.root, component=ABLATED[2][0], window="3-5", condition="2", step="4", follow="x_t"
    )
    shown = text(app)
    assert "Skip from down 0 · residual 0 · zero · steps 3–5" in shown
    assert "Step 4" in shown
    assert "asks for" not in shown
    assert app.selectbox(key="choice condition").value == "2"


def test_a_changed_widget_changes_the_address(open_page: OpenPage, sweep: SweepStore) -> None:
    app = open_page("impact", sweep.root)
    app.selectbox(key="choice metric").select("fidelity_all").run()
    assert app.query_params["metric"] == "fidelity_all"
    again = open_page("impact", sweep.root, metric="fidelity_all")
    assert again.selectbox(key="choice metric").value == "fidelity_all"


def test_the_default_is_not_in_the_address(open_page: OpenPage, sweep: SweepStore) -> None:
    app = open_page("impact", sweep.root, metric="fidelity_all")
    app.selectbox(key="choice metric").select("mse").run()
    assert "metric" not in app.query_params


def _go_to(app: AppTest, page: str) -> None:
    app.query_params.clear()  # as the browser does on the way to another page
    app.switch_page(f"views/{page}/page.py").run()


def test_a_shared_choice_is_remembered_on_the_next_page(open_page: OpenPage, sweep: SweepStore) -> None:
    app = open_page("impact", sweep.root)
    app.selectbox(key="choice metric").select("fidelity_all").run()
    _go_to(app, "evidence")
    assert app.selectbox(key="choice metric").value == "fidelity_all"


def _shown(app: AppTest) -> dict[str, str]:
    """The values of a page's drop-down lists, by their keys."""
    return {str(box.key): box.value for box in app.selectbox}


@pytest.mark.parametrize("first", ["phases", "impact", "evidence"])
def test_a_choice_of_one_page_changes_no_other(open_page: OpenPage, sweep: SweepStore, first: str) -> None:
    others = [page for page in ("phases", "impact", "evidence") if page != first]
    defaults = {page: _shown(open_page(page, sweep.root)) for page in others}
    app = open_page(first, sweep.root)
    for key in sorted(_shown(app).keys() - {f"choice {name}" for name in SHARED}):
        if key in _shown(app):  # a choice may take another one off the page
            app.selectbox(key=key).select_index(-1).run()
    changed = _shown(app)
    for page in others:
        _go_to(app, page)
        assert _shown(app) == defaults[page]
    _go_to(app, first)
    assert _shown(app) == changed


def test_a_narrowed_view_says_so_and_leads_back(open_page: OpenPage, sweep: SweepStore) -> None:
    app = open_page("impact", sweep.root)
    assert not app.button
    app.selectbox(key="choice condition").select("1").run()
    assert "Only one condition: a red key · seed 7" in line(app)
    app.button[0].click().run()
    assert app.selectbox(key="choice condition").value == "all" and "condition" not in app.query_params
    assert not app.button


def test_another_component_resets_choices_that_do_not_fit_it(open_page: OpenPage, sweep: SweepStore) -> None:
    app = open_page("evidence", sweep.root, component=ABLATED[0][0])
    app.selectbox(key="choice component").select(ABLATED[2][0]).run()
    assert not app.exception
    assert app.selectbox(key="choice action").value == "zero"
    assert "asks for" not in text(app)
