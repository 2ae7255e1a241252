"""DeepCache as a schedule (Ma, Fang and Wang, CVPR 2024, arXiv 2312.00858).

At most steps it computes the outer layers alone, and takes the tensor that comes up from the deeper ones from the last
full step. That tensor enters a concatenation of the decoder, beside a skip connection: reusing it leaves all that only
it needs dead.
"""

from __future__ import annotations

import math

from compute.policy.graph import ComponentGraph
from compute.policy.methods.layout import REUSE, between, check_interval, from_below
from compute.policy.schedule import Schedule, ScheduleError

_POWER_STEP = 0.02


def deepcache(graph: ComponentGraph, *, steps: int, interval: int, branch: int = 0) -> Schedule:
    """Return the schedule of DeepCache: a full step every `interval` steps, from step 0 on.

    `branch` is the number of decoder layers, counted from the output, that still run with their skip connections, less
    one: 0 is the fastest. With three layers a block it is the published package's `cache_branch_id`. Raises
    ScheduleError for an interval below 1, and for a branch that the network lacks.
    """
    check_interval(interval)
    return between(steps, range(0, steps, interval), dict.fromkeys(from_below(graph, branch), REUSE))


def deepcache_uneven(
    graph: ComponentGraph, *, steps: int, interval: int, center: int, power: float = 1.4, branch: int = 0
) -> Schedule:
    """Return the schedule of DeepCache's non-uniform variant: full steps lie densest around step `center`.

    As many steps are full as with an even `interval`; `full_steps` says where they lie.
    """
    full = full_steps(steps, interval, center, power)
    return between(steps, full, dict.fromkeys(from_below(graph, branch), REUSE))


def full_steps(steps: int, interval: int, center: int, power: float) -> list[int]:
    """Return the full steps of the non-uniform variant, in order (`DeepCache/sd/pipeline_stable_diffusion.py`).

    Their distances from `center` are powers of evenly spaced numbers, cut to whole steps; step 0 is always one. As in
    the published code the root of the negative end is complex, and the real part of the powers counts. Where several
    fall on one step the power is lowered by 0.02, and tried again down to 1. Raises ScheduleError where no power gives
    as many as asked for, and for a center outside the run.
    """
    check_interval(interval)
    if not 0 <= center < steps or power <= 1:
        raise ScheduleError(
            f"center {center}, power {power:g}: a step of 0 to {steps - 1} and a power over 1 are accepted"
        )
    count = math.ceil(steps / interval)
    while power > 1:
        low, high = complex(-center) ** (1 / power), (steps - center) ** (1 / power)
        roots = [low + (high - low) * number / count for number in range(count + 1)]
        distances = sorted({math.trunc((root**power).real) for root in roots})
        found = [0, *(center + distance for distance in distances[1:-1])]
        if len(found) == count:
            return found
        power -= _POWER_STEP
    raise ScheduleError(f"center {center}: no power puts {count} full steps around it; give another center or interval")
