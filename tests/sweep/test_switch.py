"""Prompt switches and screening: their plan, their runs, their metrics, and a store that gets them later."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from compute.config.schema import ConfigError, SweepConfig, load_config
from compute.models.model import Model
from compute.pipeline.noise import initial_noise
from compute.pipeline.sampling import Step, sample
from compute.policy.graph import ComponentGraph
from compute.policy.graph_document import GRAPH_DOCUMENT
from compute.sweep import start
from store.care.verify import verify
from store.errors import SkipscopeError
from store.records import Ablation, Condition, PromptSwitch, Unit, Window
from store.sweep_store import SweepStore
from tests.faults.sweeps import assert_same
from tests.sweep.run_sweep import sweep
from tests.sweep.small_config import CONFIG

STEPS = 4
PLAIN: dict[str, Any] = {**CONFIG, "components": ["unet"], "windows": [[2, 4]], "actions": ["reuse"]}
SWITCHES: dict[str, Any] = {
    "prompt_switch": [3, 1],
    "screen": [{"name": "reuse", "space": "x0", "components": ["unet"], "lengths": [1, 3]}],
}
Swept = tuple[Path, SweepStore]


def write(path: Path, model: Path, **settings: Any) -> Path:
    path.write_text(yaml.safe_dump({"model": str(model), **settings}))
    return path


@pytest.fixture(scope="module")
def swept(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Swept:
    """A configuration with prompt switches and screening, and its finished serial sweep, for reading only."""
    folder = tmp_path_factory.mktemp("switched")
    config = write(folder / "config.yaml", tiny_model, **PLAIN, **SWITCHES)
    return config, sweep(config, folder / "store")


@pytest.fixture(scope="module")
def model(swept: Swept) -> Model:
    return start.prepare(load_config(swept[0]), swept[0].parent).model


def switches(store: SweepStore) -> list[tuple[Unit, PromptSwitch]]:
    return [(unit, it) for unit in store.header.plan if isinstance(it := unit.intervention, PromptSwitch)]


def values(store: SweepStore, key: str) -> dict[str, Any]:
    with store.read(key) as reader:
        return {metric.info.name: metric.values for metric in reader.metrics}


def steps_of(
    model: Model, conditions: tuple[Condition, ...], prompts: tuple[str, ...], x_t: torch.Tensor, first: int
) -> list[Step]:
    """The sampling loop by itself, from a state at the first step."""
    config = SweepConfig.model_validate(PLAIN)
    return list(
        sample(
            model.unet,
            model.scheduler(config.sampler),
            model.encode(prompts),
            x_t,
            seeds=[condition.seed for condition in conditions],
            guidance=config.guidance,
            start=first,
        )
    )


def test_a_switch_goes_on_from_the_first_prompts_state_with_the_other_prompt(swept: Swept, model: Model) -> None:
    torch.set_num_threads(1)
    for unit, switch in switches(swept[1]):
        own = tuple(condition.prompt for condition in unit.conditions)
        x_t = initial_noise([condition.seed for condition in unit.conditions], model.state_shape)
        if switch.step:
            x_t = steps_of(model, unit.conditions, own, x_t, 0)[switch.step - 1].x_next
        expected = steps_of(model, unit.conditions, switch.prompts, x_t, switch.step)
        with swept[1].read(unit.key) as reader:
            assert (reader.start, reader.unet_evaluations) == (switch.step, STEPS - switch.step)
            assert np.array_equal(reader.final, expected[-1].x_next.clamp(-1, 1).numpy()), str(switch)


def test_each_prompt_is_switched_to_another_of_the_sweep_at_every_step_asked_for(swept: Swept) -> None:
    prompts = PLAIN["prompts"]
    pairs = [
        (switch.step, condition.prompt, other)
        for unit, switch in switches(swept[1])
        for condition, other in zip(unit.conditions, switch.prompts, strict=True)
    ]
    following = dict(zip(prompts, [*prompts[1:], prompts[0]], strict=True))
    assert sorted(pairs) == sorted((step, prompt, following[prompt]) for step in (0, 1, 3) for prompt in prompts)
    assert {unit.role for unit, _ in switches(swept[1])} == {"switch"}


def test_a_switch_at_step_0_is_the_other_prompts_baseline_from_the_same_noise(
    swept: Swept, tiny_model: Path, tmp_path: Path
) -> None:
    """Two prompts of a seed in one batch: the switch exchanges them, and with them the rows."""
    config = write(
        tmp_path / "config.yaml", tiny_model, **{**PLAIN, "prompts": PLAIN["prompts"][:2]}, prompt_switch={"every": 4}
    )
    store = sweep(config, tmp_path / "store")
    ((unit, switch),) = switches(store)
    assert switch.step == 0 and unit.baseline is not None
    with store.read(unit.key) as reader, store.read(unit.baseline) as baseline:
        assert np.array_equal(reader.final, baseline.final[::-1])
        assert not np.array_equal(reader.final, baseline.final)


def test_the_later_the_switch_the_nearer_the_picture_to_its_own_prompt(swept: Swept) -> None:
    _, store = swept
    mse = {step: np.concatenate([values(store, u.key)["mse"] for u, s in switches(store) if s.step == step])
           for step in (0, 1, 3)}  # fmt: skip
    assert (mse[0] > 0).all() and mse[3].mean() < mse[0].mean()


@pytest.mark.slow
def test_ray_equals_serial(swept: Swept, tmp_path: Path) -> None:
    config, store = swept
    assert_same(store.root, sweep(config, tmp_path / "ray", address="local", workers=2).root)


def test_a_resumed_sweep_is_the_same(swept: Swept, tmp_path: Path) -> None:
    config, store = swept
    shutil.copytree(store.root, tmp_path / "store")
    again = SweepStore.open(tmp_path / "store")
    for unit, _ in switches(again)[::2]:
        again.discard(unit.key)
    screened = next(unit for unit in again.header.plan if unit.role == "ablation")
    again.discard(screened.key)
    assert again.status_counts().left > 2
    assert_same(store.root, sweep(config, tmp_path / "store").root)
    assert verify(SweepStore.open(tmp_path / "store")) == []


def test_switched_pictures_are_judged_by_both_prompts(swept: Swept, model: Model) -> None:
    from compute.models.mini.judge.scene_judge import Judge

    _, store = swept
    for unit, switch in switches(store):
        found = values(store, unit.key)
        assert found.keys() == {"mse", "rel_l2", "fidelity_all", "fidelity_other_all"}
        with store.read(unit.key) as reader:
            pictures = torch.from_numpy(reader.final)
        own = Judge.load().fidelity(pictures, [condition.prompt for condition in unit.conditions])["all"]
        other = Judge.load().fidelity(pictures, switch.prompts)["all"]
        assert found["fidelity_all"].tolist() == own.tolist()
        assert found["fidelity_other_all"].tolist() == other.tolist()
    others = [unit for unit in store.header.plan if unit.role != "switch"]
    assert not any("fidelity_other_all" in values(store, unit.key) for unit in others)


def test_both_prompts_are_told_apart(swept: Swept, model: Model) -> None:
    """With a judge that only compares texts: random weights draw nothing that the scene judge would call right."""
    from compute.metrics.registry import Sources, metrics
    from compute.sweep.worker import measured

    class Reader:
        digest = "reads"

        def fidelity(self, pictures: torch.Tensor, prompts: tuple[str, ...]) -> Mapping[str, torch.Tensor]:
            return {"all": torch.tensor([len(prompt) / 128 for prompt in prompts])}

    wanted = metrics(["mse", "fidelity_all"], Sources(judge=Reader()))
    unit, switch = switches(swept[1])[0]
    pictures = np.zeros((len(unit.conditions), 3, 16, 16), np.float32)
    found = {it.info.name: it for it in measured(wanted, pictures, pictures, unit)}
    assert found["fidelity_all"].values.tolist() == [len(c.prompt) / 128 for c in unit.conditions]
    assert found["fidelity_other_all"].values.tolist() == [len(prompt) / 128 for prompt in switch.prompts]
    assert found["mse"].values.tolist() == [0] * len(unit.conditions)
    assert not found["fidelity_other_all"].info.paired and found["fidelity_other_all"].info.weights == "reads"
    assert found["fidelity_other_all"].info.label != found["fidelity_all"].info.label


def test_without_a_judge_the_other_prompt_is_not_judged_either(tiny_model: Path, swept: Swept) -> None:
    from compute.metrics.registry import metrics
    from compute.sweep.worker import measured

    unit, _ = switches(swept[1])[0]
    pictures = np.zeros((len(unit.conditions), 3, 16, 16), np.float32)
    (found,) = measured(metrics(["fidelity_all"]), pictures, pictures, unit)
    assert (found.info.name, found.values) == ("fidelity_all", None)
    assert found.absent


def test_an_older_store_is_extended_and_measured_in_place(swept: Swept, tiny_model: Path, tmp_path: Path) -> None:
    """Switches and screening leave each earlier key and shard as it was; `measure` adds what a sweep would have."""
    config = write(tmp_path / "config.yaml", tiny_model, **{**PLAIN, "metrics": ["psnr"]})
    older = sweep(config, tmp_path / "store")
    (older.root / "reports" / GRAPH_DOCUMENT).unlink()  # as a store of an earlier release
    before = {key: path.stat().st_mtime_ns for key, path in older.shards()}
    write(config, tiny_model, **{**PLAIN, **SWITCHES, "metrics": ["psnr"]})
    extended = sweep(config, tmp_path / "store")
    after = {key: path.stat().st_mtime_ns for key, path in extended.shards()}
    assert before.items() < after.items()
    assert [unit.key for unit in extended.header.plan][: len(before)] == [unit.key for unit in older.header.plan]
    assert extended.header.units == swept[1].header.units
    assert (extended.root / "reports" / GRAPH_DOCUMENT).is_file()
    start.measure(extended, CONFIG["metrics"])
    for key, unit in extended.header.units.items():
        expected, found = values(swept[1], key), values(extended, key)
        assert found.keys() - {"psnr"} == expected.keys()
        assert all(np.array_equal(found[name], expected[name], equal_nan=True) for name in expected), unit.intervention
    assert verify(extended) == []


def test_metrics_measured_on_rounded_pictures_find_no_damage_in_doing_nothing(tiny_model: Path, tmp_path: Path) -> None:
    rounded = {**PLAIN, "metrics": ["psnr"], "keep": {"x_t": "final", "pred_x0": "final", "precision": "8-bit"}}
    store = sweep(write(tmp_path / "config.yaml", tiny_model, **rounded, prompt_switch=[2]), tmp_path / "store")
    start.measure(store, ["mse", "fidelity_all"])
    for unit in store.header.plan:
        found = values(store, unit.key)
        with store.read(unit.key) as reader:
            final = reader.final.astype(np.float64)
        if unit.role == "baseline":
            assert not np.array_equal(final * 128, (final * 128).round())
            continue
        assert np.array_equal(final * 128, (final * 128).round()), "a step of 1/128"
        if isinstance(unit.intervention, Ablation) and not unit.intervention.components:
            assert found["mse"].tolist() == [0] * len(unit.conditions)
        else:
            assert (found["mse"] > 0).all()
        assert np.allclose(found["mse"], 4 / 10 ** (found["psnr"] / 10), atol=1e-3), "as the sweep itself measured"
        assert ("fidelity_other_all" in found) == (unit.role == "switch")


def test_the_store_holds_the_graph_of_its_model(swept: Swept, model: Model) -> None:
    text = (swept[1].root / "reports" / GRAPH_DOCUMENT).read_bytes()
    assert ComponentGraph.from_json(text) == model.graph
    assert json.loads(text)["components"]


def test_each_window_of_a_screened_length_is_there_where_there_is_something_to_read(swept: Swept) -> None:
    found = {
        it.window
        for unit in swept[1].header.plan
        if isinstance(it := unit.intervention, Ablation) and it.action.space == "x0"
    }
    assert found == {Window(start=a, stop=b) for a, b in [(1, 2), (2, 3), (3, 4), (1, 4)]}


GOOD: dict[str, Any] = {"prompts": ["a", "b"], "actions": ["bypass"], "sampler": {"name": "ddim", "steps": 6}}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"prompt_switch": 3}, "prompt_switch: write {every: 1}, or a list of steps [0, 5, 10] (given: 3)"),
        ({"prompt_switch": "all"}, "prompt_switch: write {every: 1}, or a list of steps"),
        ({"prompt_switch": []}, "prompt_switch: Tuple should have at least 1 item"),
        ({"prompt_switch": [-1]}, "prompt_switch.0: Input should be greater than or equal to 0 (given: -1)"),
        ({"prompt_switch": [1.5]}, "prompt_switch.0: Input should be a valid integer"),
        ({"prompt_switch": {"every": 0}}, "prompt_switch.every: Input should be greater than or equal to 1"),
        ({"prompt_switch": {"evry": 2}}, "prompt_switch.every: Field required\nprompt_switch.evry: is no setting"),
        ({"screen": ["compute"]}, "screen.0.action: compute is what every component does anyway"),
        ({"screen": [{"name": "reuse", "lengths": [0]}]}, "screen.0.lengths.0: Input should be greater than or equal"),
        ({"screen": [{"name": "reuse", "lengths": []}]}, "screen.0.lengths: Tuple should have at least 1 item"),
        ({"screen": [{"name": "reuse", "length": 2}]}, "screen.0.action.length: is no setting"),
        ({"actions": [{"name": "bypass", "lengths": [1]}]}, "actions.0.lengths: is no setting"),
        ({"screening": ["reuse"]}, "screening: is no setting; accepted: model, stage"),
    ],
)
def test_settings_that_are_none(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(GOOD | change))
    with pytest.raises(ConfigError) as refusal:
        load_config(path)
    lines = str(refusal.value).replace(f"{path}: ", "").split("\n")
    assert len(lines) == len(says.split("\n"))
    for line, said in zip(lines, says.split("\n"), strict=True):
        assert line.startswith(said), line


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"prompts": ["a cat on a blue background"], "prompt_switch": [1]}, r"^prompt_switch: there is one prompt"),
        ({"prompt_switch": [1, 4]}, r"^prompt_switch\.1: step 4 of 4; 0 to 3 are accepted$"),
        ({"screen": [{"name": "reuse", "lengths": [5]}]}, r"^screen: length 5 of 4 steps; at most 4 is accepted$"),
        ({"screen": [{"name": "reuse", "components": ["nowhere"]}]}, r"no component matches 'nowhere'"),
        ({"screen": ["bypass"]}, r"^screen: no chosen component admits bypass"),
    ],
)
def test_settings_that_do_not_fit_the_sweep(
    tiny_model: Path, tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    config = write(tmp_path / "config.yaml", tiny_model, **{**PLAIN, **change})
    with pytest.raises(SkipscopeError, match=says) as refusal:
        start.prepare(load_config(config), tmp_path)
    assert "\n" not in str(refusal.value)


@given(st.integers(1, 40), st.data())
def test_switch_steps_are_sorted_unique_and_hold_step_0(steps: int, data: st.DataObject) -> None:
    chosen = data.draw(st.one_of(
        st.lists(st.integers(0, steps - 1), min_size=1, max_size=6), st.builds(dict, every=st.integers(1, 50))
    ))  # fmt: skip
    config = SweepConfig.model_validate({**GOOD, "sampler": {"name": "ddim", "steps": steps}, "prompt_switch": chosen})
    expected = range(0, steps, chosen["every"]) if isinstance(chosen, dict) else {0, *chosen}
    assert config.switch_steps() == tuple(sorted(expected))
    assert SweepConfig.model_validate(config.model_dump(mode="json")) == config


@given(st.integers(1, 12), st.lists(st.integers(1, 14), min_size=1, max_size=3))
def test_screened_windows_are_all_of_a_length(steps: int, lengths: list[int]) -> None:
    data = {**GOOD, "sampler": {"name": "ddim", "steps": steps}, "screen": [{"name": "reuse", "lengths": lengths}]}
    config = SweepConfig.model_validate(data)
    if max(lengths) > steps:
        with pytest.raises(ConfigError, match=re.escape(f"screen: length {max(lengths)} of {steps} steps")):
            config.screen_windows(config.screen[0])
        return
    found = config.screen_windows(config.screen[0])
    assert len(set(found)) == len(found) == sum(steps - length + 1 for length in set(lengths))
    assert all(0 <= window.start < window.stop <= steps for window in found)
    assert {window.stop - window.start for window in found} == set(lengths)


def test_a_switch_names_one_prompt_for_each_condition() -> None:
    condition = Condition(prompt="a", seed=0, guidance=1)
    with pytest.raises(ValidationError, match="one prompt for each condition"):
        Unit(
            key="0" * 64, role="switch", baseline="1" * 64, conditions=(condition, condition),
            intervention=PromptSwitch(step=1, prompts=("b",)),
        )  # fmt: skip
