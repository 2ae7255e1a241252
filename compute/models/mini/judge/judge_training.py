"""The training of the scene judge on rendered scenes, some of them degraded; a few minutes on two cores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from compute.models.mini.judge.scene_fidelity import UNCLEAR, DetectedScene
from compute.models.mini.judge.scene_judge import NO_OBJECT, SLOT_CLASSES, SceneJudge
from compute.models.mini.scenes.render import render_batch
from compute.models.mini.scenes.scene import AXES, BACKGROUNDS, Scene, random_scene

_BACKGROUNDS = list(BACKGROUNDS)
_BLENDED_SHARE = 0.15
_HELD_OUT_SHARE = 0.15  # the judge must recognise what the model was not trained on, too


@dataclass(frozen=True, kw_only=True)
class JudgeRecipe:
    """The settings that determine the trained weights."""

    iterations: int = 2500
    batch: int = 64
    learning_rate: float = 2e-3
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class JudgeAccuracy:
    """The shares of rendered scenes in which the judge is right, each in [0, 1]."""

    axis: float
    objects: float
    background: float
    all: float


@dataclass(frozen=True, kw_only=True)
class JudgeBatch:
    """Pictures in [-1, 1] with their labels, as indices into AXES, SLOT_CLASSES and BACKGROUNDS.

    The first `blended` pictures are blends of two scenes: both slots are UNCLEAR, and `axis` means nothing.
    """

    pictures: Float[Tensor, "B 3 H W"]
    axis: Int[Tensor, " B"]
    slots: Int[Tensor, "B 2"]
    background: Int[Tensor, " B"]
    blended: int


def training_batch(recipe: JudgeRecipe, iteration: int) -> JudgeBatch:
    """Return the training batch of an iteration, which depends on the recipe's seed and the iteration alone."""
    rng = np.random.default_rng([recipe.seed, 3, iteration])
    scenes = [
        random_scene(rng, "held-out" if rng.random() < _HELD_OUT_SHARE else "train", single_share=0.3)
        for _ in range(recipe.batch)
    ]
    pictures = torch.from_numpy(render_batch(scenes, rng, SceneJudge.side))
    blended = round(_BLENDED_SHARE * recipe.batch)
    others = [_with_other_objects(scene, rng) for scene in scenes[:blended]]
    weight = torch.from_numpy(rng.uniform(0.4, 0.6, (blended, 1, 1, 1))).float()
    pictures[:blended] += weight * (torch.from_numpy(render_batch(others, rng, SceneJudge.side)) - pictures[:blended])
    slots = [(UNCLEAR, UNCLEAR)] * blended + [(s.slots[0], s.slots[1] or NO_OBJECT) for s in scenes[blended:]]
    return JudgeBatch(
        pictures=_degrade(pictures, rng),
        axis=torch.tensor([AXES.index(scene.axis) for scene in scenes]),
        slots=torch.tensor([[SLOT_CLASSES.index(name) for name in pair] for pair in slots]),
        background=torch.tensor([_BACKGROUNDS.index(scene.background) for scene in scenes]),
        blended=blended,
    )


def _with_other_objects(scene: Scene, rng: np.random.Generator) -> Scene:
    """Return a random scene with the same arrangement and background and none of the same objects."""
    while True:
        other = random_scene(rng, "train", single_share=float(scene.second is None))
        if not set(other.objects) & set(scene.objects):
            return Scene(first=other.first, second=other.second, relation=scene.relation, background=scene.background)


def _degrade(pictures: Float[Tensor, "B 3 H W"], rng: np.random.Generator) -> Float[Tensor, "B 3 H W"]:
    """Add noise and blur and change colours, as an imperfect generator does; the objects stay recognisable."""

    def uniform(low: float, high: float, channels: int = 1) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, (len(pictures), channels, 1, 1))).float()

    blurred = F.avg_pool2d(F.pad(pictures, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    pictures = pictures + (uniform(0, 1) < 0.5) * uniform(0, 1) * (blurred - pictures)
    gray = pictures.mean(1, keepdim=True)
    pictures = (gray + uniform(0.6, 1.1) * (pictures - gray)) * uniform(0.85, 1.15, 3) + uniform(-0.08, 0.08, 3)
    noise = torch.from_numpy(rng.standard_normal(pictures.shape, dtype=np.float32))
    return (pictures + uniform(0, 0.3) * noise).clamp(-1, 1)


def train_judge(recipe: JudgeRecipe) -> Iterator[tuple[int, float, SceneJudge]]:
    """Train a judge, and yield (iterations done, loss, judge) after every iteration."""
    torch.manual_seed(recipe.seed)
    judge = SceneJudge()
    optimiser = torch.optim.AdamW(judge.parameters(), lr=recipe.learning_rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, total_steps=recipe.iterations, pct_start=0.1
    )
    for iteration in range(recipe.iterations):
        batch = training_batch(recipe, iteration)
        with torch.autocast("cpu", torch.bfloat16):
            axis_logits, slot_logits, background_logits = judge(batch.pictures)
        loss = (
            F.cross_entropy(axis_logits.float()[batch.blended :], batch.axis[batch.blended :])
            + F.cross_entropy(slot_logits.float().flatten(0, 1), batch.slots.flatten())
            + F.cross_entropy(background_logits.float(), batch.background)
        )
        loss.backward()
        optimiser.step()
        schedule.step()
        optimiser.zero_grad(set_to_none=True)
        yield iteration + 1, loss.item(), judge


def accuracy(judge: SceneJudge, *, count: int = 4000, seed: int = 1) -> JudgeAccuracy:
    """Return the judge's accuracy on `count` random rendered scenes, half of them of the held-out split."""
    rng = np.random.default_rng([seed, 4])
    scenes = [random_scene(rng, "held-out" if i % 2 else "train") for i in range(count)]
    detections: list[DetectedScene] = []
    for start in range(0, count, 200):
        pictures = torch.from_numpy(render_batch(scenes[start : start + 200], rng, SceneJudge.side))
        detections += judge.detect(pictures)
    pairs = list(zip(detections, scenes, strict=True))
    axis = [detected.axis == scene.axis for detected, scene in pairs]
    objects = [(detected.first, detected.second) == scene.slots for detected, scene in pairs]
    background = [detected.background == scene.background for detected, scene in pairs]
    every = [all(aspects) for aspects in zip(axis, objects, background, strict=True)]
    return JudgeAccuracy(
        axis=float(np.mean(axis)),
        objects=float(np.mean(objects)),
        background=float(np.mean(background)),
        all=float(np.mean(every)),
    )
