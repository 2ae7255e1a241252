"""Clockwork Diffusion as a schedule, without its trained adaptor (Habibian et al., CVPR 2024, arXiv 2312.08128).

The published code's base class has the identity as its adaptor: between full steps what comes up into the decoder's
last block, at full resolution, is that of the last full step. The paper trains an adaptor for that place.
"""

from __future__ import annotations

from compute.policy.graph import ComponentGraph
from compute.policy.methods.deepcache import deepcache
from compute.policy.methods.layout import outer_branches
from compute.policy.schedule import Schedule


def clockwork(graph: ComponentGraph, *, steps: int, clock: int = 2) -> Schedule:
    """Return the schedule: a full step every `clock` steps, from step 0 on, the lower resolutions reused at others.

    Raises ScheduleError for a clock below 1, and for a network without a decoder at full resolution.
    """
    return deepcache(graph, steps=steps, interval=clock, branch=outer_branches(graph)[-1])
