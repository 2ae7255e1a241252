"""Published methods as policies for a pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compute.pipeline.for_pipeline import policy_for_pipeline
from compute.pipeline.graphs import graph_of
from compute.policy.methods.deepcache import deepcache as deepcache_schedule
from compute.policy.rules import rules_of
from compute.policy.skip_policy import SkipPolicy


def deepcache(
    pipe: Any,
    *,
    steps: int,
    interval: int,
    branch: int = 0,
    guidance: float | None = None,
    call: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> SkipPolicy:
    """Return DeepCache (Ma, Fang and Wang, CVPR 2024, arXiv 2312.00858) as a policy for `steps` steps of a pipeline.

    Every `interval`-th step the UNet runs in full, from step 0 on; at the others its outer layers alone, with the
    deeper ones' output of the last full step. `branch` is the number of decoder layers that still run, less one: 0 is
    the fastest. `guidance` and `call` are as for `SkipPolicy.for_pipeline`. Raises ScheduleError for an interval below
    1, and for a branch that the network lacks.
    """
    plain = policy_for_pipeline(pipe, rules=(), steps=steps, guidance=guidance, call=call)
    schedule = deepcache_schedule(graph_of(pipe.unet), steps=plain.sampler.steps, interval=interval, branch=branch)
    own = name or f"deepcache every {interval} branch {branch}"
    return SkipPolicy(**dict(plain) | {"name": own, "rules": rules_of(schedule)})  # checked, unlike a model_copy
