"""Findings from the conditions whose baseline shows what its prompt says."""

from __future__ import annotations

from pathlib import Path

import pytest

from compute.analysis.phases.phase_evidence import NoPhases, phases_of
from compute.analysis.right_baselines import baseline_verdicts, with_right_baselines
from tests.analysis.synthetic_sweeps import ablation, made_sweep, table_of


def test_only_rows_of_right_baselines_are_kept() -> None:
    own = {"fidelity_all": [1.0, 0.0, 1.0]}
    table = table_of(own, {"fidelity_all": [0.0, 0.0, 0.0]}, {ablation("a"): {"fidelity_all": [0.0, 1.0, 0.0]}})
    assert sorted(baseline_verdicts(table).values()) == [False, True, True]
    kept = with_right_baselines(table)
    assert kept.rows == 6 and set(kept["condition"].tolist()) == {0, 2}
    assert set(kept["key"].tolist()) == set(table["key"].tolist())
    unjudged = table_of({"mse": [0.0]}, {"mse": [1.0]}, {ablation("a"): {"mse": [0.5]}})
    assert baseline_verdicts(unjudged) == {} and with_right_baselines(unjudged).rows == 0


def test_phases_of_right_baselines_are_those_of_their_conditions(tmp_path: Path) -> None:
    turns, right = (3, 3, 9, 3), (True, True, False, True)
    some = phases_of(made_sweep(tmp_path / "some", turns=turns, right=right), only_right=True)
    others = [turn for turn, is_right in zip(turns, right, strict=True) if is_right]
    whole = phases_of(made_sweep(tmp_path / "whole", turns=others))
    assert (some.conditions, some.boundary) == (3, whole.boundary)
    assert [curve.first for curve in some.causal] == [curve.first for curve in whole.causal]
    assert phases_of(made_sweep(tmp_path / "again", turns=turns, right=right)).conditions == 4


def test_without_a_right_baseline_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoPhases, match="no baseline that a judge finds right"):
        phases_of(made_sweep(tmp_path / "sweep", turns=(3, 3), right=(False, False)), only_right=True)
