"""The charts of the phases page over one axis, its frames, sentences and table."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compute.analysis.phases.phase_evidence import ObservedCurve, Phases, SwitchCurve
from compute.analysis.report.phase_sentences import interval_sentence, phase_sentences
from compute.statistics.estimate import Estimate
from dashboard.theme.palette import DARK, LIGHT
from dashboard.views.phases import phase_charts as charts
from dashboard.views.phases.boundary_table import agreement_note, boundary_rows
from dashboard.views.phases.trajectory_frames import evenly_spread, trajectory_frames

STEPS = 12


def near(mean: float, width: float = 0.5) -> Estimate:
    return Estimate(mean=mean, low=mean - width, high=mean + width)


def switch_curve(evidence: str, boundary: Estimate | None) -> SwitchCurve:
    rising = tuple(near(step / STEPS, 0.1) for step in range(STEPS))
    return SwitchCurve(
        evidence=evidence, steps=tuple(range(STEPS)), first=rising, other=rising[::-1], boundary=boundary
    )


def observed_curve(part: Any, change_point: float) -> ObservedCurve:
    reached = tuple(near(step / STEPS, 0.05) for step in range(STEPS))
    return ObservedCurve(part=part, steps=tuple(range(STEPS)), reached=reached, change_point=near(change_point))


PHASES = Phases(
    path="here",
    steps=STEPS,
    conditions=6,
    observed=(observed_curve("low-pass", 2), observed_curve("high-pass", 7)),
    causal=(switch_curve("nearness", near(3)), switch_curve("objects", None), switch_curve("all", near(4))),
    moved=tuple((step, near(1 - step / STEPS, 0.01)) for step in range(STEPS)),
    boundary=near(4),
    evidence="all",
    settled=near(9),
    missing="",
)
WITHOUT_SWITCHES = replace(PHASES, causal=(), moved=(), boundary=None, evidence="", settled=None, missing="none here")
FRAMES = [(0, "data:image/png;base64,"), (6, "data:image/png;base64,"), (11, "data:image/png;base64,")]


def all_charts(phases: Phases) -> list[dict[str, Any]]:
    made = [charts.observed_chart(phases, LIGHT), charts.film_strip(FRAMES, phases, DARK)]
    made += [charts.causal_chart(curve, phases, LIGHT) for curve in phases.causal]
    made += [charts.damage_chart(phases, DARK)] if phases.moved else []
    made += [charts.phase_ribbon(phases, LIGHT)] if phases.boundary else []
    return [chart.to_dict() for chart in made]


def rows_by_layer(spec: dict[str, Any]) -> list[list[dict[str, Any]]]:
    return [layer.get("data", spec.get("data", {})).get("values", []) for layer in spec["layer"]]


def test_all_charts_share_one_axis() -> None:
    for spec in all_charts(PHASES):
        for layer in spec["layer"]:
            x = layer["encoding"]["x"]
            assert x["scale"]["domain"] == [-0.5, STEPS + 0.5]
            assert x["axis"]["values"] == list(range(STEPS + 1))
        margins = {
            (y["axis"]["minExtent"], y["axis"]["maxExtent"])
            for layer in spec["layer"]
            if "axis" in (y := layer["encoding"].get("y", {}))
        }
        assert margins == {(56, 56)}


def test_the_boundary_with_its_interval_is_in_every_chart() -> None:
    for spec in all_charts(PHASES):
        boundaries = [rows[0] for rows in rows_by_layer(spec) if len(rows) == 1 and rows[0].get("low") == 3.5]
        assert boundaries and all((row["mean"], row["high"]) == (4, 4.5) for row in boundaries)
    for spec in all_charts(WITHOUT_SWITCHES):
        assert not any(layer["mark"]["type"] == "rect" for layer in spec["layer"])


def test_every_curve_is_shown_with_its_interval() -> None:
    observed_rows = rows_by_layer(charts.observed_chart(PHASES, LIGHT).to_dict())
    assert any({row.get("name") for row in rows} == {"Coarse shapes", "Fine detail"} for rows in observed_rows)
    spec = charts.causal_chart(PHASES.causal[0], PHASES, LIGHT).to_dict()
    for mark in ("area", "line", "point"):
        rows_of_marks = [
            rows
            for layer, rows in zip(spec["layer"], rows_by_layer(spec), strict=True)
            if layer["mark"]["type"] == mark
        ]
        assert rows_of_marks and all(len(rows) == 2 * STEPS for rows in rows_of_marks)
        assert all(row["low"] <= row["mean"] <= row["high"] for rows in rows_of_marks for row in rows)
    shapes = [layer["encoding"]["shape"]["scale"]["range"] for layer in spec["layer"] if "shape" in layer["encoding"]]
    assert shapes == [["circle", "diamond"]]


def test_the_phases_are_named_on_the_axis() -> None:
    rows = [row for rows in rows_by_layer(charts.phase_ribbon(PHASES, LIGHT).to_dict()) for row in rows]
    assert {row["text"] for row in rows if "text" in row} == {"COMPOSITION", "DENOISING"}
    spans = {row["phase"]: (row["from"], row["to"]) for row in rows if "phase" in row}
    assert spans == {"Composition": (-0.5, 4), "Denoising": (4, STEPS + 0.5)}


def test_what_it_is_judged_by_moves_every_chart() -> None:
    judged = PHASES.judged_by("nearness")
    assert judged.boundary == near(3) and "step 3.0" in phase_sentences(judged)[0]
    for spec in all_charts(judged):
        band, line = spec["layer"][:2]
        for layer in (band, line):
            assert layer.get("data", spec.get("data"))["values"] == [near(3).model_dump()]
    assert PHASES.judged_by("objects").boundary is None
    with pytest.raises(KeyError):
        PHASES.judged_by("no such evidence")


@given(st.integers(1, 60), st.integers(2, 12))
def test_frames_are_evenly_spread_from_end_to_end(length: int, count: int) -> None:
    positions = evenly_spread(length, count)
    assert positions == sorted(set(positions)) and len(positions) == min(count, length)
    assert positions[0] == 0 and positions[-1] == length - 1
    gaps = np.diff(positions)
    assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1


def test_frames_carry_their_steps() -> None:
    pictures = np.random.default_rng(0).uniform(-1, 1, (5, 3, 8, 8)).astype(np.float32)
    frames = trajectory_frames(pictures, (0, 2, 4, 6, 8), count=3)
    assert [step for step, _ in frames] == [0, 4, 8]
    assert len({url for _, url in frames}) == 3 and all(url.startswith("data:image/png;base64,") for _, url in frames)
    assert trajectory_frames(pictures[:0], ()) == []


def test_sentences_carry_the_numbers() -> None:
    text = " ".join([*phase_sentences(PHASES), interval_sentence(PHASES)])
    assert "ends at step 4.0 [3.5, 4.5], after 33% of the 12 steps" in text and "whole prompt" in text
    assert "From step 9.0 [8.5, 9.5]" in text and "coarse shapes settle first" in text
    assert "over 6 conditions" in text
    mixed = replace(PHASES, causal=(replace(PHASES.causal[2], other=(near(0.1),) * STEPS),))
    assert "Switched at 6 steps from 0 to 5, fewer than half" in " ".join(phase_sentences(mixed))
    overlapping = replace(PHASES, observed=(observed_curve("low-pass", 6.5), observed_curve("high-pass", 7)))
    assert "which comes first is not settled" in " ".join(phase_sentences(overlapping))
    open_ended = replace(PHASES, boundary=None, evidence="", settled=None)
    assert "No boundary between the phases is found" in phase_sentences(open_ended)[0]
    assert "At no step that was tried" in " ".join(phase_sentences(open_ended))
    assert "prompt" not in " ".join(phase_sentences(WITHOUT_SWITCHES))


def test_the_table_has_a_row_for_each_evidence() -> None:
    rows = {row["Judged by"]: row for row in boundary_rows(PHASES)}
    assert len(rows) == 6 and next(iter(rows)) == "Whole prompt"
    assert rows["Objects"]["Step"] is None
    assert rows["Whole prompt"]["Share of run (%)"] == pytest.approx(100 * 4 / STEPS)
    assert rows["Change point of fine detail"]["95% to"] == 7.5
    assert len(boundary_rows(WITHOUT_SWITCHES)) == 2


def test_an_interval_without_a_width_says_what_it_can_mean() -> None:
    assert agreement_note(PHASES) == ""
    agreed = replace(switch_curve("all", near(4, 0)), conditions=32)
    assert "0 of 32 turned at another step. Of others, up to 9%" in agreement_note(replace(PHASES, causal=(agreed,)))
    assert "the 6 conditions agree" in agreement_note(replace(PHASES, settled=near(9, 0)))
