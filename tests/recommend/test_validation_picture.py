"""The PNG of a validation: pictures in native size and what describes them."""

from __future__ import annotations

import json
from io import BytesIO

import numpy as np
from PIL import Image

from compute.images import image_of
from compute.policy.picture_grid import PICTURE_TEXT_KEY
from compute.recommend.validation import ValidationResult
from compute.recommend.validation_picture import COLUMNS, validation_picture


def test_the_grid_holds_the_pictures_unchanged(drop_validation: ValidationResult) -> None:
    with Image.open(BytesIO(validation_picture(drop_validation.pictures, drop_validation.conditions))) as grid:
        description = json.loads(grid.text[PICTURE_TEXT_KEY])  # type: ignore[attr-defined]
        pixels = np.asarray(grid.convert("RGB"))
    conditions = drop_validation.conditions[:COLUMNS]
    assert description["tile"] == [16, 16]
    assert description["rows"] == ["full", "policy", "fewer_steps"]
    assert description["conditions"] == [{"prompt": c.prompt, "seed": c.seed} for c in conditions]
    assert pixels.shape == (3 * 16, COLUMNS * 16, 3)
    for row, name in enumerate(description["rows"]):
        for column in range(COLUMNS):
            tile = pixels[16 * row : 16 * (row + 1), 16 * column : 16 * (column + 1)]
            assert np.array_equal(tile, np.asarray(image_of(drop_validation.pictures[name][column].numpy())))


def test_a_grid_of_few_pictures_is_as_wide_as_they_are(full_validation: ValidationResult) -> None:
    with Image.open(BytesIO(validation_picture(full_validation.pictures, full_validation.conditions))) as grid:
        assert grid.size == (5 * 16, 3 * 16)
        assert len(json.loads(grid.text[PICTURE_TEXT_KEY])["conditions"]) == 5  # type: ignore[attr-defined]
