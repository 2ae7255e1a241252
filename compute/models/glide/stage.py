"""What GLIDE's pipelines have in common: a stage with a text transformer, a UNet and a scheduler."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import DDPMScheduler, DiffusionPipeline, ImagePipelineOutput, UNet2DConditionModel
from diffusers.utils.torch_utils import randn_tensor
from jaxtyping import Float
from torch import Tensor

from compute.images import image_of
from compute.models.glide.guided_unet import GuidedUNet, TextEncoding, strip_unused_sigma
from compute.models.glide.inputs import Generators, PipelineInputError, Seeds, check_numbers, checked_seeds
from compute.models.glide.text_transformer import TextTransformer, padded
from compute.models.long_prompts import shown
from compute.pipeline.noise import initial_noise, step_generators
from compute.pipeline.step_coefficients import step_coefficients

StepEndCallback = Callable[[Any, int, int, dict[str, Tensor]], dict[str, Tensor] | None]
_FORMER_TEXT_MODULE = "compute.models.text"
_PICTURE_CHANNELS = 3


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """The arguments that the calls of all stages have; `__call__` of GlidePipeline says what they are."""

    num_inference_steps: int | None
    guidance_scale: float
    seed: Seeds | None
    generator: Generators | None
    latents: Float[Tensor, "B C H W"] | None
    timesteps: list[int] | None
    output_type: str
    return_dict: bool
    callback_on_step_end: StepEndCallback | None
    noise_scale: float = 1.0
    """The factor of the initial noise."""


@dataclass(frozen=True, kw_only=True)
class KnownPart:
    """The part of the pictures that is given and not sampled, as in inpainting."""

    picture: Float[Tensor, "B 3 H W"]
    mask: Float[Tensor, "B 1 H W"]
    """1 where the picture is known."""

    def condition(self) -> Float[Tensor, "B 4 H W"]:
        """Return the UNet's additional input: the known pixels, and where they are."""
        return torch.cat([self.picture * self.mask, self.mask], dim=1)

    def imposed(
        self, output: Float[Tensor, "B K H W"], x_t: Float[Tensor, "B 3 H W"], scheduler: Any, step: int
    ) -> Float[Tensor, "B K H W"]:
        """Return a model output whose prediction of the clean picture is the known one where that is known."""
        at = step_coefficients(scheduler, step, float(scheduler.timesteps[step]))
        channels = x_t.shape[1]
        prediction = torch.where(self.mask > 0, at.output_of_x0(x_t, self.picture), output[:, :channels])
        return torch.cat([prediction, output[:, channels:]], dim=1)


