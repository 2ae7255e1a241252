"""The catalogue: one line a shard, with everything that tables need, so that no shard has to be opened for them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from store.index.json_lines import read_lines
from store.metric import MetricInfo, MetricValues
from store.records import Record, Unit, canonical_json

Value = Annotated[float | Literal["inf", "-inf"] | None, Field(union_mode="left_to_right")]
Column = tuple[Value, ...] | str
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_INFOS = TypeAdapter(tuple[MetricInfo, ...])


class _Facts(Record):
    sha256: Digest
    steps: int
    start: int
    seconds: float
    unet_evaluations: int
    values: tuple[Annotated[Column, Field(union_mode="left_to_right")], ...] = ()


class _Line(_Facts):
    """A row on disk: unit and metric descriptions as JSON texts, since a reader knows the former from the plan, and of
    the latter there are few, so that it parses neither thousands of times."""

    key: Digest
    unit: str
    infos: str


class CatalogueRow(_Facts):
    """What the catalogue says of one shard; `sha256` names the very file that it was read from.

    `values` has for each of `infos` one entry a condition (None is NaN, the infinities are text), or a text that says
    why the metric is absent.
    """

    unit: Unit
    infos: tuple[MetricInfo, ...] = ()

    @property
    def key(self) -> str:
        """The unit's key."""
        return self.unit.key

    def line(self) -> str:
        """The row as the one line that stands for it in the file, without its newline."""
        facts = self.model_dump(mode="json", exclude={"unit", "infos"})
        texts = {"unit": canonical_json(self.unit), "infos": _INFOS.dump_json(self.infos).decode("utf-8")}
        return canonical_json({"key": self.key, **texts, **facts})


def metric_columns(metrics: Sequence[MetricValues]) -> tuple[tuple[MetricInfo, ...], tuple[Column, ...]]:
    """`infos` and `values` of a catalogue row, by name."""
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


def read_catalogue(path: Path, units: Mapping[str, Unit]) -> tuple[dict[str, CatalogueRow], list[int]]:
    """The catalogue's rows by key (the last line of a key holds), and the numbers of damaged lines, which are left out.

    `units` are those that are known already; what a line says of them is not parsed.
    """
    lines, damaged = read_lines(path, _Line)
    rows: dict[str, CatalogueRow] = {}
    for number, line in lines:
        try:
            rows[line.key] = _row(line, units)
        except (ValidationError, ValueError):
            damaged.append(number)
    return rows, sorted(damaged)


def _row(line: _Line, units: Mapping[str, Unit]) -> CatalogueRow:
    unit = units.get(line.key) or Unit.model_validate_json(line.unit)
    infos = _infos(line.infos)
    conditions = len(unit.conditions)
    fits = all(isinstance(column, str) or len(column) == conditions for column in line.values)
    if unit.key != line.key or len(infos) != len(line.values) or not fits:
        raise ValueError("the row does not fit together")
    facts = {name: getattr(line, name) for name in _Facts.model_fields}
    return CatalogueRow.model_construct(unit=unit, infos=infos, **facts)


@lru_cache(maxsize=1024)
def _infos(text: str) -> tuple[MetricInfo, ...]:
    return _INFOS.validate_json(text)
