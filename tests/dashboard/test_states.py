"""Which store is shown, and the states that it can be in."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.data import store_path as source
from dashboard.data.store_path import BadArguments, chosen_store
from tests.dashboard.opened_page import charts, text
from tests.dashboard.stores import ABLATIONS, PLAN, kill_driver, make_store

Opened = Callable[..., AppTest]
EVERY_PAGE = ("overview", "phases", "impact", "evidence", "policies")


def test_the_demo_is_shown_then_the_example_then_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(source, "EXAMPLE", tmp_path / "example")
    assert chosen_store([]) is None
    make_store(tmp_path / "example", done=0)
    assert chosen_store([]) == tmp_path / "example"
    make_store(tmp_path / "runs" / "demo", done=0)
    assert chosen_store([]) == Path("runs/demo")
    assert chosen_store(["--store", "elsewhere"]) == Path("elsewhere")


@pytest.mark.parametrize("arguments", [["--stor", "x"], ["--store"], ["x"], ["--store", "x", "y"]])
def test_bad_arguments_are_one_line(arguments: list[str]) -> None:
    with pytest.raises(BadArguments, match="accepted is: -- --store DIR") as caught:
        chosen_store(arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("page", EVERY_PAGE)
def test_nothing_to_show_says_how_to_make_it(
    opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(source, "EXAMPLE", tmp_path / "example")
    app = opened(page, None)
    assert not app.exception
    assert "python -m compute sweep" in text(app)


def test_bad_arguments_are_a_panel(opened: Opened, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    app = opened("overview", tmp_path)
    monkeypatch.setattr(sys, "argv", ["app.py", "--wrong"])
    app.run()
    assert not app.exception
    assert "accepted is: -- --store DIR" in text(app)


@pytest.mark.parametrize("page", EVERY_PAGE)
def test_a_folder_that_is_no_sweep(opened: Opened, tmp_path: Path, page: str) -> None:
    app = opened(page, tmp_path)
    assert not app.exception
    assert "is not a sweep" in text(app)


@pytest.mark.parametrize("page", EVERY_PAGE)
@pytest.mark.parametrize("done", [0, 1, 3])
def test_a_sweep_with_little_in_it(opened: Opened, tmp_path: Path, page: str, done: int) -> None:
    app = opened(page, make_store(tmp_path / "sweep", done=done).root)
    assert not app.exception
    if page in ("impact", "evidence"):
        assert not charts(app)
        assert "No ablation is finished so far" in text(app)


def test_stopped_says_how_to_go_on(opened: Opened, tmp_path: Path) -> None:
    store = make_store(tmp_path / "sweep", done=4)
    said = text(opened("overview", store.root))
    assert f"4 of {len(PLAN)} units done, {len(PLAN) - 4} left" in said
    assert "Stopped" in said
    assert f"python -m compute sweep CONFIG.yaml --store {store.root}" in said


def test_died_says_how_to_resume(opened: Opened, tmp_path: Path) -> None:
    store = make_store(tmp_path / "sweep", done=4)
    kill_driver(store)
    said = text(opened("overview", store.root))
    assert "The sweep died" in said
    assert f"--store {store.root}" in said


def test_running_shows_progress_and_failures(opened: Opened, tmp_path: Path) -> None:
    store = make_store(tmp_path / "sweep", done=4)
    with store.drive("a test"):
        store.record_failure(ABLATIONS[-1].key, "out of <b>memory</b>")
        app = opened("overview", store.root)
        assert not app.exception
        progress = app.get("progress")[0]
        assert progress.proto.text == f"4 of {len(PLAN)} units done, 1 failed, {len(PLAN) - 5} left"
        assert "Time left" in text(app)
        table = next(frame.value for frame in app.dataframe if "Why" in frame.value.columns)
        assert list(table["Why"]) == ["out of <b>memory</b>"]
