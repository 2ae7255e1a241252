"""Caches by a threshold on measured changes: Block Caching and SmoothCache, as schedules."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from compute.policy.graph import ComponentGraph
from compute.policy.methods.changes import FeatureChanges
from compute.policy.methods.layout import at_steps
from compute.policy.schedule import Schedule, ScheduleError
from store.actions import Kind
from store.records import Action

_NOT_CACHED = ("unet", "skip")


def block_caching(
    graph: ComponentGraph,
    *,
    steps: int,
    changes: FeatureChanges,
    threshold: float,
    kinds: Sequence[Kind] = ("attention",),
) -> Schedule:
    """Return Block Caching's schedule (Wimbauer et al., CVPR 2024, arXiv 2312.03209), without its trained adjustment.

    A block is computed again once its changes since it was last computed add up to more than `threshold`; each block
    has its own steps. `kinds` are those of the blocks: the paper caches the spatial transformers. What a block adds to
    its input is reused, where it adds something, and else its output. Raises ScheduleError where the changes are those
    of other steps or components.
    """
    rows: dict[int, dict[str, Action]] = {step: {} for step in range(steps)}
    for name in _of_kinds(graph, kinds):
        total = 0.0
        for step, change in enumerate(changes.of(name, steps), 1):
            total += change
            if total > threshold:
                total = 0.0
            else:
                rows[step][name] = _reuse(graph, name)
    return at_steps(steps, rows)


def smoothcache(
    graph: ComponentGraph,
    *,
    steps: int,
    changes: FeatureChanges,
    threshold: float,
    lookahead: int = 3,
    kinds: Sequence[Kind] = ("resnet", "attention"),
) -> Schedule:
    """Return the schedule of SmoothCache's rule (Liu et al., CVPRW 2025, arXiv 2411.10510) on a UNet's blocks.

    Components of one kind rest at the same steps. From a computed step on as many steps rest, up to `lookahead`, as
    the farthest whose mean change from the computed step is at most `threshold`. The first and the last step are
    computed. Raises ScheduleError where the changes are those of other steps or components, or over fewer steps.
    """
    rows: dict[int, dict[str, Action]] = {step: {} for step in range(steps)}
    for kind in kinds:
        names = _of_kinds(graph, [kind])
        means = [
            [fmean(numbers) for numbers in zip(*(changes.of(name, steps, lag) for name in names), strict=True)]
            for lag in range(1, lookahead + 1)
            if names
        ]
        for step in _resting(steps, means, threshold):
            rows[step] |= {name: _reuse(graph, name) for name in names}
    return at_steps(steps, rows)


def _resting(steps: int, means: Sequence[Sequence[float]], threshold: float) -> list[int]:
    """Return the steps that rest, by the changes over 1, 2, … steps from each step."""
    resting: list[int] = []
    step = 0
    while step < steps:
        reached = [lag for lag, row in enumerate(means, 1) if step < len(row) and row[step] <= threshold]
        rests = max(reached, default=0)
        resting += range(step + 1, step + rests + 1)
        step += rests + 1
    return [step for step in resting if step < steps - 1]


def _of_kinds(graph: ComponentGraph, kinds: Sequence[Kind]) -> tuple[str, ...]:
    if refused := set(kinds) & set(_NOT_CACHED):
        raise ScheduleError(f"kinds: {min(refused)} is no block; resnet, attention and the other kinds are accepted")
    return tuple(name for name in graph.names if graph.component(name).kind in kinds)


def _reuse(graph: ComponentGraph, name: str) -> Action:
    return Action(name="reuse_delta" if "reuse_delta" in graph.component(name).actions else "reuse")
