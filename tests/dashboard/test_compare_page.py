"""Several stores: which of them are shown, and the page that compares them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dashboard.charts.chart_files import svg_of
from dashboard.data.arguments import select_stores
from dashboard.theme.palette import LIGHT
from store.records import Ablation, Unit, Window
from store.sweep_store import SweepStore
from tests.dashboard.opened_page import OpenPage, charts, line, text
from tests.dashboard.stores import ABLATED, BYPASS, PLAN, WINDOWS, file_digests, make_store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of two sweeps, of which the second lacks the last two ablations, and of other things."""
    parent = tmp_path / "sweeps"
    make_store(parent / "one")
    make_store(parent / "two", plan=PLAN[:-2], done=len(PLAN) - 2)
    (parent / "notes").mkdir()
    (parent / "readme.txt").write_text("no sweep")
    return parent


def test_stores_are_named_once_or_found_in_a_folder(folder: Path) -> None:
    one, two = folder / "one", folder / "two"
    assert select_stores(["--store", str(folder)]) == {"one": one, "two": two}
    assert list(select_stores(["--store", str(two), "--store", str(folder)]).items()) == [("two", two), ("one", one)]
    assert select_stores(["--store", str(folder / "notes")]) == {"notes": folder / "notes"}
    twice = select_stores(["--store", str(one), "--store", "elsewhere/one"])
    assert twice == {"one": one, "one (2)": Path("elsewhere/one")}


def test_a_single_store_says_how_to_compare(open_page: OpenPage, sweep: SweepStore) -> None:
    app = open_page("compare", sweep.root)
    assert not app.exception and not charts(app)
    assert "skipscope dashboard" in text(app)


@pytest.mark.parametrize("page", ["overview", "impact"])
def test_the_chosen_store_is_the_one_that_a_page_shows(open_page: OpenPage, folder: Path, page: str) -> None:
    first, second = open_page(page, folder, store="one"), open_page(page, folder, store="two")
    assert not first.exception and not second.exception
    assert "sweeps/one" in text(first) and "sweeps/two" in text(second)
    assert "sweeps/one" in text(open_page(page, folder, store="../../etc"))


def test_maps_have_what_both_sweeps_have_and_the_rest_is_named(open_page: OpenPage, folder: Path) -> None:
    before = file_digests(folder)
    app = open_page("compare", folder, first="one", second="two")
    assert not app.exception
    assert "Only in one: 2 ablations" in line(app)
    assert "Only in two" not in line(app)
    rows = next(frame.value for frame in app.dataframe if "Difference" in frame.value.columns)
    assert len(rows) == len(ABLATED) * len(WINDOWS) - 2
    assert (rows["Difference"] == 0).all() and set(rows["Intervals"]) == {"overlap"}  # the same numbers in both
    assert len(charts(app)) == 4
    for chart in charts(app):
        assert svg_of(json.loads(chart.proto.spec), LIGHT).startswith("<svg")
    assert "one: composition" in line(app) or "one: The sweep switches no prompts" in line(app)
    assert file_digests(folder) == before


def test_a_sweep_without_a_shared_ablation_has_no_difference(open_page: OpenPage, tmp_path: Path) -> None:
    alone = Ablation(components=("up_blocks.0.resnets.0",), window=Window(start=1, stop=2), action=BYPASS)
    other = PLAN[3].model_copy(update={"intervention": alone, "key": "f" * 64})
    assert isinstance(other, Unit)
    make_store(tmp_path / "sweeps" / "one")
    make_store(tmp_path / "sweeps" / "two", plan=(*PLAN[:3], other), done=4)
    app = open_page("compare", tmp_path / "sweeps")
    assert not app.exception
    assert "No ablation is in both sweeps" in line(app)
    assert "Only in two: 1 ablations, Up 0 · residual 0 (bypass, step 1)" in line(app)


def test_a_damaged_sweep_does_not_keep_the_others_from_being_compared(open_page: OpenPage, folder: Path) -> None:
    make_store(folder / "zero")
    header = folder / "two" / "sweep.json"
    header.write_bytes(header.read_bytes().replace(b'"a cat"', b'"a dog"'))
    app = open_page("compare", folder)
    assert not app.exception
    assert "A sweep cannot be compared" in line(app) and "two: " in line(app)
    assert len(charts(app)) == 4
