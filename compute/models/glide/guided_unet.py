"""GLIDE's UNet with classifier-free guidance."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class TextEncoding:
    """The UNet's text inputs for a batch of B prompts: rows 0 to B - 1 are the prompts', the others the empty prompt's.

    They do not depend on the step, so a prompt is encoded once.
    """

    sequence: Float[Tensor, "rows L D"]
    """For cross-attention; `rows` is 2B."""
    pooled: Float[Tensor, "rows E"]
    """For the time embedding."""


def strip_unused_sigma(
    output: Float[Tensor, "B K H W"], x_t: Float[Tensor, "B C H W"], scheduler: Any
) -> Float[Tensor, "B M H W"]:
    """Return a model output without its learned sigma, unless the scheduler is one that reads it.

    A scheduler made from another's configuration also holds the options that it does not know itself.
    """
    knows_option = "variance_type" in inspect.signature(type(scheduler).__init__).parameters
    reads_sigma = knows_option and scheduler.config.get("variance_type") in ("learned", "learned_range")
    return output if reads_sigma else output[:, : x_t.shape[1]]


class GuidedUNet:
    """A UNet with classifier-free guidance (Ho & Salimans, arXiv 2207.12598).

    `scales` has one guidance scale per sample. `condition` is what the UNet reads beside `x_t`, in further channels.
    """

    def __init__(
        self,
        unet: Any,
        text: TextEncoding,
        scales: Float[Tensor, " B"],
        condition: Float[Tensor, "B K H W"] | None = None,
    ) -> None:
        self._unet, self._dtype = unet, unet.dtype  # diffusers looks the dtype up in every module, each time
        self._guided = bool((scales != 1).any())
        rows = len(text.sequence) if self._guided else len(text.sequence) // 2
        self._sequence = text.sequence[:rows].to(scales.device, self._dtype)
        self._pooled = text.pooled[:rows].to(scales.device, self._dtype)
        self._scales = scales[:, None, None, None]
        self._condition = condition

    def __call__(self, x_t: Float[Tensor, "B C H W"], t: Tensor) -> Float[Tensor, "B K H W"]:
        """Return the guided eps at timestep `t` and, where the UNet learns it, the conditional sigma, in float32."""
        rows = x_t if self._condition is None else torch.cat([x_t, self._condition.to(x_t)], dim=1)
        rows = torch.cat([rows, rows]) if self._guided else rows
        output: Tensor = self._unet(
            rows.to(self._dtype), t, encoder_hidden_states=self._sequence, class_labels=self._pooled
        ).sample.float()
        if not self._guided:
            return output
        conditional, unconditional = output.chunk(2)
        eps, eps_empty = conditional[:, : x_t.shape[1]], unconditional[:, : x_t.shape[1]]
        return torch.cat([eps_empty + self._scales * (eps - eps_empty), conditional[:, x_t.shape[1] :]], dim=1)
