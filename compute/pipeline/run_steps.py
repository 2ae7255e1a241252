"""Which steps a run of a pipeline makes: found from its scheduler and its first call of the UNet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from store.errors import SkipscopeError

_TOLERANCE = 1e-3


class FollowError(SkipscopeError):
    """A pipeline that does not sample as its scheduler says; the message names what it did."""


@dataclass(frozen=True, kw_only=True)
class RunSteps:
    """The steps of a run: the value of `scheduler.timesteps` at each, and where in that list step 0 lies.

    A run may be shorter than the list: image-to-image begins in the middle, a base model may end before a refiner.
    """

    timesteps: tuple[float, ...]
    offset: int = 0

    def __len__(self) -> int:
        return len(self.timesteps)


def run_steps(pipe: Any, scheduler: Any, first: float) -> RunSteps:
    """Return the steps of the run whose first call of the UNet is at timestep `first`.

    Raises FollowError where the scheduler has no such timestep, or several and nothing says which is meant.
    """
    timesteps = [float(t) for t in scheduler.timesteps.tolist()]
    made = getattr(pipe, "_num_timesteps", None)  # set by most pipelines before their loop
    offset = _offset(scheduler, timesteps, first, made)
    count = len(timesteps) - offset
    if isinstance(made, int) and 0 < made < count:
        count = made
    return RunSteps(timesteps=tuple(timesteps[offset : offset + count]), offset=offset)


def _offset(scheduler: Any, timesteps: Sequence[float], first: float, made: Any) -> int:
    found = [position for position, t in enumerate(timesteps) if is_same_timestep(t, first)]
    begin: int | None = getattr(scheduler, "begin_index", None)
    if begin is not None and begin in found:
        return begin
    if len(found) > 1:
        found = [position for position in found if len(timesteps) - position == made] or found
    if len(found) == 1 or found[:1] == [0]:
        return found[0]
    name = type(scheduler).__name__
    if not found:
        raise FollowError(
            f"pipe: it calls the UNet first at timestep {first:g}, which its {name} does not have: a run is followed "
            "through pipe.scheduler, so a pipeline must sample with that scheduler or a deep copy of it"
        )
    raise FollowError(
        f"pipe: it begins at timestep {first:g}, which its {name} has {len(found)} times, and does not say at which: "
        "give it a scheduler without repeated timesteps"
    )


def is_same_timestep(a: float, b: float) -> bool:
    """Return whether two numbers are the same timestep, but for rounding."""
    return abs(a - b) <= _TOLERANCE


def timestep_number(timestep: Tensor | float) -> float:
    """Return a timestep as a number; of a batch of them, which are equal, the first."""
    return float(timestep.flatten()[0]) if isinstance(timestep, Tensor) else float(timestep)


def is_element(timestep: Tensor | float, timesteps: object, index: int) -> bool:
    """Return whether a timestep, or one for each row, is the memory of an element of a scheduler's timesteps."""
    if not isinstance(timestep, Tensor) or not isinstance(timesteps, Tensor) or timestep.numel() == 0:
        return False
    repeats_one = timestep.numel() == 1 or not any(timestep.stride())
    return (
        repeats_one
        and timestep.device == timesteps.device
        and timestep.dtype == timesteps.dtype
        and timestep.data_ptr() == timesteps.data_ptr() + index * timesteps.stride(0) * timesteps.element_size()
    )
