"""The states that the baselines of a sweep kept, read into one array."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32

from store.errors import SkipscopeError
from store.records import Unit
from store.sweep_reader import SweepReader

StateName = Literal["x_t", "pred_x0"]
LEAST_STEPS = 3
"""With fewer kept steps a trajectory has no shape."""
_MAX_CONDITIONS = 16
_MAX_VALUES = 1 << 26  # 256 MB: of large pictures, fewer conditions are read
_NAMES = {"x_t": "states (x_t)", "pred_x0": "predicted pictures (pred_x0)"}


class NoTrajectories(SkipscopeError):
    """A sweep whose baselines did not keep the states that an analysis is computed from."""


@dataclass(frozen=True, kw_only=True)
class Trajectories:
    """States of the first conditions, of the steps that all of them kept, in order.

    `values[c, i]` is the state of condition c at `steps[i]`: of `x_t` the input of that step, and of step N the final
    one; of `pred_x0` what the step predicts.
    """

    state: StateName
    steps: tuple[int, ...]
    values: Float32[np.ndarray, "conditions steps C H W"]

    @property
    def conditions(self) -> int:
        """The number of conditions."""
        return len(self.values)


def baseline_trajectories(reader: SweepReader, state: StateName) -> Trajectories:
    """Read the trajectories of the first conditions.

    Raises NoTrajectories where fewer than LEAST_STEPS were kept, ShardMissing and ShardDamaged.
    """
    present = reader.store.present("baseline")
    units = [unit for unit in reader.store.header.plan if unit.role == "baseline" and unit.key in present]
    if not units:
        raise NoTrajectories("No baseline is finished yet.")
    steps = _kept_steps(reader, units, state)
    if len(steps) < LEAST_STEPS:
        raise NoTrajectories(
            f"The baselines keep the {_NAMES[state]} of {len(steps) or 'no'} steps; this takes {LEAST_STEPS} or more: "
            f"`keep: {{{state}: all}}` in the sweep's configuration keeps every step."
        )
    read: list[Float32[np.ndarray, "B S C H W"]] = []
    left = _MAX_CONDITIONS
    for unit in units:
        if left <= 0:
            break
        with reader.unit(unit.key) as shard:
            of_step = shard.x_t if state == "x_t" else shard.pred_x0
            first = of_step(steps[0])[:left]
            count = max(1, min(len(first), _MAX_VALUES // (first[0].size * len(steps)) - sum(map(len, read))))
            read.append(np.stack([of_step(step)[:count].astype(np.float32) for step in steps], axis=1))
        left = 0 if count < len(first) else left - count
    return Trajectories(state=state, steps=steps, values=np.concatenate(read))


def _kept_steps(reader: SweepReader, units: list[Unit], state: StateName) -> tuple[int, ...]:
    kept: set[int] | None = None
    for unit in units[:_MAX_CONDITIONS]:
        with reader.unit(unit.key) as shard:
            own = set(shard.x_t_steps if state == "x_t" else shard.pred_x0_steps)
        kept = own if kept is None else kept & own
    return tuple(sorted(kept or ()))
