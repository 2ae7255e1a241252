"""The reused output of the whole UNet at dropped steps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from compute.pipeline import Replay, RunFollower, Step, following, initial_noise, make_scheduler, step_generators
from compute.pipeline.output_reuse import OutputHistory, ReuseError
from compute.pipeline.step_coefficients import StepCoefficients
from compute.unet import Execution
from store.records import Action
from store.sampler import SamplerSettings

SHAPE = (3, 4, 4)
SEEDS = [1, 2]
STEPS = 10
DDPM, DDIM = SamplerSettings(name="ddpm", steps=STEPS), SamplerSettings(name="ddim", steps=STEPS)
each_sampler = pytest.mark.parametrize("config", [DDPM, DDIM], ids=["ddpm", "ddim"])


class UNetActions(Execution):
    """An execution with actions on `unet` alone, which records the steps that begin."""

    def __init__(self, actions: Mapping[int, Action]) -> None:
        self.actions = actions
        steps = [SimpleNamespace(unet=action, guidance=None) for action in actions.values()]
        self.resolved: Any = SimpleNamespace(steps=steps)
        self.begun: list[int] = []
        self.resets = 0

    def reset(self) -> None:
        self.resets += 1

    def begin_step(self, step: int) -> None:
        self.begun.append(step)

    def unet_action(self, step: int) -> Action | None:
        assert self.begun[-1] == step
        return self.actions.get(step)


class Scripted(nn.Module):
    """A UNet that returns a given output, (rows, 6, H, W), for each timestep, and records its calls."""

    config = SimpleNamespace(out_channels=6)

    def __init__(self, script: Mapping[int, Tensor]) -> None:
        super().__init__()
        self.script, self.calls = script, list[int]()

    def forward(self, sample: Tensor, timestep: Tensor) -> Any:
        self.calls.append(int(timestep))
        return SimpleNamespace(sample=self.script[int(timestep)])


class Loop:
    """A pipeline around a scripted UNet."""

    def __init__(self, unet: Scripted, scheduler: Any) -> None:
        self.unet, self.scheduler = unet, scheduler

    def __call__(self) -> None:
        x_t = initial_noise(SEEDS, SHAPE)
        self.scheduler.set_timesteps(STEPS)
        for t in self.scheduler.timesteps:
            output = guided(self.unet(torch.cat([x_t, x_t]), t).sample)
            output = output if "variance_type" in self.scheduler.config else output[:, :3]
            x_t = self.scheduler.step(output, t, x_t, return_dict=False)[0]


def scripted(config: SamplerSettings) -> Scripted:
    """Return a UNet with random outputs at the sampler's timesteps."""
    generator = torch.Generator().manual_seed(4)
    timesteps = make_scheduler({}, config).timesteps.tolist()
    eps = {t: torch.randn(4, 3, 4, 4, generator=generator) for t in timesteps}
    sigma = {t: torch.rand(4, 3, 4, 4, generator=generator) * 2 - 1 for t in timesteps}
    return Scripted({t: torch.cat([eps[t], sigma[t]], dim=1) for t in timesteps})


def run(
    unet: Scripted, config: SamplerSettings, execution: Execution | None, replay: Replay | None = None
) -> list[Step]:
    """Return the steps of a run that is followed, with the noise of SEEDS."""
    steps: list[Step] = []
    pipe = Loop(unet, make_scheduler({}, config))
    follower = RunFollower(pipe, execution=execution, seeds=SEEDS, on_step=steps.append, replay=replay)
    with following(pipe, unet, follower):
        pipe()
    return steps


def guided(output: Tensor) -> Tensor:
    """Return the guided eps and the conditional sigma, at the guidance of `run`."""
    conditional, unconditional = output.chunk(2)
    eps = unconditional[:, :3] + 2.0 * (conditional[:, :3] - unconditional[:, :3])
    return torch.cat([eps, conditional[:, 3:]], dim=1)


