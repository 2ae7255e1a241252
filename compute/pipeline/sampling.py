"""The sampling loop: a generator of steps, with classifier-free guidance and the reuse of the whole UNet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from compute.pipeline.noise import step_generators
from compute.pipeline.output_reuse import OutputHistory
from compute.pipeline.schedulers import Scheduler
from compute.unet.execution import Execution
from store.errors import SkipscopeError


@dataclass(frozen=True, kw_only=True)
class TextEncoding:
    """The UNet's text inputs for a batch of B prompts: rows 0 to B - 1 are the prompts', the others the empty prompt's.

    They do not depend on the step, so a prompt is encoded once.
    """

    sequence: Float[Tensor, "rows L D"]
    """For cross-attention; `rows` is 2B."""
    pooled: Float[Tensor, "rows E"]
    """For the time embedding."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One sampling step; all tensors are float32."""

    index: int
    """0 to N - 1; 0 is the noisiest."""
    t: int
    """The training timestep."""
    x_t: Float[Tensor, "B C H W"]
    """The step's input."""
    pred_x0: Float[Tensor, "B C H W"]
    """The guided prediction of the clean picture, clipped to the range of pixels."""
    x_next: Float[Tensor, "B C H W"]
    """The input of the next step; of the last step the final picture."""


def sample(
    unet: Any,
    scheduler: Scheduler,
    text: TextEncoding,
    x_t: Float[Tensor, "B C H W"],
    *,
    seeds: Sequence[int],
    guidance: float | Float[Tensor, " scales"],
    start: int = 0,
    stop: int | None = None,
    execution: Execution | None = None,
) -> Iterator[Step]:
    """Run steps `start` to `stop` - 1 from `x_t`, the input of step `start`, and yield each.

    `unet` is a `UNet2DConditionModel` with the inputs `encoder_hidden_states` and `class_labels` and with C or 2C
    output channels. It is called once per step, on 2B rows, or on B rows where every guidance scale is 1. `guidance` is
    one scale, or one per sample. The scheduler computes in float32 on the device of `x_t`, whatever the UNet's dtype.

    The noise depends on seed and step alone, so a run that starts later equals the run that it continues; but the
    values that `execution` reuses must be computed within this run. The consumer may stop the iteration early.

    Raises SkipscopeError for steps or sizes that do not match, before anything runs, and ReuseError at a step that
    reuses the UNet's output before this run has computed it.
    """
    batch, steps = len(x_t), len(scheduler.timesteps)
    stop = steps if stop is None else stop
    if not 0 <= start <= stop <= steps:
        raise SkipscopeError(f"sample: steps [{start}, {stop}) don't lie in the sampler's [0, {steps})")
    if len(seeds) != batch:
        raise SkipscopeError(f"sample: {len(seeds)} seeds for {batch} samples; give one seed a sample")
    if len(text.sequence) != 2 * batch or len(text.pooled) != 2 * batch:
        raise SkipscopeError(f"sample: text has {len(text.sequence)} rows; {batch} samples need {2 * batch}")
    scales = torch.as_tensor(guidance, dtype=torch.float32, device=x_t.device).flatten()
    if len(scales) not in (1, batch):
        raise SkipscopeError(f"sample: guidance has {len(scales)} values; give one, or one a sample ({batch})")
    predict = GuidedUNet(unet, text, scales.expand(batch))
    return _steps(predict, scheduler, x_t.float(), tuple(seeds), range(start, stop), execution)


@torch.inference_mode()
def _steps(
    predict: GuidedUNet,
    scheduler: Scheduler,
    x_t: Tensor,
    seeds: tuple[int, ...],
    indices: range,
    execution: Execution | None,
) -> Iterator[Step]:
    timesteps = scheduler.timesteps.tolist()
    history = OutputHistory(scheduler.config.clip_sample_range)
    if execution is not None:
        execution.reset()
    for index in indices:
        t = timesteps[index]
        alpha_bar = float(scheduler.alphas_cumprod[t])
        action = None
        if execution is not None:
            execution.begin_step(index)
            action = execution.unet_action(index)
        if action is not None and action.name == "reuse":
            output = history.reuse(action, index, x_t, alpha_bar)
        else:
            output = predict(x_t, t)
            if execution is not None:
                history.write(index, x_t, output, alpha_bar)
        output = strip_unused_sigma(output, x_t, scheduler)
        generators = step_generators(seeds, index)
        x_next, pred_x0 = scheduler.step(output, t, x_t, generator=generators, return_dict=False)
        yield Step(index=index, t=t, x_t=x_t, pred_x0=pred_x0, x_next=x_next)
        x_t = x_next


def strip_unused_sigma(
    output: Float[Tensor, "B K H W"], x_t: Float[Tensor, "B C H W"], scheduler: Any
) -> Float[Tensor, "B M H W"]:
    """Return a model output without its learned sigma, unless the scheduler is one that reads it."""
    reads_sigma = scheduler.config.get("variance_type") in ("learned", "learned_range")
    return output if reads_sigma else output[:, : x_t.shape[1]]


class GuidedUNet:
    """A UNet with classifier-free guidance (Ho & Salimans, arXiv 2207.12598).

    `scales` has one guidance scale per sample.
    """

    def __init__(self, unet: Any, text: TextEncoding, scales: Float[Tensor, " B"]) -> None:
        self._unet = unet
        self._guided = bool((scales != 1).any())
        rows = len(text.sequence) if self._guided else len(text.sequence) // 2
        self._sequence = text.sequence[:rows].to(scales.device, unet.dtype)
        self._pooled = text.pooled[:rows].to(scales.device, unet.dtype)
        self._scales = scales[:, None, None, None]

    def __call__(self, x_t: Float[Tensor, "B C H W"], t: int) -> Float[Tensor, "B K H W"]:
        """Return the guided eps at timestep `t` and, where the UNet learns it, the conditional sigma, in float32."""
        rows = torch.cat([x_t, x_t]) if self._guided else x_t
        timestep = torch.tensor(t, device=x_t.device)
        output: Tensor = self._unet(
            rows.to(self._unet.dtype), timestep, encoder_hidden_states=self._sequence, class_labels=self._pooled
        ).sample.float()
        if not self._guided:
            return output
        conditional, unconditional = output.chunk(2)
        eps, eps_empty = conditional[:, : x_t.shape[1]], unconditional[:, : x_t.shape[1]]
        return torch.cat([eps_empty + self._scales * (eps - eps_empty), conditional[:, x_t.shape[1] :]], dim=1)
