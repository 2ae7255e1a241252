"""Caches by the changes of features that were measured in a run, as policies for a pipeline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Unpack

from compute.pipeline.feature_changes import measure_changes
from compute.pipeline.methods.policy_of import RunOptions, policy_of
from compute.policy.methods.changes import FeatureChanges
from compute.policy.skip_policy import SkipPolicy
from store.actions import Kind


def measured_changes(pipe: Any, run: Callable[[], Any], *, lags: int = 3) -> FeatureChanges:
    """Return how much each component's output changes over 1 to `lags` steps in a full run of a pipeline.

    `run` calls the pipeline once, for as many pictures as wanted, with the sampler and the number of steps that a
    policy is to have: `lambda: pipe(prompts, num_inference_steps=25)`.
    """
    return measure_changes(pipe, run, lags=lags)


def block_caching(
    pipe: Any,
    *,
    steps: int | None = None,
    changes: FeatureChanges,
    threshold: float,
    kinds: Sequence[Kind] = ("attention",),
    **run: Unpack[RunOptions],
) -> SkipPolicy:
    """Return Block Caching (Wimbauer et al., CVPR 2024, arXiv 2312.03209), without its trained adjustment.

    Each block of `kinds` rests until its changes, of `measured_changes`, add up to more than `threshold`.
    """
    return policy_of("block_caching", pipe, steps, run, changes=changes, threshold=threshold, kinds=kinds)


def smoothcache(
    pipe: Any,
    *,
    steps: int | None = None,
    changes: FeatureChanges,
    threshold: float,
    lookahead: int = 3,
    kinds: Sequence[Kind] = ("resnet", "attention"),
    **run: Unpack[RunOptions],
) -> SkipPolicy:
    """Return SmoothCache's rule (Liu et al., CVPRW 2025, arXiv 2411.10510) on a UNet's blocks.

    All components of a kind rest for as many steps, up to `lookahead`, as their mean change stays within `threshold`.
    """
    parameters = {"changes": changes, "threshold": threshold, "lookahead": lookahead, "kinds": kinds}
    return policy_of("smoothcache", pipe, steps, run, **parameters)


def adaptive_diffusion(
    pipe: Any,
    *,
    steps: int | None = None,
    changes: FeatureChanges,
    threshold: float = 0.01,
    most: int = 4,
    **run: Unpack[RunOptions],
) -> SkipPolicy:
    """Return AdaptiveDiffusion's rule (Ye et al., NeurIPS 2024, arXiv 2410.09873), frozen from a full run.

    A step is dropped where the distances between states, of `measured_changes`, bend by at most `threshold`; at most
    `most` in a row.
    """
    parameters = {"distances": changes.distances, "threshold": threshold, "most": most}
    return policy_of("adaptive_diffusion", pipe, steps, run, **parameters)
