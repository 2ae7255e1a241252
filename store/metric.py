"""A metric's description and its values on one unit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from jaxtyping import Float
from pydantic import Field, model_validator

from store.errors import PayloadError
from store.records import Record

REASON_LIMIT = 2000  # characters
ROUNDING = 1e-3  # single precision lets a similarity exceed 1 by a little


class MetricInfo(Record):
    """What a metric is: its name, the version of its definition, which direction is better, and its range.

    `low` and `high` bound the values, both included; None leaves a side open (and lets the value be infinite there, as
    PSNR may be for identical pictures). `paired` metrics compare with the baseline, the others judge the picture by its
    prompt. `weights` identifies the weights that it reads pictures with. Numbers compare only where version and weights
    are the same.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    version: Annotated[int, Field(ge=1, lt=2**63)] = 1
    direction: Literal["lower", "higher"]
    low: float | None = None
    high: float | None = None
    paired: bool = True
    label: Annotated[str, Field(max_length=200)] = ""
    weights: Annotated[str, Field(max_length=200)] | None = None

    def loss(self, values: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """Return how far the values of a paired metric are from that of identical pictures: 0 or more.

        Where lower is better, the values themselves; else what is missing to `high`, which such a metric must have.
        """
        if self.direction == "lower":
            return values
        assert self.paired and self.high is not None, f"{self.name} measures no distance"
        return np.maximum(self.high - values, 0)  # rounding may put a value above the top

    @model_validator(mode="after")
    def _range_is_not_empty(self) -> MetricInfo:
        if self.low is not None and self.high is not None and self.high <= self.low:
            raise ValueError(f"range of {self.name}: high ({self.high}) must be greater than low ({self.low})")
        return self


@dataclass(frozen=True, kw_only=True)
class MetricValues:
    """A metric on one unit: one float64 value a condition, or None and the reason why it is absent.

    A value may be NaN where the metric is not defined for that condition. Raises PayloadError for anything that does
    not fit.
    """

    info: MetricInfo
    values: npt.NDArray[np.float64] | None = None
    absent: str | None = None

    def __post_init__(self) -> None:
        if self.absent is not None and len(self.absent) > REASON_LIMIT:
            object.__setattr__(self, "absent", self.absent[: REASON_LIMIT - 1] + "…")
        if (self.values is None) == (not self.absent):
            raise PayloadError(f"metric {self.info.name}: has either values or a reason why it is absent")
        if self.values is not None:
            object.__setattr__(self, "values", self._checked(self.values))

    def _checked(self, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
        array: npt.NDArray[Any] = np.asarray(values)
        if array.ndim != 1 or array.dtype.kind not in "fiu":
            raise PayloadError(
                f"metric {self.info.name}: values have shape {array.shape} and type {array.dtype}; "
                "one number a condition is accepted"
            )
        array = array.astype(np.float64)
        low = -math.inf if self.info.low is None else self.info.low
        high = math.inf if self.info.high is None else self.info.high
        outside = (array < low - ROUNDING) | (array > high + ROUNDING)
        if outside.any():
            raise PayloadError(f"metric {self.info.name}: {array[outside][0]} is outside its range [{low}, {high}]")
        array.flags.writeable = False
        return array
