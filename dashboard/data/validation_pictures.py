"""Reads the pictures beside a policy's file: a PNG of tiles with a text that describes it; neither is trusted."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import ValidationError

from compute.policy.picture_grid import PICTURE_TEXT_KEY, PictureGrid
from compute.policy.quality import RunName
from store.errors import StoreError
from store.folder.documents import document_names, read_document

_PIXEL_LIMIT = 1 << 24
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Pictures of the runs of one validation: `rows` has for each run one (H, W, 3) picture a condition."""

    rows: Mapping[RunName, tuple[Pixels, ...]]
    conditions: tuple[tuple[str, int], ...]
    """Prompt and seed of each."""


def comparison_of(root: Path, stem: str) -> Comparison | None:
    """The pictures beside a policy's file; None where there are none. Raises StoreError for anything but such a PNG."""
    name = f"{stem}.png"
    if name not in document_names(root, "policies", ".png"):
        return None
    return read_comparison(read_document(root, "policies", name), name)


def read_comparison(data: bytes, name: str) -> Comparison:
    """The pictures of a PNG's bytes. Raises StoreError for anything but a grid of tiles that says what it is."""
    try:
        image = Image.open(io.BytesIO(data), formats=["PNG"])
        if image.width * image.height > _PIXEL_LIMIT:
            raise StoreError(f"{name}: {image.width} x {image.height} pixels are more than the {_PIXEL_LIMIT} accepted")
        pixels = np.asarray(image.convert("RGB"))
        text = getattr(image, "text", {}).get(PICTURE_TEXT_KEY, "")
        sheet = PictureGrid.model_validate_json(text)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, problem["loc"])) or "its text"
        raise StoreError(f"{name}: does not say what its pictures are: {where}: {problem['msg']}") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise StoreError(f"{name}: is no PNG picture that can be read: {error}") from error
    return _cut(pixels, sheet, name)


def _cut(pixels: Pixels, sheet: PictureGrid, name: str) -> Comparison:
    height, width = sheet.tile
    rows, columns = len(sheet.rows), len(sheet.conditions)
    if pixels.shape[:2] != (rows * height, columns * width):
        raise StoreError(
            f"{name}: is {pixels.shape[1]} x {pixels.shape[0]} pixels, but {columns} x {rows} tiles of "
            f"{width} x {height} are {columns * width} x {rows * height}"
        )
    tiles = pixels.reshape(rows, height, columns, width, 3).transpose(0, 2, 1, 3, 4)
    return Comparison(
        rows={run: tuple(tiles[row]) for row, run in enumerate(sheet.rows)},
        conditions=tuple((condition.prompt, condition.seed) for condition in sheet.conditions),
    )
