"""The pictures of a validation as one lossless PNG: a row a run, a column a condition; its text says which is which."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from io import BytesIO

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from compute.policy.picture_grid import PICTURE_TEXT_KEY, PROMPT_LIMIT, PictureGrid, TileCondition
from compute.policy.quality import RunName
from store.records import Condition

COLUMNS = 16


def picture_grid(pictures: Mapping[RunName, Tensor], conditions: Sequence[Condition]) -> bytes:
    """The first COLUMNS conditions' pictures, (N, 3, H, W) in [-1, 1] for each run, as PNG bytes in native size."""
    shown = tuple(TileCondition(prompt=c.prompt[:PROMPT_LIMIT], seed=c.seed) for c in conditions[:COLUMNS])
    rows = []
    for tensors in pictures.values():
        pixels = ((tensors[:COLUMNS].float() + 1) * 127.5).round().clamp(0, 255).byte().numpy()
        rows.append(np.concatenate([*pixels.transpose(0, 2, 3, 1)], axis=1))  # (H, columns * W, 3)
    _, _, height, width = next(iter(pictures.values())).shape
    text = PngInfo()
    grid = PictureGrid(tile=(height, width), rows=tuple(pictures), conditions=shown)
    text.add_itxt(PICTURE_TEXT_KEY, json.dumps(grid.model_dump(mode="json")))
    file = BytesIO()
    Image.fromarray(np.concatenate(rows)).save(file, "PNG", pnginfo=text)
    return file.getvalue()
