"""GLIDE as a diffusers pipeline: text transformer, UNet and scheduler in one folder."""

from __future__ import annotations

from collections.abc import Sequence

from diffusers import DDPMScheduler, DiffusionPipeline, UNet2DConditionModel
from jaxtyping import Float
from torch import Tensor

from compute.models.text import TextTransformer


class GlidePipeline(DiffusionPipeline):
    """GLIDE's base stage: from a prompt to a picture of `unet.config.sample_size` pixels square."""

    model_cpu_offload_seq = "text_encoder->unet"
    text_encoder: TextTransformer
    unet: UNet2DConditionModel
    scheduler: DDPMScheduler

    def __init__(self, text_encoder: TextTransformer, unet: UNet2DConditionModel, scheduler: DDPMScheduler) -> None:
        super().__init__()
        self.register_modules(text_encoder=text_encoder, unet=unet, scheduler=scheduler)

    def encode(self, prompts: Sequence[str]) -> tuple[Float[Tensor, "B L D"], Float[Tensor, "B E"]]:
        """The text transformer's sequence and pooled vector for each prompt; the empty one is the unconditional."""
        encoded: tuple[Tensor, Tensor] = self.text_encoder(*self.text_encoder.tokenize(prompts))
        return encoded
