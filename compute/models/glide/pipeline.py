"""GLIDE's base stage as a diffusers pipeline."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from compute.models.glide.inputs import Generators, OutputType, PipelineInputError, Seeds, checked_prompts
from compute.models.glide.stage import GlideStage, Sampling, StepEndCallback

__all__ = ["GlidePipeline", "PipelineInputError"]


class GlidePipeline(GlideStage):
    """Samples square pictures with `unet.config.sample_size` pixels a side from prompts."""

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | list[str],
        *,
        num_inference_steps: int = 25,
        guidance_scale: float = 3.0,
        seed: Seeds | None = None,
        generator: Generators | None = None,
        latents: Float[Tensor, "B C H W"] | None = None,
        timesteps: list[int] | None = None,
        output_type: OutputType = "pil",
        return_dict: bool = True,
        callback_on_step_end: StepEndCallback | None = None,
    ) -> Any:
        """Sample a picture of each prompt, in an `ImagePipelineOutput` or, without `return_dict`, a tuple of `images`.

        With `seed`, one for all prompts or one each, the noise depends on seed and step alone, as in sweeps. With
        `generator` it comes from the generators, as in diffusers' pipelines; with neither from torch's global one.
        `latents` replaces the initial noise, and `timesteps` the scheduler's own; its length is the number of steps.
        `images` is a list of PIL images, or in [0, 1] an array (B, H, W, 3) for "np", a tensor (B, 3, H, W) for "pt".
        `callback_on_step_end(pipe, step, t, {"latents": x_t})` may return another `x_t` under the same key.
        Raises PipelineInputError for arguments that are not accepted, UnreadablePrompt for unknown words.
        """
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
        return self._sample(checked_prompts(prompt), sampling)
