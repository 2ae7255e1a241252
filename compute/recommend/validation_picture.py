"""The pictures of a validation as one lossless PNG in the layout of `compute.policy.picture_grid`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from io import BytesIO

import numpy as np
from jaxtyping import Float
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from compute.policy.picture_grid import PICTURE_TEXT_KEY, PictureGrid, TileCondition
from compute.policy.quality import RunName
from store.records import Condition

COLUMNS = 16


def validation_picture(
    pictures: Mapping[RunName, Float[Tensor, "conditions 3 H W"]], conditions: Sequence[Condition]
) -> bytes:
    """Return a PNG with one row for each run and one column for each of the first COLUMNS conditions.

    Pictures are in [-1, 1] and keep their size. A text entry of the PNG describes rows and columns.
    """
    shown = tuple(TileCondition(prompt=c.prompt, seed=c.seed) for c in conditions[:COLUMNS])
    rows = []
    for run_pictures in pictures.values():
        pixels = ((run_pictures[:COLUMNS].float() + 1) * 127.5).round().clamp(0, 255).byte().numpy()
        rows.append(np.concatenate([*pixels.transpose(0, 2, 3, 1)], axis=1))  # (H, columns * W, 3)
    _, _, height, width = next(iter(pictures.values())).shape
    grid = PictureGrid(tile=(height, width), rows=tuple(pictures), conditions=shown)
    text = PngInfo()
    text.add_itxt(PICTURE_TEXT_KEY, json.dumps(grid.model_dump(mode="json")))
    file = BytesIO()
    Image.fromarray(np.concatenate(rows)).save(file, "PNG", pnginfo=text)
    return file.getvalue()
