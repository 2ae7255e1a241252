"""What a reuse makes of earlier values: the last one, the curve through the last two or three, or a weighted sum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from store.records import Action

Value = TypeVar("Value")


def extrapolated(step: int, sources: Sequence[int], values: Sequence[Value]) -> Value:
    """Return the value at `step` of the polynomial through `values`, which belong to the steps `sources`, latest first.

    One value is repeated, two lie on a line, three on a parabola; the steps need not be evenly spaced. `Value` is a
    number, an array or a tensor. Raises ValueError for other numbers of values.
    """
    if not 1 <= len(values) <= 3 or len(values) != len(sources):
        raise ValueError(f"{len(values)} values of {len(sources)} steps; 1, 2 or 3 are accepted, one a step")
    latest: Any = values[0]
    if len(values) == 1:
        return values[0]
    distance = (step - sources[0]) / (sources[0] - sources[1])
    line: Value = latest + (latest - values[1]) * distance
    return line if len(values) == 2 else line + _bend(step, sources, values)


def reused_value(action: Action, step: int, sources: Sequence[int], values: Sequence[Value]) -> Value:
    """Return what a reuse at `step` makes of the values of the steps `sources`, the latest first."""
    if action.weights is not None:
        return sum(weight * value for weight, value in zip(action.weights, values, strict=True))  # type: ignore
    return extrapolated(step, sources, values)


def _bend(step: int, sources: Sequence[int], values: Sequence[Any]) -> Any:
    """Return what a parabola adds to the line through its last two points: Newton's second divided difference."""
    first, second, third = sources
    scale = (step - first) * (step - second) / (first - third)
    return (values[0] - values[1]) * (scale / (first - second)) - (values[1] - values[2]) * (scale / (second - third))
