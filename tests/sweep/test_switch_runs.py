"""Prompt switches and screening: how they run and what is measured of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from compute.config.loading import load_config
from compute.config.schema import SweepConfig
from compute.metrics.judge import Judge
from compute.metrics.registry import Sources, metrics
from compute.models.mini.judge.scene_judge import SceneJudge
from compute.models.model import Model
from compute.pipeline.noise import initial_noise
from compute.policy.graph import ComponentGraph
from compute.policy.graph_document import GRAPH_DOCUMENT
from compute.policy.liveness import resolve
from compute.policy.schedule import Schedule
from compute.sweep.prepare import prepare
from compute.sweep.worker.unit_metrics import unit_metrics
from store.care.verify import verify
from store.errors import SkipscopeError
from store.records import Ablation, Condition, PromptSwitch, Unit, Window
from store.sweep_store import SweepStore
from tests.pipeline.written_out import texts, written_out
from tests.sweep.run_sweep import sweep
from tests.sweep.small_config import STEPS, SWITCHES, WITHOUT_SWITCHES, write_config
from tests.sweep.stores import assert_equal_stores, metric_values

Swept = tuple[Path, SweepStore]
PROMPTS = SWITCHES["prompts"]


@pytest.fixture(scope="module")
def swept(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Swept:
    """A configuration with prompt switches and screening, and its finished serial sweep, for reading only."""
    folder = tmp_path_factory.mktemp("switches")
    config = write_config(folder / "config.yaml", tiny_model, **SWITCHES)
    return config, sweep(config, folder / "store")


@pytest.fixture(scope="module")
def model(swept: Swept) -> Model:
    return prepare(load_config(swept[0]), swept[0].parent).model


def switches_in(store: SweepStore) -> list[tuple[Unit, PromptSwitch]]:
    return [(unit, unit.intervention) for unit in store.header.plan if isinstance(unit.intervention, PromptSwitch)]


def sampled_steps(
    model: Model, conditions: tuple[Condition, ...], prompts: tuple[str, ...], x_t: torch.Tensor, start: int
) -> list[torch.Tensor]:
    """Return the states after each step of a loop written out, from a state at step `start`."""
    config = SweepConfig.model_validate(WITHOUT_SWITCHES)
    return written_out(
        model.unet,
        model.scheduler(config.sampler),
        texts(model.pipe, list(prompts)),
        x_t,
        seeds=[condition.seed for condition in conditions],
        guidance=config.guidance,
        start=start,
        resolved=resolve(model.graph, Schedule.empty(STEPS)),
    )


def test_a_switch_continues_from_the_first_prompts_state_with_the_other_prompt(swept: Swept, model: Model) -> None:
    torch.set_num_threads(1)
    for unit, switch in switches_in(swept[1]):
        own = tuple(condition.prompt for condition in unit.conditions)
        x_t = initial_noise([condition.seed for condition in unit.conditions], (3, 16, 16))
        if switch.step:
            x_t = sampled_steps(model, unit.conditions, own, x_t, 0)[switch.step - 1]
        expected = sampled_steps(model, unit.conditions, switch.prompts, x_t, switch.step)
        with swept[1].read(unit.key) as reader:
            assert (reader.start, reader.unet_evaluations) == (switch.step, STEPS - switch.step)
            expected_final = expected[-1].clamp(-1, 1).numpy()
            np.testing.assert_allclose(reader.final, expected_final, atol=2e-3, err_msg=str(switch))


def test_each_prompt_is_switched_to_another_of_the_sweep_at_every_configured_step(swept: Swept) -> None:
    pairs = [
        (switch.step, condition.prompt, other)
        for unit, switch in switches_in(swept[1])
        for condition, other in zip(unit.conditions, switch.prompts, strict=True)
    ]
    following = dict(zip(PROMPTS, [*PROMPTS[1:], PROMPTS[0]], strict=True))
    assert sorted(pairs) == sorted((step, prompt, following[prompt]) for step in (0, 1, 3) for prompt in PROMPTS)
    assert {unit.role for unit, _ in switches_in(swept[1])} == {"switch"}


def test_a_switch_at_step_0_is_the_other_prompts_baseline_from_the_same_noise(tiny_model: Path, tmp_path: Path) -> None:
    """Two prompts of one seed in one batch: the switch exchanges them, and with them the rows."""
    fields = {**WITHOUT_SWITCHES, "prompts": PROMPTS[:2], "prompt_switch": {"every": 4}}
    store = sweep(write_config(tmp_path / "config.yaml", tiny_model, **fields), tmp_path / "store")
    ((unit, switch),) = switches_in(store)
    assert switch.step == 0 and unit.baseline is not None
    with store.read(unit.key) as reader, store.read(unit.baseline) as baseline:
        assert np.array_equal(reader.final, baseline.final[::-1])
        assert not np.array_equal(reader.final, baseline.final)


def test_the_later_the_switch_the_nearer_the_picture_to_its_own_prompt(swept: Swept) -> None:
    _, store = swept
    mse = {
        step: np.concatenate([metric_values(store, u.key)["mse"] for u, s in switches_in(store) if s.step == step])
        for step in (0, 1, 3)
    }
    assert (mse[0] > 0).all() and mse[3].mean() < mse[0].mean()


@pytest.mark.slow
def test_ray_equals_serial(swept: Swept, tmp_path: Path) -> None:
    config, store = swept
    assert_equal_stores(store.root, sweep(config, tmp_path / "ray", address="local", workers=2).root)


def test_a_resumed_sweep_equals_an_uninterrupted_one(swept: Swept, tmp_path: Path) -> None:
    config, store = swept
    shutil.copytree(store.root, tmp_path / "store")
    interrupted = SweepStore.open(tmp_path / "store")
    for unit, _ in switches_in(interrupted)[::2]:
        interrupted.discard(unit.key)
    screened = next(unit for unit in interrupted.header.plan if unit.role == "ablation")
    interrupted.discard(screened.key)
    assert interrupted.status_counts().left > 2
    assert_equal_stores(store.root, sweep(config, tmp_path / "store").root)
    assert verify(SweepStore.open(tmp_path / "store")) == []


def test_switched_pictures_are_judged_by_both_prompts(swept: Swept) -> None:
    _, store = swept
    for unit, switch in switches_in(store):
        values = metric_values(store, unit.key)
        assert values.keys() == {"mse", "rel_l2", "fidelity_all", "fidelity_other_all"}
        with store.read(unit.key) as reader:
            pictures = torch.from_numpy(reader.final)
        own = SceneJudge.load().fidelity(pictures, [condition.prompt for condition in unit.conditions])["all"]
        other = SceneJudge.load().fidelity(pictures, switch.prompts)["all"]
        assert values["fidelity_all"].tolist() == own.tolist()
        assert values["fidelity_other_all"].tolist() == other.tolist()
    others = [unit for unit in store.header.plan if unit.role != "switch"]
    assert not any("fidelity_other_all" in metric_values(store, unit.key) for unit in others)


def test_the_two_prompts_of_a_switch_are_not_confused(swept: Swept) -> None:
    """With a judge that reads only the prompt: random weights sample nothing that the scene judge calls right."""

    class PromptLengthJudge(Judge):
        digest = "reads"

        def fidelity(self, pictures: torch.Tensor, prompts: tuple[str, ...]) -> Mapping[str, torch.Tensor]:
            return {"all": torch.tensor([len(prompt) / 128 for prompt in prompts])}

    metric_set = metrics(["mse", "fidelity_all"], Sources(judge=PromptLengthJudge()))
    unit, switch = switches_in(swept[1])[0]
    pictures = np.zeros((len(unit.conditions), 3, 16, 16), np.float32)
    by_name: dict[str, Any] = {
        metric.info.name: metric for metric in unit_metrics(metric_set, pictures, pictures, unit)
    }
    assert by_name["fidelity_all"].values.tolist() == [len(c.prompt) / 128 for c in unit.conditions]
    assert by_name["fidelity_other_all"].values.tolist() == [len(prompt) / 128 for prompt in switch.prompts]
    assert by_name["mse"].values.tolist() == [0] * len(unit.conditions)
    other = by_name["fidelity_other_all"].info
    assert not other.paired and other.weights == "reads"
    assert other.label != by_name["fidelity_all"].info.label


def test_without_a_judge_the_fidelity_to_the_other_prompt_is_not_listed(swept: Swept) -> None:
    unit, _ = switches_in(swept[1])[0]
    pictures = np.zeros((len(unit.conditions), 3, 16, 16), np.float32)
    (metric,) = unit_metrics(metrics(["fidelity_all"]), pictures, pictures, unit)
    assert (metric.info.name, metric.values) == ("fidelity_all", None)
    assert metric.absent


def test_the_store_holds_the_graph_of_its_model(swept: Swept, model: Model) -> None:
    text = (swept[1].root / "reports" / GRAPH_DOCUMENT).read_bytes()
    assert ComponentGraph.from_json(text) == model.graph.guided
    assert json.loads(text)["components"]


def test_screening_has_every_window_of_its_lengths_that_has_something_to_read(swept: Swept) -> None:
    windows = {
        unit.intervention.window
        for unit in swept[1].header.plan
        if isinstance(unit.intervention, Ablation) and unit.intervention.action.space == "x0"
    }
    assert windows == {Window(start=a, stop=b) for a, b in [(1, 2), (2, 3), (3, 4), (1, 4)]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prompts": ["a cat on a blue background"], "prompt_switch": [1]}, r"^prompt_switch: there is one prompt"),
        ({"prompt_switch": [1, 4]}, r"^prompt_switch\.1: step 4 of 4; 0 to 3 are accepted$"),
        ({"screen": [{"name": "reuse", "lengths": [5]}]}, r"^screen: length 5 of 4 steps; at most 4 is accepted$"),
        ({"screen": [{"name": "reuse", "components": ["nowhere"]}]}, r"no component matches 'nowhere'"),
        ({"screen": ["bypass"]}, r"^screen: no selected component admits bypass"),
    ],
)
def test_switches_and_screening_that_do_not_fit_the_sweep(
    tiny_model: Path, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    config = write_config(tmp_path / "config.yaml", tiny_model, **{**WITHOUT_SWITCHES, **change})
    with pytest.raises(SkipscopeError, match=message) as error:
        prepare(load_config(config), tmp_path)
    assert "\n" not in str(error.value)
