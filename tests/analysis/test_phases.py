"""Phases of made sweeps whose turns are known."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from compute.analysis.phases.observed import LEAST_STEPS, change_estimate, change_point, split
from compute.analysis.phases.phase_evidence import NoPhases, Phases, phases_of
from compute.analysis.report.findings import findings
from compute.analysis.report.phase_sentences import phase_sentences
from compute.analysis.report.terminal import describe_phases
from compute.cli.main import app
from compute.statistics.estimate import Estimate
from store.records import PromptSwitch, Window
from tests.analysis.synthetic_sweeps import bend, impact_with, made_sweep


@pytest.fixture
def root() -> Iterator[Path]:
    """A folder in memory where there is one: a sweep's fsyncs are slow on a busy disk."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        yield Path(folder) / "sweep"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Phases:
    """Parts bend at 2 and 7 of 12 steps; nearness turns between 4 and 5, the judge sees a gap from 5 to 8."""
    place = tmp_path_factory.mktemp("phases") / "sweep"
    return phases_of(made_sweep(place, bends=(2, 7), turns=(5, 5, 5), judged=(9, 9, 9)))


def test_the_observed_curves_are_found_again(whole: Phases) -> None:
    low, high = whole.observed
    assert (low.part, high.part) == ("low-pass", "high-pass")
    for curve, at in ((low, 2), (high, 7)):
        assert [it.mean for it in curve.reached] == pytest.approx(bend(12, at), abs=0.03)
        assert curve.steps == tuple(range(12))
        assert (curve.change_point.mean, curve.change_point.low, curve.change_point.high) == (at, at, at)


def test_the_switch_boundary_is_found_again(whole: Phases) -> None:
    curves = {curve.evidence: curve for curve in whole.causal}
    assert list(curves) == ["nearness", "all"] and curves["nearness"].conditions == 3
    near = curves["nearness"]
    assert [it.mean for it in near.first] == [0.0] * 5 + [1.0] * 7
    assert [it.mean for it in near.other] == [1.0] * 5 + [0.0] * 7
    assert near.boundary is not None and near.boundary.mean == near.boundary.low == near.boundary.high == 4.5
    # The judge sees the other prompt until 4 and the first from 9: the turn is in the middle of what is neither.
    assert whole.evidence == "all" and whole.boundary is not None and whole.boundary.mean == 6.5
    assert whole.conditions == 3 and whole.steps == 12 and whole.missing == ""


def test_a_switch_moves_nothing_once_it_comes_too_late(whole: Phases) -> None:
    damages = dict(whole.moved)
    assert damages[4].mean == pytest.approx(2**2 / 0.8**2) and damages[5].mean == damages[11].high == 0
    assert whole.settled is not None and 4 < whole.settled.mean < 5


def test_conditions_that_turn_apart_make_an_interval(root: Path) -> None:
    found = phases_of(made_sweep(root, turns=(3, 5, 9, 9, 9), reseed=False))
    assert found.evidence == "nearness" and found.boundary is not None
    assert found.boundary.low < found.boundary.mean < found.boundary.high
    assert found.boundary.mean == pytest.approx(8 + 0.2 / 1.2)  # from 3 of 5 for the other to all for the first
    assert found.moved == () and found.settled is None


def test_no_turn_in_the_steps_that_were_switched(root: Path) -> None:
    found = phases_of(made_sweep(root, turns=(9, 9), switched=(0, 4)))
    assert found.causal[0].boundary is None and found.boundary is None and found.evidence == ""
    assert "No boundary between the phases is found" in describe_phases(found)
    assert "no turn in the steps switched" in describe_phases(found)


def test_switches_that_are_not_done_everywhere_wait(root: Path) -> None:
    """The plan goes step by step: of the last step only the first batch is there."""
    reader = made_sweep(root, turns=(3, 3, 3), switched=(0, 2, 4, 6))
    last = [
        u for u in reader.store.header.plan if isinstance(u.intervention, PromptSwitch) and u.intervention.step == 6
    ]
    assert len(last) == 2
    reader.store.discard(last[1].key)
    assert [step for step, _ in phases_of(reader).moved] == [0, 2, 4]
    for unit in reader.store.header.plan:
        if isinstance(unit.intervention, PromptSwitch) and unit.intervention.step > 0 and unit != last[1]:
            reader.store.discard(unit.key)
    found = phases_of(reader)
    assert found.causal == () and "not finished yet" in found.missing
    assert len(found.observed) == 2


def test_without_switches_the_observed_part_stands(root: Path) -> None:
    found = phases_of(made_sweep(root, switched=()))
    assert found.causal == () and found.boundary is None and len(found.observed) == 2
    assert "prompt_switch: {every: 1}" in found.missing
    assert describe_phases(found).endswith(found.missing)


