"""What the prompt switches of a sweep measured, gathered from its table and its final pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from store.index.table import Table
from store.sweep_reader import SweepReader

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
ASPECTS = ("objects", "relation", "background", "all")
"""What a judge reads of a picture; `all` is whether everything is right."""


@dataclass(frozen=True, kw_only=True)
class SwitchResults:
    """Numbers of the conditions whose switches are finished, as grids (conditions, steps); NaN where one is missing.

    A condition here is a row of a baseline with the prompt that it is switched to. `grids` has `from_first` and
    `from_other`, the mean squared errors to the two prompts' own pictures from the same noise, and `first_<aspect>` and
    `other_<aspect>`, how far the judge sees either prompt obeyed. `reseeds` (conditions) is the error between two
    seeds. `end` is the number of sampling steps.
    """

    steps: tuple[int, ...]
    end: int
    reseeds: Floats
    grids: Mapping[str, Floats]


def read_switch_results(reader: SweepReader, table: Table) -> SwitchResults | None:
    """Read the finished prompt switches; None before any condition has two steps.

    Raises ShardMissing and ShardDamaged.
    """
    rows = np.flatnonzero(table["role"] == "switch")
    if len(rows) == 0:
        return None
    steps, column = np.unique(table["switch_step"][rows], return_inverse=True)
    samples = zip(*(table[name][rows].tolist() for name in ("baseline", "condition", "switch_prompt")), strict=True)
    numbers: dict[tuple[str, int, str], int] = {}
    sample = np.array([numbers.setdefault(identity, len(numbers)) for identity in samples], dtype=np.int64)
    values = _distances(reader, table, rows, sample)
    for aspect in ASPECTS:
        values[f"first_{aspect}"] = _metric(table, f"fidelity_{aspect}", rows)
        values[f"other_{aspect}"] = _metric(table, f"fidelity_other_{aspect}", rows)
    grids = {
        name: _grid(column_values, sample, column, len(numbers), len(steps)) for name, column_values in values.items()
    }
    done = np.isfinite(grids["from_first"])
    begun = done[:, 0]  # the plan goes step by step, so in an unfinished sweep the last steps lack conditions
    complete = done[begun].all(0)
    if not begun.any() or complete.sum() < 2:
        return None
    return SwitchResults(
        steps=tuple(steps[complete].tolist()),
        end=int(table["steps"][rows[0]]),
        reseeds=_reseeds(reader, table, list(numbers))[begun],
        grids={name: grid[np.ix_(begun, complete)] for name, grid in grids.items()},
    )


def _grid(values: Floats, row: Ints, column: Ints, rows: int, columns: int) -> Floats:
    grid = np.full((rows, columns), np.nan)
    grid[row, column] = values
    return grid


def _metric(table: Table, name: str, rows: Ints) -> Floats:
    if name not in table:
        return np.full(len(rows), np.nan)
    return np.asarray(table[name][rows], dtype=np.float64)


def _distances(reader: SweepReader, table: Table, rows: Ints, sample: Ints) -> dict[str, Floats]:
    """Mean squared errors of each row's picture to its baseline's and, where it was swept, to the switch at step 0."""
    errors = {name: np.full(len(rows), np.nan) for name in ("from_first", "from_other")}
    firsts: dict[str, Floats] = {}
    others: dict[int, Floats] = {}
    keys, of_key = np.unique(table["key"][rows].astype(str), return_inverse=True)
    by_step = sorted(range(len(keys)), key=lambda unit: int(table["switch_step"][rows[of_key == unit][0]]))
    for unit in by_step:
        own = np.flatnonzero(of_key == unit)
        row = rows[own[0]]
        baseline, pictures = str(table["baseline"][row]), _final(reader, str(keys[unit]))
        if baseline not in firsts:
            firsts[baseline] = _final(reader, baseline)
        for number in own.tolist():
            index, identity = int(table["condition"][rows[number]]), int(sample[number])
            if table["switch_step"][row] == 0:
                others[identity] = pictures[index]
            errors["from_first"][number] = _error(pictures[index], firsts[baseline][index])
            if identity in others:
                errors["from_other"][number] = _error(pictures[index], others[identity])
    return errors


def _reseeds(reader: SweepReader, table: Table, samples: list[tuple[str, int, str]]) -> Floats:
    """The mean squared error between two seeds for each sample; NaN where the control is missing."""
    errors: dict[str, Floats] = {}
    for row in np.flatnonzero(table["intervention"] == "reseed"):
        key = str(table["baseline"][row])
        if key not in errors and any(key == baseline for baseline, _, _ in samples):
            squares = np.square(_final(reader, str(table["key"][row])) - _final(reader, key))
            errors[key] = squares.reshape(len(squares), -1).mean(1)
    return np.array([errors[key][index] if key in errors else np.nan for key, index, _ in samples])


def _final(reader: SweepReader, key: str) -> Floats:
    with reader.unit(key) as unit:
        return np.asarray(unit.final, dtype=np.float64)


def _error(one: Floats, another: Floats) -> float:
    return float(np.square(one - another).mean())