class GlideStage(DiffusionPipeline):
    """A stage of GLIDE: its parts, its prompts' encoding, and its loop over the steps."""

    model_cpu_offload_seq = "text_encoder->unet"
    _optional_components = ["tokenizer"]  # noqa: RUF012  (diffusers' own annotation)
    text_encoder: TextTransformer
    unet: UNet2DConditionModel
    scheduler: DDPMScheduler
    tokenizer: Any

    def __init__(
        self,
        text_encoder: TextTransformer,
        unet: UNet2DConditionModel,
        scheduler: DDPMScheduler,
        tokenizer: Any = None,
    ) -> None:
        """Without a tokenizer the text transformer's own vocabulary of words is used."""
        super().__init__()
        self.register_modules(text_encoder=text_encoder, unet=unet, scheduler=scheduler, tokenizer=tokenizer)

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
        """Return the text transformer's sequence and pooled vector of each prompt.

        The empty prompt is the unconditional input of classifier-free guidance. A prompt that is longer than what the
        text transformer reads is cut, with a warning. Raises UnreadablePrompt where words are tokens.
        """
        if self.tokenizer is None:
            tokens, mask = self.text_encoder.tokenize(prompts)
        else:
            length = int(self.text_encoder.config.length)
            found = [self.tokenizer(prompt, truncation=False, verbose=False)["input_ids"] for prompt in prompts]
            _warn_of_cut(prompts, found, length, type(self).__module__)
            tokens, mask = padded(found, length, self.text_encoder.device)
        encoded: tuple[Tensor, Tensor] = self.text_encoder(tokens, mask)
        return encoded

    @property
    def guidance_scale(self) -> float:
        """The guidance scale of the latest call."""
        return self._guidance_scale

    @property
    def side(self) -> int:
        """Height and width of the pictures that the stage samples."""
        return int(self.unet.config.sample_size)

    def _sample(
        self,
        prompts: list[str],
        sampling: Sampling,
        condition: Float[Tensor, "B K H W"] | None = None,
        known: KnownPart | None = None,
    ) -> Any:
        """Sample a picture of each prompt. `condition` is what the UNet reads beside `x_t`.

        Raises PipelineInputError for arguments that are not accepted.
        """
        train = int(self.scheduler.config.num_train_timesteps)
        check_numbers(sampling.num_inference_steps, train, sampling.guidance_scale, sampling.output_type)
        seeds = checked_seeds(sampling.seed, sampling.generator, len(prompts))
        read = int(self.unet.config.in_channels) - (0 if condition is None else condition.shape[1])
        if read != _PICTURE_CHANNELS:
            raise PipelineInputError(
                f"unet: a {type(self).__name__} does not work with its {self.unet.config.in_channels} input channels"
            )
        self._guidance_scale = float(sampling.guidance_scale)
        device = self._execution_device
        self._set_timesteps(sampling, device)
        condition = None if condition is None else condition.to(device)
        predict = self._guided_unet(prompts, device, condition)
        x_t = self._initial_noise(seeds, sampling, len(prompts), device)
        accepts_generator = "generator" in inspect.signature(self.scheduler.step).parameters
        with self.progress_bar(total=self._num_timesteps) as bar:
            for step, t in enumerate(self.scheduler.timesteps):
                rows = self.scheduler.scale_model_input(x_t, t)
                output = strip_unused_sigma(predict(rows, t), x_t, self.scheduler)
                if known is not None:
                    output = known.imposed(output, x_t, self.scheduler, step)
                noise = {"generator": sampling.generator if seeds is None else step_generators(seeds, step)}
                noise = noise if accepts_generator else {}
                x_t = self.scheduler.step(output, t, x_t, **noise, return_dict=False)[0]
                if sampling.callback_on_step_end is not None:
                    changed = sampling.callback_on_step_end(self, step, int(t), {"latents": x_t})
                    x_t = (changed or {}).get("latents", x_t)
                bar.update()
        images = _images(x_t.clamp(-1, 1), sampling.output_type)
        self.maybe_free_model_hooks()
        return ImagePipelineOutput(images=images) if sampling.return_dict else (images,)

    def _set_timesteps(self, sampling: Sampling, device: torch.device) -> None:
        if sampling.timesteps is None:
            self.scheduler.set_timesteps(sampling.num_inference_steps, device=device)
        elif "timesteps" in inspect.signature(self.scheduler.set_timesteps).parameters:
            self.scheduler.set_timesteps(timesteps=sampling.timesteps, device=device)
        else:
            name = type(self.scheduler).__name__
            raise PipelineInputError(f"timesteps: a {name} takes none; give num_inference_steps")
        self._num_timesteps = len(self.scheduler.timesteps)

    def _guided_unet(self, prompts: list[str], device: torch.device, condition: Tensor | None) -> GuidedUNet:
        sequence, pooled = self.encode([*prompts, *[""] * len(prompts)])
        scales = torch.full((len(prompts),), self._guidance_scale, device=device)
        return GuidedUNet(self.unet, TextEncoding(sequence=sequence, pooled=pooled), scales, condition)

    def _initial_noise(
        self, seeds: Sequence[int] | None, sampling: Sampling, batch: int, device: torch.device
    ) -> Float[Tensor, "B 3 H W"]:
        """Return `x_t` of step 0."""
        shape = (_PICTURE_CHANNELS, self.side, self.side)
        if sampling.latents is not None:
            x_t = sampling.latents.to(device)
        elif seeds is not None:
            x_t = initial_noise(seeds, shape, device=device)
        else:
            x_t = randn_tensor((batch, *shape), generator=sampling.generator, device=device, dtype=torch.float32)
        x_t = x_t.float() * self.scheduler.init_noise_sigma
        return x_t if sampling.noise_scale == 1 else x_t * sampling.noise_scale


def _warn_of_cut(prompts: Sequence[str], tokens: Sequence[Sequence[int]], length: int, module: str) -> None:
    """Log the prompts that are cut, as a warning of the pipeline's module, in the form of diffusers' own."""
    for prompt, found in dict(zip(prompts, tokens, strict=True)).items():
        if len(found) > length:
            logging.getLogger(module).warning(
                "prompt: the end of your input was truncated because GLIDE reads %d tokens, and this one has %d: %r",
                length, len(found), shown(prompt),
            )  # fmt: skip


def _images(pictures: Float[Tensor, "B 3 H W"], output_type: str) -> Any:
    """Convert pictures in [-1, 1] to one of OUTPUT_TYPES."""
    if output_type == "pil":
        return [image_of(picture) for picture in pictures.float().cpu().numpy()]
    unit = (pictures + 1) / 2
    return unit if output_type == "pt" else unit.permute(0, 2, 3, 1).float().cpu().numpy()
