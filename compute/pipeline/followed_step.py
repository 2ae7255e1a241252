"""A step of a followed run, and a run's beginning that is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from compute.pipeline.step_coefficients import StepCoefficients


@dataclass(frozen=True, kw_only=True)
class Step:
    """One sampling step, in the dtype of the run."""

    index: int
    """0 to N - 1; 0 is the noisiest."""
    timestep: float
    x_t: Float[Tensor, "B C H W"]
    """The step's input."""
    output: Float[Tensor, "B K H W"]
    """What the scheduler is given: the guided model output, with the learned sigma where the pipeline passes it on."""
    pred_x0: Float[Tensor, "B C H W"]
    """The guided prediction of the clean sample, clipped as the scheduler clips it; float32."""
    x_next: Float[Tensor, "B C H W"]
    """The scheduler's result. A pipeline may change it before the next step (inpainting does)."""


@dataclass(frozen=True, kw_only=True)
class Replay:
    """A run's beginning that is known: the outputs of steps 0 to `start` - 1, as `Step.output` has them."""

    start: int
    outputs: Float[Tensor, "steps B K H W"]


@dataclass(kw_only=True)
class OpenStep:
    """A step whose scheduler has not stepped yet."""

    x_t: Tensor
    coefficients: StepCoefficients | None
    output: Tensor | None = None

    def ended(self, index: int, timestep: float, scheduler: Any, x_next: Tensor) -> Step:
        """Return the step with its result."""
        assert self.output is not None and self.coefficients is not None
        prediction = self.output[:, : self.x_t.shape[1]].float()
        pred_x0 = self.coefficients.pred_x0(self.x_t.float(), prediction)
        if scheduler.config.get("thresholding", False):
            pred_x0 = scheduler._threshold_sample(pred_x0)
        return Step(index=index, timestep=timestep, x_t=self.x_t, output=self.output, pred_x0=pred_x0, x_next=x_next)
