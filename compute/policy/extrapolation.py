"""Linear extrapolation over step indices, for a reuse of order 1."""

from __future__ import annotations

from typing import TypeVar

Value = TypeVar("Value")


def extrapolated(step: int, sources: tuple[int, int], latest: Value, earlier: Value) -> Value:
    """Return the value at `step` on the line through two values, which belong to the steps `sources`, latest first.

    The steps need not be evenly spaced. `Value` is a number, an array or a tensor.
    """
    distance = (step - sources[0]) / (sources[0] - sources[1])
    line: Value = latest + (latest - earlier) * distance  # type: ignore[operator]
    return line
