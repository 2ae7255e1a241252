"""The units that hold an ablation, and the cells of the map of impact."""

from __future__ import annotations

import pytest

from compute.analysis.impact.ablation_impact import impact_of
from dashboard.data.ablation_runs import ablation_runs
from dashboard.data.impact_cells import in_network_order, ranked_cells, values_by_condition
from dashboard.views.impact.cell_filters import action_options, actions_label, actions_token, length_options
from store.records import Action
from store.sweep_store import SweepStore
from tests.dashboard.stores import ABLATED, ABLATIONS, BASELINE, CONDITIONS, PLAN, RESEED, WINDOWS


def test_runs_are_those_of_finished_units() -> None:
    done = {unit.key for unit in PLAN} - {ABLATIONS[-1].key}
    runs = ablation_runs(PLAN, done)
    assert len(runs.by_ablation) == len(ABLATIONS) - 1
    assert runs.conditions == CONDITIONS
    assert runs.reseeds == {BASELINE.key: RESEED.key}
    for ablation, own in runs.by_ablation.items():
        unit = next(unit for unit in PLAN if unit.key == own[0].key)
        assert unit.intervention == ablation
        assert [runs.conditions[run.condition] for run in own] == list(unit.conditions)
    assert runs.windows((ABLATED[0][0],), Action(name="bypass")) == list(WINDOWS)
    assert runs.windows((ABLATED[2][0],), Action(name="zero")) == [WINDOWS[0]]
    assert runs.actions((ABLATED[0][0],)) == [Action(name="bypass")]


def test_an_ablation_has_no_run_without_its_baseline() -> None:
    assert not ablation_runs(PLAN, {unit.key for unit in PLAN} - {BASELINE.key}).by_ablation


def test_cells_are_ranked_over_all_conditions_and_on_each(sweep: SweepStore) -> None:
    impact = impact_of(sweep)
    cells = ranked_cells(impact)
    assert [cell.rank for cell in cells] == list(range(1, len(ABLATIONS) + 1))
    assert [cell.mean for cell in cells] == sorted((cell.mean for cell in cells), reverse=True)
    for condition in CONDITIONS:
        alone = ranked_cells(impact, condition)
        assert [cell.mean for cell in alone] == sorted((cell.mean for cell in alone), reverse=True)
        assert {cell.ablation: cell.mean for cell in alone} == pytest.approx(
            {cell.ablation: values_by_condition(impact, cell.ablation)[condition] for cell in cells}
        )
    assert ranked_cells(impact, CONDITIONS[0].model_copy(update={"seed": 99})) == []


def test_removal_is_bypass_and_zero(sweep: SweepStore) -> None:
    cells = ranked_cells(impact_of(sweep))
    bypass, zero = Action(name="bypass"), Action(name="zero")
    ablations = [cell.ablation for cell in cells]
    options = action_options(ablations)
    assert options == [(bypass, zero), (bypass,), (zero,)]
    assert [actions_token(option) for option in options] == ["remove", "bypass", "zero"]
    assert [actions_label(option) for option in options] == ["Remove (bypass or zero)", "Bypass", "Zero"]
    assert action_options([ablation for ablation in ablations if ablation.action == zero]) == [(zero,)]
    assert length_options(ablations) == [3]


def test_network_order() -> None:
    paths = ["skip:conv_in", "unet", "up_blocks.0.resnets.0", "mid_block.resnets.0", "down_blocks.0.resnets.0"]
    names = [(path,) for path in paths]
    assert in_network_order(names) == [names[4], names[3], names[2], names[0], names[1]]