def test_refusals_say_what_to_do(root: Path) -> None:
    reader = made_sweep(root, kept=False)
    with pytest.raises(NoPhases, match="keep pred_x0 of 0 steps; phases are computed from 4 or more"):
        phases_of(reader)
    ended = CliRunner().invoke(app, ["phases", str(root)])
    assert isinstance(ended.exception, NoPhases) and ended.stdout == ""
    for unit in reader.store.header.plan:
        reader.store.discard(unit.key)
    with pytest.raises(NoPhases, match="has no finished baseline yet"):
        phases_of(reader)


def test_the_command_prints_text_or_one_document(root: Path, whole: Phases) -> None:
    made_sweep(root, judged=(9, 9, 9))
    text = CliRunner().invoke(app, ["phases", str(root)]).stdout
    assert "whole prompt    step 6.5 [6.5, 6.5]  (3 conditions)" in text
    document = json.loads(CliRunner().invoke(app, ["phases", str(root), "--json"]).stdout)
    assert document["boundary"] == {"mean": 6.5, "low": 6.5, "high": 6.5}
    assert document["observed"] == json.loads(json.dumps(whole.as_json()))["observed"]


def test_sentences_and_findings_have_the_numbers(whole: Phases) -> None:
    said = " ".join(phase_sentences(whole))
    assert "coarse shapes at step 2.0" in said
    assert "Composition ends at step 6.5 [6.5, 6.5]" in said and "(judged by: whole prompt)" in said
    assert "at 4 steps from 5 to 8" in said
    early, late = Window(start=0, stop=2), Window(start=2, stop=4)
    impact = impact_with(("a", early, 0.4), ("b", early, 0.2), ("a", late, 0.004), ("b", late, 0.1))
    found = findings(impact, whole)
    assert found[0].startswith("One ablation in steps 0-1 does a damage (mean squared error) of 0.300 [0.300, 0.300]")
    assert "in steps 2-3 0.052" in found[0] and "difference of 0.248" in found[0]
    assert "0 of 2 in steps 0-1, 0 of 2 in steps 2-3" in found[1]  # 0.004 has an interval up to 0.014
    assert "too few" in found[-1]
    assert set(phase_sentences(whole)) <= set(found)
    assert not any("switch" in sentence.lower() for sentence in findings(impact, None))


@pytest.mark.parametrize(("share", "mixed"), [(0.0, True), (0.4, True), (0.5, False), (1.0, False)])
def test_less_than_half_on_either_side_is_a_mixture(whole: Phases, share: float, mixed: bool) -> None:
    judged = next(curve for curve in whole.causal if curve.evidence == "all")
    flat = (Estimate(mean=share, low=share, high=share),) * len(judged.steps)
    said = phase_sentences(replace(whole, causal=(replace(judged, first=flat, other=flat),)))
    assert any("obey either prompt" in sentence for sentence in said) == mixed


@given(st.integers(LEAST_STEPS, 40).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n - 3))))
def test_a_bend_is_found_wherever_it_is(place: tuple[int, int]) -> None:
    steps, at = place
    curve = np.interp(np.arange(steps), [0, at, steps - 1], [0, 0.9, 1.0])
    if abs(0.9 / at - 0.1 / (steps - 1 - at)) > 1e-3:  # else it is a straight line
        assert change_point(range(0, 3 * steps, 3), curve) == 3 * at


def test_bends_apart_make_an_interval() -> None:
    curves = np.stack([bend(20, at) for at in (3, 3, 12, 12)], axis=1)
    found = change_estimate(range(20), curves)
    assert found.low <= 4 and found.high >= 11


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 24), st.integers(2, 24), st.integers(0, 2**32 - 1))
def test_the_two_parts_add_up(height: int, width: int, seed: int) -> None:
    pictures = np.random.default_rng(seed).normal(size=(2, 3, height, width)).astype(np.float32)
    assert split(pictures).sum(0) == pytest.approx(pictures, abs=1e-5)
    assert split(np.full((1, 1, height, width), 0.7))[1] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("cycles", "kept"), [(0.5, 0.98), (3, 0.5), (12, 0.0)])
def test_the_cut_off_is_relative_to_the_picture(cycles: float, kept: float) -> None:
    """Waves of so many cycles a side; measured inside, away from the edges."""
    for side in (48, 96):
        wave = np.cos(2 * np.pi * cycles * (np.arange(side) - side / 2 + 0.5) / side)
        low = split(np.broadcast_to(wave, (1, 1, side, side)))[0, 0, 0, side // 2]
        inside = slice(side // 3, -side // 3)
        share = (low[inside] @ wave[inside]) / (wave[inside] @ wave[inside])
        assert share == pytest.approx(kept, abs=0.03)


def test_no_share_of_pictures_is_certain(whole: Phases) -> None:
    for curve in whole.causal:
        assert all(share.low < share.high for share in (*curve.first, *curve.other))
