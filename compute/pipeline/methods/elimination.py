"""Policies that leave components out, or that are drawn at random."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Unpack

from compute.pipeline.methods.policy_of import RunOptions, policy_of
from compute.policy.skip_policy import SkipPolicy


def eliminations(
    pipe: Any,
    *,
    steps: int | None = None,
    components: Sequence[str],
    start: int = 0,
    stop: int | None = None,
    **run: Unpack[RunOptions],
) -> SkipPolicy:
    """Return the seed paper's elimination (Prasad et al., arXiv 2312.14965) of components in a window of steps.

    `components` are names, globs or kinds. `start` is the window's first step, `stop` the one after its last.
    """
    return policy_of("eliminations", pipe, steps, run, components=components, start=start, stop=stop)


def identities(pipe: Any, *, left_out: Sequence[Collection[str]], **run: Unpack[RunOptions]) -> SkipPolicy:
    """Return AutoDiffusion's result (Li et al., ICCV 2023, arXiv 2309.10438): timesteps, and what each leaves out.

    `left_out` names the components of each step that are the identity. Both come from a search.
    """
    steps = None if run.get("timesteps") or run.get("sigmas") else len(left_out)
    return policy_of("identities", pipe, steps, run, left_out=left_out)


def random_schedule(
    pipe: Any, *, steps: int | None = None, cost: float, seed: int = 0, **run: Unpack[RunOptions]
) -> SkipPolicy:
    """Return a policy drawn at random, whose FLOPs are about `cost` times those of full compute."""
    return policy_of("random_schedule", pipe, steps, run, cost=cost, seed=seed)
