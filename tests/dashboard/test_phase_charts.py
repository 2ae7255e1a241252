"""The Phases page: its charts over one axis, its words, and the page itself."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from compute.analysis.phases.phase_evidence import ObservedCurve, Phases, SwitchCurve
from compute.analysis.report.phase_sentences import interval_sentence, phase_sentences
from compute.statistics.estimate import Estimate
from dashboard.pages.phases import phase_charts as charts
from dashboard.pages.phases.boundary_table import boundary_rows, frames, spread
from dashboard.theme.palette import DARK, LIGHT
from store.sweep_store import SweepStore
from tests.analysis.synthetic_sweeps import made_sweep
from tests.dashboard.opened_page import charts as drawn
from tests.dashboard.opened_page import text

STEPS = 12
SCRIPT = (
    "from dashboard.widgets.page_template import page\nfrom dashboard.pages.phases.page import show\n"
    "page('Phases', 'When.', show)\n"
)


def near(mean: float, width: float = 0.5) -> Estimate:
    return Estimate(mean=mean, low=mean - width, high=mean + width)


def curve(evidence: str, boundary: Estimate | None) -> SwitchCurve:
    rising = tuple(near(step / STEPS, 0.1) for step in range(STEPS))
    return SwitchCurve(
        evidence=evidence, steps=tuple(range(STEPS)), first=rising, other=rising[::-1], boundary=boundary
    )


def observed(part: Any, at: float) -> ObservedCurve:
    reached = tuple(near(step / STEPS, 0.05) for step in range(STEPS))
    return ObservedCurve(part=part, steps=tuple(range(STEPS)), reached=reached, change_point=near(at))


PHASES = Phases(
    path="here",
    steps=STEPS,
    conditions=6,
    observed=(observed("low-pass", 2), observed("high-pass", 7)),
    causal=(curve("nearness", near(3)), curve("objects", None), curve("all", near(4))),
    moved=tuple((step, near(1 - step / STEPS, 0.01)) for step in range(STEPS)),
    boundary=near(4),
    evidence="all",
    settled=near(9),
    missing="",
)
WITHOUT = replace(PHASES, causal=(), moved=(), boundary=None, evidence="", settled=None, missing="none here")
FRAMES = [(0, "data:image/png;base64,"), (6, "data:image/png;base64,"), (11, "data:image/png;base64,")]


def all_charts(phases: Phases) -> list[dict[str, Any]]:
    made = [charts.observed_chart(phases, LIGHT), charts.film_strip(FRAMES, phases, DARK)]
    made += [charts.causal_chart(curve, phases, LIGHT) for curve in phases.causal]
    made += [charts.moved_chart(phases, DARK)] if phases.moved else []
    made += [charts.ribbon(phases, LIGHT)] if phases.boundary else []
    return [chart.to_dict() for chart in made]


def values(spec: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """The rows of each layer."""
    return [layer.get("data", spec.get("data", {})).get("values", []) for layer in spec["layer"]]


def test_all_charts_share_one_axis() -> None:
    for spec in all_charts(PHASES):
        for layer in spec["layer"]:
            x = layer["encoding"]["x"]
            assert x["scale"]["domain"] == [-0.5, STEPS + 0.5]
            assert x["axis"]["values"] == list(range(STEPS + 1))
        edges = {
            (y["axis"]["minExtent"], y["axis"]["maxExtent"])
            for layer in spec["layer"]
            if "axis" in (y := layer["encoding"].get("y", {}))
        }
        assert edges == {(56, 56)}


def test_the_boundary_with_its_interval_is_in_every_chart() -> None:
    for spec in all_charts(PHASES):
        found = [rows[0] for rows in values(spec) if len(rows) == 1 and rows[0].get("low") == 3.5]
        assert found and all((row["mean"], row["high"]) == (4, 4.5) for row in found)
    for spec in all_charts(WITHOUT):
        assert not any(layer["mark"]["type"] == "rect" for layer in spec["layer"])


def test_every_curve_is_drawn_with_its_interval() -> None:
    observed_rows = values(charts.observed_chart(PHASES, LIGHT).to_dict())
    assert any({row.get("name") for row in rows} == {"Coarse shapes", "Fine detail"} for rows in observed_rows)
    spec = charts.causal_chart(PHASES.causal[0], PHASES, LIGHT).to_dict()
    for mark in ("area", "line", "point"):
        drawn_rows = [
            rows for layer, rows in zip(spec["layer"], values(spec), strict=True) if layer["mark"]["type"] == mark
        ]
        assert drawn_rows and all(len(rows) == 2 * STEPS for rows in drawn_rows)
        assert all(row["low"] <= row["mean"] <= row["high"] for rows in drawn_rows for row in rows)
    shapes = [layer["encoding"]["shape"]["scale"]["range"] for layer in spec["layer"] if "shape" in layer["encoding"]]
    assert shapes == [["circle", "diamond"]]


def test_the_phases_are_named_on_the_axis() -> None:
    rows = [row for rows in values(charts.ribbon(PHASES, LIGHT).to_dict()) for row in rows]
    assert {row["text"] for row in rows if "text" in row} == {"COMPOSITION", "DENOISING"}
    spans = {row["phase"]: (row["from"], row["to"]) for row in rows if "phase" in row}
    assert spans == {"Composition": (-0.5, 4), "Denoising": (4, STEPS + 0.5)}


def test_evidence_with_a_boundary_of_its_own_shows_it() -> None:
    with_own, without = (
        charts.causal_chart(curve, PHASES, LIGHT).to_dict()["layer"] for curve in (PHASES.causal[0], PHASES.causal[1])
    )
    assert len(with_own) == len(without) + 1


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=60, unique=True), st.integers(2, 12))
def test_frames_are_spread_from_end_to_end(steps: list[int], count: int) -> None:
    places = spread(sorted(steps), count)
    assert places == sorted(set(places)) and len(places) == min(count, len(steps))
    assert places[0] == 0 and places[-1] == len(steps) - 1
    gaps = np.diff(places)
    assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1


def test_frames_carry_their_steps() -> None:
    pictures = np.random.default_rng(0).uniform(-1, 1, (5, 3, 8, 8)).astype(np.float32)
    found = frames(pictures, (0, 2, 4, 6, 8), count=3)
    assert [step for step, _ in found] == [0, 4, 8]
    assert len({url for _, url in found}) == 3 and all(url.startswith("data:image/png;base64,") for _, url in found)
    assert frames(pictures[:0], ()) == []


def test_sentences_carry_the_numbers() -> None:
    said = " ".join([*phase_sentences(PHASES), interval_sentence(PHASES)])
    assert "ends at step 4.0 [3.5, 4.5], after 33% of the 12 steps" in said and "whole prompt" in said
    assert "From step 9.0 [8.5, 9.5]" in said and "coarse shapes settle first" in said
    assert "over 6 conditions" in said
    mixed = replace(PHASES, causal=(replace(PHASES.causal[2], other=(near(0.1),) * STEPS),))
    assert "Switched at 6 steps from 0 to 5, fewer than half" in " ".join(phase_sentences(mixed))
    overlapping = replace(PHASES, observed=(observed("low-pass", 6.5), observed("high-pass", 7)))
    assert "which comes first is not settled" in " ".join(phase_sentences(overlapping))
    open_ended = replace(PHASES, boundary=None, evidence="", settled=None)
    assert "No boundary between the phases is found" in phase_sentences(open_ended)[0]
    assert "At no step that was tried" in " ".join(phase_sentences(open_ended))
    assert "prompt" not in " ".join(phase_sentences(WITHOUT))


def test_the_table_has_a_row_for_each_evidence() -> None:
    rows = {row["Judged by"]: row for row in boundary_rows(PHASES)}
    assert len(rows) == 6 and next(iter(rows)) == "Whole prompt"
    assert rows["Objects"]["Step"] is None
    assert rows["Whole prompt"]["Share of run (%)"] == pytest.approx(100 * 4 / STEPS)
    assert rows["Change point of fine detail"]["95% to"] == 7.5
    assert len(boundary_rows(WITHOUT)) == 2


# The page


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AppTest:
    """The page on a sweep that a test makes at tmp_path / "sweep"; not run yet."""
    monkeypatch.setattr(sys, "argv", ["app.py", "--store", str(tmp_path / "sweep")])
    return AppTest.from_string(SCRIPT, default_timeout=60)


def shown(page: AppTest) -> str:
    """The words of a page on one line."""
    return " ".join(text(page).replace("\\", "").split())


def test_both_kinds_of_evidence_are_shown(page: AppTest, tmp_path: Path) -> None:
    made_sweep(tmp_path / "sweep", judged=(9, 9, 9))
    page.query_params["evidence"] = "nearness"
    page.query_params["condition"] = "99"
    page.run()
    assert not page.exception
    assert len(drawn(page)) == 5
    assert page.get("button_group")[0].value == "nearness"
    assert "Composition ends at step 6.5" in shown(page) and "not here" in shown(page)
    page.query_params["evidence"] = "<script>"
    page.run()
    assert not page.exception and page.get("button_group")[0].value == "all"


def test_without_switches_it_says_what_to_add(page: AppTest, tmp_path: Path) -> None:
    made_sweep(tmp_path / "sweep", switched=())
    page.run()
    assert not page.exception
    assert "No causal evidence" in shown(page) and "prompt_switch:" in shown(page)
    assert len(drawn(page)) == 2


def test_switches_that_are_not_finished_are_not_asked_for_again(page: AppTest, tmp_path: Path) -> None:
    store = made_sweep(tmp_path / "sweep").store
    for unit in store.header.plan:
        if unit.role == "switch":
            store.discard(unit.key)
    page.run()
    assert not page.exception
    assert "not finished yet" in shown(page) and "prompt_switch" not in shown(page)


def test_a_sweep_without_trajectories_says_so(page: AppTest, tmp_path: Path) -> None:
    made_sweep(tmp_path / "sweep", kept=False)
    page.run()
    assert not page.exception and "keep pred_x0" in shown(page)


def test_a_trajectory_that_is_damaged_later_leaves_the_rest(page: AppTest, tmp_path: Path) -> None:
    store = made_sweep(tmp_path / "sweep").store
    page.run()
    for unit in store.header.plan:
        if unit.role == "baseline":
            path = store.shard_path(unit.key)
            path.write_bytes(path.read_bytes()[:1000])
    page.run()
    assert not page.exception
    assert "This trajectory cannot be read" in shown(page) and "Boundaries by evidence" in shown(page)


def test_a_baseline_that_is_damaged_becomes_a_panel(page: AppTest, tmp_path: Path) -> None:
    store: SweepStore = made_sweep(tmp_path / "sweep").store
    baseline = next(unit for unit in store.header.plan if unit.role == "baseline")
    path = store.shard_path(baseline.key)
    path.write_bytes(path.read_bytes()[:1000])
    page.run()
    assert not page.exception and baseline.key[:16] in shown(page)
