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
from torch import Tensor

from compute.pipeline import Step, TextEncoding, initial_noise, make_scheduler, sample, step_generators
from compute.pipeline.output_reuse import OutputHistory, ReuseError
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
        self.begun: list[int] = []
        self.resets = 0

    def reset(self) -> None:
        assert not self.begun
        self.resets += 1

    def begin_step(self, step: int) -> None:
        self.begun.append(step)

    def unet_action(self, step: int) -> Action | None:
        assert self.begun[-1] == step
        return self.actions.get(step)


class Scripted:
    """A UNet that returns a given output, (rows, 6, H, W), for each timestep, and records its calls."""

    dtype = torch.float32

    def __init__(self, script: Mapping[int, Tensor]) -> None:
        self.script, self.calls = script, list[int]()

    def __call__(self, x: Tensor, t: Tensor, **_: Any) -> Any:
        self.calls.append(int(t))
        return SimpleNamespace(sample=self.script[int(t)])


def scripted(config: SamplerSettings) -> Scripted:
    """Return a UNet with random outputs at the sampler's timesteps."""
    generator = torch.Generator().manual_seed(4)
    timesteps = make_scheduler({}, config).timesteps.tolist()
    eps = {t: torch.randn(4, 3, 4, 4, generator=generator) for t in timesteps}
    sigma = {t: torch.rand(4, 3, 4, 4, generator=generator) * 2 - 1 for t in timesteps}
    return Scripted({t: torch.cat([eps[t], sigma[t]], dim=1) for t in timesteps})


def run(
    unet: Scripted, config: SamplerSettings, execution: Execution | None, start: int = 0, x_t: Tensor | None = None
) -> list[Step]:
    text = TextEncoding(sequence=torch.zeros(4, 2, 8), pooled=torch.zeros(4, 8))
    x_t = initial_noise(SEEDS, SHAPE) if x_t is None else x_t
    scheduler = make_scheduler({}, config)
    return list(sample(unet, scheduler, text, x_t, seeds=SEEDS, guidance=2.0, start=start, execution=execution))


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
    x_next: Tensor = scheduler.step(output, step.t, step.x_t, generator=generators, return_dict=False)[0]
    return x_next


def alpha_bar(config: SamplerSettings, t: int) -> float:
    return float(make_scheduler({}, config).alphas_cumprod[t])


def reuse(order: int, space: str | None) -> Action:
    return Action(name="reuse", order=order, space=space)  # type: ignore[arg-type]


@each_sampler
def test_an_execution_without_unet_actions_changes_nothing(config: SamplerSettings) -> None:
    execution = UNetActions({3: Action(name="compute")})
    plain, executed = run(scripted(config), config, None), run(scripted(config), config, execution)
    assert execution.resets == 1
    assert execution.begun == list(range(STEPS))
    assert all(torch.equal(a.x_next, b.x_next) for a, b in zip(plain, executed, strict=True))


@each_sampler
def test_the_unet_is_not_called_at_a_reused_step_and_the_step_still_begins(config: SamplerSettings) -> None:
    unet, execution = scripted(config), UNetActions({4: reuse(0, None), 5: reuse(0, "x0"), 8: reuse(1, "eps")})
    steps = run(unet, config, execution)
    assert unet.calls == [step.t for step in steps if step.index not in (4, 5, 8)]
    assert execution.begun == list(range(STEPS))


@each_sampler
@pytest.mark.parametrize("space", ["eps", None])
def test_eps_is_repeated_with_its_sigma(config: SamplerSettings, space: str | None) -> None:
    unet = scripted(config)
    steps = run(unet, config, UNetActions({4: reuse(0, space), 5: reuse(0, space)}))
    for index in (4, 5):
        expected = next_state(config, steps[index], guided(unet.script[steps[3].t]))
        torch.testing.assert_close(steps[index].x_next, expected)


