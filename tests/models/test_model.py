"""A model's pictures are those of the loop written out, with a schedule or without one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from compute.models.loading import load_model
from compute.models.model import Model
from compute.pipeline.noise import initial_noise
from compute.policy.liveness import ResolvedSchedule, resolve
from compute.policy.schedule import Schedule
from store.records import Action, Condition
from store.sampler import SamplerSettings
from tests.pipeline.written_out import texts, written_out
from tests.sweep.conftest import tiny_model  # noqa: F401  (a fixture)

STEPS = 4
SAMPLERS = [SamplerSettings(name="ddpm", steps=STEPS), SamplerSettings(name="ddim", steps=STEPS, eta=0.5)]
CONDITIONS = [
    Condition(prompt="a cat on a blue background", seed=3, guidance=3.0),
    Condition(prompt="a key on a red background", seed=2**40, guidance=3.0),
    Condition(prompt="", seed=0, guidance=3.0),
]
SCHEDULES = {
    "dropped": {2: {"unet": Action(name="reuse", space="x0")}},
    "in part": {1: {"up_blocks.1.upsamplers.0": Action(name="reuse")}},
    "bypassed": {0: {"mid_block.resnets.0": Action(name="bypass")}, 3: {"skip:conv_in": Action(name="zero")}},
}


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Model:  # noqa: F811
    torch.set_num_threads(1)
    return load_model(str(tiny_model))


def sampled_by_hand(model: Model, sampler: SamplerSettings, resolved: ResolvedSchedule) -> Tensor:
    """Return the pictures of CONDITIONS by a loop of the test."""
    seeds = [condition.seed for condition in CONDITIONS]
    text = texts(model.pipe, [condition.prompt for condition in CONDITIONS])
    scheduler, x_t = model.scheduler(sampler), initial_noise(seeds, (3, 16, 16))
    return written_out(model.unet, scheduler, text, x_t, seeds=seeds, resolved=resolved)[-1].clamp(-1, 1)


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: sampler.name)
@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_is_executed(model: Model, sampler: SamplerSettings, name: str) -> None:
    resolved = resolve(model.graph, Schedule(steps=STEPS, actions=SCHEDULES[name]))
    pictures = model.run(CONDITIONS, sampler, resolved)
    torch.testing.assert_close(pictures, sampled_by_hand(model, sampler, resolved), atol=1e-4, rtol=1e-4)
    assert not torch.equal(pictures, model.run(CONDITIONS, sampler))


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: sampler.name)
def test_the_empty_schedule_equals_no_schedule(model: Model, sampler: SamplerSettings) -> None:
    empty = resolve(model.graph, Schedule.empty(STEPS))
    pictures = model.run(CONDITIONS, sampler)
    assert torch.equal(pictures, model.run(CONDITIONS, sampler, empty))
    torch.testing.assert_close(pictures, sampled_by_hand(model, sampler, empty), atol=1e-6, rtol=0)


def test_a_picture_depends_on_its_own_condition_alone(model: Model) -> None:
    pictures = model.run(CONDITIONS, SAMPLERS[0])
    assert pictures.shape == (3, 3, 16, 16) and pictures.abs().max() <= 1
    assert torch.allclose(pictures[1:2], model.run(CONDITIONS[1:2], SAMPLERS[0]), atol=1e-4)
    assert torch.equal(pictures.flip(0), model.run(CONDITIONS[::-1], SAMPLERS[0]))


def test_the_model_is_restored(model: Model) -> None:
    resolved = resolve(model.graph, Schedule(steps=STEPS, actions=SCHEDULES["in part"]))
    before = model.run(CONDITIONS, SAMPLERS[0])
    model.run(CONDITIONS, SAMPLERS[0], resolved)
    assert torch.equal(before, model.run(CONDITIONS, SAMPLERS[0]))
    assert not any("forward" in vars(module) for module in model.unet.modules())
