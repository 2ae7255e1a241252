"""How much of a sweep is finished, and that nothing is concluded from too little."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from compute.analysis.coverage import LEAST_COVERAGE, ablation_coverage, switch_coverage
from compute.analysis.phases.phase_evidence import phases_of
from compute.analysis.report.findings import too_early
from compute.cli.main import app
from store.records import Unit
from tests.analysis.synthetic_sweeps import ablation, conditions, made_sweep, unit_of
from tests.dashboard.stores import PLAN as DASHBOARD_PLAN
from tests.dashboard.stores import make_store

BASELINE = unit_of("baseline", None, conditions(2))


def ablated(component: str, start: int, action: str = "bypass") -> Unit:
    return unit_of("ablation", ablation(component, start, start + 2, action), conditions(2), BASELINE)


PLAN = [BASELINE, *(ablated(name, start) for name in "abcd" for start in (0, 2)), ablated("unet", 0, "reuse")]


@given(st.sets(st.sampled_from([unit.key for unit in PLAN])))
def test_the_least_finished_window_decides(done: set[str]) -> None:
    coverage = ablation_coverage(PLAN, done)
    shares = [sum(ablated(name, start).key in done for name in "abcd") / 4 for start in (0, 2)]
    assert (coverage.planned, coverage.done) == (16, 8 * sum(shares))
    assert coverage.least == min(shares)
    assert coverage.enough == (min(shares) >= LEAST_COVERAGE) == (too_early(coverage) == "")
    assert coverage.complete == (min(shares) == 1)


def test_reuse_counts_where_nothing_is_removed() -> None:
    coverage = ablation_coverage([PLAN[0], PLAN[-1]], {PLAN[-1].key})
    assert (coverage.done, coverage.planned, coverage.enough) == (2, 2, True)
    assert switch_coverage(PLAN, set()).enough


def test_few_prompt_switches_are_no_evidence(tmp_path: Path) -> None:
    reader = made_sweep(tmp_path / "sweep", turns=(5, 5, 5, 5), batch=1)
    switches = [unit for unit in reader.store.header.plan if unit.role == "switch"]
    for unit in switches:
        if unit.baseline != switches[0].baseline:
            reader.store.discard(unit.key)
    phases = phases_of(reader)
    assert not phases.causal and phases.boundary is None and phases.settled is None
    assert "12 of 48 runs are done" in phases.missing


def test_the_summary_of_a_half_finished_sweep_says_so(tmp_path: Path) -> None:
    few, most = (make_store(tmp_path / str(done), done=done).root for done in (5, len(DASHBOARD_PLAN)))
    assert CliRunner().invoke(app, ["summary", str(few)]).stdout.startswith("Too early for findings. ")
    assert "Too early" not in CliRunner().invoke(app, ["summary", str(most)]).stdout
