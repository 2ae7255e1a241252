"""Every page on a store: what it shows, that it writes nothing, and what happens when the store changes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from dashboard import navigation
from dashboard.charts.chart_files import png_of, svg_of
from dashboard.theme.palette import LIGHT
from store.sweep_store import SweepStore
from tests.dashboard.conftest import APP
from tests.dashboard.opened_page import OpenPage, charts, line, markup, text
from tests.dashboard.stores import (
    ABLATED,
    ABLATIONS,
    BASELINE,
    CONDITIONS,
    HOSTILE,
    PLAN,
    file_digests,
    make_store,
)

PAGES: Mapping[str, tuple[str, int]] = {
    "overview": ("Findings", 2),
    "phases": ("Boundaries by evidence", 2),
    "impact": ("Components by windows", 3),
    "evidence": ("Every condition", 1),
    "policies": ("No policies yet", 0),
    "workbench": ("No workbench here", 0),
    "analyses": ("Which prompts are fragile", 4),
    "compare": ("Only one sweep is shown", 0),
}
"""A text and the number of charts that each page shows of a finished sweep."""
WITH_CHARTS = [name for name, (_, number) in PAGES.items() if number]


def test_every_page_has_its_row() -> None:
    assert list(PAGES) == list(navigation.PAGES)


def test_streamlit_finds_no_pages_of_its_own() -> None:
    assert not APP.with_name("pages").exists()  # with it, a fresh server answers a link to a page with "Page not found"


@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_a_finished_sweep_and_writes_nothing(open_page: OpenPage, sweep: SweepStore, page: str) -> None:
    before = file_digests(sweep.root)
    app = open_page(page, sweep.root)
    assert not app.exception
    assert app.title[0].value == page.title()
    heading, number = PAGES[page]
    assert heading in text(app)
    assert len(charts(app)) == number
    assert file_digests(sweep.root) == before


@pytest.mark.parametrize("page", WITH_CHARTS)
def test_every_chart_can_be_saved(open_page: OpenPage, sweep: SweepStore, page: str) -> None:
    app = open_page(page, sweep.root)
    shown = charts(app)
    assert len(app.get("download_button")) >= 2 * len(shown)
    for chart in shown:
        spec = json.loads(chart.proto.spec)
        if "values" in spec["layer"][0].get("data", {}):  # Streamlit sends data frames apart from the specification
            assert svg_of(spec, LIGHT).startswith("<svg")
            assert png_of(spec, LIGHT).startswith(b"\x89PNG")


@pytest.mark.parametrize("page", PAGES)
def test_texts_from_outside_are_never_markup(open_page: OpenPage, sweep: SweepStore, page: str) -> None:
    app = open_page(page, sweep.root)
    assert "<img src=x" not in markup(app)
    for kind in ("markdown", "caption", "subheader", "title"):
        assert all(HOSTILE not in element.value for element in app.get(kind))
    if page in ("overview", "evidence"):
        assert HOSTILE in text(app)


def test_overview_opens_with_three_linked_verdicts(open_page: OpenPage, sweep: SweepStore) -> None:
    app = open_page("overview", sweep.root)
    assert markup(app).count('class="sk-answer"') == 3
    assert markup(app).index("sk-answer") < markup(app).index("sk-findings")
    links = [element.proto.page for element in app.get("page_link")]
    assert links == ["phases", "impact", "policies"]


def test_overview_shows_what_was_swept(open_page: OpenPage, sweep: SweepStore) -> None:
    shown = text(open_page("overview", sweep.root))
    assert f"all {len(PLAN)} units are done" in shown
    assert "DDPM, 6 steps" in shown
    assert "3: 3 prompts, 1 seed" in shown
    assert "1 residual block, 1 attention block, 1 skip connection" in shown


def test_overview_shows_why_a_metric_is_absent(open_page: OpenPage, sweep: SweepStore) -> None:
    frames = open_page("overview", sweep.root).dataframe
    table = next(frame.value for frame in frames if "Why not" in frame.value.columns)
    assert "its trunk is missing" in set(table["Why not"])


def test_the_table_of_impact_has_every_ablation(open_page: OpenPage, sweep: SweepStore) -> None:
    table = open_page("impact", sweep.root).dataframe[0].value
    assert sorted(table["Module path"]) == sorted(name for name, _ in ABLATED for _ in range(2))
    assert list(table["Damage"]) == sorted(table["Damage"], reverse=True)
    assert ((table["Low"] <= table["Damage"]) & (table["Damage"] <= table["High"])).all()


def test_what_can_rest_is_counted_and_listed(open_page: OpenPage, sweep: SweepStore) -> None:
    app = open_page("impact", sweep.root, rest_from="0", rest_below="0.1")
    assert not app.exception
    tight = line(app)
    assert "None of 3 components stays below damage 0.1 in steps 0–5" in tight
    assert "together" not in tight and "all of them at once does is not measured" in tight
    table = app.dataframe[0].value
    limits = table.groupby("Module path")["High"].max()
    assert (limits >= 0.1).all()


def test_impact_of_one_condition_has_its_own_numbers(open_page: OpenPage, sweep: SweepStore) -> None:
    of_all, of_one = (open_page("impact", sweep.root, condition=token).dataframe[0].value for token in ("all", "1"))
    assert set(of_all["Damage"]) != set(of_one["Damage"])
    assert "Low" in of_all.columns
    assert "Low" not in of_one.columns


def test_impact_by_a_metric_that_is_no_distance(open_page: OpenPage, sweep: SweepStore) -> None:
    app = open_page("impact", sweep.root, metric="fidelity_all")
    assert not app.exception
    assert "Change of prompt fidelity: whole prompt" in app.dataframe[0].value.columns


def test_evidence_shows_every_condition(open_page: OpenPage, sweep: SweepStore) -> None:
    app = open_page("evidence", sweep.root, component=ABLATED[1][0], window="3-5")
    shown = text(app)
    assert all(condition.prompt in shown for condition in CONDITIONS)
    assert "Middle · attention 0 · bypass · steps 3–5" in shown
    assert markup(app).count("Baseline</figcaption>") == len(CONDITIONS) + 1
    assert len(charts(app)) == 1  # this sweep has one distance of the predicted picture


def test_evidence_of_a_sweep_that_kept_final_pictures_only(open_page: OpenPage, tmp_path: Path) -> None:
    app = open_page("evidence", make_store(tmp_path / "final", keep=False).root)
    assert not app.exception
    assert "kept final pictures only" in text(app)


@pytest.mark.parametrize("page", WITH_CHARTS)
def test_a_store_that_vanishes_while_it_is_shown(open_page: OpenPage, sweep: SweepStore, page: str) -> None:
    app = open_page(page, sweep.root)
    moved = sweep.root.with_name("moved")
    sweep.root.rename(moved)
    app.run()
    assert not app.exception
    assert "is not a sweep" in text(app)
    moved.rename(sweep.root)
    app.run()
    assert charts(app)


@pytest.mark.parametrize("page", WITH_CHARTS)
def test_a_store_that_shrinks_while_it_is_shown(open_page: OpenPage, sweep: SweepStore, page: str) -> None:
    app = open_page(page, sweep.root)
    for unit in (*ABLATIONS, BASELINE):
        sweep.discard(unit.key)
    app.run()
    assert not app.exception
    assert not charts(app)


@pytest.mark.parametrize("page", WITH_CHARTS)
def test_a_folder_that_became_something_else(open_page: OpenPage, sweep: SweepStore, page: str) -> None:
    app = open_page(page, sweep.root)
    shutil.rmtree(sweep.root / "units")
    (sweep.root / "units").write_text("not a folder")
    app.run()
    assert not app.exception
    assert "The store cannot be read" in text(app)


def test_a_damaged_header_is_named(open_page: OpenPage, sweep: SweepStore) -> None:
    app = open_page("overview", sweep.root)
    header = sweep.root / "sweep.json"
    header.write_bytes(header.read_bytes().replace(b'"a cat"', b'"a dog"'))
    app.run()
    assert not app.exception
    assert "is damaged" in text(app)


def test_new_units_show_without_a_restart(open_page: OpenPage, tmp_path: Path) -> None:
    store = make_store(tmp_path / "sweep", done=5)
    app = open_page("impact", store.root)
    before = len(app.dataframe[0].value)
    shutil.copytree(make_store(tmp_path / "more").root / "units", store.root / "units", dirs_exist_ok=True)
    app.run()
    assert len(app.dataframe[0].value) > before
