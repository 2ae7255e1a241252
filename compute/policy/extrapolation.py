"""Linear extrapolation over step indices: what a reuse of order 1 reads."""

from __future__ import annotations

from typing import TypeVar

Value = TypeVar("Value")


def extrapolated(step: int, sources: tuple[int, int], latest: Value, earlier: Value) -> Value:
    """Return the line through two values, at `step`; `sources` are the steps that they belong to, the latest first.

    The abscissa is the step index, so that the result is right also where the three steps are not evenly spaced.
    `Value` is a number, an array or a tensor.
    """
    distance = (step - sources[0]) / (sources[0] - sources[1])
    line: Value = latest + (latest - earlier) * distance  # type: ignore[operator]
    return line