def next_state(config: SamplerSettings, step: Step, output: Tensor) -> Tensor:
    """Return the scheduler's `x_next` for `output` at a step."""
    scheduler = make_scheduler({}, config)
    output = output if config.name == "ddpm" else output[:, :3]
    generators = step_generators(SEEDS, step.index)
    x_next: Tensor = scheduler.step(output, int(step.timestep), step.x_t, generator=generators, return_dict=False)[0]
    return x_next


def alpha_bar(config: SamplerSettings, t: int) -> float:
    return float(make_scheduler({}, config).alphas_cumprod[t])


def reuse(order: int, space: str | None) -> Action:
    return Action(name="reuse", order=order, space=space)  # type: ignore[arg-type]


@each_sampler
def test_an_execution_without_unet_actions_changes_nothing(config: SamplerSettings) -> None:
    execution = UNetActions({})
    plain, executed = run(scripted(config), config, None), run(scripted(config), config, execution)
    assert execution.resets == 2, "before the run and after it"
    assert execution.begun == list(range(STEPS))
    assert all(torch.equal(a.x_next, b.x_next) for a, b in zip(plain, executed, strict=True))


@each_sampler
def test_the_unet_is_not_called_at_a_reused_step_and_the_step_still_begins(config: SamplerSettings) -> None:
    unet, execution = scripted(config), UNetActions({4: reuse(0, None), 5: reuse(0, "x0"), 8: reuse(1, "eps")})
    steps = run(unet, config, execution)
    assert unet.calls == [int(step.timestep) for step in steps if step.index not in (4, 5, 8)]
    assert execution.begun == list(range(STEPS))


@each_sampler
@pytest.mark.parametrize("space", ["eps", None])
def test_eps_is_repeated_with_its_sigma(config: SamplerSettings, space: str | None) -> None:
    unet = scripted(config)
    steps = run(unet, config, UNetActions({4: reuse(0, space), 5: reuse(0, space)}))
    for index in (4, 5):
        expected = next_state(config, steps[index], guided(unet.script[int(steps[3].timestep)]))
        torch.testing.assert_close(steps[index].x_next, expected)


@each_sampler
def test_eps_is_extrapolated_over_the_step_index(config: SamplerSettings) -> None:
    unet = scripted(config)
    steps = run(unet, config, UNetActions({3: reuse(1, "eps"), 5: reuse(1, "eps"), 6: reuse(1, "eps")}))
    two, four = guided(unet.script[int(steps[2].timestep)]), guided(unet.script[int(steps[4].timestep)])
    for index in (5, 6):
        eps = two[:, :3] + (index - 2) / (4 - 2) * (four[:, :3] - two[:, :3])  # a line through steps 2 and 4
        expected = next_state(config, steps[index], torch.cat([eps, four[:, 3:]], dim=1))
        torch.testing.assert_close(steps[index].x_next, expected, atol=1e-4, rtol=1e-4)


@each_sampler
def test_x0_is_repeated_and_eps_follows_from_the_current_state(config: SamplerSettings) -> None:
    unet = scripted(config)
    steps = run(unet, config, UNetActions({4: reuse(0, "x0"), 5: reuse(0, "x0")}))
    for index in (4, 5):
        torch.testing.assert_close(steps[index].pred_x0, steps[3].pred_x0, atol=1e-4, rtol=1e-4)
        kept = alpha_bar(config, int(steps[index].timestep))
        eps = (steps[index].x_t - math.sqrt(kept) * steps[3].pred_x0) / math.sqrt(1 - kept)
        expected = next_state(
            config, steps[index], torch.cat([eps, guided(unet.script[int(steps[3].timestep)])[:, 3:]], dim=1)
        )
        torch.testing.assert_close(steps[index].x_next, expected, atol=1e-4, rtol=1e-4)


@each_sampler
def test_x0_is_extrapolated_and_clipped(config: SamplerSettings) -> None:
    steps = run(scripted(config), config, UNetActions({5: reuse(1, "x0"), 6: reuse(1, "x0")}))
    for index in (5, 6):
        line = steps[3].pred_x0 + (index - 3) / (4 - 3) * (steps[4].pred_x0 - steps[3].pred_x0)
        assert line.abs().max() > 1
        torch.testing.assert_close(steps[index].pred_x0, line.clamp(-1, 1), atol=1e-4, rtol=1e-4)


