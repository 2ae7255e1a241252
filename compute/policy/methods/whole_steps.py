"""Dropped steps as schedules: the output of the whole network is repeated or extrapolated.

`adaptive_diffusion` is the rule of AdaptiveDiffusion (Ye et al., NeurIPS 2024, arXiv 2410.09873), `sada` the last phase
of SADA (Jiang et al., ICML 2025, arXiv 2507.17135), both frozen: the same steps are dropped for every picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from compute.policy.graph import UNET, ComponentGraph
from compute.policy.methods.layout import at_steps, check_interval
from compute.policy.schedule import Schedule, ScheduleError
from store.records import Action

_FIRST_DECISION = 3
"""The rule compares differences of four states."""
_FREE_DECISIONS = 4
"""Of the published code, whose rule of `most` dropped steps begins after them."""


def whole_steps(
    graph: ComponentGraph,
    *,
    steps: int,
    interval: int,
    start: int = 0,
    order: Literal[0, 1, 2] = 0,
    space: Literal["eps", "x0"] = "eps",
) -> Schedule:
    """Return the schedule that computes all steps before `start`, and from there on every `interval`-th.

    Where fewer steps were computed before, the order is lower. Raises ScheduleError for an interval below 1.
    """
    check_interval(interval)
    dropped = [step for step in range(max(start, 1), steps) if (step - start) % interval]
    return _dropping(steps, dropped, order, space)


def adaptive_diffusion(
    graph: ComponentGraph, *, steps: int, distances: Sequence[float], threshold: float = 0.01, most: int = 4
) -> Schedule:
    """Return the schedule of AdaptiveDiffusion's third-order rule, from the distances of a full run.

    `distances` has one for each step: the mean absolute difference between the states after and before it. The step
    after `i` is dropped, and repeats the noise prediction, where the distances bend little: where
    `|(d[i] + d[i-2]) / 2 - d[i-1]|` is at most `threshold` times `d[i-1]`; after `most` dropped steps one is computed,
    as soon as five decisions were made.
    The paper decides so for each picture while it samples, and the distances are then those of the shortened run.
    Raises ScheduleError for other than a distance a step.
    """
    if len(distances) != steps:
        raise ScheduleError(f"distances: {len(distances)} are given; a run of {steps} steps has {steps}")
    drops: list[bool] = []
    for step in range(_FIRST_DECISION, steps - 1):
        before_last, last, latest = distances[step - 2 : step + 1]
        is_due = len(drops) > _FREE_DECISIONS and all(drops[-most:])
        drops.append(not is_due and abs((latest + before_last) / 2 - last) <= threshold * last)
    dropped = [step for step, drop in enumerate(drops, _FIRST_DECISION + 1) if drop]
    return _dropping(steps, dropped, 0, "eps")


def sada(graph: ComponentGraph, *, steps: int, start: int | None = None, interval: int = 4, terms: int = 3) -> Schedule:
    """Return the schedule of SADA's last phase: from `start` on, steps whose clean picture is interpolated.

    There every `interval`-th step is computed, those whose number leaves the remainder 1, and the clean picture of the
    others is on Lagrange's polynomial through the last `terms` computed ones, at most 3 here; `start` is by default
    half of the run. What SADA decides for each picture while it samples, by the sign of its stability criterion, and
    its pruning of tokens, depend on the picture and are no part of a schedule.
    """
    check_interval(interval)
    if not 1 <= terms <= 3:
        raise ScheduleError(f"terms {terms}: 1 to 3 are accepted")
    first = max(steps // 2 if start is None else start, 1)
    dropped = [step for step in range(first, steps) if (step - 1) % interval]
    return _dropping(steps, dropped, terms - 1, "x0")


def _dropping(steps: int, dropped: Sequence[int], order: int, space: str) -> Schedule:
    """Return the schedule that drops steps, at the order for which enough were computed before."""
    rows: dict[int, dict[str, Action]] = {}
    for number, step in enumerate(dropped):
        made = {"name": "reuse", "order": min(order, step - number - 1), "space": space}
        rows[step] = {UNET: Action.model_validate(made)}
    return at_steps(steps, rows)
