"""A run of a pipeline without its UNet, which shows what only a run can: its steps, and the inputs of its UNet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from compute.pipeline.batch_halves import mix_of
from compute.pipeline.follow import following
from compute.pipeline.patched_calls import UNetArguments, UNetCall
from compute.pipeline.resting_guidance import has_equal_halves, known_halves
from compute.pipeline.run_scheduler import run_scheduler
from compute.pipeline.run_steps import FollowError, RunSteps, run_steps, timestep_number
from compute.policy.run_scheduler import RunScheduler

RUN_ERRORS = (ValueError, TypeError, AttributeError, LookupError, RuntimeError, NotImplementedError)
"""What pipelines raise for arguments that they do not accept."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What a run has shown of its pipeline."""

    steps: RunSteps
    state_shape: tuple[int, ...]
    """The shape of `x_t` without its batch axis."""
    state_dtype: torch.dtype
    picture_shape: tuple[int, ...]
    """The shape of a picture: (3, height, width)."""
    output_channels: int
    """The channels of the scheduler's input: those of `x_t`, or twice as many where the model learns sigma."""
    scheduler: RunScheduler
    """What the scheduler makes of the outputs."""
    unet_arguments: UNetArguments
    """The arguments of the first call of the UNet."""
    guides_in_one_batch: bool
    """Whether every step mixes two halves of one batch, so that guidance can rest."""


def probe(pipe: Any, unet: Any, run: Callable[[], np.ndarray]) -> Probe:
    """Return what a run shows. `run` calls the pipeline and returns its pictures (B, H, W, 3).

    The UNet puts out numbers that show how they are mixed, or NaN, and the scheduler gets zeros instead.
    Raises FollowError where the run does not make one scheduler step after each prediction.
    """
    follower = _ProbeFollower(pipe)
    with torch.no_grad(), following(pipe, unet, follower):
        height, width, channels = run().shape[1:]
    return follower.result((channels, height, width))


def refusal(error: Exception) -> str:
    """Return the first line of what a pipeline says of arguments that it refuses, by one of RUN_ERRORS."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]


class _ProbeFollower:
    """Counts the steps of a run and keeps the arguments of its first call of the UNet."""

    def __init__(self, pipe: Any) -> None:
        self.active = True
        self._pipe = pipe
        self._scheduler: Any = None
        self._arguments: UNetArguments | None = None
        self._made = 0
        self._steps: RunSteps | None = None
        self._does: RunScheduler | None = None
        self._state: Tensor | None = None
        self._channels = 0
        self._halves: Tensor | None = None
        self._guides = True

    def claim_run(self) -> None:
        pass

    def begin_run(self, scheduler: Any) -> None:
        self._scheduler, self._made = scheduler, 0

    def unet_output(self, call: UNetCall) -> Any:
        arguments = call.arguments
        if self._arguments is None:
            self._arguments = arguments
            self._steps = run_steps(self._pipe, self._scheduler, timestep_number(arguments.timestep))
            self._does = run_scheduler(self._scheduler, self._steps)
        self._halves = known_halves(call) if self._halves is None and has_equal_halves(call) else None
        self._guides = self._guides and self._halves is not None
        return call.skipped() if self._halves is None else call.known(self._halves)

    def _is_guided(self, x_t: Tensor, output: Tensor) -> bool:
        """Return whether a step guides in one batch: whether its output is a mix of the halves that were put out."""
        if self._halves is None or len(self._halves) != 2 * len(x_t) or len(output) != len(x_t):
            return False
        first, second = self._halves[:, : x_t.shape[1]].chunk(2)
        rescaled = bool(getattr(self._pipe, "guidance_rescale", 0))
        try:
            mix = mix_of(first, second, output[:, : x_t.shape[1]], where="a step", is_rescaled=rescaled)
        except FollowError:
            return False
        return mix.conditional is not None

    def scheduler_arguments(self, scheduler: Any, arguments: dict[str, Any]) -> None:
        self._state, output = arguments["sample"], arguments["model_output"]
        self._guides = self._guides and self._is_guided(self._state, output)
        self._halves = None
        self._channels = output.shape[1]
        arguments["model_output"] = torch.zeros_like(output)

    def end_step(self, scheduler: Any, x_next: Tensor) -> None:
        self._made += 1

    def result(self, picture_shape: tuple[int, ...]) -> Probe:
        """Return what was seen. Raises FollowError where UNet, scheduler and timesteps do not belong together."""
        name = type(self._pipe).__name__
        if self._steps is None or self._does is None or self._arguments is None or self._state is None:
            raise FollowError(f"pipe: a run of this {name} calls its UNet or its scheduler's step not once")
        if self._made != len(self._steps):
            raise FollowError(
                f"pipe: a run of this {name} has {len(self._steps)} timesteps and makes {self._made} scheduler steps; "
                "a pipeline that steps once for each timestep is supported"
            )
        return Probe(
            steps=self._steps,
            state_shape=tuple(self._state.shape[1:]),
            state_dtype=self._state.dtype,
            picture_shape=picture_shape,
            output_channels=self._channels,
            scheduler=self._does,
            unet_arguments=self._arguments,
            guides_in_one_batch=self._guides,
        )
