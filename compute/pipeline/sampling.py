"""The sampling loop: a generator of steps, with classifier-free guidance and skipped UNet steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from compute.pipeline.noise import step_generators
from compute.pipeline.output_reuse import OutputMemory
from compute.pipeline.schedulers import Scheduler
from compute.unet.execution import Execution
from store.errors import SkipscopeError


@dataclass(frozen=True, kw_only=True)
class TextEncoding:
    """What the UNet reads of a batch of prompts: rows 0…B−1 are the prompts, rows B…2B−1 the empty prompt.

    It does not depend on the step: encode once a prompt.
    """

    sequence: Float[Tensor, "2B L D"]
    pooled: Float[Tensor, "2B E"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One sampling step, all tensors float32."""

    index: int
    """0 … N−1; 0 is the noisiest."""
    t: int
    """The training timestep."""
    x_t: Float[Tensor, "B C H W"]
    """The input of the step."""
    pred_x0: Float[Tensor, "B C H W"]
    """The guided prediction of the clean picture, clipped to the range of pixels."""
    x_next: Float[Tensor, "B C H W"]
    """The input of the next step; of the last step: the final picture."""


def sample(
    unet: Any,
    scheduler: Scheduler,
    text: TextEncoding,
    x_t: Float[Tensor, "B C H W"],
    *,
    seeds: Sequence[int],
    guidance: float | Float[Tensor, " B"],
    start: int = 0,
    stop: int | None = None,
    execution: Execution | None = None,
) -> Iterator[Step]:
    """Run steps `start` … `stop`−1 from `x_t`, the input of step `start`, and yield each; the consumer may leave early.

    `unet` is a `UNet2DConditionModel` that reads `encoder_hidden_states` and `class_labels`, with C or 2C output
    channels; it is called once a step, on 2B rows, or on B rows where every guidance is 1. The scheduler's mathematics
    are done in float32 on the device of `x_t`, whatever the UNet's dtype. Fresh noise depends on seed and step alone,
    so a run that starts later equals the run it continues; but what `acts` reuses must be computed within this run, as
    nothing is kept from another. Raises SkipscopeError for sizes or steps that don't fit, and, while it runs,
    ReuseError where the UNet's output is reused before this run computed it.
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
    predict = Guided(unet, text, scales.expand(batch))
    return _steps(predict, scheduler, x_t.float(), tuple(seeds), range(start, stop), execution)


@torch.inference_mode()
def _steps(
    predict: Guided,
    scheduler: Scheduler,
    x_t: Tensor,
    seeds: tuple[int, ...],
    indices: range,
    execution: Execution | None,
) -> Iterator[Step]:
    timesteps = scheduler.timesteps.tolist()
    memory = OutputMemory(scheduler.config.clip_sample_range)
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
            output = memory.reuse(action, index, x_t, alpha_bar)
        else:
            output = predict(x_t, t)
            if execution is not None:
                memory.write(index, x_t, output, alpha_bar)
        x_next, pred_x0 = scheduler.step(
            for_scheduler(output, x_t, scheduler), t, x_t, generator=step_generators(seeds, index), return_dict=False
        )
        yield Step(index=index, t=t, x_t=x_t, pred_x0=pred_x0, x_next=x_next)
        x_t = x_next


def for_scheduler(output: Tensor, x_t: Tensor, scheduler: Any) -> Tensor:
    """The model's output with its learned sigma only where the scheduler would split it off."""
    reads_sigma = scheduler.config.get("variance_type") in ("learned", "learned_range")
    return output if reads_sigma else output[:, : x_t.shape[1]]


class Guided:
    """The UNet under classifier-free guidance: `x_t` and t to guided eps and the conditional sigma, in float32."""

    def __init__(self, unet: Any, text: TextEncoding, scales: Tensor) -> None:
        self._unet = unet
        self._guided = bool((scales != 1).any())
        rows = len(text.sequence) if self._guided else len(text.sequence) // 2
        self._sequence = text.sequence[:rows].to(scales.device, unet.dtype)
        self._pooled = text.pooled[:rows].to(scales.device, unet.dtype)
        self._scales = scales[:, None, None, None]

    def __call__(self, x_t: Float[Tensor, "B C H W"], t: int) -> Float[Tensor, "B K H W"]:
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
