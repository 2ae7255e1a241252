"""Caches of features at given steps, as policies for a pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Unpack

from compute.pipeline.methods.policy_of import RunOptions, policy_of
from compute.policy.skip_policy import SkipPolicy


def deepcache(
    pipe: Any, *, steps: int | None = None, interval: int, branch: int = 0, **run: Unpack[RunOptions]
) -> SkipPolicy:
    """Return DeepCache (Ma, Fang and Wang, CVPR 2024, arXiv 2312.00858) as a policy for `steps` steps of a pipeline.

    Every `interval`-th step the UNet runs in full, from step 0 on; at the others its outer layers alone, with the
    deeper ones' output of the last full step. `branch` is the number of decoder layers that still run, less one: 0 is
    the fastest. `guidance` and `call` are as for `SkipPolicy.for_pipeline`. Raises ScheduleError for an interval below
    1, and for a branch that the network lacks.
    """
    return policy_of("deepcache", pipe, steps, run, interval=interval, branch=branch)


def deepcache_uneven(
    pipe: Any,
    *,
    steps: int | None = None,
    interval: int,
    center: int,
    power: float = 1.4,
    branch: int = 0,
    **run: Unpack[RunOptions],
) -> SkipPolicy:
    """Return DeepCache's non-uniform variant: as many full steps as with an `interval`, densest around step `center`.

    `power`, over 1, says how much denser.
    """
    return policy_of("deepcache_uneven", pipe, steps, run, interval=interval, center=center, power=power, branch=branch)


def faster_diffusion(
    pipe: Any,
    *,
    steps: int | None = None,
    interval: int | None = None,
    keys: Sequence[int] | None = None,
    **run: Unpack[RunOptions],
) -> SkipPolicy:
    """Return Faster Diffusion's encoder propagation (Li et al., NeurIPS 2024, arXiv 2312.09608).

    Between key steps the decoder runs with the encoder's output of the last one. `keys` lists them, or there is one
    every `interval` steps, or they are the paper's.
    """
    return policy_of("faster_diffusion", pipe, steps, run, interval=interval, keys=keys)


def clockwork(pipe: Any, *, steps: int | None = None, clock: int = 2, **run: Unpack[RunOptions]) -> SkipPolicy:
    """Return Clockwork Diffusion (Habibian et al., CVPR 2024, arXiv 2312.08128) with the identity as its adaptor.

    The lower resolutions are computed every `clock` steps.
    """
    return policy_of("clockwork", pipe, steps, run, clock=clock)


def cachify(pipe: Any, *, steps: int | None = None, interval: int = 2, **run: Unpack[RunOptions]) -> SkipPolicy:
    """Return the preset of NVIDIA Model Optimizer's cache diffusion: only the last decoder block runs at odd steps."""
    return policy_of("cachify", pipe, steps, run, interval=interval)


def tgate(
    pipe: Any,
    *,
    steps: int | None = None,
    gate: int = 10,
    self_interval: int = 5,
    late_interval: int = 1,
    warm_up: int = 2,
    **run: Unpack[RunOptions],
) -> SkipPolicy:
    """Return T-GATE's gating (Zhang et al., arXiv 2404.02747): cross-attention rests from step `gate` on.

    Before it self-attention is computed every `self_interval` steps after `warm_up`, from it on every `late_interval`.
    Of a network whose attention reads text and picture in one, as GLIDE's, that attention rests as a whole.
    """
    parameters = {"gate": gate, "self_interval": self_interval, "late_interval": late_interval, "warm_up": warm_up}
    return policy_of("tgate", pipe, steps, run, **parameters)


def taylorseer(
    pipe: Any,
    *,
    steps: int | None = None,
    interval: int,
    order: Literal[0, 1, 2] = 2,
    first: int = 3,
    branch: int | None = None,
    **run: Unpack[RunOptions],
) -> SkipPolicy:
    """Return TaylorSeer's forecasting (Liu et al., ICCV 2025, arXiv 2503.06923) on a UNet's features.

    After `first` full steps every `interval`-th is full; between them each block's contribution is forecast, or with
    `branch` what comes up into that layer of the decoder, as in DeepCache.
    """
    return policy_of("taylorseer", pipe, steps, run, interval=interval, order=order, first=first, branch=branch)
