"""The observed evidence for phases: how early the coarse and the fine part of the predicted picture are final.

A Gaussian blur splits a picture into its low-pass part and the rest, its high-pass part. For each part, the share of
the way from a prediction p to the final picture f is 1 − |p − f|² / (|p|² + |f|²): 0 for two unrelated pictures of
these magnitudes, 1 for the final picture itself. A distance relative to step 0 would flatter the high-pass part, whose
first predictions are strong noise.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import ruptures
from jaxtyping import Float
from ruptures.costs import CostCLinear

from compute.statistics.estimate import Estimate, bootstrap_weights, interval, means_of
from store.shard.reader import UnitReader
from store.sweep_reader import SweepReader

Floats = npt.NDArray[np.float64]
Part = Literal["low-pass", "high-pass"]
PARTS: tuple[Part, ...] = get_args(Part)
CUTOFF = 3.0
"""Cycles a side at which the low-pass part keeps half the amplitude: structures larger than a sixth of the side."""
LEAST_STEPS = 4
"""With fewer kept steps no change point can be placed."""
_SAMPLES = 300  # of the bootstrap of change points, each of which is a search
_FINEST = 200  # steps that the search for a change point distinguishes


@dataclass(frozen=True, kw_only=True)
class ObservedCurve:
    """The share of the way to the final picture at each step, of one part of the predicted picture, over conditions.

    `change_point` is the step at which the pace changes: two straight lines that meet there fit the curve best.
    """

    part: Part
    steps: tuple[int, ...]
    reached: tuple[Estimate, ...]
    change_point: Estimate


def observed_curves(
    reader: SweepReader, baselines: Mapping[str, Sequence[int]], steps: Sequence[int]
) -> tuple[ObservedCurve, ...]:
    """Return a curve for each part, from the baselines' `pred_x0` at steps that all of them kept.

    `baselines` has the positions of the conditions to use in each baseline's batch.
    """
    reached = np.concatenate([_reached(reader, key, steps)[..., places] for key, places in baselines.items()], axis=2)
    return tuple(_curve(part, steps, reached[number]) for number, part in enumerate(PARTS))


def kept_steps(reader: SweepReader, baselines: Iterable[str]) -> tuple[int, ...]:
    """Return the steps of which every baseline kept `pred_x0`."""
    kept: set[int] | None = None
    for key in baselines:
        with reader.unit(key) as unit:
            kept = set(unit.pred_x0_steps) if kept is None else kept & set(unit.pred_x0_steps)
    return tuple(sorted(kept or ()))


def _reached(reader: SweepReader, key: str, steps: Sequence[int]) -> Floats:
    """(parts, steps, B) of one baseline."""
    with reader.unit(key) as unit:
        return np.stack([_similarity(unit, step) for step in steps], axis=1)


def _similarity(unit: UnitReader, step: int) -> Floats:
    """(parts, B): each part of a step's prediction compared with that of the final picture or latent."""
    prediction, pictures = unit.pred_x0(step), unit.final
    is_latent = prediction.shape != pictures.shape
    predicted, final = split(prediction), split(unit.x_t(unit.steps) if is_latent else pictures)
    distance, size = _squares(predicted - final), _squares(predicted) + _squares(final)
    return 1 - distance / np.maximum(size, 1e-12)


def split(pictures: Float[np.ndarray, "B C H W"]) -> Float[np.ndarray, "parts B C H W"]:
    """Return the low-pass and the high-pass part of pictures; they add up to the pictures."""
    values = np.asarray(pictures, dtype=np.float64)
    height, width = values.shape[-2:]
    low = _blur(height) @ values @ _blur(width).T
    return np.stack([low, values - low])


def _blur(side: int) -> Floats:
    """(side, side): a Gaussian blur along one axis; at the edges the kernel is cut off and normalised."""
    sigma = side * math.sqrt(2 * math.log(2)) / (2 * math.pi * CUTOFF)
    places = np.arange(side)
    kernel = np.exp(-((places[:, None] - places) ** 2) / (2 * sigma**2))
    return kernel / kernel.sum(1, keepdims=True)


def _squares(values: Floats) -> Floats:
    return np.square(values).sum((2, 3, 4))


def _curve(part: Part, steps: Sequence[int], reached: Floats) -> ObservedCurve:
    """`reached` is (steps, conditions)."""
    return ObservedCurve(
        part=part,
        steps=tuple(steps),
        reached=tuple(means_of(reached)),
        change_point=change_estimate(steps, reached),
    )


def change_estimate(steps: Sequence[int], reached: Float[np.ndarray, "steps conditions"]) -> Estimate:
    """Return the change point of the mean over conditions, with a bootstrap interval over conditions."""
    point = change_point(steps, reached.mean(1))
    count = reached.shape[1]
    if count == 1:
        return Estimate(mean=point, low=point, high=point)
    samples = [change_point(steps, reached @ shares) for shares in bootstrap_weights(count)[:_SAMPLES]]
    low, high = interval(np.array(samples))
    return Estimate(mean=point, low=low, high=high)


def change_point(steps: Sequence[int], curve: Float[np.ndarray, " steps"]) -> float:
    """Return the step at which two straight lines that meet fit a curve best; it takes LEAST_STEPS points or more."""
    lines = CostCLinear()
    lines.min_size = 2  # the default 3 would not let a curve bend at its second point, where low-pass parts often do
    search = ruptures.Dynp(custom_cost=lines, min_size=2, jump=math.ceil(len(steps) / _FINEST)).fit(curve[:, None])
    return float(steps[search.predict(n_bkps=1)[0] - 1])  # a break is the first point after the meeting one
