"""The pictures beside a policy's file: a PNG with a row a run and a column a condition, and the text that describes it.

`compute.recommend.validation_picture` writes such a file, the dashboard reads it without trusting it.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from compute.policy.quality import RunName
from store.records import Record

PICTURE_TEXT_KEY = "skipscope"
"""The PNG's text entry that holds the JSON of a `PictureGrid`."""
PROMPT_LIMIT = 10_000
Pixels = Annotated[int, Field(ge=1, le=4096)]


class TileCondition(Record):
    """The condition of a column."""

    prompt: Annotated[str, Field(max_length=PROMPT_LIMIT)]
    seed: int


class PictureGrid(Record):
    """What a PNG of tiles shows: `tile` is (height, width), `rows` the runs from the top, `conditions` the columns."""

    tile: tuple[Pixels, Pixels]
    rows: Annotated[tuple[RunName, ...], Field(min_length=1, max_length=3)]
    conditions: Annotated[tuple[TileCondition, ...], Field(min_length=1, max_length=1000)]

    @model_validator(mode="after")
    def _rows_differ(self) -> PictureGrid:
        if len(set(self.rows)) != len(self.rows):
            raise ValueError("rows: each run stands once")
        return self
