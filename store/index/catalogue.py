"""The catalogue: everything that tables need of each shard, so that no shard has to be opened for them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, TypeAdapter, ValidationError

from store.garbage_collection import paused_collection
from store.index.json_lines import line_of, read_lines
from store.metric import REASON_LIMIT, MetricInfo, MetricValues
from store.records import STEP_LIMIT, Record, Unit, canonical_json

Value = Annotated[float | Literal["inf", "-inf"] | None, Field(union_mode="left_to_right")]
Column = tuple[Value, ...] | Annotated[str, Field(max_length=REASON_LIMIT)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_INFOS = TypeAdapter(tuple[MetricInfo, ...])


class _Fields(Record):
    """What a row has in common with its line on disk."""

    sha256: Digest
    steps: Annotated[int, Field(ge=1, le=STEP_LIMIT)]
    start: Annotated[int, Field(ge=0)]
    seconds: Annotated[float, Field(ge=0)]
    unet_evaluations: Annotated[int, Field(ge=0, lt=2**63)]
    values: tuple[Annotated[Column, Field(union_mode="left_to_right")], ...] = ()


class _Line(_Fields):
    """A row on disk. `unit` and `infos` are JSON texts, so that a reader parses them once and not for every row: it
    knows the units from the plan, and all rows share a few lists of metrics."""

    key: Digest
    unit: str
    infos: str


class CatalogueRow(_Fields):
    """One shard; `sha256` is the digest of the file that the row was made from.

    `values` has an entry for each metric in `infos`: one value for each condition (None for NaN, text for infinities),
    or the reason why the metric is absent.
    """

    unit: Unit
    infos: tuple[MetricInfo, ...] = ()

    @property
    def key(self) -> str:
        """The unit's key."""
        return self.unit.key

    def line(self) -> str:
        """The row as a line of the file, without its newline."""
        fields = self.model_dump(mode="json", exclude={"unit", "infos"})
        texts = {"unit": canonical_json(self.unit), "infos": _INFOS.dump_json(self.infos).decode("utf-8")}
        return line_of({"key": self.key, **texts, **fields})


def metric_columns(metrics: Sequence[MetricValues]) -> tuple[tuple[MetricInfo, ...], tuple[Column, ...]]:
    """`infos` and `values` of a catalogue row, sorted by the metrics' names."""
    ordered = sorted(metrics, key=lambda metric: metric.info.name)
    return tuple(metric.info for metric in ordered), tuple(_column(metric) for metric in ordered)


def _column(metric: MetricValues) -> Column:
    if metric.values is None:
        return metric.absent or "is absent"
    return tuple(_encoded(value) for value in metric.values.tolist())


def _encoded(value: float) -> Value:
    if math.isnan(value):
        return None
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return value


class Catalogue(NamedTuple):
    """The rows by key, of which the last line counts, and the numbers of damaged lines.

    `unchecked` are the keys of rows whose line has no digest: earlier releases wrote it. `unfinished` says that the
    last line has no newline.
    """

    rows: dict[str, CatalogueRow]
    damaged: list[int]
    unchecked: set[str]
    unfinished: bool


@paused_collection()
def read_catalogue(path: Path, units: Mapping[str, Unit]) -> Catalogue:
    """Read the catalogue. Of units that are in `units` the text in the line is not parsed."""
    lines = read_lines(path, _Line)
    catalogue = Catalogue({}, list(lines.damaged), set(), lines.unfinished)
    for number, line in lines.records:
        try:
            catalogue.rows[line.key] = _row(line, units)
            change = catalogue.unchecked.add if number in lines.unchecked else catalogue.unchecked.discard
            change(line.key)
        except (ValidationError, ValueError):
            catalogue.damaged.append(number)
    catalogue.damaged.sort()
    return catalogue


def _row(line: _Line, units: Mapping[str, Unit]) -> CatalogueRow:
    unit = units.get(line.key) or Unit.model_validate_json(line.unit)
    infos = _infos(line.infos)
    conditions = len(unit.conditions)
    fits = all(isinstance(column, str) or len(column) == conditions for column in line.values)
    if (
        line.start > line.steps
        or unit.key != line.key
        or len(infos) != len(line.values)
        or not fits
        or not _in_range(infos, line.values)
    ):
        raise ValueError("the row is inconsistent")
    fields = {name: getattr(line, name) for name in _Fields.model_fields}
    return CatalogueRow.model_construct(unit=unit, infos=infos, **fields)


def _in_range(infos: tuple[MetricInfo, ...], columns: tuple[Column, ...]) -> bool:
    """Whether no value is infinite on a side that its metric's range closes."""
    return not any(
        isinstance(column, tuple)
        and (("inf" in column and info.high is not None) or ("-inf" in column and info.low is not None))
        for info, column in zip(infos, columns, strict=True)
    )


@lru_cache(maxsize=1024)
def _infos(text: str) -> tuple[MetricInfo, ...]:
    return _INFOS.validate_json(text)
