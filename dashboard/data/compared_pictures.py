"""Pictures of two validated runs side by side: those of the same prompt, seed and size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from compute.policy.quality import RunName
from dashboard.data.policy_files import PolicyFile
from dashboard.data.sweep import Sweep
from dashboard.data.validation_pictures import Tile, ValidationPictures
from store.errors import SkipscopeError

Place = tuple[str, int]
"""Prompt and seed."""


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A run whose pictures a validation kept; `token` is its text in an address."""

    token: str
    label: str
    pictures: Mapping[Place, Tile]


@dataclass(frozen=True, kw_only=True)
class PicturePair:
    """Two runs' pictures of one prompt and seed; `difference` is the mean distance of their pixels, 0 to 1."""

    prompt: str
    seed: int
    left: Tile
    right: Tile
    difference: float


def contenders(sweep: Sweep, files: Sequence[PolicyFile], first: PolicyFile | None) -> list[Contender]:
    """Return full compute and fewer steps as the first policy's validation ran them, and every policy with pictures.

    Files whose pictures cannot be read are left out; their policy's own details say why.
    """
    ordered = sorted(files, key=lambda file: file is not first)
    found: list[Contender] = []
    for file in ordered:
        pictures = _pictures(sweep, file)
        if pictures is None or file.policy is None or file.policy.validation is None:
            continue
        if not found:
            found += [c for c in (_of_run(pictures, "full", "Full compute", "full"),) if c]
            fewer = file.policy.validation.run("fewer_steps")
            name = f"Full compute, {fewer.steps} steps" if fewer else "Full compute, fewer steps"
            found += [c for c in (_of_run(pictures, "fewer_steps", name, "fewer_steps"),) if c]
        own = _of_run(pictures, "policy", file.policy.name, f"policy-{file.stem}")
        found += [own] if own else []
    return found


def _pictures(sweep: Sweep, file: PolicyFile) -> ValidationPictures | None:
    try:
        return sweep.validation_pictures(file.stem)
    except SkipscopeError:
        return None


def _of_run(pictures: ValidationPictures, run: RunName, label: str, token: str) -> Contender | None:
    tiles = pictures.tiles.get(run)
    if tiles is None:
        return None
    return Contender(token=token, label=label, pictures=dict(zip(pictures.conditions, tiles, strict=True)))


def picture_pairs(left: Contender, right: Contender) -> list[PicturePair]:
    """Return the pairs of pictures that two runs share, those that differ most first."""
    pairs = [
        PicturePair(
            prompt=place[0],
            seed=place[1],
            left=tile,
            right=right.pictures[place],
            difference=float(np.abs(tile.astype(np.float32) - right.pictures[place].astype(np.float32)).mean() / 255),
        )
        for place, tile in left.pictures.items()
        if place in right.pictures and right.pictures[place].shape == tile.shape
    ]
    return sorted(pairs, key=lambda pair: -pair.difference)
