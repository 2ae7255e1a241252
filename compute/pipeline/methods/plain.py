"""Plain sampling as a policy: a solver, a number of steps and their placement, with every component computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from compute.config.messages import error_lines
from compute.pipeline.call import STEP_LISTS, call_parameters, default_guidance, sampler_arguments
from compute.pipeline.follow import check_can_be_followed
from compute.pipeline.for_pipeline import model_of, run_of
from compute.pipeline.sampler_trial import check_runs
from compute.pipeline.set_sampler import sampler_of, scheduler_for
from compute.policy.skip_policy import PolicyError, SkipPolicy
from store.sampler import SamplerSettings


def plain(
    pipe: Any,
    *,
    sampler: SamplerSettings | str | None = None,
    steps: int | None = None,
    options: Mapping[str, Any] | None = None,
    timesteps: Sequence[float] | None = None,
    sigmas: Sequence[float] | None = None,
    guidance: float | None = None,
    name: str | None = None,
) -> SkipPolicy:
    """Return plain sampling with a sampler as a policy for a pipeline, whose own scheduler stays as it is.

    `sampler` is `ddpm`, `ddim` or the class of a diffusers scheduler, which `options` configure (`timestep_spacing`,
    `algorithm_type`, `use_karras_sigmas`, …), or settings that hold all of it; by default it is the pipeline's own.
    `steps` are those that are asked for; `timesteps` or `sigmas` place them otherwise than the scheduler does.
    `set_sampler` gives the pipeline the policy's sampler. Raises PolicyError or SamplerError for what the model, the
    scheduler or the pipeline's call does not take.
    """
    check_can_be_followed(pipe)
    settings = _settings(pipe, sampler, {"steps": steps, "options": options, "timesteps": timesteps, "sigmas": sigmas})
    sampler_arguments(settings, call_parameters(pipe), pipe)  # raises where the call takes no list of steps
    scheduler = scheduler_for(pipe, settings)
    given: dict[str, tuple[float, ...]] = {
        key: numbers for key in STEP_LISTS if (numbers := getattr(settings, key)) is not None
    }
    made, does = run_of(scheduler, settings.asked_steps, given)
    check_runs(scheduler, settings.asked_steps, given)
    own = sampler_of(scheduler, steps=len(made), asked=None if given else settings.asked_steps, **given)
    if settings.options:  # also those that are the class' defaults, where the model's configuration has others
        own = own.model_copy(update={"options": {**own.options, **settings.options}})
    return SkipPolicy(
        name=name or f"{own.name} {len(made)} steps",
        model=model_of(pipe),
        sampler=own,
        timesteps=made,
        guidance=default_guidance(pipe) if guidance is None else guidance,
        scheduler=does,
        rules=(),
    )


def _settings(pipe: Any, sampler: SamplerSettings | str | None, fields: Mapping[str, Any]) -> SamplerSettings:
    """Return the settings that the arguments of `plain` describe. Raises PolicyError."""
    given = {key: value for key, value in fields.items() if value is not None}
    if isinstance(sampler, SamplerSettings):
        if given:
            raise PolicyError(f"{min(given)}: the settings that are given as sampler hold it already")
        return sampler
    lists = {key: tuple(float(number) for number in given[key]) for key in STEP_LISTS if key in given}
    if "steps" not in given and not lists:
        raise PolicyError("steps: missing; give their number, or timesteps or sigmas")
    try:
        if sampler is not None:
            return SamplerSettings.model_validate(given | lists | {"name": sampler})
        own = sampler_of(pipe.scheduler, steps=2)
        options = dict(own.options) | dict(given.get("options", {}))
        fields = {"name": own.name, "eta": own.eta, "spacing": own.spacing, "options": options}
        return SamplerSettings.model_validate(fields | given | lists | {"options": options})
    except ValidationError as error:
        raise PolicyError("; ".join(error_lines(error, SamplerSettings, whole="sampler"))) from None
