"""GLIDE's upsampler as a diffusers pipeline: from a picture of low resolution to one of high resolution."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from compute.models.glide.inputs import (
    Generators,
    OutputType,
    Picture,
    PipelineInputError,
    Seeds,
    checked_prompts,
    pictures,
)
from compute.models.glide.respacing import FAST27, respaced_timesteps
from compute.models.glide.stage import GlideStage, Sampling, StepEndCallback

UPSAMPLER_NOISE = 0.997
"""The factor of the initial noise in OpenAI's notebooks; 1 gives sharper pictures with some grain."""


class UpsamplingStage(GlideStage):
    """What the upsampler has with and without inpainting: its low-resolution picture and its timesteps."""

    def _low_resolution(self, image: Any, batch: int) -> Float[Tensor, "B 3 H W"]:
        """Return the low-resolution pictures at full size, as the UNet reads them. Raises PipelineInputError.

        They are rounded to the 256 values of an image first, as in OpenAI's notebooks, so that a tensor and the image
        made from it give the same. Enlarging is bilinear.
        """
        low = pictures("image", image, batch)
        if max(low.shape[2:]) > self.side:
            raise PipelineInputError(
                f"image: {low.shape[2]}x{low.shape[3]} pixels; at most {self.side}x{self.side} is accepted"
            )
        rounded = ((low.clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1
        return F.interpolate(rounded, (self.side, self.side), mode="bilinear", align_corners=False)

    def _timesteps(self, steps: int | None, timesteps: list[int] | None) -> list[int] | None:
        """Return the timesteps of a call; "fast27" where neither they nor their number are given."""
        if steps is None and timesteps is None:
            return respaced_timesteps(FAST27, int(self.scheduler.config.num_train_timesteps))
        return timesteps


class GlideUpsamplerPipeline(UpsamplingStage):
    """Samples square pictures with `unet.config.sample_size` pixels a side from prompts and small pictures."""

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | list[str],
        image: Picture,
        *,
        num_inference_steps: int | None = None,
        guidance_scale: float = 1.0,
        noise_scale: float = UPSAMPLER_NOISE,
        seed: Seeds | None = None,
        generator: Generators | None = None,
        latents: Float[Tensor, "B C H W"] | None = None,
        timesteps: list[int] | None = None,
        output_type: OutputType = "pil",
        return_dict: bool = True,
        callback_on_step_end: StepEndCallback | None = None,
    ) -> Any:
        """Sample a picture of each prompt that looks like `image`, the picture of low resolution.

        `image` is a tensor (B, 3, h, w) in [-1, 1], a PIL image, or a list of either; one for all prompts, or one each.
        Without `num_inference_steps` and `timesteps` the timesteps are GLIDE's "fast27". `noise_scale` is the factor
        of the initial noise, also of `latents`. The other arguments and the result are those of GlidePipeline.
        Raises PipelineInputError for arguments that are not accepted.
        """
        prompts = checked_prompts(prompt)
        sampling = Sampling(
            num_inference_steps=num_inference_steps,
            guidance_scale=guidance_scale,
            seed=seed,
            generator=generator,
            latents=latents,
            timesteps=self._timesteps(num_inference_steps, timesteps),
            output_type=output_type,
            return_dict=return_dict,
            callback_on_step_end=callback_on_step_end,
            noise_scale=noise_scale,
        )
        return self._sample(prompts, sampling, self._low_resolution(image, len(prompts)))
