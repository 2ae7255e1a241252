"""What a reuse makes of earlier values: the last one, the line through the last two, or a weighted sum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from store.records import Action

Value = TypeVar("Value")


def extrapolated(step: int, sources: tuple[int, int], latest: Value, earlier: Value) -> Value:
    """Return the value at `step` on the line through two values, which belong to the steps `sources`, latest first.

    The steps need not be evenly spaced. `Value` is a number, an array or a tensor.
    """
    distance = (step - sources[0]) / (sources[0] - sources[1])
    line: Value = latest + (latest - earlier) * distance  # type: ignore[operator]
    return line


def reused_value(action: Action, step: int, sources: Sequence[int], values: Sequence[Value]) -> Value:
    """Return what a reuse at `step` makes of the values of the steps `sources`, the latest first."""
    if action.weights is not None:
        return sum(weight * value for weight, value in zip(action.weights, values, strict=True))  # type: ignore
    if action.order == 0:
        return values[0]
    return extrapolated(step, (sources[0], sources[1]), values[0], values[1])
