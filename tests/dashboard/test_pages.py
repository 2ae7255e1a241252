"""Every page on a store: it shows what is there, writes nothing, and survives what happens to the store."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from store.sweep_store import SweepStore
from tests.dashboard.opened_page import charts, markup, text
from tests.dashboard.stores import ABLATED, ABLATIONS, BASELINE, CONDITIONS, HOSTILE, PLAN, contents, make_store

Opened = Callable[..., AppTest]
PAGES = ("overview", "impact", "evidence")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_a_finished_sweep_and_writes_nothing(opened: Opened, sweep: SweepStore, page: str) -> None:
    before = contents(sweep.root)
    app = opened(page, sweep.root)
    assert not app.exception
    assert app.title[0].value == page.title()
    assert charts(app)
    assert contents(sweep.root) == before


@pytest.mark.parametrize("page", PAGES)
def test_texts_from_outside_are_never_markup(opened: Opened, sweep: SweepStore, page: str) -> None:
    app = opened(page, sweep.root)
    assert "<img src=x" not in markup(app)
    for kind in ("markdown", "caption", "subheader", "title"):
        assert all(HOSTILE not in element.value for element in app.get(kind))
    if page != "impact":
        assert HOSTILE in text(app)


def test_overview_says_what_was_swept(opened: Opened, sweep: SweepStore) -> None:
    said = text(opened("overview", sweep.root))
    assert f"all {len(PLAN)} units are done" in said
    assert "DDPM, 6 steps" in said
    assert "3: 3 prompts, 1 seed" in said
    assert "1 residual block, 1 attention block, 1 skip connection" in said


def test_overview_says_why_a_metric_is_absent(opened: Opened, sweep: SweepStore) -> None:
    table = next(
        frame.value for frame in opened("overview", sweep.root).dataframe if "Why not" in frame.value.columns
    ).set_index("Why not")
    assert "its trunk is not here" in table.index


def test_the_table_of_impact_has_every_ablation(opened: Opened, sweep: SweepStore) -> None:
    table = opened("impact", sweep.root).dataframe[0].value
    assert sorted(table["Module path"]) == sorted(name for name, _ in ABLATED for _ in range(2))
    assert list(table["Damage"]) == sorted(table["Damage"], reverse=True)
    assert ((table["Low"] <= table["Damage"]) & (table["Damage"] <= table["High"])).all()


def test_impact_of_one_condition_has_its_own_numbers(opened: Opened, sweep: SweepStore) -> None:
    whole, one = (opened("impact", sweep.root, condition=token).dataframe[0].value for token in ("all", "1"))
    assert set(whole["Damage"]) != set(one["Damage"])
    assert "Low" in whole.columns
    assert "Low" not in one.columns


def test_impact_by_a_metric_that_is_no_distance(opened: Opened, sweep: SweepStore) -> None:
    app = opened("impact", sweep.root, metric="fidelity_all")
    assert not app.exception
    assert "Change of whole prompt right" in app.dataframe[0].value.columns


def test_evidence_shows_every_condition(opened: Opened, sweep: SweepStore) -> None:
    app = opened("evidence", sweep.root, component=ABLATED[1][0], window="3-5")
    said = text(app)
    assert all(condition.prompt in said for condition in CONDITIONS)
    assert "Middle · attention 0 · bypass · steps 3–5" in said
    assert markup(app).count("Baseline</figcaption>") == len(CONDITIONS) + 1
    assert len(charts(app)) == 1  # of the predicted picture this sweep has one distance


def test_evidence_of_a_sweep_that_kept_final_pictures_only(opened: Opened, tmp_path: Path) -> None:
    app = opened("evidence", make_store(tmp_path / "final", keep=False).root)
    assert not app.exception
    assert "kept final pictures only" in text(app)


def test_a_damaged_shard_is_named_and_the_others_are_shown(opened: Opened, sweep: SweepStore) -> None:
    broken = sweep.shard_path(ABLATIONS[0].key)
    broken.write_bytes(broken.read_bytes()[:200])
    damaged = opened("evidence", sweep.root, component=ABLATED[0][0], window="0-2")
    assert not damaged.exception
    assert broken.name in text(damaged)
    assert "Baseline</figcaption>" not in markup(damaged)
    whole = opened("evidence", sweep.root, component=ABLATED[0][0], window="3-5")
    assert "Baseline</figcaption>" in markup(whole)


@pytest.mark.parametrize("page", PAGES)
def test_a_store_that_vanishes_while_it_is_shown(opened: Opened, sweep: SweepStore, page: str) -> None:
    app = opened(page, sweep.root)
    kept = sweep.root.with_name("kept")
    sweep.root.rename(kept)
    app.run()
    assert not app.exception
    assert "is not a sweep" in text(app)
    kept.rename(sweep.root)
    app.run()
    assert charts(app)


@pytest.mark.parametrize("page", PAGES)
def test_a_store_that_shrinks_while_it_is_shown(opened: Opened, sweep: SweepStore, page: str) -> None:
    app = opened(page, sweep.root)
    for unit in (*ABLATIONS, BASELINE):
        sweep.discard(unit.key)
    app.run()
    assert not app.exception
    assert not charts(app)


@pytest.mark.parametrize("page", PAGES)
def test_a_folder_that_became_something_else(opened: Opened, sweep: SweepStore, page: str) -> None:
    app = opened(page, sweep.root)
    shutil.rmtree(sweep.root / "units")
    (sweep.root / "units").write_text("not a folder")
    app.run()
    assert not app.exception
    assert "The store cannot be read" in text(app)


def test_a_damaged_header_says_so(opened: Opened, sweep: SweepStore) -> None:
    app = opened("overview", sweep.root)
    header = sweep.root / "sweep.json"
    header.write_bytes(header.read_bytes().replace(b'"a cat"', b'"a dog"'))
    app.run()
    assert not app.exception
    assert "is damaged" in text(app)


def test_new_units_show_without_a_restart(opened: Opened, tmp_path: Path) -> None:
    store = make_store(tmp_path / "sweep", done=5)
    app = opened("impact", store.root)
    before = len(app.dataframe[0].value)
    shutil.copytree(make_store(tmp_path / "more").root / "units", store.root / "units", dirs_exist_ok=True)
    app.run()
    assert len(app.dataframe[0].value) > before
