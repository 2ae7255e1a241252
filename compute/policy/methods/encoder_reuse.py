"""Faster Diffusion's encoder propagation as a schedule (Li et al., NeurIPS 2024, arXiv 2312.09608).

At steps that are no key steps the decoder alone runs, with what the encoder and the middle block computed at the last
key step. The paper also adds noise to the state in late steps, which is no part of this.
"""

from __future__ import annotations

from collections.abc import Sequence

from compute.policy.graph import ComponentGraph
from compute.policy.methods.layout import REUSE, between, check_interval, concats, from_below, skips_into
from compute.policy.schedule import Schedule

PUBLISHED_KEYS = (0, 1, 2, 3, 5, 10, 15, 25, 35)
"""The key steps of 50 for Stable Diffusion (`utils_sd.py` of the published code)."""
_PUBLISHED_STEPS = 50


def faster_diffusion(
    graph: ComponentGraph, *, steps: int, interval: int | None = None, keys: Sequence[int] | None = None
) -> Schedule:
    """Return the schedule of encoder propagation: every node before the decoder is reused between key steps.

    `keys` are the key steps, or there is one every `interval` steps; without either they are the published ones of 50
    steps, at the same share of a run of another length (the paper gives no rule for those). Raises ScheduleError for
    keys without step 0, and for a network without skip connections.
    """
    if interval is not None:
        check_interval(interval)
        keys = range(0, steps, interval)
    elif keys is None:
        keys = sorted({key * steps // _PUBLISHED_STEPS for key in PUBLISHED_KEYS})
    branches = range(len(concats(graph)))
    reused = (*from_below(graph, len(branches) - 1), *skips_into(graph, branches))
    return between(steps, keys, dict.fromkeys(reused, REUSE))
