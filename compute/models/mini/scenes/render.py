"""Renders scenes: sprites on a coloured background, at random sizes and positions for which the caption is true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from PIL import Image

from compute.models.mini.scenes.scene import BACKGROUNDS, OBJECTS, Scene

SHEET = Path(__file__).parent / "sprites" / "sprites.png"
SHEET_COLUMNS = 8
SPRITE_SIDE = 72
# Ranges, as shares of the picture's side.
_SINGLE_SIDE = (0.5, 0.72)  # the side of a single object
_PAIR_SIDE = (0.40, 0.47)  # the sides of a pair
_PAIR_OFFSET = (0.235, 0.265)  # the distance of a pair's centres from the middle, along the axis
_PAIR_JITTER = 0.09  # the largest distance of a pair's centres from the middle, across the axis
_SHADE_JITTER = 10  # the largest change of a background's channel, of 255


@lru_cache(maxsize=1)
def sprites() -> tuple[Image.Image, ...]:
    """Return the sprites in the order of OBJECTS, RGBA, SPRITE_SIDE pixels square."""
    with Image.open(SHEET) as file:
        sheet = file.convert("RGBA")
    corners = [(i % SHEET_COLUMNS * SPRITE_SIDE, i // SHEET_COLUMNS * SPRITE_SIDE) for i in range(len(OBJECTS))]
    return tuple(sheet.crop((x, y, x + SPRITE_SIDE, y + SPRITE_SIDE)) for x, y in corners)


@lru_cache(maxsize=4096)
def _resized_sprite(
    name: str, side: int
) -> tuple[Float32[np.ndarray, "side side 3"], Float32[np.ndarray, "side side 1"]]:
    """Return colour times alpha, and 1 - alpha: the weight of what lies behind."""
    premultiplied = np.asarray(sprites()[list(OBJECTS).index(name)], np.float32) / 255
    premultiplied[..., :3] *= premultiplied[..., 3:]
    # Resized with premultiplied alpha, channel by channel: straight alpha would bleed dark edges.
    channels = [
        np.asarray(Image.fromarray(premultiplied[..., c]).resize((side, side), Image.Resampling.BOX), np.float32)
        for c in range(4)
    ]
    resized = np.stack(channels, axis=-1).clip(0, 1)
    return resized[..., :3], 1 - resized[..., 3:]


@dataclass(frozen=True, kw_only=True)
class _Placement:
    """An object with its centre and its side, as shares of the picture's side."""

    name: str
    x: float
    y: float
    side: float


def _random_placements(scene: Scene, rng: np.random.Generator) -> list[_Placement]:
    if scene.second is None:
        side = rng.uniform(*_SINGLE_SIDE)
        margin = (1 - side) / 2
        x, y = 0.5 + rng.uniform(-margin, margin, size=2)
        return [_Placement(name=scene.first, x=x, y=y, side=side)]
    placements = []
    for name, direction in zip(scene.slots, (-1, 1), strict=True):
        assert name is not None
        along = 0.5 + direction * rng.uniform(*_PAIR_OFFSET)
        across = 0.5 + rng.uniform(-_PAIR_JITTER, _PAIR_JITTER)
        x, y = (along, across) if scene.axis == "horizontal" else (across, along)
        placements.append(_Placement(name=name, x=x, y=y, side=rng.uniform(*_PAIR_SIDE)))
    return placements


def render(scene: Scene, rng: np.random.Generator, size: int) -> Float32[np.ndarray, "{size} {size} 3"]:
    """Return a picture of a scene, in [0, 1]; sizes, positions and the background's shade are random."""
    shade = np.asarray(BACKGROUNDS[scene.background], np.float32) + rng.uniform(-_SHADE_JITTER, _SHADE_JITTER, 3)
    picture = np.broadcast_to((shade / 255).clip(0, 1).astype(np.float32), (size, size, 3)).copy()
    for placement in _random_placements(scene, rng):
        side = round(placement.side * size)
        left = int(np.clip(round(placement.x * size - side / 2), 0, size - side))
        top = int(np.clip(round(placement.y * size - side / 2), 0, size - side))
        premultiplied_colour, background_weight = _resized_sprite(placement.name, side)
        region = picture[top : top + side, left : left + side]
        region *= background_weight
        region += premultiplied_colour
    return picture


def render_batch(
    scenes: Sequence[Scene], rng: np.random.Generator, size: int
) -> Float32[np.ndarray, "B 3 {size} {size}"]:
    """Return pictures of scenes in [-1, 1], the range that the model samples in. See `render`."""
    pictures = np.stack([render(scene, rng, size) for scene in scenes])
    return np.ascontiguousarray(pictures.transpose(0, 3, 1, 2) * 2 - 1)
