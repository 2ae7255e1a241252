"""Plans: baselines first, unique keys, every component that the patterns match, reasons for what is left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.config.errors import ConfigError
from compute.policy.graph import ComponentGraph, UnknownComponent
from store.records import RESEED_OFFSET, Ablation, Reseed, Window
from tests.sweep.plan.small_plan import STEPS, ablations_in, plan_of


def test_baselines_come_first_then_the_controls(graph: ComponentGraph) -> None:
    roles = [unit.role for unit in plan_of(graph).units]
    assert roles == sorted(roles, key=["baseline", "control", "ablation"].index)
    assert roles.count("baseline") == 2 and roles.count("control") == 4


def test_the_controls_are_the_null_ablation_and_another_seed(graph: ComponentGraph) -> None:
    null, reseed = [unit.intervention for unit in plan_of(graph).units if unit.role == "control"][::2]
    assert isinstance(null, Ablation) and null.components == () and null.action.name == "compute"
    assert isinstance(reseed, Reseed) and reseed.offset == RESEED_OFFSET


def test_each_unit_has_the_baseline_of_its_own_conditions(graph: ComponentGraph) -> None:
    units = plan_of(graph).units
    baselines = {unit.key: unit for unit in units if unit.role == "baseline"}
    for unit in units:
        if unit.baseline is not None:
            assert baselines[unit.baseline].conditions == unit.conditions


def test_keys_are_unique(graph: ComponentGraph) -> None:
    units = plan_of(graph).units
    assert len({unit.key for unit in units}) == len(units)


def test_every_component_is_swept_in_every_window_or_is_impossible_there(graph: ComponentGraph) -> None:
    plan = plan_of(graph)
    planned = set(ablations_in(plan))
    windows = [Window(start=start, stop=start + 2) for start in (0, 2, 4)]
    for name in graph.names:
        for action in set(graph.component(name).actions) & {"bypass", "zero", "reuse"}:
            for window in windows:
                ablation = Ablation(components=(name,), window=window, action={"name": action})  # type: ignore[arg-type]
                assert (ablation in planned) != (ablation in plan.impossible), ablation
    assert all(window in {ablation.window for ablation in planned} for window in windows)


def test_impossible_ablations_have_a_reason(graph: ComponentGraph) -> None:
    impossible = plan_of(graph, actions=["reuse"], components=["mid_block.resnets.0"]).impossible
    assert [str(ablation) for ablation in impossible] == ["reuse mid_block.resnets.0 in steps 0-1"]
    assert "no step before it" in next(iter(impossible.values()))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_patterns_select_exactly_what_they_match(graph: ComponentGraph, data: st.DataObject) -> None:
    selected = data.draw(st.lists(st.sampled_from(graph.names), min_size=1, max_size=4, unique=True))
    plan = plan_of(graph, components=selected, actions=["reuse"])
    assert {ablation.components[0] for ablation in ablations_in(plan)} == set(selected)


def test_an_action_on_components_together_is_one_ablation_a_window(graph: ComponentGraph) -> None:
    swept = {"name": "bypass", "components": ["up_blocks.*"], "together": True}
    plan = plan_of(graph, actions=[swept, "zero"])
    names = tuple(sorted(n for n in graph.match(["up_blocks.*"]) if "bypass" in graph.component(n).actions))
    assert len(names) > 2
    ablations = {unit.intervention for unit in plan.units if isinstance(unit.intervention, Ablation)}
    together = {ablation for ablation in ablations if len(ablation.components) > 1}
    assert {ablation.components for ablation in together} == {names}
    assert len(together) == len({ablation.window for ablation in ablations if ablation.action.name == "zero"})


def test_an_action_can_have_components_of_its_own(graph: ComponentGraph) -> None:
    plan = plan_of(graph, actions=["zero", {"name": "reuse", "space": "x0", "components": ["unet"]}])
    pairs = {(ablation.action.name, graph.component(ablation.components[0]).kind) for ablation in ablations_in(plan)}
    assert pairs == {("zero", "skip"), ("reuse", "unet")}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompts": ["a", "a"]}, "a prompt occurs twice with the same seed"),
        ({"seeds": [1, 1]}, "a prompt occurs twice with the same seed"),
        ({"components": ["unet"], "actions": ["bypass"]}, "no selected component admits bypass"),
        (
            {"actions": [{"name": "reuse", "space": "x0", "components": ["kind:skip"]}]},
            "no selected component admits reuse",
        ),
        ({"actions": ["reuse"], "windows": [[0, 2]]}, "actions: nothing is left to sweep: "),
        ({"windows": [[0, STEPS + 1]]}, "reaches beyond the 6 steps"),
    ],
)
def test_configurations_without_a_plan_are_refused(
    graph: ComponentGraph, changes: Mapping[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        plan_of(graph, **changes)
    assert "\n" not in str(error.value)


def test_an_unknown_component_is_reported_with_similar_names(graph: ComponentGraph) -> None:
    with pytest.raises(UnknownComponent, match=r"no component matches 'mid_block.resnet.0'; near names: mid_block"):
        plan_of(graph, components=["mid_block.resnet.0"])


def test_settings_hold_no_private_entry_of_the_scheduler(graph: ComponentGraph) -> None:
    assert plan_of(graph).settings["scheduler"] == {"beta": 1}


def test_batches_take_the_conditions_in_order(graph: ComponentGraph) -> None:
    baselines = [unit.conditions for unit in plan_of(graph).units if unit.role == "baseline"]
    assert [len(batch) for batch in baselines] == [4, 2]
    assert [(condition.prompt, condition.seed) for batch in baselines for condition in batch] == [
        (prompt, seed) for prompt in "abc" for seed in (0, 1)
    ]


def test_ddim_with_eta_has_keys_of_its_own_version(graph: ComponentGraph) -> None:
    """Until version 3 it sampled without noise where the pipeline's call has an eta."""
    samplers = ({"name": "ddim"}, {"name": "ddim", "eta": 0.5}, {"name": "ddpm"})
    plans = [plan_of(graph, sampler=sampler | {"steps": STEPS}) for sampler in samplers]
    assert [plan.settings["numerics"] for plan in plans] == [2, 3, 2]
