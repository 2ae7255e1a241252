"""Trains glide-mini's upsampler: an hour on one CPU core. A training can be resumed from its checkpoint.

A batch depends on the seed and the iteration alone, so a resumed training continues with the same data.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from compute.models.file_modes import apply_umask
from compute.models.glide.pipeline import GlidePipeline
from compute.models.glide.text_transformer import TextTransformer
from compute.models.glide.upsampler import GlideUpsamplerPipeline
from compute.models.mini.glide_mini_upsampler import PICTURE_SIDE, build_pipeline
from compute.models.mini.scenes.render import render_batch
from compute.models.mini.scenes.scene import random_scene
from compute.models.mini.sd_training.autoencoder import fullest_windows
from compute.models.mini.sd_training.optimisation import Optimisation, Pace
from compute.models.mini.training.attention import TrainingAttention
from compute.models.mini.training.losses import NoiseSchedule
from compute.models.mini.training.low_resolution import Damage, damaged, enlarged, reduced
from compute.models.source import BUNDLED, GLIDE_MINI

PIPELINE_FOLDER = "pipeline"
CHECKPOINT = "upsampler.pt"


@dataclass(frozen=True, kw_only=True)
class UpsamplerRecipe:
    """The settings that determine the upsampler's weights."""

    pace: Pace = field(
        default_factory=lambda: Pace(
            iterations=8200,
            batch=16,
            learning_rate=2e-3,
            matrix_learning_rate=1e-2,
            decay_from=0.5,
            shards=1,
        )
    )
    damage: Damage = field(default_factory=Damage)
    window: int = 32
    """The side of the windows of pictures that most of the training sees."""
    whole_from: float = 0.95
    """The share of the iterations after which it sees whole pictures."""
    single_share: float = 0.2
    """The share of scenes with a single object."""
    seed: int = 0


class UpsamplerTraining:
    """The training of the upsampler's UNet. Its text transformer is that of glide-mini and stays as it is."""

    def __init__(self, recipe: UpsamplerRecipe, text: TextTransformer, device: torch.device) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.device = recipe, device
        self.pipe = build_pipeline(text.to(device).eval().requires_grad_(False))
        self.unet = self.pipe.unet
        self.unet.set_attn_processor(TrainingAttention())
        self.optimisation = Optimisation(nn.ModuleDict({"unet": self.unet.to(device).train()}), recipe.pace)
        self.schedule = NoiseSchedule(self.pipe.scheduler.betas.to(device))

    def step(self) -> float:
        """Run one iteration, and return its loss."""
        r, iteration, batch = self.recipe, self.optimisation.iteration, self.recipe.pace.batch
        rng = np.random.default_rng([r.seed, 21, iteration])
        scenes = [random_scene(rng, "train", single_share=r.single_share) for _ in range(batch)]
        x_0 = torch.from_numpy(render_batch(scenes, rng, PICTURE_SIDE))
        if iteration < r.whole_from * r.pace.iterations:
            x_0 = fullest_windows(x_0, rng, r.window)
        condition = enlarged(damaged(reduced(x_0), r.damage, rng))
        eps = torch.from_numpy(rng.standard_normal(x_0.shape, dtype=np.float32))
        # Timesteps are stratified over the batch, which gives the loss the same mean with less variance.
        spread = (np.arange(batch) + rng.random(batch)) / batch
        t = torch.from_numpy((spread * len(self.schedule.alpha_bar)).astype(np.int64))
        with torch.no_grad():
            sequence, pooled = self.pipe.encode([scene.caption for scene in scenes])
        x_0, condition, eps, t = (tensor.to(self.device) for tensor in (x_0, condition, eps, t))
        return self.optimisation.step(
            lambda rows: self._loss(x_0[rows], condition[rows], eps[rows], t[rows], sequence[rows], pooled[rows])
        )

    def _loss(
        self,
        x_0: Float[Tensor, "B 3 H W"],
        condition: Float[Tensor, "B 3 H W"],
        eps: Float[Tensor, "B 3 H W"],
        t: Int[Tensor, " B"],
        sequence: Float[Tensor, "B L D"],
        pooled: Float[Tensor, "B E"],
    ) -> Float[Tensor, ""]:
        rows = torch.cat([self.schedule.add_noise(x_0, eps, t), condition], dim=1)
        # Without its cache, which threads would share.
        with torch.autocast(self.device.type, torch.bfloat16, cache_enabled=False):
            output = self.unet(rows, t, encoder_hidden_states=sequence, class_labels=pooled).sample
        return self.schedule.velocity_loss(output, x_0, eps, t)

    def averaged_pipeline(self) -> GlideUpsamplerPipeline:
        """Return a new pipeline with the averaged weights, in half precision."""
        pipe = build_pipeline(load_text_transformer().half())
        self.optimisation.load_average("unet", pipe.unet)
        pipe.unet.half().eval().requires_grad_(False)
        return pipe


def load_text_transformer() -> TextTransformer:
    """Return the bundled glide-mini's text transformer."""
    text: TextTransformer = GlidePipeline.from_pretrained(BUNDLED[GLIDE_MINI]).text_encoder
    text.register_to_config(_name_or_path="")  # or the pipeline's files would name this machine's folder
    return text.eval().requires_grad_(False)


def train_upsampler(
    recipe: UpsamplerRecipe,
    folder: Path,
    stopping: Callable[[], bool] = lambda: False,
    *,
    checkpoint_seconds: float = 300,
) -> Iterator[tuple[int, float]]:
    """Train until the recipe's last iteration or `stopping` says so, and yield the number and loss of every iteration.

    Continues from the checkpoint in `folder` where there is one. Every `checkpoint_seconds`, and at the end, the
    checkpoint and the averaged pipeline (in PIPELINE_FOLDER) are written to `folder`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    training = UpsamplerTraining(recipe, load_text_transformer(), device)
    state = training.optimisation
    state.resume(folder / CHECKPOINT)
    saved_at = time.monotonic()
    while not state.finished:
        loss = training.step()
        stopped = stopping()
        if stopped or state.finished or time.monotonic() - saved_at > checkpoint_seconds:
            state.save(folder / CHECKPOINT)
            training.averaged_pipeline().save_pretrained(folder / PIPELINE_FOLDER)
            apply_umask(folder / PIPELINE_FOLDER)
            saved_at = time.monotonic()
        yield state.iteration, loss
        if stopped:
            return
