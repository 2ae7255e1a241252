"""Steps placed by measured errors, and the published lists of Align Your Steps."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch

import skipscope
from compute.pipeline import applied
from compute.pipeline.run_steps import FollowError
from compute.pipeline.schedulers import SamplerError
from tests.pipeline.tiny_glide import tiny_glide
from tests.pipeline.tiny_pipelines import call, scheduler, stable_diffusion

FINE = 8
SD15 = (999, 850, 736, 645, 545, 455, 343, 233, 124, 24)


@pytest.fixture
def pipe() -> Any:
    return stable_diffusion()


def test_a_jump_costs_its_distance_to_the_fine_run(pipe: Any) -> None:
    states: list[torch.Tensor] = []
    outputs: list[torch.Tensor] = []

    def keep(pipe: Any, step: int, timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
        states.append(values["latents"].clone())
        return values

    def run(**arguments: Any) -> None:
        call(pipe, callback_on_step_end=keep, **arguments)

    hook = pipe.unet.register_forward_hook(lambda module, given, output: outputs.append(output[0].clone()))
    before = pipe.scheduler
    costs = skipscope.methods.step_costs(pipe, run, fine=FINE, guidance=3.0)
    hook.remove()
    assert pipe.scheduler is before and len(costs.timesteps) == FINE
    assert max(row[0] for row in costs.costs) < 1e-5, "a jump to the next fine step is the fine run's own"
    empty, text = outputs[2].chunk(2)
    eps, start, stop = empty + 3 * (text - empty), 2, 6
    bars = [float(pipe.scheduler.alphas_cumprod[int(costs.timesteps[step])]) for step in (start, stop)]
    x0 = (states[start - 1] - (1 - bars[0]) ** 0.5 * eps) / bars[0] ** 0.5
    jumped = bars[1] ** 0.5 * x0 + (1 - bars[1]) ** 0.5 * eps
    expected = float((jumped - states[stop - 1]).square().mean().sqrt())
    assert costs.costs[start][stop - start - 1] == pytest.approx(expected, rel=1e-3)


def test_placed_steps_are_sampled(pipe: Any, tiny_unet: Any) -> None:
    glide = tiny_glide(tiny_unet)
    runs = {
        "stable diffusion": (pipe, lambda **arguments: call(pipe, **arguments)),
        "glide": (glide, lambda **arguments: glide("a cat", seed=1, output_type="np", **arguments)),
    }
    for name, (given, run) in runs.items():
        costs = skipscope.methods.step_costs(given, run, fine=FINE)
        policy = skipscope.methods.plain(given, sampler="ddim", timesteps=costs.placed(3))
        assert policy.timesteps is not None and set(policy.timesteps) <= set(costs.timesteps), name
        arguments = skipscope.set_sampler(policy, given)
        with applied(policy, given):
            run(**arguments, **({"num_inference_steps": None} if given is pipe else {}))


def test_a_run_of_other_steps_is_not_measured(pipe: Any) -> None:
    with pytest.raises(FollowError, match="it made 4 steps; one run of 8 is measured"):
        skipscope.methods.step_costs(pipe, lambda **arguments: call(pipe, num_inference_steps=4), fine=FINE)


def test_ays_has_the_published_steps(pipe: Any) -> None:
    policy = skipscope.methods.ays(pipe)
    assert policy.timesteps == SD15 and policy.sampler.name == "DPMSolverMultistepScheduler"
    assert skipscope.methods.ays(pipe, model="sdxl").timesteps != SD15
    arguments = skipscope.set_sampler(policy, pipe)
    with applied(policy, pipe):
        assert torch.isfinite(call(pipe, num_inference_steps=None, **arguments)).all()


@pytest.mark.parametrize("steps", [4, 7, 20])
def test_ays_of_other_numbers_lies_between(pipe: Any, steps: int) -> None:
    timesteps = skipscope.methods.ays(pipe, steps=steps).timesteps
    assert timesteps is not None and len(timesteps) == steps
    assert abs(timesteps[0] - SD15[0]) <= 1 and abs(timesteps[-1] - SD15[-1]) <= 30
    assert all(later < earlier for earlier, later in pairwise(timesteps))


def test_ays_is_refused_for_another_noise_schedule(tiny_unet: Any) -> None:
    with pytest.raises(SamplerError, match="beta_schedule='scaled_linear', and this model's has 'squaredcos_cap_v2'"):
        skipscope.methods.ays(tiny_glide(tiny_unet))
    with pytest.raises(SamplerError, match=r"beta_end=0.012, and this model's has 0.02"):
        skipscope.methods.ays(stable_diffusion(scheduler=scheduler(beta_end=0.02)))
