"""Which store is shown, and the states that its sweep can be in."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from compute.config.loading import load_config
from compute.config.schema import SweepConfig
from dashboard.data import arguments
from dashboard.data.arguments import BadArguments, select_store
from dashboard.data.fingerprint import read_fingerprint, store_state
from dashboard.data.sweep import open_sweep
from dashboard.navigation import PAGES
from dashboard.views.overview.sweep_state import config_file
from store.driver.driver_state import STALE_SECONDS
from store.driver.lease import Lease
from store.sweep_store import SweepStore
from tests.dashboard.opened_page import OpenPage, chart_rows, charts, text
from tests.dashboard.stores import ABLATED, ABLATIONS, PLAN, kill_driver, make_store, payload


def test_the_demo_is_shown_else_the_example_else_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(arguments, "EXAMPLE", tmp_path / "example")
    assert select_store([]) is None
    make_store(tmp_path / "example", done=0)
    assert select_store([]) == tmp_path / "example"
    make_store(tmp_path / "runs" / "demo", done=0)
    assert select_store([]) == Path("runs/demo")
    assert select_store(["--store", "elsewhere"]) == Path("elsewhere")


@pytest.mark.parametrize("arguments", [["--stor", "x"], ["--store"], ["x"], ["--store", "x", "y"]])
def test_bad_arguments_raise_one_line(arguments: list[str]) -> None:
    with pytest.raises(BadArguments, match="accepted is: -- --store DIR") as caught:
        select_store(arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("page", PAGES)
def test_without_a_sweep_a_page_shows_how_to_make_one(
    open_page: OpenPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(arguments, "EXAMPLE", tmp_path / "example")
    app = open_page(page, None)
    assert not app.exception
    assert "skipscope sweep" in text(app)


def test_bad_arguments_are_a_panel(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    app = open_page("overview", tmp_path)
    monkeypatch.setattr(sys, "argv", ["app.py", "--wrong"])
    app.run()
    assert not app.exception
    assert "accepted is: -- --store DIR" in text(app)


@pytest.mark.parametrize("page", PAGES)
def test_a_folder_that_is_no_sweep(open_page: OpenPage, tmp_path: Path, page: str) -> None:
    app = open_page(page, tmp_path)
    assert not app.exception
    assert "is not a sweep" in text(app)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("done", [0, 1, 3])
def test_a_sweep_that_has_only_begun(open_page: OpenPage, tmp_path: Path, page: str, done: int) -> None:
    app = open_page(page, make_store(tmp_path / "sweep", done=done).root)
    assert not app.exception
    if page in ("impact", "evidence"):
        assert not charts(app)
        assert "No ablation is finished so far" in text(app)


def test_too_few_ablations_are_no_findings(open_page: OpenPage, tmp_path: Path) -> None:
    few = open_page("overview", make_store(tmp_path / "few", done=5).root)
    assert "Too early for findings" in text(few) and "6 of 18 planned runs" in text(few)
    assert not charts(few)
    most = open_page("overview", make_store(tmp_path / "most", done=len(PLAN) - 1).root)
    assert "From 15 of 18 planned runs" in text(most) and charts(most)


def test_the_map_tells_pending_from_failed(open_page: OpenPage, tmp_path: Path) -> None:
    store = make_store(tmp_path / "sweep", done=len(PLAN) - 2)
    store.record_failure(ABLATIONS[-1].key, "out of memory")
    app = open_page("impact", store.root)
    assert "Hatched: 1 not run yet; with a cross: 1 failed" in text(app)
    rows = [row for rows in chart_rows(charts(app)[0]) for row in rows]
    states = {(row["path"], row["start"]): row["state"] for row in rows if "state" in row}
    assert states == {(ABLATED[-1][0], 0): "Not run yet", (ABLATED[-1][0], 3): "Failed: out of memory"}
    assert sum("failed" in row and row["failed"] for row in rows) == 2  # the tile and its cross


def test_a_stopped_sweep_shows_how_to_resume_it(open_page: OpenPage, tmp_path: Path) -> None:
    store = make_store(tmp_path / "sweep", done=4)
    shown = text(open_page("overview", store.root))
    assert f"4 of {len(PLAN)} units done, {len(PLAN) - 4} left" in shown
    assert "Stopped" in shown
    assert f"skipscope sweep sweep.yaml --store {store.root}" in shown


def test_a_page_never_takes_its_older_content_for_the_newest(tmp_path: Path) -> None:
    store = make_store(tmp_path / "sweep", done=2)
    with store.drive("a test"):
        open_sweep(store.root)
        store.record(store.write(PLAN[2], payload(PLAN[2])))
        shown = open_sweep(store.root).fingerprint  # of a few seconds ago, so that not every unit discards the caches
        assert store_state(store.root) == (shown, "running") and shown != read_fingerprint(store.root)


def test_the_configuration_can_be_saved_and_run(tmp_path: Path) -> None:
    config = SweepStore.open(arguments.EXAMPLE).header.config
    (tmp_path / "sweep.yaml").write_bytes(config_file(config))
    assert load_config(tmp_path / "sweep.yaml") == SweepConfig.model_validate(config)


def test_a_died_sweep_shows_how_to_resume_it(open_page: OpenPage, tmp_path: Path) -> None:
    store = make_store(tmp_path / "sweep", done=4)
    kill_driver(store)
    shown = text(open_page("overview", store.root))
    assert "The sweep died" in shown
    assert f"--store {store.root}" in shown


def test_a_driver_without_a_sign_of_life_is_shown(open_page: OpenPage, tmp_path: Path) -> None:
    store = make_store(tmp_path / "sweep", done=4)
    with Lease(store.root, "a test", heartbeat_seconds=600.0):
        assert "No sign of life" not in text(open_page("overview", store.root))
        beat = time.time() - STALE_SECONDS - 5
        os.utime(store.root / "driver.json", (beat, beat))
        shown = text(open_page("overview", store.root))
        assert "No sign of life for " in shown and f"kill -CONT {os.getpid()}" in shown


def test_a_running_sweep_shows_progress_and_failures(open_page: OpenPage, tmp_path: Path) -> None:
    store = make_store(tmp_path / "sweep", done=4)
    with store.drive("a test"):
        store.record_failure(ABLATIONS[-1].key, "out of <b>memory</b>")
        app = open_page("overview", store.root)
        assert not app.exception
        progress = app.get("progress")[0]
        assert progress.proto.text == f"4 of {len(PLAN)} units done, 1 failed, {len(PLAN) - 5} left"
        assert "Time left" in text(app)
        table = next(frame.value for frame in app.dataframe if "Why" in frame.value.columns)
        assert list(table["Why"]) == ["out of <b>memory</b>"]
