"""The phases page on sweeps with and without prompt switches and trajectories."""

from __future__ import annotations

from pathlib import Path

from tests.analysis.synthetic_sweeps import made_sweep
from tests.dashboard.opened_page import OpenPage, charts, line, markup


def test_both_kinds_of_evidence_are_shown(open_page: OpenPage, tmp_path: Path) -> None:
    made_sweep(tmp_path / "sweep", judged=(9, 9, 9))
    app = open_page("phases", tmp_path / "sweep", evidence="nearness", condition="99")
    assert not app.exception
    assert len(charts(app)) == 5
    assert app.get("button_group")[0].value == "nearness"
    assert "Composition ends at step 4.5" in line(app) and "not available" in line(app)
    app.query_params["evidence"] = "<script>"
    app.run()
    assert not app.exception and app.get("button_group")[0].value == "all"


def test_wrong_baselines_are_marked_and_can_be_left_out(open_page: OpenPage, tmp_path: Path) -> None:
    made_sweep(tmp_path / "sweep", turns=(5, 5, 5), right=(True, False, True))
    app = open_page("phases", tmp_path / "sweep", baselines="right", condition="1")
    assert not app.exception
    assert "Only the 2 conditions whose baseline" in line(app) and "over 2 conditions" in line(app)
    assert "✗ baseline wrong" in line(app)
    app.button[0].click().run()
    assert "over 3 conditions" in line(app) and not app.button
    overview = markup(open_page("overview", tmp_path / "sweep"))
    assert overview.count("✓ baseline right") == 2 and overview.count("✗ baseline wrong") == 1


def test_without_switches_it_shows_what_to_add(open_page: OpenPage, tmp_path: Path) -> None:
    made_sweep(tmp_path / "sweep", switched=())
    app = open_page("phases", tmp_path / "sweep")
    assert not app.exception
    assert "No causal evidence" in line(app) and "prompt_switch:" in line(app)
    assert len(charts(app)) == 2


def test_switches_that_are_not_finished_are_not_asked_for_again(open_page: OpenPage, tmp_path: Path) -> None:
    store = made_sweep(tmp_path / "sweep").store
    for unit in store.header.plan:
        if unit.role == "switch":
            store.discard(unit.key)
    app = open_page("phases", tmp_path / "sweep")
    assert not app.exception
    assert "not finished yet" in line(app) and "prompt_switch" not in line(app)


def test_a_sweep_without_trajectories_shows_what_to_keep(open_page: OpenPage, tmp_path: Path) -> None:
    made_sweep(tmp_path / "sweep", kept=False)
    app = open_page("phases", tmp_path / "sweep")
    assert not app.exception and "keep pred_x0" in line(app)


def test_a_trajectory_that_is_damaged_later_leaves_the_rest(open_page: OpenPage, tmp_path: Path) -> None:
    store = made_sweep(tmp_path / "sweep").store
    app = open_page("phases", tmp_path / "sweep")
    for unit in store.header.plan:
        if unit.role == "baseline":
            path = store.shard_path(unit.key)
            path.write_bytes(path.read_bytes()[:1000])
    app.run()
    assert not app.exception
    assert "A shard is damaged" in line(app) and "Boundaries by evidence" in line(app)


def test_a_damaged_baseline_becomes_a_panel(open_page: OpenPage, tmp_path: Path) -> None:
    store = made_sweep(tmp_path / "sweep").store
    baseline = next(unit for unit in store.header.plan if unit.role == "baseline")
    path = store.shard_path(baseline.key)
    path.write_bytes(path.read_bytes()[:1000])
    app = open_page("phases", tmp_path / "sweep")
    assert not app.exception and baseline.key[:12] in line(app)
