"""Dropped steps as policies for a pipeline."""

from __future__ import annotations

from typing import Any, Literal, Unpack

from compute.pipeline.methods.policy_of import RunOptions, policy_of
from compute.policy.skip_policy import SkipPolicy


def whole_steps(
    pipe: Any,
    *,
    steps: int | None = None,
    interval: int,
    start: int = 0,
    order: Literal[0, 1, 2] = 0,
    space: Literal["eps", "x0"] = "eps",
    **run: Unpack[RunOptions],
) -> SkipPolicy:
    """Return a policy that computes all steps before `start`, then every `interval`-th, and reuses the output between.

    `order` and `space` are those of the reuse of `unet`.
    """
    return policy_of("whole_steps", pipe, steps, run, interval=interval, start=start, order=order, space=space)


def sada(
    pipe: Any,
    *,
    steps: int | None = None,
    start: int | None = None,
    interval: int = 4,
    terms: Literal[1, 2, 3] = 3,
    **run: Unpack[RunOptions],
) -> SkipPolicy:
    """Return the last phase of SADA (Jiang et al., ICML 2025, arXiv 2507.17135), with the same steps for every picture.

    From `start` on, by default half of the run, every `interval`-th step is computed, and the clean picture of the
    others is interpolated from the last `terms`.
    """
    return policy_of("sada", pipe, steps, run, start=start, interval=interval, terms=terms)
