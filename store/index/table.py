"""A sweep as one tidy table: a row for each unit and condition, made from the catalogue without opening shards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from store.index.catalogue import CatalogueRow
from store.metric import MetricInfo
from store.records import Ablation, PromptSwitch, Reseed, Unit, components_text

Column = npt.NDArray[Any]

_UNIT_COLUMNS: dict[str, tuple[str, Callable[[CatalogueRow, Ablation | None], Any]]] = {
    "key": ("O", lambda row, ablation: row.key),
    "role": ("O", lambda row, ablation: row.unit.role),
    "baseline": ("O", lambda row, ablation: row.unit.baseline or ""),
    "intervention": ("O", lambda row, ablation: row.unit.intervention.type if row.unit.intervention else ""),
    "ablation": ("O", lambda row, ablation: ablation),
    "components": ("O", lambda row, ablation: components_text(ablation.components) if ablation else ""),
    "component_count": ("int64", lambda row, ablation: len(ablation.components) if ablation else 0),
    "window_start": ("int64", lambda row, ablation: ablation.window.start if ablation else -1),
    "window_stop": ("int64", lambda row, ablation: ablation.window.stop if ablation else -1),
    "action": ("O", lambda row, ablation: ablation.action.name if ablation else ""),
    "order": ("int64", lambda row, ablation: ablation.action.order if ablation else 0),
    "space": ("O", lambda row, ablation: (ablation.action.space or "") if ablation else ""),
    "seed_offset": ("int64", lambda row, ablation: _offset(row)),
    "switch_step": ("int64", lambda row, ablation: _switch_step(row)),
    "steps": ("int64", lambda row, ablation: row.steps),
    "start": ("int64", lambda row, ablation: row.start),
    "unit_seconds": ("float64", lambda row, ablation: row.seconds),
    "unit_unet_evaluations": ("int64", lambda row, ablation: row.unet_evaluations),
}
_CONDITION_COLUMNS = {
    "condition": "int64",
    "prompt": "O",
    "seed": "int64",
    "guidance": "float64",
    "switch_prompt": "O",
}
COLUMNS: tuple[str, ...] = (*_UNIT_COLUMNS, *_CONDITION_COLUMNS)


def _offset(row: CatalogueRow) -> int:
    return row.unit.intervention.offset if isinstance(row.unit.intervention, Reseed) else 0


def _switch_step(row: CatalogueRow) -> int:
    return row.unit.intervention.step if isinstance(row.unit.intervention, PromptSwitch) else -1


def _switch_prompts(unit: Unit) -> tuple[str, ...]:
    return unit.intervention.prompts if isinstance(unit.intervention, PromptSwitch) else ("",) * len(unit.conditions)


@dataclass(frozen=True, kw_only=True)
class Table(Mapping[str, Column]):
    """Columns of equal length by name: those of COLUMNS, then one a metric (float64, NaN where absent).

    `ablation` is the record of a row that is one, else None; the columns from `components` to `space` say the same as
    text and numbers. Text that does not apply is "", `window_start`, `window_stop`, `switch_step` are
    then -1, the other numbers 0. `switch_prompt` is the prompt that the row's condition is switched to. `unit_seconds`
    and `unit_unet_evaluations` are of the whole unit and stand in each of its rows. `metrics` describes the metric
    columns; `absent` says of each metric why values are missing, if any are.
    """

    columns: dict[str, Column]
    metrics: dict[str, MetricInfo]
    absent: dict[str, tuple[str, ...]]

    def __getitem__(self, name: str) -> Column:
        return self.columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.columns["key"])


def make_table(rows: Sequence[CatalogueRow]) -> Table:
    """The table of catalogue rows, in their order.

    Values of a metric compare only where version and weights are the same: the newest version holds, of its weights the
    most frequent; the others' values are left out, and `absent` says so.
    """
    counts = np.array([len(row.unit.conditions) for row in rows], dtype=np.int64)
    ablations = [row.unit.intervention if isinstance(row.unit.intervention, Ablation) else None for row in rows]
    columns: dict[str, Column] = {}
    for name, (dtype, read) in _UNIT_COLUMNS.items():
        values = np.empty(len(rows), dtype=dtype)
        values[:] = [read(row, ablation) for row, ablation in zip(rows, ablations, strict=True)]
        columns[name] = np.repeat(values, counts)
    columns |= _condition_columns(rows)
    infos, absent = chosen_metrics(rows), {}
    for name, info in infos.items():
        columns[name], absent[name] = _metric_column(rows, info)
    return Table(columns=columns, metrics=infos, absent={name: why for name, why in absent.items() if why})


def _condition_columns(rows: Sequence[CatalogueRow]) -> dict[str, Column]:
    batches = [row.unit.conditions for row in rows]
    lists: dict[str, list[Any]] = {
        "condition": [index for batch in batches for index in range(len(batch))],
        "prompt": [condition.prompt for batch in batches for condition in batch],
        "seed": [condition.seed for batch in batches for condition in batch],
        "guidance": [condition.guidance for batch in batches for condition in batch],
        "switch_prompt": [prompt for row in rows for prompt in _switch_prompts(row.unit)],
    }
    return {name: np.array(lists[name], dtype=dtype) for name, dtype in _CONDITION_COLUMNS.items()}


def chosen_metrics(rows: Sequence[CatalogueRow]) -> dict[str, MetricInfo]:
    """The metrics of some rows by name: of each the newest version, and of its weights the most frequent."""
    sets = Counter(row.infos for row in rows)
    counted: Counter[MetricInfo] = Counter()
    for infos, count in sets.items():
        counted.update(dict.fromkeys(infos, count))
    best = sorted(counted, key=lambda info: (info.version, counted[info], info.weights or ""))
    return {info.name: info for info in sorted(best, key=lambda info: info.name)}


def _metric_column(rows: Sequence[CatalogueRow], info: MetricInfo) -> tuple[Column, tuple[str, ...]]:
    values: list[float | str | None] = []
    reasons: dict[str, None] = {}
    places: dict[tuple[MetricInfo, ...], int | str] = {}
    for row in rows:
        place = places.get(row.infos)
        if place is None:
            place = places[row.infos] = _place(row.infos, info)
        column = row.values[place] if isinstance(place, int) else place
        if isinstance(column, str):
            reasons[column] = None
            values.extend([None] * len(row.unit.conditions))
        else:
            values.extend(column)
    return np.array(values, dtype=np.float64), tuple(reasons)


def _place(infos: tuple[MetricInfo, ...], info: MetricInfo) -> int | str:
    """Where a row with these metrics holds the asked one, or why it does not."""
    for place, other in enumerate(infos):
        if other.name == info.name:
            same = (other.version, other.weights) == (info.version, info.weights)
            return place if same else f"was measured by version {other.version} or other weights; measure again"
    return "was not measured"
