"""Which units show an ablation, and the cells of the map."""

from __future__ import annotations

import pytest

from compute.analysis.impact.ablation_impact import impact_of
from dashboard.data.ablation_runs import trials_of
from dashboard.data.impact_cells import (
    REMOVE,
    action_choices,
    actions_in,
    cells_of,
    in_network_order,
    lengths,
    values_of,
)
from store.sweep_store import SweepStore
from tests.dashboard.stores import ABLATED, ABLATIONS, BASELINE, CONDITIONS, PLAN, RESEED, WINDOWS


def test_trials_lead_to_the_units_that_are_done() -> None:
    done = {unit.key for unit in PLAN} - {ABLATIONS[-1].key}
    trials = trials_of(PLAN, done)
    assert len(trials.of) == len(ABLATIONS) - 1
    assert trials.conditions == CONDITIONS
    assert trials.reseeds == {BASELINE.key: RESEED.key}
    for spot, found in trials.of.items():
        unit = next(unit for unit in PLAN if unit.key == found[0].key)
        assert unit.intervention is not None
        assert spot.component in str(unit.intervention)
        assert [trials.conditions[trial.condition] for trial in found] == list(unit.conditions)
    assert trials.windows(ABLATED[0][0], "bypass") == list(WINDOWS)
    assert trials.windows(ABLATED[2][0], "zero") == [WINDOWS[0]]


def test_no_trial_without_its_baseline() -> None:
    assert not trials_of(PLAN, {unit.key for unit in PLAN} - {BASELINE.key}).of


def test_cells_are_ranked_over_all_and_on_each_condition(sweep: SweepStore) -> None:
    impact = impact_of(sweep)
    cells = cells_of(impact)
    assert [cell.rank for cell in cells] == list(range(1, len(ABLATIONS) + 1))
    assert [cell.mean for cell in cells] == sorted((cell.mean for cell in cells), reverse=True)
    for condition in CONDITIONS:
        alone = cells_of(impact, condition)
        assert [cell.mean for cell in alone] == sorted((cell.mean for cell in alone), reverse=True)
        assert {cell.spot: cell.mean for cell in alone} == pytest.approx(
            {cell.spot: values_of(impact, cell.spot)[condition] for cell in cells}
        )
    assert cells_of(impact, CONDITIONS[0].model_copy(update={"seed": 99})) == []


def test_removal_is_bypass_and_zero(sweep: SweepStore) -> None:
    cells = cells_of(impact_of(sweep))
    assert action_choices(cells) == [REMOVE, "bypass", "zero"]
    assert actions_in(REMOVE) == ("bypass", "zero")
    assert action_choices([cell for cell in cells if cell.action == "zero"]) == ["zero"]
    assert lengths(cells) == [3]


def test_network_order() -> None:
    names = ["skip:conv_in", "unet", "up_blocks.0.resnets.0", "mid_block.resnets.0", "down_blocks.0.resnets.0"]
    assert in_network_order(names) == [names[4], names[3], names[2], names[0], names[1]]
