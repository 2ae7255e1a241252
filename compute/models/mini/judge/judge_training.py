"""Trains the scene judge on rendered scenes, clean and damaged: a few minutes on two cores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from compute.models.mini.judge.scene_judge import Judge, Reading, targets
from compute.models.mini.scenes.render import render_batch
from compute.models.mini.scenes.scene import BACKGROUNDS, Scene, draw

_BACKGROUNDS = list(BACKGROUNDS)
_UNCLEAR_SHARE = 0.15


@dataclass(frozen=True, kw_only=True)
class JudgeRecipe:
    """Everything that decides what comes out of the judge's training."""

    iterations: int = 2500
    batch: int = 64
    learning_rate: float = 2e-3
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class JudgeAccuracy:
    """Shares of fresh real scenes read right."""

    axis: float
    objects: float
    background: float
    all: float


def _any_scene(rng: np.random.Generator) -> Scene:
    """The judge must read what the model never trained on, too, so it sees both splits."""
    return draw(rng, "held-out" if rng.random() < 0.15 else "train", single_share=0.3)


def _damage(pictures: Tensor, rng: np.random.Generator) -> Tensor:
    """Noise, blur, pale and shifted colours, as an imperfect generator leaves them; pictures stay readable."""

    def drawn(low: float, high: float, channels: int = 1) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, (len(pictures), channels, 1, 1))).float()

    blurred = F.avg_pool2d(F.pad(pictures, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    pictures = pictures + (drawn(0, 1) < 0.5) * drawn(0, 1) * (blurred - pictures)
    gray = pictures.mean(1, keepdim=True)
    pictures = (gray + drawn(0.6, 1.1) * (pictures - gray)) * drawn(0.85, 1.15, 3) + drawn(-0.08, 0.08, 3)
    noise = torch.from_numpy(rng.standard_normal(pictures.shape, dtype=np.float32))
    return (pictures + drawn(0, 0.3) * noise).clamp(-1, 1)


def training_batch(recipe: JudgeRecipe, iteration: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Pictures (B, 3, 32, 32) with axis (B,), slots (B, 2) and background (B,) as indices.

    Some pictures are blends of two scenes on one background: their objects are unclear.
    """
    rng = np.random.default_rng([recipe.seed, 3, iteration])
    scenes: list[Scene] = [_any_scene(rng) for _ in range(recipe.batch)]
    pictures = torch.from_numpy(render_batch(scenes, rng, Judge.side))
    blends = round(_UNCLEAR_SHARE * recipe.batch)
    others = [_like(scene, rng) for scene in scenes[:blends]]
    weight = torch.from_numpy(rng.uniform(0.4, 0.6, (blends, 1, 1, 1))).float()
    pictures[:blends] += weight * (torch.from_numpy(render_batch(others, rng, Judge.side)) - pictures[:blends])
    axis, slots = targets([None if i < blends else scene for i, scene in enumerate(scenes)])
    background = torch.tensor([_BACKGROUNDS.index(scene.background) for scene in scenes])
    return _damage(pictures, rng), axis, slots, background


def _like(scene: Scene, rng: np.random.Generator) -> Scene:
    """Another scene with the same arrangement and background but other objects."""
    while True:
        other = draw(rng, "train", single_share=float(scene.second is None))
        if not set(other.objects) & set(scene.objects):
            return Scene(first=other.first, second=other.second, relation=scene.relation, background=scene.background)


def train_judge(recipe: JudgeRecipe) -> Iterator[tuple[int, float, Judge]]:
    """Yields (iteration, loss, judge) after every iteration."""
    torch.manual_seed(recipe.seed)
    judge = Judge()
    optimiser = torch.optim.AdamW(judge.parameters(), lr=recipe.learning_rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, total_steps=recipe.iterations, pct_start=0.1
    )
    for iteration in range(recipe.iterations):
        pictures, axis, slots, background = training_batch(recipe, iteration)
        with torch.autocast("cpu", torch.bfloat16):
            axis_logits, slot_logits, background_logits = judge(pictures)
        blends = round(_UNCLEAR_SHARE * recipe.batch)
        loss = (
            F.cross_entropy(axis_logits.float()[blends:], axis[blends:])  # an unclear picture has no arrangement
            + F.cross_entropy(slot_logits.float().flatten(0, 1), slots.flatten())
            + F.cross_entropy(background_logits.float(), background)
        )
        loss.backward()
        optimiser.step()
        schedule.step()
        optimiser.zero_grad(set_to_none=True)
        yield iteration + 1, loss.item(), judge


def accuracy(judge: Judge, *, count: int = 4000, seed: int = 1) -> JudgeAccuracy:
    """How often the judge is right on fresh clean scenes of both splits, half of them held out."""
    rng = np.random.default_rng([seed, 4])
    scenes = [draw(rng, "held-out" if i % 2 else "train") for i in range(count)]
    readings: list[Reading] = []
    for start in range(0, count, 200):
        readings += judge.read(torch.from_numpy(render_batch(scenes[start : start + 200], rng, Judge.side)))
    axis = [r.axis == s.axis for r, s in zip(readings, scenes, strict=True)]
    objects = [(r.first, r.second) == s.slots for r, s in zip(readings, scenes, strict=True)]
    background = [r.background == s.background for r, s in zip(readings, scenes, strict=True)]
    whole = [a and o and b for a, o, b in zip(axis, objects, background, strict=True)]
    return JudgeAccuracy(
        axis=float(np.mean(axis)),
        objects=float(np.mean(objects)),
        background=float(np.mean(background)),
        all=float(np.mean(whole)),
    )
