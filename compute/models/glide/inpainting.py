"""GLIDE's inpainting checkpoints as diffusers pipelines: base and upsampler with a part of the picture known.

The argument names are those of diffusers' DeepFloyd pipelines.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from compute.models.glide.inputs import (
    Generators,
    OutputType,
    Picture,
    Seeds,
    checked_prompts,
    masks,
    pictures,
)
from compute.models.glide.stage import GlideStage, KnownPart, Sampling, StepEndCallback
from compute.models.glide.upsampler import UPSAMPLER_NOISE, UpsamplingStage


def _known_part(stage: GlideStage, name: str, image: Any, mask_image: Any, batch: int) -> KnownPart:
    """Return what is known: the picture outside the mask. Raises PipelineInputError."""
    device = stage._execution_device
    picture = pictures(name, image, batch, stage.side).to(device)
    return KnownPart(picture=picture, mask=1 - masks("mask_image", mask_image, batch, stage.side).to(device))


class GlideInpaintPipeline(GlideStage):
    """Samples the masked part of square pictures from prompts."""

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | list[str],
        image: Picture,
        mask_image: Any,
        *,
        num_inference_steps: int = 25,
        guidance_scale: float = 5.0,
        seed: Seeds | None = None,
        generator: Generators | None = None,
        latents: Float[Tensor, "B C H W"] | None = None,
        timesteps: list[int] | None = None,
        output_type: OutputType = "pil",
        return_dict: bool = True,
        callback_on_step_end: StepEndCallback | None = None,
    ) -> Any:
        """Sample a picture of each prompt that is `image` outside the mask.

        `mask_image` is white (1) where the picture is sampled and black (0) where it is kept: an image, or a tensor
        (B, 1, H, W). `image` is as for GlideUpsamplerPipeline; images are resized to the model's size. The other
        arguments and the result are those of GlidePipeline. Raises PipelineInputError.
        """
        prompts = checked_prompts(prompt)
        known = _known_part(self, "image", image, mask_image, len(prompts))
        sampling = Sampling(
            num_inference_steps=num_inference_steps,
            guidance_scale=guidance_scale,
            seed=seed,
            generator=generator,
            latents=latents,
            timesteps=timesteps,
            output_type=output_type,
            return_dict=return_dict,
            callback_on_step_end=callback_on_step_end,
        )
        return self._sample(prompts, sampling, known.condition(), known)


class GlideUpsamplerInpaintPipeline(UpsamplingStage):
    """Samples the masked part of square pictures from prompts and small pictures."""

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | list[str],
        image: Picture,
        original_image: Picture,
        mask_image: Any,
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
        """Sample a picture of each prompt that looks like `image` and is `original_image` outside the mask.

        `image` is the picture of low resolution, `original_image` that of full resolution. The other arguments and the
        result are those of GlideUpsamplerPipeline and GlideInpaintPipeline. Raises PipelineInputError.
        """
        prompts = checked_prompts(prompt)
        known = _known_part(self, "original_image", original_image, mask_image, len(prompts))
        low = self._low_resolution(image, len(prompts)).to(known.picture.device)
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
        return self._sample(prompts, sampling, torch.cat([known.condition(), low], dim=1), known)
