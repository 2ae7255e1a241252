"""The earlier stages of a cascade under a policy that holds their rules, too."""

from __future__ import annotations

from dataclasses import replace

from compute.models.model import Model
from compute.models.other_stage import OtherStage
from compute.policy.skip_policy import PolicyError, SkipPolicy

_LEAST_STEPS = 2


def earlier_stages(policy: SkipPolicy, model: Model, *, full: bool, steps_share: float = 1.0) -> OtherStage | None:
    """Return the stage before a policy's own under `policy.previous`, or None where the policy has none.

    With `full` it runs at full compute, by the policy's sampler, with a share of its steps. Raises PolicyError where
    the model is no cascade, or its stage before has other weights than the policy's.
    """
    before, stage = policy.previous, model.previous
    if before is None:
        return None
    if stage is None or stage.run.source.stage != before.model.stage:
        raise PolicyError(
            f"policy {policy.name!r}: is for a cascade with the stage {before.model.stage!r} before "
            f"{policy.model.stage!r}, which {model.source.name!r} does not have"
        )
    if stage.run.source.digest != before.model.weights:
        raise PolicyError(
            f"policy {policy.name!r}: is for weights {before.model.weights[:12]} of the stage {before.model.stage!r}; "
            f"{model.source.name!r} here has {stage.run.source.digest[:12]}"
        )
    earlier = earlier_stages(before, stage.model, full=full, steps_share=steps_share) or stage.model.previous
    loaded = stage.model.given(before.call, earlier)
    sampler = before.sampler
    if steps_share != 1:
        sampler = sampler.asking(max(_LEAST_STEPS, round(steps_share * sampler.asked_steps)))
    run = replace(stage.run, sampler=sampler, guidance=before.guidance, call=dict(before.call))
    return OtherStage(run, lambda: loaded, None if full else before.schedule)
