"""The policy of a run: its model, sampler, timesteps and scheduler, as the run itself shows them."""

from __future__ import annotations

from compute.models.model import Model
from compute.policy.rules import rules_of
from compute.policy.run_scheduler import RunScheduler
from compute.policy.schedule import Schedule
from compute.policy.skip_policy import PolicyModel, SkipPolicy
from compute.unet.weights_digest import known_digests
from store.sampler import OWN_SAMPLERS, SamplerSettings


def policy_of_run(
    model: Model, sampler: SamplerSettings, guidance: float, *, name: str, schedule: Schedule | None = None
) -> SkipPolicy:
    """Return a policy for runs of a model by a sampler; without a schedule everything is computed.

    Raises SkipscopeError for a sampler that the pipeline does not accept, ValidationError for a name that is not
    accepted.
    """
    made = model.resolved(sampler, guidance)
    is_own = made.name in OWN_SAMPLERS  # whose settings determine the timesteps
    return SkipPolicy(
        name=name,
        model=_model_of(model),
        sampler=made,
        timesteps=None if is_own else model.probe(sampler, guidance).steps.timesteps,
        call=model.call,
        guidance=guidance,
        scheduler=_scheduler(model, sampler, guidance),
        rules=() if schedule is None else rules_of(schedule),
    )


def _model_of(model: Model) -> PolicyModel:
    source = model.source
    return PolicyModel(name=source.name, weights=source.digest, stage=source.stage, unet=known_digests(model.unet))


def _scheduler(model: Model, sampler: SamplerSettings, guidance: float) -> RunScheduler:
    """Return what the scheduler does; the samplers with names of their own have one solver in any class."""
    shown = model.probe(sampler, guidance).scheduler
    return shown.with_options("variance_type") if sampler.name in OWN_SAMPLERS else shown
