"""GLIDE as a diffusers pipeline: text transformer, UNet and scheduler in one folder."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from diffusers import DDPMScheduler, DiffusionPipeline, ImagePipelineOutput, UNet2DConditionModel
from diffusers.utils.torch_utils import randn_tensor
from jaxtyping import Float
from torch import Generator, Tensor

from compute.images import image_of
from compute.models.glide.text_transformer import TextTransformer
from compute.pipeline.noise import initial_noise, step_generators
from compute.pipeline.sampling import Guided, TextEncoding, for_scheduler
from store.errors import SkipscopeError

Seeds = int | Sequence[int]
Generators = Generator | list[Generator]
StepEnd = Callable[["GlidePipeline", int, int, dict[str, Tensor]], dict[str, Tensor] | None]
_FORMER_TEXT_MODULE = "compute.models.text"
OUTPUT_TYPES = ("pil", "np", "pt")


class PipelineInputError(SkipscopeError):
    """An argument of a pipeline's call that can't be used; the text names it and what is accepted."""


class GlidePipeline(DiffusionPipeline):
    """GLIDE's base stage: from a prompt to a picture of `unet.config.sample_size` pixels square."""

    model_cpu_offload_seq = "text_encoder->unet"
    text_encoder: TextTransformer
    unet: UNet2DConditionModel
    scheduler: DDPMScheduler

    def __init__(self, text_encoder: TextTransformer, unet: UNet2DConditionModel, scheduler: DDPMScheduler) -> None:
        super().__init__()
        self.register_modules(text_encoder=text_encoder, unet=unet, scheduler=scheduler)

    @classmethod
    def load_config(cls, *args: Any, **kwargs: Any) -> Any:
        """As diffusers does; folders of earlier releases name the module that the text transformer was in then."""
        config = super().load_config(*args, **kwargs)
        part = config.get("text_encoder") if isinstance(config, dict) else None
        if isinstance(part, list) and part[:1] == [_FORMER_TEXT_MODULE]:
            config["text_encoder"] = [TextTransformer.__module__, *part[1:]]
        return config

    def encode(self, prompts: Sequence[str]) -> tuple[Float[Tensor, "B L D"], Float[Tensor, "B E"]]:
        """The text transformer's sequence and pooled vector for each prompt; the empty one is the unconditional."""
        encoded: tuple[Tensor, Tensor] = self.text_encoder(*self.text_encoder.tokenize(prompts))
        return encoded

    @property
    def guidance_scale(self) -> float:
        """The guidance of the latest call."""
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
        output_type: Literal["pil", "np", "pt"] = "pil",
        return_dict: bool = True,
        callback_on_step_end: StepEnd | None = None,
    ) -> Any:
        """Pictures of prompts, one each, in an `ImagePipelineOutput` or, without `return_dict`, a tuple of `images`.

        `seed` (one for all prompts or one each) makes noise that depends on seed and step alone, as sweeps do;
        `generator` draws it as other pipelines do; with neither it is torch's global noise. `images` are a list of PIL
        images, or (B, H, W, 3) or (B, 3, H, W) in [0, 1] for "np" and "pt". `callback_on_step_end(pipe, step, t,
        {"latents": x_t})` may return another `x_t` under the same name. Raises PipelineInputError, UnreadablePrompt.
        """
        prompts = [prompt] if isinstance(prompt, str) else prompt
        self._check(prompts, num_inference_steps, guidance_scale, output_type)
        seeds = _seeds(seed, generator, len(prompts))
        self._guidance_scale = float(guidance_scale)
        device = self._execution_device
        self.scheduler.set_timesteps(num_inference_steps, device=device)
        predict = self._guided(prompts, device)
        x_t = self._initial(seeds, generator, len(prompts), device)
        with self.progress_bar(total=num_inference_steps) as bar:
            for step, t in enumerate(self.scheduler.timesteps.tolist()):
                output = for_scheduler(predict(x_t, t), x_t, self.scheduler)
                noise = generator if seeds is None else step_generators(seeds, step)
                x_t = self.scheduler.step(output, t, x_t, generator=noise, return_dict=False)[0]
                if callback_on_step_end is not None:
                    x_t = (callback_on_step_end(self, step, t, {"latents": x_t}) or {}).get("latents", x_t)
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

    def _guided(self, prompts: list[str], device: torch.device) -> Guided:
        """The UNet under guidance; the text is encoded here, once."""
        sequence, pooled = self.encode([*prompts, *[""] * len(prompts)])
        scales = torch.full((len(prompts),), self._guidance_scale, device=device)
        return Guided(self.unet, TextEncoding(sequence=sequence, pooled=pooled), scales)

    def _initial(
        self, seeds: Sequence[int] | None, generator: Generators | None, batch: int, device: torch.device
    ) -> Float[Tensor, "B 3 H W"]:
        side = int(self.unet.config.sample_size)
        shape = (int(self.unet.config.in_channels), side, side)
        if seeds is not None:
            return initial_noise(seeds, shape, device=device)
        return randn_tensor((batch, *shape), generator=generator, device=device, dtype=torch.float32)


def _seeds(seed: Seeds | None, generator: Generators | None, batch: int) -> list[int] | None:
    if seed is None:
        if isinstance(generator, list) and len(generator) != batch:
            raise PipelineInputError(f"generator: {len(generator)} for {batch} prompts; give one, or one each")
        return None
    if generator is not None:
        raise PipelineInputError("seed, generator: give one of the two")
    seeds = [seed] * batch if isinstance(seed, int) else list(seed)
    if len(seeds) != batch or not all(isinstance(one, int) and 0 <= one < 2**63 for one in seeds):
        raise PipelineInputError(f"seed: give a whole number from 0 on, or one for each of the {batch} prompts")
    return seeds


def _images(pictures: Float[Tensor, "B 3 H W"], output_type: str) -> Any:
    """Pictures in [-1, 1] as the caller wants them."""
    if output_type == "pil":
        return [image_of(picture) for picture in pictures.float().cpu().numpy()]
    shares = (pictures + 1) / 2
    return shares if output_type == "pt" else shares.permute(0, 2, 3, 1).float().cpu().numpy()