def test_eps_follows_from_the_clipped_x0() -> None:
    history, x_t, half = OutputHistory(), torch.zeros(1, *SHAPE), math.sqrt(0.5)
    at = StepCoefficients(alpha=half, sigma=half, skip=1 / half, out=-1.0, predicts_eps=True, clip=1.0)
    for step, picture in enumerate((0.2, 0.9)):
        eps = torch.full((1, *SHAPE), -picture)  # where alpha_bar is 0.5 and x_t 0, x0 is -eps
        history.write(step, x_t, eps, at)
    torch.testing.assert_close(history.reuse(reuse(1, "x0"), 2, x_t, at), torch.full((1, *SHAPE), -1.0))
    torch.testing.assert_close(history.reuse(reuse(1, "eps"), 2, x_t, at), torch.full((1, *SHAPE), -1.6))


def test_repeating_eps_is_repeating_x0_in_ddim_but_not_in_ddpm() -> None:
    """After a deterministic step the last eps and the last x0 both explain `x_t`, after added noise they do not."""
    for config, equal in ((DDIM, True), (DDPM, False)):
        eps, x0 = (run(scripted(config), config, UNetActions({4: reuse(0, space)})) for space in ("eps", "x0"))
        assert torch.allclose(eps[4].x_next, x0[4].x_next, atol=1e-3) == equal


@each_sampler
def test_a_replayed_run_reuses_what_was_replayed(config: SamplerSettings) -> None:
    actions = {5: reuse(1, "x0"), 7: reuse(0, "eps")}
    full, whole = run(scripted(config), config, None), run(scripted(config), config, UNetActions(actions))
    replay = Replay(start=5, outputs=torch.stack([step.output for step in full[:5]]))
    unet = scripted(config)
    continued = run(unet, config, UNetActions(actions), replay)
    assert len(unet.calls) == 3
    assert all(torch.equal(a.x_next, b.x_next) for a, b in zip(whole, continued, strict=True))


@pytest.mark.parametrize(
    ("order", "reused_at", "message"),
    [
        (0, 0, "step 0 reuses unet at order 0, but 0 earlier steps of this run computed it; it needs 1"),
        (1, 1, "step 1 reuses unet at order 1, but 1 earlier step of this run computed it; it needs 2"),
    ],
)
def test_reuse_before_enough_steps_were_computed_is_refused(order: int, reused_at: int, message: str) -> None:
    with pytest.raises(ReuseError, match=message):
        run(scripted(DDPM), DDPM, UNetActions({reused_at: reuse(order, "eps")}))


@given(
    reused=st.sets(st.integers(3, STEPS - 1)),
    order=st.integers(0, 2),
    space=st.sampled_from(["eps", "x0"]),
)
@settings(max_examples=30, deadline=None)
def test_a_constant_prediction_is_reused_exactly(reused: set[int], order: int, space: str) -> None:
    """Reuse of x0 changes nothing where the UNet always predicts the same picture, reuse of eps where the same eps."""
    reused = {step for step in reused if order < 2 or step in (5, 8)}  # a parabola multiplies the first steps' rounding
    unet = scripted(DDIM)
    picture = torch.linspace(-0.5, 0.5, 2 * 48).reshape(2, *SHAPE)

    class Constant(Scripted):
        def forward(self, sample: Tensor, timestep: Tensor) -> Any:
            self.calls.append(int(timestep))
            kept = alpha_bar(DDIM, int(timestep))
            eps = picture.repeat(2, 1, 1, 1)
            if space == "x0":
                eps = (sample - math.sqrt(kept) * eps) / math.sqrt(1 - kept)
            return SimpleNamespace(sample=torch.cat([eps, eps], dim=1))

    full, constant = run(Constant(unet.script), DDIM, None), Constant(unet.script)
    skipped = run(constant, DDIM, UNetActions({index: reuse(order, space) for index in reused}))
    assert len(constant.calls) == STEPS - len(reused)
    torch.testing.assert_close(skipped[-1].x_next, full[-1].x_next, atol=1e-3, rtol=1e-3)
