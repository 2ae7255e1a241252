"""TaylorSeer's forecasting of features as a schedule (Liu et al., ICCV 2025, arXiv 2503.06923), on a UNet.

Between full steps each block's contribution is forecast from those of the last full steps. The paper's Taylor series
takes backward differences for derivatives; here it is the polynomial through the same values. Both agree to first
order. At second order the polynomial also counts that the first difference belongs to the middle between two steps.
"""

from __future__ import annotations

from compute.policy.graph import ComponentGraph
from compute.policy.methods.layout import at_steps, check_interval, from_below, with_residual
from compute.policy.schedule import Schedule, ScheduleError
from store.records import Action

MOST = 2
"""The highest order of a reuse."""


def taylorseer(
    graph: ComponentGraph, *, steps: int, interval: int, order: int = 2, first: int = 3, branch: int | None = None
) -> Schedule:
    """Return the schedule: the first `first` steps are full, then every `interval`-th.

    What each component adds to its input is forecast, as in the paper's transformers; with `branch` it is instead what
    comes up into that concatenation of the decoder, as in DeepCache, and all that is deeper rests. Where fewer full
    steps came before, the order is lower. Raises ScheduleError for what cannot be.
    """
    check_interval(interval)
    if not 0 <= order <= MOST or first < 1:
        raise ScheduleError(f"order {order}, first {first}: orders 0 to {MOST} and 1 or more first steps are accepted")
    names = with_residual(graph) if branch is None else from_below(graph, branch)
    action = "reuse_delta" if branch is None else "reuse"
    rows: dict[int, dict[str, Action]] = {}
    computed = 0
    for step in range(steps):
        if step < first or (step - first + 1) % interval == 0:
            computed += 1
            continue
        made = Action.model_validate({"name": action, "order": min(order, computed - 1)})
        rows[step] = dict.fromkeys(names, made)
    return at_steps(steps, rows)
