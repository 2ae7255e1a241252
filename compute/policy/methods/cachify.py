"""The preset of NVIDIA Model Optimizer's cache diffusion for SDXL (`SDXL_DEFAULT_CONFIG` of its `cache_diffusion`).

At odd steps every block of the UNet but the decoder's last repeats its output of the step before. So the last block
runs with reused skip connections; that of the input convolution, which is no block, is fresh.
"""

from __future__ import annotations

from compute.policy.graph import SKIP_PREFIX, ComponentGraph
from compute.policy.methods.layout import REUSE, between, check_interval, from_below, outer_branches, skips_into
from compute.policy.schedule import Schedule


def cachify(graph: ComponentGraph, *, steps: int, interval: int = 2) -> Schedule:
    """Return the schedule of the preset, in which `interval` is 2, for any UNet's last decoder block.

    Raises ScheduleError for an interval below 1, and for a network without a decoder at full resolution.
    """
    check_interval(interval)
    branches = outer_branches(graph)
    skips = [name for name in skips_into(graph, branches) if not _is_of_input(graph, name)]
    row = dict.fromkeys((*from_below(graph, branches[-1]), *skips), REUSE)
    return between(steps, range(0, steps, interval), row)


def _is_of_input(graph: ComponentGraph, skip: str) -> bool:
    """Return whether a skip connection comes from outside the blocks: from a node that is no component."""
    return skip.removeprefix(SKIP_PREFIX) not in graph.names
