"""The second stage: text encoder and UNet, on the latents of rendered scenes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPTextModel

from compute.models.mini.scenes.scene import Scene, random_scene
from compute.models.mini.sd_mini import Layout, build_pipeline, build_scheduler, build_text_encoder, build_unet
from compute.models.mini.sd_tokenizer import SEQUENCE_LENGTH, build_tokenizer
from compute.models.mini.sd_training.captions import CaptionHeads, scene_labels
from compute.models.mini.sd_training.latents import LatentPool, PoolSettings
from compute.models.mini.sd_training.optimisation import Optimisation, Pace

_CAPTION_LOSS_WEIGHT = 0.05


@dataclass(frozen=True, kw_only=True)
class DiffusionRecipe:
    """The settings that determine the weights of text encoder and UNet."""

    text: Pace = field(
        default_factory=lambda: Pace(
            iterations=200, batch=128, learning_rate=1e-3, matrix_learning_rate=1e-2, warmup=50, decay_from=0.5
        )
    )
    """Of the text encoder alone, before the UNet."""
    pace: Pace = field(
        default_factory=lambda: Pace(
            iterations=3200, batch=32, learning_rate=1e-3, matrix_learning_rate=5e-3, warmup=400, decay_from=0.5
        )
    )
    """Of both together."""
    text_dropped: float = 0.12
    """The share of captions that are replaced by the empty one."""
    latents: PoolSettings = field(default_factory=PoolSettings)
    seed: int = 0


class DiffusionTraining:
    """The training of text encoder and UNet. A batch depends on the pool, the seed and the iteration alone."""

    def __init__(self, recipe: DiffusionRecipe, layout: Layout, pool: LatentPool, device: torch.device) -> None:
        torch.manual_seed(recipe.seed + 1)
        self.recipe, self.layout, self.pool, self.device = recipe, layout, pool, device
        self.tokenizer, self.scheduler = build_tokenizer(), build_scheduler()
        self.text, self.unet, self.heads = build_text_encoder(), build_unet(layout), CaptionHeads()
        self.unet.set_attn_processor(AttnProcessor())  # on a CPU it trains faster than the fused kernel
        modules = nn.ModuleDict({"text": self.text, "unet": self.unet, "heads": self.heads}).to(device).train()
        self.optimisation = Optimisation(modules, recipe.pace)

    def encode(self, captions: Sequence[str]) -> Float[Tensor, "B L D"]:
        """Return the text encoder's sequences of captions."""
        ids = self.tokenizer(
            list(captions), padding="max_length", max_length=SEQUENCE_LENGTH, truncation=True, return_tensors="pt"
        ).input_ids
        sequence: Tensor = self.text(ids.to(self.device)).last_hidden_state
        return sequence

    def pretrain_text(self) -> Iterator[float]:
        """Train the text encoder alone, and yield the loss of every iteration."""
        r = self.recipe
        text = Optimisation(nn.ModuleDict({"text": self.text, "heads": self.heads}), r.text)
        while not text.finished:
            rng = np.random.default_rng([r.seed, 13, text.iteration])
            scenes = [random_scene(rng, "train", single_share=r.latents.single_share) for _ in range(r.text.batch)]
            yield text.step(partial(self._caption_loss, scenes))
        self.optimisation.restart_average()

    def begin_with(self, folder: Path) -> None:
        """Take text encoder and UNet from a pipeline's folder, instead of training the text encoder alone first."""
        self.text.load_state_dict(CLIPTextModel.from_pretrained(folder / "text_encoder").state_dict())
        self.unet.load_state_dict(UNet2DConditionModel.from_pretrained(folder / "unet").state_dict())
        self.optimisation.restart_average()

    def _caption_loss(self, scenes: Sequence[Scene], rows: slice) -> Float[Tensor, ""]:
        sequence = self.encode([scene.caption for scene in scenes[rows]])
        return self.heads.loss(sequence, scene_labels(scenes[rows], self.device))

    def step(self) -> float:
        """Run one iteration of both, and return its loss."""
        r, rng = self.recipe, np.random.default_rng([self.recipe.seed, 14, self.optimisation.iteration])
        latents, scenes = self.pool.batch(rng, r.pace.batch)
        noise = torch.from_numpy(rng.standard_normal(latents.shape, dtype=np.float32))
        # Timesteps are stratified over the batch, which gives the loss the same mean with less variance.
        spread = (np.arange(r.pace.batch) + rng.random(r.pace.batch)) / r.pace.batch
        t = torch.from_numpy((spread * self.scheduler.config.num_train_timesteps).astype(np.int64))
        dropped = torch.from_numpy(rng.random(r.pace.batch) < r.text_dropped)
        return self.optimisation.step(
            lambda rows: self._loss(latents[rows], noise[rows], t[rows], scenes[rows], dropped[rows])
        )

    def _loss(
        self,
        latents: Float[Tensor, "B C H W"],
        noise: Float[Tensor, "B C H W"],
        t: Int[Tensor, " B"],
        scenes: Sequence[Scene],
        dropped: Bool[Tensor, " B"],
    ) -> Float[Tensor, ""]:
        """Return the mean squared error of the velocity, and a share of the captions' loss."""
        x_t = self.scheduler.add_noise(latents, noise, t).to(self.device)
        velocity = self.scheduler.get_velocity(latents, noise, t).to(self.device)
        # Without its cache, which the threads would share.
        with torch.autocast(self.device.type, torch.bfloat16, cache_enabled=False):
            sequence = self.encode([*(scene.caption for scene in scenes), ""])
            caption_loss = self.heads.loss(sequence[:-1], scene_labels(scenes, self.device))
            text = torch.where(dropped.to(self.device)[:, None, None], sequence[-1:], sequence[:-1])
            predicted = self.unet(x_t, t.to(self.device), encoder_hidden_states=text).sample
        return F.mse_loss(predicted.float(), velocity) + _CAPTION_LOSS_WEIGHT * caption_loss

    def averaged_pipeline(self, autoencoder: AutoencoderKL) -> StableDiffusionPipeline:
        """Return a new pipeline with the averaged weights and a copy of an autoencoder, for inference, in float32."""
        pipe = build_pipeline(self.layout)
        self.optimisation.load_average("unet", pipe.unet)
        self.optimisation.load_average("text", pipe.text_encoder)
        pipe.register_modules(vae=deepcopy(autoencoder))
        pipe.set_progress_bar_config(disable=True)
        for part in (pipe.unet, pipe.text_encoder):
            part.to(self.device).eval().requires_grad_(False)
        return pipe