@each_sampler
def test_eps_is_extrapolated_over_the_step_index(config: SamplerSettings) -> None:
    unet = scripted(config)
    steps = run(unet, config, UNetActions({3: reuse(1, "eps"), 5: reuse(1, "eps"), 6: reuse(1, "eps")}))
    two, four = guided(unet.script[steps[2].t]), guided(unet.script[steps[4].t])
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
        kept = alpha_bar(config, steps[index].t)
        eps = (steps[index].x_t - math.sqrt(kept) * steps[3].pred_x0) / math.sqrt(1 - kept)
        expected = next_state(config, steps[index], torch.cat([eps, guided(unet.script[steps[3].t])[:, 3:]], dim=1))
        torch.testing.assert_close(steps[index].x_next, expected, atol=1e-4, rtol=1e-4)


@each_sampler
def test_x0_is_extrapolated_and_clipped(config: SamplerSettings) -> None:
    steps = run(scripted(config), config, UNetActions({5: reuse(1, "x0"), 6: reuse(1, "x0")}))
    for index in (5, 6):
        line = steps[3].pred_x0 + (index - 3) / (4 - 3) * (steps[4].pred_x0 - steps[3].pred_x0)
        assert line.abs().max() > 1
        torch.testing.assert_close(steps[index].pred_x0, line.clamp(-1, 1), atol=1e-4, rtol=1e-4)


def test_eps_follows_from_the_clipped_x0() -> None:
    history, x_t, alpha_bar = OutputHistory(1.0), torch.zeros(1, *SHAPE), 0.5
    for step, picture in enumerate((0.2, 0.9)):
        eps = torch.full((1, *SHAPE), -picture)  # where alpha_bar is 0.5 and x_t 0, x0 is -eps
        history.write(step, x_t, eps, alpha_bar)
    torch.testing.assert_close(history.reuse(reuse(1, "x0"), 2, x_t, alpha_bar), torch.full((1, *SHAPE), -1.0))
    torch.testing.assert_close(history.reuse(reuse(1, "eps"), 2, x_t, alpha_bar), torch.full((1, *SHAPE), -1.6))


def test_repeating_eps_is_repeating_x0_in_ddim_but_not_in_ddpm() -> None:
    """After a deterministic step the last eps and the last x0 both explain `x_t`, after added noise they do not."""
    for config, equal in ((DDIM, True), (DDPM, False)):
        eps, x0 = (run(scripted(config), config, UNetActions({4: reuse(0, space)})) for space in ("eps", "x0"))
        assert torch.allclose(eps[4].x_next, x0[4].x_next, atol=1e-3) == equal


@each_sampler
def test_a_run_may_start_at_the_first_source(config: SamplerSettings) -> None:
    actions = {5: reuse(1, "x0"), 7: reuse(0, "eps")}
    whole = run(scripted(config), config, UNetActions(actions))
    started = run(scripted(config), config, UNetActions(actions), start=3, x_t=whole[3].x_t)
    assert all(torch.equal(a.x_next, b.x_next) for a, b in zip(whole[3:], started, strict=True))


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
    order=st.integers(0, 1),
    space=st.sampled_from(["eps", "x0"]),
)
@settings(max_examples=30, deadline=None)
def test_a_constant_prediction_is_reused_exactly(reused: set[int], order: int, space: str) -> None:
    """Reuse of x0 changes nothing where the UNet always predicts the same picture, reuse of eps where the same eps."""
    unet = scripted(DDIM)
    picture = torch.linspace(-0.5, 0.5, 2 * 48).reshape(2, *SHAPE)

    class Constant(Scripted):
        def __call__(self, x: Tensor, t: Tensor, **_: Any) -> Any:
            self.calls.append(int(t))
            kept = alpha_bar(DDIM, int(t))
            eps = picture.repeat(2, 1, 1, 1)
            if space == "x0":
                eps = (x - math.sqrt(kept) * eps) / math.sqrt(1 - kept)
            return SimpleNamespace(sample=torch.cat([eps, eps], dim=1))

    full = run(Constant(unet.script), DDIM, None)
    constant = Constant(unet.script)
    skipped = run(constant, DDIM, UNetActions({index: reuse(order, space) for index in reused}))
    assert len(constant.calls) == STEPS - len(reused)
    torch.testing.assert_close(skipped[-1].x_next, full[-1].x_next, atol=1e-3, rtol=1e-3)
