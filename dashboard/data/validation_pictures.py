"""The pictures of a policy's validation: a PNG of tiles beside the policy's file, read without trusting it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from pydantic import ValidationError

from compute.policy.picture_grid import PICTURE_TEXT_KEY, PictureGrid
from compute.policy.quality import RunName
from store.errors import StoreError
from store.folder.documents import document_names, read_document

_PIXEL_LIMIT = 1 << 24
Tile = UInt8[np.ndarray, "H W 3"]


@dataclass(frozen=True, kw_only=True)
class ValidationPictures:
    """The pictures of one validation: `tiles` has, for each run, one picture a condition."""

    tiles: Mapping[RunName, tuple[Tile, ...]]
    conditions: tuple[tuple[str, int], ...]
    """Prompt and seed of each condition."""


def read_validation_pictures(root: Path, stem: str) -> ValidationPictures | None:
    """Return the pictures beside a policy's file, or None if there are none. Raises StoreError; see `parse_png`."""
    name = f"{stem}.png"
    if name not in document_names(root, "policies", ".png"):
        return None
    return parse_png(read_document(root, "policies", name), name)


def parse_png(data: bytes, name: str) -> ValidationPictures:
    """Return the pictures in a PNG's bytes. Raises StoreError unless it is a grid of tiles that describes itself."""
    try:
        image = Image.open(io.BytesIO(data), formats=["PNG"])
        if image.width * image.height > _PIXEL_LIMIT:
            raise StoreError(f"{name}: {image.width} x {image.height} pixels are more than the {_PIXEL_LIMIT} accepted")
        pixels = np.asarray(image.convert("RGB"))
        text = getattr(image, "text", {}).get(PICTURE_TEXT_KEY, "")
        grid = PictureGrid.model_validate_json(text)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, problem["loc"])) or "its text"
        raise StoreError(f"{name}: does not describe its pictures: {field}: {problem['msg']}") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise StoreError(f"{name}: is not a readable PNG picture: {error}") from error
    return _split(pixels, grid, name)


def _split(pixels: UInt8[np.ndarray, "rows columns 3"], grid: PictureGrid, name: str) -> ValidationPictures:
    height, width = grid.tile
    rows, columns = len(grid.rows), len(grid.conditions)
    if pixels.shape[:2] != (rows * height, columns * width):
        raise StoreError(
            f"{name}: is {pixels.shape[1]} x {pixels.shape[0]} pixels, but {columns} x {rows} tiles of "
            f"{width} x {height} are {columns * width} x {rows * height}"
        )
    tiles = pixels.reshape(rows, height, columns, width, 3).transpose(0, 2, 1, 3, 4)
    return ValidationPictures(
        tiles={run: tuple(tiles[row]) for row, run in enumerate(grid.rows)},
        conditions=tuple((condition.prompt, condition.seed) for condition in grid.conditions),
    )
