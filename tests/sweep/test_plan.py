"""Plans: baselines first, keys unique, every component of the patterns, what is impossible named."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.config.schema import ConfigError, SweepConfig
from compute.policy.graph import ComponentGraph, UnknownComponent
from compute.policy.liveness import resolve
from compute.sweep.plan import Plan, first_step, make_plan, schedule_of, settings_of, unet_evaluations
from compute.unet import read_graph
from store.records import RESEED_OFFSET, Ablation, Reseed, Window

STEPS = 6


@pytest.fixture(scope="session")
def graph(tiny_unet: Any) -> ComponentGraph:
    return read_graph(tiny_unet, sequence_length=5)


def planned(graph: ComponentGraph, **changes: Any) -> Plan:
    given: dict[str, Any] = {
        "sampler": {"name": "ddim", "steps": STEPS}, "prompts": ["a", "b", "c"], "seeds": [0, 1],
        "conditions_per_unit": 4, "windows": {"count": 3}, "actions": ["bypass", "zero", "reuse"],
    }  # fmt: skip
    config = SweepConfig.model_validate(given | changes)
    return make_plan(config, settings_of(config, "digest", {"beta": 1, "_name": "x"}), graph, Path("."))


def test_baselines_come_first_then_the_controls(graph: ComponentGraph) -> None:
    roles = [unit.role for unit in planned(graph).units]
    assert roles == sorted(roles, key=["baseline", "control", "ablation"].index)
    assert roles.count("baseline") == 2 and roles.count("control") == 4


def test_both_negative_controls_are_there(graph: ComponentGraph) -> None:
    null, reseed = [unit.intervention for unit in planned(graph).units if unit.role == "control"][::2]
    assert isinstance(null, Ablation) and null.components == () and null.action.name == "compute"
    assert isinstance(reseed, Reseed) and reseed.offset == RESEED_OFFSET


def test_each_unit_starts_from_the_baseline_of_its_own_conditions(graph: ComponentGraph) -> None:
    units = planned(graph).units
    baselines = {unit.key: unit for unit in units if unit.role == "baseline"}
    for unit in units:
        if unit.baseline is not None:
            assert baselines[unit.baseline].conditions == unit.conditions


def test_keys_are_unique(graph: ComponentGraph) -> None:
    units = planned(graph).units
    assert len({unit.key for unit in units}) == len(units)


def test_every_component_is_swept_in_every_window_or_named_as_impossible(graph: ComponentGraph) -> None:
    plan = planned(graph)
    swept = {unit.intervention for unit in plan.units if unit.role == "ablation"}
    windows = [Window(start=start, stop=start + 2) for start in (0, 2, 4)]
    for name in graph.names:
        for action in set(graph.component(name).actions) & {"bypass", "zero", "reuse"}:
            for window in windows:
                ablation = Ablation(components=(name,), window=window, action={"name": action})  # type: ignore[arg-type]
                assert (ablation in swept) != (str(ablation) in plan.impossible), ablation
    assert all(window in {it.window for it in swept if isinstance(it, Ablation)} for window in windows)


def test_what_is_impossible_is_named_with_its_reason(graph: ComponentGraph) -> None:
    impossible = planned(graph, actions=["reuse"], components=["mid_block.resnets.0"]).impossible
    assert list(impossible) == ["reuse mid_block.resnets.0 in steps 0-1"]
    assert "no step before it" in next(iter(impossible.values()))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_patterns_choose_what_they_fit(graph: ComponentGraph, data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.sampled_from(graph.names), min_size=1, max_size=4, unique=True))
    plan = planned(graph, components=chosen, actions=["reuse"])
    swept = {
        it.components[0] for u in plan.units if u.role == "ablation" and isinstance(it := u.intervention, Ablation)
    }
    assert swept == set(chosen)


def test_an_action_may_have_components_of_its_own(graph: ComponentGraph) -> None:
    plan = planned(graph, actions=["zero", {"name": "reuse", "space": "x0", "components": ["unet"]}])
    pairs = {
        (it.action.name, graph.component(it.components[0]).kind)
        for unit in plan.units
        if unit.role == "ablation" and isinstance(it := unit.intervention, Ablation)
    }
    assert pairs == {("zero", "skip"), ("reuse", "unet")}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"prompts": ["a", "a"]}, "the same prompt and seed stand there twice"),
        ({"seeds": [1, 1]}, "the same prompt and seed stand there twice"),
        ({"components": ["unet"], "actions": ["bypass"]}, "no chosen component admits bypass"),
        (
            {"actions": [{"name": "reuse", "space": "x0", "components": ["kind:skip"]}]},
            "no chosen component admits reuse",
        ),
        ({"actions": ["reuse"], "windows": [[0, 2]]}, "actions: nothing is left to sweep: "),
        ({"windows": [[0, STEPS + 1]]}, "reaches beyond the 6 steps"),
    ],
)
def test_plans_that_cannot_be_made(graph: ComponentGraph, changes: Mapping[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as refusal:
        planned(graph, **changes)
    assert "\n" not in str(refusal.value)


def test_unknown_components_are_told_with_near_names(graph: ComponentGraph) -> None:
    with pytest.raises(UnknownComponent, match=r"no component matches 'mid_block.resnet.0'; near names: mid_block"):
        planned(graph, components=["mid_block.resnet.0"])


def test_settings_hold_nothing_private(graph: ComponentGraph) -> None:
    assert planned(graph).settings["scheduler"] == {"beta": 1}


def test_runs_start_at_their_window_and_cost_what_is_left(graph: ComponentGraph) -> None:
    for unit in planned(graph).units:
        resolved = resolve(graph, schedule_of(unit.intervention, STEPS))
        begin = first_step(unit.intervention, resolved)
        if not isinstance(unit.intervention, Ablation):
            assert (begin, unet_evaluations(resolved, begin)) == (0, STEPS)
            continue
        window, action = unit.intervention.window, unit.intervention.action
        assert begin == (window.start - 1 if action.reads_cache else window.start)
        dropped = 2 if action.reads_cache and unit.intervention.components == ("unet",) else 0
        assert unet_evaluations(resolved, begin) == STEPS - begin - dropped


def test_batches_take_the_conditions_in_turn(graph: ComponentGraph) -> None:
    baselines = [unit.conditions for unit in planned(graph).units if unit.role == "baseline"]
    assert [len(batch) for batch in baselines] == [4, 2]
    assert [(it.prompt, it.seed) for batch in baselines for it in batch] == [(p, s) for p in "abc" for s in (0, 1)]
