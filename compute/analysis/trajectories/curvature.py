"""How a trajectory bends, and where a schedule of fewer steps would put them.

One step of a first-order solver leaves out what the trajectory bends meanwhile: an error that grows with the square of
the step's length and with the second derivative. The sum of the errors of n steps is least where their density is
proportional to the square root of the second derivative (equidistribution of the error).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from jaxtyping import Float

Floats = npt.NDArray[np.float64]
_LEAST = 1e-9
_LEAST_DENSITY = 0.02
"""Of the greatest: a straight part still gets a step."""


@dataclass(frozen=True, kw_only=True)
class Curvature:
    """The shape of trajectories, as means over conditions.

    `steps` are the inner kept ones. `bend`: the change of the velocity at each of them, by step, in units of the mean
    speed; 0 where it goes on straight. `angles`: by how many degrees the direction changes there. `detour`: the path's
    length divided by the distance of its ends, 1 for a straight one.
    """

    steps: tuple[int, ...]
    bend: Floats
    angles: Floats
    detour: float


def curvature_of(values: Float[np.ndarray, "conditions steps C H W"], steps: Sequence[int]) -> Curvature:
    """Return the curvature at the inner steps; it takes three steps or more."""
    flat = np.asarray(values, dtype=np.float64).reshape(*values.shape[:2], -1)
    at = np.asarray(steps, dtype=np.float64)
    spans = np.diff(at)
    moves = np.diff(flat, axis=1)
    velocities = moves / spans[:, None]
    speed = np.linalg.norm(moves, axis=2).sum(1) / (at[-1] - at[0])  # (conditions,)
    middle = (spans[1:] + spans[:-1]) / 2
    turns = np.linalg.norm(np.diff(velocities, axis=1), axis=2) / middle
    bend = (turns / np.maximum(speed, _LEAST)[:, None]).mean(0)
    before, after = velocities[:, :-1], velocities[:, 1:]
    products = np.maximum(np.linalg.norm(before, axis=2) * np.linalg.norm(after, axis=2), _LEAST**2)
    cosines = ((before * after).sum(2) / products).clip(-1, 1)
    lengths = np.linalg.norm(moves, axis=2).sum(1)
    chords = np.linalg.norm(flat[:, -1] - flat[:, 0], axis=1)
    return Curvature(
        steps=tuple(int(step) for step in at[1:-1]),
        bend=np.where(bend < _LEAST, 0.0, bend),
        angles=np.degrees(np.arccos(cosines)).mean(0),
        detour=float((lengths / np.maximum(chords, _LEAST)).mean()),
    )


def uneven_schedule(curvature: Curvature, total: int, count: int) -> tuple[int, ...]:
    """Return `count` of the steps 0 … `total` - 1, the first among them, denser where the trajectory bends more.

    Their density follows the square root of the bend. An even schedule where nothing bends.
    """
    count = min(count, total)
    grid = np.arange(total, dtype=np.float64)
    bend = np.interp(grid, curvature.steps, curvature.bend)
    density = np.sqrt(bend) if bend.max() > 0 else np.ones(total)
    density = np.maximum(
        density, 0.02 * density.max()
    )  # no step is left out for good: what is 0 here was measured at it
    reached = np.concatenate([[0.0], np.cumsum(density)])
    wanted = np.interp(np.arange(count) * reached[-1] / count, reached, np.arange(total + 1))
    chosen: list[int] = []
    for place, step in enumerate(np.rint(wanted).astype(int).tolist()):
        lowest = chosen[-1] + 1 if chosen else 0
        chosen.append(min(max(step, lowest), total - count + place))
    return tuple(chosen)
