"""The policy of a published method for a pipeline: plain sampling, with the method's schedule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from compute.pipeline.for_pipeline import policy_for_pipeline
from compute.pipeline.graphs import graph_of
from compute.pipeline.methods.plain import plain
from compute.policy.methods.registry import METHODS
from compute.policy.rules import rules_of
from compute.policy.skip_policy import PolicyError, SkipPolicy
from store.sampler import SamplerSettings


class RunOptions(TypedDict, total=False):
    """What a method's run is like apart from the method."""

    sampler: SamplerSettings | str | None
    options: Mapping[str, Any] | None
    timesteps: Sequence[float] | None
    sigmas: Sequence[float] | None
    guidance: float | None
    call: Mapping[str, Any] | None
    name: str | None


def policy_of(method: str, pipe: Any, steps: int | None, run: RunOptions, **parameters: Any) -> SkipPolicy:
    """Return the policy of a method of the registry for a run of a pipeline. Raises SkipscopeError."""
    base = _base(pipe, steps, run)
    schedule = METHODS[method].schedule(graph_of(pipe.unet), steps=base.sampler.steps, **parameters)
    own = run.get("name") or _name(method, parameters)
    provenance = {**base.provenance, "method": f"{method}: {METHODS[method].source}"}
    fields = {"name": own, "rules": rules_of(schedule), "provenance": provenance}
    return SkipPolicy(**dict(base) | fields)  # checked, unlike a model_copy


def _base(pipe: Any, steps: int | None, run: RunOptions) -> SkipPolicy:
    call, guidance = run.get("call"), run.get("guidance")
    sampler, options, timesteps, sigmas = (
        run.get("sampler"),
        run.get("options"),
        run.get("timesteps"),
        run.get("sigmas"),
    )
    if call is None:
        return plain(
            pipe,
            sampler=sampler,
            steps=steps,
            options=options,
            timesteps=timesteps,
            sigmas=sigmas,
            guidance=guidance,
        )
    if steps is None or any(value is not None for value in (sampler, options, timesteps, sigmas)):
        raise PolicyError("call: give the pipeline its sampler first, and steps; the call's arguments hold the rest")
    return policy_for_pipeline(pipe, rules=(), steps=steps, guidance=guidance, call=call)


def _name(method: str, parameters: Mapping[str, Any]) -> str:
    """Return a policy's name: the method, and its parameters that are short enough to say."""
    said = [f"{key} {value}" for key, value in parameters.items() if isinstance(value, int | float | str)]
    return " ".join([method, *said])[:80].strip()
