"""Trains glide-mini: a few hours on two CPU cores, minutes on a GPU. A training can be resumed from its checkpoint.

A batch depends on the seed and the iteration alone, so a resumed training continues with the same data.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from compute.models.file_modes import apply_umask
from compute.models.glide.pipeline import GlidePipeline
from compute.models.mini.glide_mini import PICTURE_SIDE, build_pipeline
from compute.models.mini.scenes.render import render_batch
from compute.models.mini.scenes.scene import Scene, random_scene
from compute.models.mini.training.attention import TrainingAttention
from compute.models.mini.training.losses import NoiseSchedule
from compute.models.mini.training.text_pretraining import CaptionHeads, caption_labels

Stage = Literal["text", "diffusion"]
PIPELINE_FOLDER = "pipeline"
_CHECKPOINT = "checkpoint.pt"
_CAPTION_LOSS_WEIGHT = 0.05
_TEXT_BATCH = 128
_TEXT_LEARNING_RATE = 2e-3


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The settings that determine the trained weights."""

    iterations: int = 7000
    """Of the second stage, in which UNet and text transformer are trained together."""
    batch: int = 32
    learning_rate: float = 6e-4
    warmup: int = 200
    """Iterations in which the learning rate rises linearly."""
    decay_from: float = 0.6
    """The share of the iterations after which the learning rate falls linearly to zero."""
    text_dropped: float = 0.15
    """The share of captions that are replaced by the empty one."""
    single_share: float = 0.2
    """The share of scenes with a single object."""
    text_iterations: int = 800
    """Of the first stage, in which the text transformer is trained alone."""
    ema: float = 0.999
    """The decay of the weights' moving average."""
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class IterationReport:
    """The losses of an iteration; `iteration` counts from 1 within the stage, `noise_mse` is NaN in the first stage."""

    iteration: int
    loss: float
    noise_mse: float


def _rng(recipe: Recipe, *tags: int) -> np.random.Generator:
    return np.random.default_rng([recipe.seed, *tags])


