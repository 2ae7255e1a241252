"""GLIDE's base stage as a diffusers pipeline of a text transformer, a UNet and a scheduler."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from diffusers import DDPMScheduler, DiffusionPipeline, ImagePipelineOutput, UNet2DConditionModel
from diffusers.utils.torch_utils import randn_tensor
from jaxtyping import Float
from torch import Generator, Tensor

from compute.images import image_of
from compute.models.glide.guided_unet import GuidedUNet, TextEncoding, strip_unused_sigma
from compute.models.glide.text_transformer import TextTransformer
from compute.pipeline.noise import initial_noise, step_generators
from store.errors import SkipscopeError

Seeds = int | Sequence[int]
Generators = Generator | list[Generator]
StepEndCallback = Callable[["GlidePipeline", int, int, dict[str, Tensor]], dict[str, Tensor] | None]
_FORMER_TEXT_MODULE = "compute.models.text"
OUTPUT_TYPES = ("pil", "np", "pt")


class PipelineInputError(SkipscopeError):
    """An argument of a pipeline's call that is not accepted; the message names it and says what is."""


class GlidePipeline(DiffusionPipeline):
    """Samples square pictures with `unet.config.sample_size` pixels a side from prompts."""

    model_cpu_offload_seq = "text_encoder->unet"
    text_encoder: TextTransformer
    unet: UNet2DConditionModel
    scheduler: DDPMScheduler

    def __init__(self, text_encoder: TextTransformer, unet: UNet2DConditionModel, scheduler: DDPMScheduler) -> None:
        super().__init__()
        self.register_modules(text_encoder=text_encoder, unet=unet, scheduler=scheduler)

    @classmethod
    def load_config(cls, *args: Any, **kwargs: Any) -> Any:
        """Load a configuration as diffusers does.

        In folders of earlier releases the former module of the text transformer is replaced by the present one.
        """
        config = super().load_config(*args, **kwargs)
        part = config.get("text_encoder") if isinstance(config, dict) else None
        if isinstance(part, list) and part[:1] == [_FORMER_TEXT_MODULE]:
            config["text_encoder"] = [TextTransformer.__module__, *part[1:]]
        return config

    def encode(self, prompts: Sequence[str]) -> tuple[Float[Tensor, "B L D"], Float[Tensor, "B E"]]:
        """Return the text transformer's sequence and pooled vector of each prompt. Raises UnreadablePrompt.

        The empty prompt is the unconditional input of classifier-free guidance.
        """
        encoded: tuple[Tensor, Tensor] = self.text_encoder(*self.text_encoder.tokenize(prompts))
        return encoded

    @property
    def guidance_scale(self) -> float:
        """The guidance scale of the latest call."""
        return self._guidance_scale

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
        output_type: Literal["pil", "np", "pt"] = "pil",
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
        prompts = [prompt] if isinstance(prompt, str) else prompt
        self._check(prompts, num_inference_steps, guidance_scale, output_type)
        seeds = _seeds(seed, generator, len(prompts))
        self._guidance_scale = float(guidance_scale)
        device = self._execution_device
        if timesteps is None:
            self.scheduler.set_timesteps(num_inference_steps, device=device)
        else:
            self.scheduler.set_timesteps(timesteps=timesteps, device=device)
        self._num_timesteps = len(self.scheduler.timesteps)
        predict = self._guided_unet(prompts, device)
        x_t = self._initial_noise(seeds, generator, len(prompts), device) if latents is None else latents.to(device)
        x_t = x_t.float() * self.scheduler.init_noise_sigma
        accepts_generator = "generator" in inspect.signature(self.scheduler.step).parameters
        with self.progress_bar(total=self._num_timesteps) as bar:
            for step, t in enumerate(self.scheduler.timesteps):
                rows = self.scheduler.scale_model_input(x_t, t)
                output = strip_unused_sigma(predict(rows, t), x_t, self.scheduler)
                noise = {"generator": generator if seeds is None else step_generators(seeds, step)}
                noise = noise if accepts_generator else {}
                x_t = self.scheduler.step(output, t, x_t, **noise, return_dict=False)[0]
                if callback_on_step_end is not None:
                    x_t = (callback_on_step_end(self, step, int(t), {"latents": x_t}) or {}).get("latents", x_t)
                bar.update()
        images = _images(x_t.clamp(-1, 1), output_type)
        self.maybe_free_model_hooks()
        return ImagePipelineOutput(images=images) if return_dict else (images,)

    def _check(self, prompts: list[str], steps: int, guidance: float, output_type: str) -> None:
        if not isinstance(prompts, list) or not prompts or not all(isinstance(prompt, str) for prompt in prompts):
            raise PipelineInputError("prompt: a text or a list of texts is accepted")
        most = self.scheduler.config.num_train_timesteps
        if not isinstance(steps, int) or not 1 <= steps <= most:
            raise PipelineInputError(f"num_inference_steps: {steps!r} is not accepted; 1 to {most} are")
        if not isinstance(guidance, int | float) or not math.isfinite(guidance) or guidance < 0:
            raise PipelineInputError(f"guidance_scale: {guidance!r} is not accepted; a number from 0 on is")
        if output_type not in OUTPUT_TYPES:
            raise PipelineInputError(f"output_type: {output_type!r} is not accepted; {', '.join(OUTPUT_TYPES)} are")

    def _guided_unet(self, prompts: list[str], device: torch.device) -> GuidedUNet:
        sequence, pooled = self.encode([*prompts, *[""] * len(prompts)])
        scales = torch.full((len(prompts),), self._guidance_scale, device=device)
        return GuidedUNet(self.unet, TextEncoding(sequence=sequence, pooled=pooled), scales)

    def _initial_noise(
        self, seeds: Sequence[int] | None, generator: Generators | None, batch: int, device: torch.device
    ) -> Float[Tensor, "B 3 H W"]:
        side = int(self.unet.config.sample_size)
        shape = (int(self.unet.config.in_channels), side, side)
        if seeds is not None:
            return initial_noise(seeds, shape, device=device)
        return randn_tensor((batch, *shape), generator=generator, device=device, dtype=torch.float32)


def _seeds(seed: Seeds | None, generator: Generators | None, batch: int) -> list[int] | None:
    """Return a seed for each prompt, or None where the noise does not depend on seeds. Raises PipelineInputError."""
    if seed is None:
        if isinstance(generator, list) and len(generator) != batch:
            raise PipelineInputError(f"generator: {len(generator)} for {batch} prompts; give one, or one each")
        return None
    if generator is not None:
        raise PipelineInputError("seed, generator: give one of the two")
    seeds = [seed] * batch if isinstance(seed, int) else list(seed)
    if len(seeds) != batch or not all(isinstance(value, int) and 0 <= value < 2**63 for value in seeds):
        raise PipelineInputError(f"seed: give a whole number from 0 on, or one for each of the {batch} prompts")
    return seeds


def _images(pictures: Float[Tensor, "B 3 H W"], output_type: str) -> Any:
    """Convert pictures in [-1, 1] to one of OUTPUT_TYPES."""
    if output_type == "pil":
        return [image_of(picture) for picture in pictures.float().cpu().numpy()]
    unit = (pictures + 1) / 2
    return unit if output_type == "pt" else unit.permute(0, 2, 3, 1).float().cpu().numpy()
