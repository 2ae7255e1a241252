"""The layout of a validation's PNG: one row for each run, one column for each condition, described by a text entry.

`compute.recommend.validation_picture` writes such files; the dashboard reads them without trusting them.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from compute.policy.quality import RunName
from store.records import PROMPT_LIMIT, Record

PICTURE_TEXT_KEY = "skipscope"
"""The PNG's text entry that holds a `PictureGrid` as JSON."""
Pixels = Annotated[int, Field(ge=1, le=4096)]


class TileCondition(Record):
    """The condition of a column."""

    prompt: Annotated[str, Field(max_length=PROMPT_LIMIT)]
    seed: int


class PictureGrid(Record):
    """The tiles of a PNG: `tile` is (height, width), `rows` the runs from the top, `conditions` the columns."""

    tile: tuple[Pixels, Pixels]
    rows: Annotated[tuple[RunName, ...], Field(min_length=1, max_length=3)]
    conditions: Annotated[tuple[TileCondition, ...], Field(min_length=1, max_length=1000)]

    @model_validator(mode="after")
    def _rows_differ(self) -> PictureGrid:
        if len(set(self.rows)) != len(self.rows):
            raise ValueError("rows: a run appears twice")
        return self
