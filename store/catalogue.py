"""The catalogue: one line a shard, with everything that tables need, so that no shard has to be opened for them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError

from store.files import read_file
from store.metric import MetricInfo, MetricValues
from store.records import Record, Unit, canonical_json

Value = float | Literal["inf", "-inf"] | None
Row = TypeVar("Row", bound=Record)


class CatalogueMetric(Record):
    """A metric in a catalogue row: `values` has one entry a condition (null is NaN), or `absent` says why not."""

    info: MetricInfo
    values: tuple[Value, ...] | None = None
    absent: str | None = None

    def array(self, conditions: int) -> npt.NDArray[np.float64]:
        """(conditions,) values; NaN where absent."""
        if self.values is None or len(self.values) != conditions:
            return np.full(conditions, np.nan)
        return np.array([math.nan if value is None else float(value) for value in self.values], dtype=np.float64)


class CatalogueRow(Record):
    """What the catalogue says of one shard; `sha256` names the very file that it was read from."""

    unit: Unit
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    steps: int
    start: int
    seconds: float
    unet_evaluations: int
    metrics: tuple[CatalogueMetric, ...] = ()

    @property
    def key(self) -> str:
        """The unit's key."""
        return self.unit.key


def catalogue_metrics(metrics: Sequence[MetricValues]) -> tuple[CatalogueMetric, ...]:
    """Metrics as they stand in a catalogue row, by name."""
    rows = [
        CatalogueMetric(info=metric.info, absent=metric.absent)
        if metric.values is None
        else CatalogueMetric(info=metric.info, values=tuple(_encoded(value) for value in metric.values.tolist()))
        for metric in metrics
    ]
    return tuple(sorted(rows, key=lambda row: row.info.name))


def _encoded(value: float) -> Value:
    if math.isnan(value):
        return None
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return value


def row_line(row: Record) -> str:
    """A row as the one line that stands for it in the manifest or the catalogue, without its newline."""
    return canonical_json(row)


def read_rows(path: Path, kind: type[Row]) -> tuple[list[Row], list[int]]:
    """The rows of a JSONL file, in order, and the numbers (from 1) of lines that are damaged. No file: no rows.

    A last line without its newline is a write in progress or cut off by a crash: it is neither a row nor damage.
    """
    try:
        lines = read_file(path).split(b"\n")
    except FileNotFoundError:
        return [], []
    rows: list[Row] = []
    damaged: list[int] = []
    for number, line in enumerate(lines[:-1], start=1):
        try:
            rows.append(kind.model_validate_json(line))
        except ValidationError:
            damaged.append(number)
    return rows, damaged


def read_catalogue(path: Path) -> dict[str, CatalogueRow]:
    """The catalogue's rows by key; the last line of a key holds, damaged lines are left out."""
    rows, _ = read_rows(path, CatalogueRow)
    return {row.key: row for row in rows}
