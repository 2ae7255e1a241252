"""Plans: what is in them, in which order, and what cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from compute.config import ConfigError, load_config
from compute.policy.graph import UnknownComponent
from compute.policy.liveness import resolve
from compute.sweep import start
from compute.sweep.plan import first_step, schedule_of, unet_evaluations
from store.records import Ablation, Reseed
from tests.sweep.values import CONFIG


def prepared(tiny_model: Path, folder: Path, **changes: object) -> start.Prepared:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({**CONFIG, "model": str(tiny_model), **changes}))
    return start.prepare(load_config(path), folder)


@pytest.fixture
def whole(tiny_model: Path, tmp_path: Path) -> start.Prepared:
    return prepared(tiny_model, tmp_path, components=["*"])


def test_every_component_and_window_is_swept(whole: start.Prepared) -> None:
    ablations = [u.intervention for u in whole.plan.units if isinstance(u.intervention, Ablation)]
    swept = {(name, a.window.start) for a in ablations for name in a.components}
    graph, windows = whole.model.graph, whole.config.window_list()
    expected = {(name, window.start) for name in graph.names for window in windows}
    assert expected - swept == {("unet", 0)}
    assert list(whole.plan.impossible) == ["reuse unet in steps 0-1"]
    assert "no step before it computes unet" in whole.plan.impossible["reuse unet in steps 0-1"]


def test_baselines_come_first_and_controls_before_ablations(whole: start.Prepared) -> None:
    roles = [unit.role for unit in whole.plan.units]
    assert roles == sorted(roles, key=["baseline", "control", "ablation"].index)
    baselines = {unit.key for unit in whole.plan.units if unit.role == "baseline"}
    assert {unit.baseline for unit in whole.plan.units if unit.baseline} == baselines
    assert len(baselines) == 2


def test_each_batch_has_both_controls(whole: start.Prepared) -> None:
    controls = [unit.intervention for unit in whole.plan.units if unit.role == "control"]
    assert sum(isinstance(control, Reseed) for control in controls) == 2
    assert sum(isinstance(control, Ablation) and not control.components for control in controls) == 2


def test_keys_are_unique_and_units_share_their_batch(whole: start.Prepared) -> None:
    units = whole.plan.units
    assert len({unit.key for unit in units}) == len(units)
    by_key = {unit.key: unit for unit in units}
    assert all(unit.conditions == by_key[unit.baseline].conditions for unit in units if unit.baseline)


def test_the_cost_is_what_the_units_do(whole: start.Prepared) -> None:
    cost = start.cost(whole)
    done = naive = 0
    for unit in whole.plan.units:
        resolved = resolve(whole.model.graph, schedule_of(unit.intervention, 4))
        done += unet_evaluations(resolved, first_step(unit.intervention, resolved)) * len(unit.conditions)
        naive += unet_evaluations(resolved, 0) * len(unit.conditions)
    assert (cost.evaluations, cost.naive_evaluations, cost.units) == (done, naive, len(whole.plan.units))
    assert done < naive
    assert cost.seconds > 0
    assert cost.bytes > 0


@pytest.mark.parametrize(
    ("changes", "error", "line"),
    [
        ({"components": ["mid_block.resnet.0"]}, UnknownComponent, r"mid_block\.resnets\.0"),
        ({"actions": ["zero"], "components": ["mid_block.*"]}, ConfigError, "no chosen component admits zero"),
        ({"windows": [[2, 9]]}, ConfigError, r"reaches beyond the 4 steps; 0 <= start < stop <= 4 is accepted"),
        ({"prompts": ["a cat on a blue background"] * 2}, ConfigError, "stand there twice"),
        ({"windows": [[0, 2]], "actions": ["reuse"]}, ConfigError, "nothing is left to sweep"),
    ],
)
def test_what_cannot_be_planned_is_one_line(
    tiny_model: Path, tmp_path: Path, changes: dict[str, object], error: type[Exception], line: str
) -> None:
    with pytest.raises(error, match=line) as refusal:
        prepared(tiny_model, tmp_path, **changes)
    assert len(str(refusal.value).splitlines()) == 1