class Trainer:
    """The state of a training: the modules, the moving average of their weights, the optimiser, and the iteration."""

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.device, self.iteration = recipe, device, 0
        self.pipe = build_pipeline()
        # On a CPU plain attention trains faster than the fused kernel, and bf16 group norms are many times faster in
        # the default memory format than in channels_last.
        self.pipe.unet.set_attn_processor(TrainingAttention())
        self.heads = CaptionHeads(self.pipe.text_encoder)
        self.modules = nn.ModuleDict({"unet": self.pipe.unet, "text": self.pipe.text_encoder, "heads": self.heads})
        self.modules.to(device).train()
        self.average = {name: p.detach().clone() for name, p in self.modules.state_dict().items()}
        self.optimiser = torch.optim.AdamW(
            self.modules.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True
        )
        self.schedule = NoiseSchedule(self.pipe.scheduler.betas.to(device))

    def learning_rate(self) -> float:
        """Return the learning rate of the next iteration: linear warm-up, constant, linear decay to zero."""
        r, done = self.recipe, self.iteration / self.recipe.iterations
        return r.learning_rate * min(1.0, (self.iteration + 1) / r.warmup, max(0.0, (1 - done) / (1 - r.decay_from)))

    def pretrain_text(self) -> Iterator[IterationReport]:
        """Run the first stage, which trains the text transformer alone, and yield after every iteration."""
        parameters = [*self.pipe.text_encoder.parameters(), *self.heads.parameters()]
        optimiser = torch.optim.AdamW(parameters, lr=_TEXT_LEARNING_RATE, weight_decay=0.01)
        total, single_share = self.recipe.text_iterations, self.recipe.single_share
        for i in range(total):
            rng = _rng(self.recipe, 1, i)
            for group in optimiser.param_groups:
                group["lr"] = _TEXT_LEARNING_RATE * min(1.0, (i + 1) / 50, 2 * (total - i) / total)
            scenes = [random_scene(rng, "train", single_share=single_share) for _ in range(_TEXT_BATCH)]
            loss = self._caption_loss(scenes)
            loss.backward()
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            yield IterationReport(iteration=i + 1, loss=loss.item(), noise_mse=float("nan"))
        for name, value in self.modules.state_dict().items():
            self.average[name].copy_(value)

    def _caption_loss(self, scenes: list[Scene]) -> Float[Tensor, ""]:
        sequence, pooled = self.pipe.encode([scene.caption for scene in scenes])
        return self.heads.loss(sequence, pooled, caption_labels(scenes, sequence.shape[1], self.device))

    def step(self) -> IterationReport:
        """Run one iteration of the second stage, which trains UNet and text transformer together."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate()
        loss, noise_mse = self._loss()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.modules.parameters(), 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.iteration += 1
        self._update_average()
        return IterationReport(iteration=self.iteration, loss=loss.item(), noise_mse=noise_mse.item())

    def _loss(self) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Return the loss of the next iteration's batch, and the mean squared error of the predicted noise."""
        r, rng = self.recipe, _rng(self.recipe, 2, self.iteration)
        scenes = [random_scene(rng, "train", single_share=r.single_share) for _ in range(r.batch)]
        x_0 = torch.from_numpy(render_batch(scenes, rng, PICTURE_SIDE)).to(self.device)
        eps = torch.from_numpy(rng.standard_normal(x_0.shape, dtype=np.float32)).to(self.device)
        # Timesteps are stratified over the batch, which gives the loss the same mean with less variance.
        spread = (np.arange(r.batch) + rng.random(r.batch)) / r.batch
        t = torch.from_numpy((spread * len(self.schedule.alpha_bar)).astype(np.int64)).to(self.device)
        x_t = self.schedule.add_noise(x_0, eps, t)
        captions = ["" if rng.random() < r.text_dropped else scene.caption for scene in scenes]
        with torch.autocast(self.device.type, torch.bfloat16):
            sequence, pooled = self.pipe.encode(captions)
            output = self.pipe.unet(x_t, t, encoder_hidden_states=sequence, class_labels=pooled).sample
            caption_loss = self._caption_loss(scenes)
        loss, noise_mse = self.schedule.loss(output, eps, t)
        return loss + _CAPTION_LOSS_WEIGHT * caption_loss, noise_mse

    @torch.no_grad()
    def _update_average(self) -> None:
        weight = 1 - min(self.recipe.ema, (1 + self.iteration) / (10 + self.iteration))
        state = self.modules.state_dict()
        torch._foreach_lerp_(list(self.average.values()), [state[name] for name in self.average], weight)

    def averaged_pipeline(self) -> GlidePipeline:
        """Return a new pipeline with the averaged weights, in half precision."""
        pipe = build_pipeline()
        for prefix, module in (("unet.", pipe.unet), ("text.", pipe.text_encoder)):
            module.load_state_dict(
                {name.removeprefix(prefix): v for name, v in self.average.items() if name.startswith(prefix)}
            )
            module.half().eval().requires_grad_(False)
        return pipe

    def save(self, folder: Path) -> None:
        """Write the checkpoint to `folder`, replacing an earlier one atomically."""
        state: dict[str, Any] = {
            "iteration": self.iteration,
            "modules": self.modules.state_dict(),
            "average": self.average,
            "optimiser": self.optimiser.state_dict(),
        }
        path = (folder / _CHECKPOINT).resolve()  # a symbolic link stays
        temporary = path.with_name(path.name + ".new")
        torch.save(state, temporary)
        temporary.replace(path)

    def resume(self, folder: Path) -> bool:
        """Load the checkpoint of `folder`. Returns whether there is one."""
        path = folder / _CHECKPOINT
        if not path.exists():
            return False
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.modules.load_state_dict(state["modules"])
        self.average = {name: value.to(self.device) for name, value in state["average"].items()}
        self.optimiser.load_state_dict(state["optimiser"])
        self.iteration = state["iteration"]
        return True


def checkpoint_iteration(folder: Path) -> int:
    """Return the number of iterations done in the checkpoint of `folder`, 0 where there is none."""
    path = folder / _CHECKPOINT
    return int(torch.load(path, weights_only=True, mmap=True)["iteration"]) if path.exists() else 0


def train(recipe: Recipe, folder: Path, *, checkpoint_seconds: float = 300) -> Iterator[tuple[Stage, IterationReport]]:
    """Train until the recipe's last iteration, and yield after every iteration.

    Continues from the checkpoint in `folder` where there is one. Every `checkpoint_seconds`, and at the end, the
    checkpoint and the averaged pipeline (in PIPELINE_FOLDER) are written to `folder`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(recipe, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    if not trainer.resume(folder):
        for report in trainer.pretrain_text():
            yield "text", report
    saved_at = time.monotonic()
    while trainer.iteration < recipe.iterations:
        yield "diffusion", trainer.step()
        if time.monotonic() - saved_at > checkpoint_seconds or trainer.iteration == recipe.iterations:
            trainer.save(folder)
            trainer.averaged_pipeline().save_pretrained(folder / PIPELINE_FOLDER)
            apply_umask(folder / PIPELINE_FOLDER)
            saved_at = time.monotonic()
