"""Trains glide-mini: on two CPU cores in a few hours, on a GPU in minutes. Resumable at any checkpoint.

Every batch is a function of (seed, iteration) alone, so a resumed run sees the data it would have seen.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from compute.models.glide.pipeline import GlidePipeline
from compute.models.mini.glide_mini import PICTURE_SIDE, build_pipeline
from compute.models.mini.scenes.render import render_batch
from compute.models.mini.scenes.scene import Scene, draw
from compute.models.mini.training.attention import TrainingAttention
from compute.models.mini.training.caption_reading import ReadingHeads, reading_targets
from compute.models.mini.training.losses import Schedule

_READING_WEIGHT = 0.05
_CHECKPOINT = "checkpoint.pt"
PIPELINE_FOLDER = "pipeline"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides what comes out of the training."""

    iterations: int = 7000
    batch: int = 32
    learning_rate: float = 6e-4
    warmup: int = 200
    decay_from: float = 0.6  # share of the iterations after which the learning rate falls linearly to zero
    text_dropped: float = 0.15
    single_share: float = 0.2
    reading_iterations: int = 800
    ema: float = 0.999
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What a training loop reports after an iteration."""

    iteration: int
    loss: float
    noise_mse: float


def _rng(recipe: Recipe, *tags: int) -> np.random.Generator:
    return np.random.default_rng([recipe.seed, *tags])


class Trainer:
    """The state of a training run: modules, their moving average, the optimiser, and the iteration."""

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.device, self.iteration = recipe, device, 0
        self.pipe = build_pipeline()
        # Measured on the CPU: plain attention trains faster than the fused one, and in the default memory format
        # bf16 group norms are many times faster than in channels_last.
        self.pipe.unet.set_attn_processor(TrainingAttention())
        self.heads = ReadingHeads(self.pipe.text_encoder)
        self.modules = nn.ModuleDict({"unet": self.pipe.unet, "text": self.pipe.text_encoder, "heads": self.heads})
        self.modules.to(device).train()
        self.average = {name: p.detach().clone() for name, p in self.modules.state_dict().items()}
        self.optimiser = torch.optim.AdamW(
            self.modules.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True
        )
        self.schedule = Schedule(self.pipe.scheduler.betas.to(device))

    def learning_rate(self) -> float:
        """Linear warm-up, constant, linear decay to zero."""
        r, done = self.recipe, self.iteration / self.recipe.iterations
        return r.learning_rate * min(1.0, (self.iteration + 1) / r.warmup, max(0.0, (1 - done) / (1 - r.decay_from)))

    def learn_to_read(self) -> Iterator[Progress]:
        """The first stage: the text transformer reads captions."""
        parameters = [*self.pipe.text_encoder.parameters(), *self.heads.parameters()]
        optimiser = torch.optim.AdamW(parameters, lr=2e-3, weight_decay=0.01)
        total = self.recipe.reading_iterations
        for i in range(total):
            rng = _rng(self.recipe, 1, i)
            for group in optimiser.param_groups:
                group["lr"] = 2e-3 * min(1.0, (i + 1) / 50, 2 * (total - i) / total)
            loss = self._reading_loss([draw(rng, "train", single_share=self.recipe.single_share) for _ in range(128)])
            loss.backward()
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            yield Progress(iteration=i + 1, loss=loss.item(), noise_mse=float("nan"))
        self._reset_average()

    def _reading_loss(self, scenes: list[Scene]) -> Tensor:
        sequence, pooled = self.pipe.encode([scene.caption for scene in scenes])
        return self.heads.loss(sequence, pooled, reading_targets(scenes, sequence.shape[1], self.device))

    def step(self) -> Progress:
        """One iteration of the second stage: the UNet learns to predict noise, the text transformer goes on reading."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate()
        loss, noise_mse = self._loss()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.modules.parameters(), 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.iteration += 1
        self._update_average()
        return Progress(iteration=self.iteration, loss=loss.item(), noise_mse=noise_mse.item())

    def _loss(self) -> tuple[Tensor, Tensor]:
        r, rng = self.recipe, _rng(self.recipe, 2, self.iteration)
        scenes = [draw(rng, "train", single_share=r.single_share) for _ in range(r.batch)]
        x_0 = torch.from_numpy(render_batch(scenes, rng, PICTURE_SIDE)).to(self.device)
        eps = torch.from_numpy(rng.standard_normal(x_0.shape, dtype=np.float32)).to(self.device)
        # Stratified over the batch: the same mean with less variance.
        spread = (np.arange(r.batch) + rng.random(r.batch)) / r.batch
        t = torch.from_numpy((spread * len(self.schedule.alpha_bar)).astype(np.int64)).to(self.device)
        x_t = self.schedule.noised(x_0, eps, t)
        captions = ["" if rng.random() < r.text_dropped else scene.caption for scene in scenes]
        with torch.autocast(self.device.type, torch.bfloat16):
            sequence, pooled = self.pipe.encode(captions)
            output = self.pipe.unet(x_t, t, encoder_hidden_states=sequence, class_labels=pooled).sample
            reading = self._reading_loss(scenes)
        loss, noise_mse = self.schedule.loss(output, eps, t)
        return loss + _READING_WEIGHT * reading, noise_mse

    def _reset_average(self) -> None:
        for name, value in self.modules.state_dict().items():
            self.average[name].copy_(value)

    @torch.no_grad()
    def _update_average(self) -> None:
        weight = 1 - min(self.recipe.ema, (1 + self.iteration) / (10 + self.iteration))
        state = self.modules.state_dict()
        torch._foreach_lerp_(list(self.average.values()), [state[name] for name in self.average], weight)

    def averaged_pipeline(self) -> GlidePipeline:
        """A pipeline of its own with the averaged weights in half precision: what is shipped."""
        pipe = build_pipeline()
        for prefix, module in (("unet.", pipe.unet), ("text.", pipe.text_encoder)):
            module.load_state_dict(
                {name.removeprefix(prefix): v for name, v in self.average.items() if name.startswith(prefix)}
            )
            module.half().eval().requires_grad_(False)
        return pipe

    def save(self, folder: Path) -> None:
        """Checkpoint: written beside the old one, then renamed over it."""
        state: dict[str, Any] = {
            "iteration": self.iteration,
            "modules": self.modules.state_dict(),
            "average": self.average,
            "optimiser": self.optimiser.state_dict(),
        }
        temporary = folder / (_CHECKPOINT + ".new")
        torch.save(state, temporary)
        temporary.replace(folder / _CHECKPOINT)

    def resume(self, folder: Path) -> bool:
        """Continues from the folder's checkpoint; false where there is none."""
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
    """How far the training in a folder is; 0 where there is no checkpoint."""
    path = folder / _CHECKPOINT
    return int(torch.load(path, weights_only=True, mmap=True)["iteration"]) if path.exists() else 0


def train(recipe: Recipe, folder: Path, *, checkpoint_seconds: float = 300) -> Iterator[tuple[str, Progress]]:
    """Trains to the recipe's end, yielding ("reading" | "diffusion", progress) after every iteration.

    Continues from a checkpoint in `folder`; writes one every `checkpoint_seconds`, and the averaged pipeline beside it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(recipe, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    if not trainer.resume(folder):
        for progress in trainer.learn_to_read():
            yield "reading", progress
    saved = time.monotonic()
    while trainer.iteration < recipe.iterations:
        yield "diffusion", trainer.step()
        if time.monotonic() - saved > checkpoint_seconds or trainer.iteration == recipe.iterations:
            trainer.save(folder)
            trainer.averaged_pipeline().save_pretrained(folder / PIPELINE_FOLDER)
            saved = time.monotonic()
