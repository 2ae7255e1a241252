"""Scenes to pictures: sprites with alpha, pasted at random sizes and places that keep the caption true."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from compute.models.mini.scenes.scene import BACKGROUNDS, OBJECTS, Scene

SHEET = Path(__file__).parent / "sprites" / "sprites.png"
SHEET_COLUMNS = 8
SPRITE_SIDE = 72
# Sides of sprites and play of their centres, as shares of the picture's side.
_SINGLE_SIDE = (0.5, 0.72)
_PAIR_SIDE = (0.40, 0.47)
_OFFSET = (0.235, 0.265)  # of a pair's centres from the middle, along the axis
_PLAY = 0.09  # across the axis
_GROUND_JITTER = 10  # of 255, each channel


@lru_cache(maxsize=1)
def sprite_sheet() -> tuple[Image.Image, ...]:
    """The sprites in the order of `OBJECTS`, RGBA, SPRITE_SIDE pixels square."""
    with Image.open(SHEET) as file:
        sheet = file.convert("RGBA")
    corners = [(i % SHEET_COLUMNS * SPRITE_SIDE, i // SHEET_COLUMNS * SPRITE_SIDE) for i in range(len(OBJECTS))]
    return tuple(sheet.crop((x, y, x + SPRITE_SIDE, y + SPRITE_SIDE)) for x, y in corners)


@lru_cache(maxsize=4096)
def _sprite(name: str, side: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Colour times alpha (side, side, 3) and what it leaves of the background (side, side, 1)."""
    picture = sprite_sheet()[list(OBJECTS).index(name)]
    premultiplied = np.asarray(picture, np.float32) / 255
    premultiplied[..., :3] *= premultiplied[..., 3:]
    # Resized with premultiplied alpha, channel by channel: straight alpha would bleed dark edges.
    channels = [
        np.asarray(Image.fromarray(premultiplied[..., c]).resize((side, side), Image.Resampling.BOX), np.float32)
        for c in range(4)
    ]
    small = np.stack(channels, axis=-1).clip(0, 1)
    return small[..., :3], 1 - small[..., 3:]


def _places(scene: Scene, rng: np.random.Generator) -> list[tuple[str, float, float, float]]:
    """Name, centre x, centre y and side of each object, as shares of the picture's side."""
    if scene.second is None:
        side = rng.uniform(*_SINGLE_SIDE)
        play = (1 - side) / 2
        x, y = 0.5 + rng.uniform(-play, play, size=2)
        return [(scene.first, x, y, side)]
    places = []
    for name, direction in zip(scene.slots, (-1, 1), strict=True):
        assert name is not None
        along, across = 0.5 + direction * rng.uniform(*_OFFSET), 0.5 + rng.uniform(-_PLAY, _PLAY)
        x, y = (along, across) if scene.axis == "horizontal" else (across, along)
        places.append((name, x, y, rng.uniform(*_PAIR_SIDE)))
    return places


def render(scene: Scene, rng: np.random.Generator, size: int) -> NDArray[np.float32]:
    """One picture of the scene, (size, size, 3) in [0, 1]; size, place and shade vary with `rng`."""
    shade = np.asarray(BACKGROUNDS[scene.background], np.float32) + rng.uniform(-_GROUND_JITTER, _GROUND_JITTER, 3)
    picture = np.broadcast_to((shade / 255).clip(0, 1).astype(np.float32), (size, size, 3)).copy()
    for name, x, y, side in _places(scene, rng):
        pixels = round(side * size)
        left = int(np.clip(round(x * size - pixels / 2), 0, size - pixels))
        top = int(np.clip(round(y * size - pixels / 2), 0, size - pixels))
        colour, rest = _sprite(name, pixels)
        spot = picture[top : top + pixels, left : left + pixels]
        spot *= rest
        spot += colour
    return picture


def render_batch(scenes: Sequence[Scene], rng: np.random.Generator, size: int) -> NDArray[np.float32]:
    """Pictures of scenes as a model sees them: (B, 3, size, size) in [-1, 1]."""
    pictures = np.stack([render(scene, rng, size) for scene in scenes])
    return np.ascontiguousarray(pictures.transpose(0, 3, 1, 2) * 2 - 1)
