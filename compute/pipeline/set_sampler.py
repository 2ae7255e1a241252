"""Gives a pipeline the sampler of a policy; reads from a scheduler which sampler it is."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import diffusers

from compute.pipeline.call import call_parameters, sampler_arguments
from compute.pipeline.exact_ddpm import ExactDDPMScheduler
from compute.pipeline.schedulers import SamplerError, SpacedDDIMScheduler, base_configuration, make_scheduler
from compute.policy.skip_policy import SkipPolicy
from store.sampler import OWN_SAMPLERS, SamplerSettings

_OFTEN_SET = ("timestep_spacing", "steps_offset", "clip_sample", "set_alpha_to_one", "skip_prk_steps")
_EVENLY_SPACED = ("DDIMScheduler", "PNDMScheduler")
"""These step to `t - num_train_timesteps // steps`, whatever the next timestep is (diffusers 0.42.1)."""


def set_sampler(policy: SkipPolicy, pipe: Any) -> dict[str, Any]:
    """Set `pipe.scheduler` to the sampler of a policy, and return the keyword arguments of the pipeline's call.

    They are `num_inference_steps`, or the policy's own `timesteps` or `sigmas`; `guidance_scale`, where the pipeline
    takes one; and the policy's further `call` arguments. The scheduler is made with the noise schedule and the
    prediction type that the pipeline's own has, so any number of samplers may be set one after the other. Raises
    SkipscopeError for a sampler that the model cannot use, and for arguments that the pipeline does not take; the
    pipeline is then as before.

        with applied(policy, pipe):
            image = pipe("a corgi", **arguments).images[0]
    """
    accepted = call_parameters(pipe)
    arguments = sampler_arguments(policy.sampler, accepted, pipe)
    if "guidance_scale" in accepted:
        arguments["guidance_scale"] = policy.guidance
    arguments |= dict(policy.call)
    pipe.scheduler = scheduler_for(pipe, policy.sampler)
    return arguments


def scheduler_for(pipe: Any, sampler: SamplerSettings) -> Any:
    """Return a scheduler of a sampler for a pipeline's model. Raises SamplerError where the model cannot use it."""
    base = base_configuration(pipe.scheduler)
    if sampler.name not in OWN_SAMPLERS:
        _check_fits(base, sampler)
    return make_scheduler(base, sampler)


def sampler_of(
    scheduler: Any,
    *,
    steps: int,
    asked: int | None = None,
    timesteps: tuple[float, ...] | None = None,
    sigmas: tuple[float, ...] | None = None,
) -> SamplerSettings:
    """Return the settings of a scheduler, for a run of `steps` steps where `asked` are asked for.

    `timesteps` or `sigmas` are those that the pipeline's call is given. The options are those that are not the class'
    defaults, so that the scheduler can be made without the model's configuration.
    """
    own: dict[str, Any] = {"steps": steps, "num_inference_steps": asked, "timesteps": timesteps, "sigmas": sigmas}
    if isinstance(scheduler, SpacedDDIMScheduler):
        named = {"name": "ddim", "eta": scheduler.eta, "spacing": scheduler.config.timestep_spacing}
    elif isinstance(scheduler, ExactDDPMScheduler):
        named = {"name": "ddpm", "spacing": scheduler.config.timestep_spacing}
    else:
        named = {"name": type(scheduler).__name__, "options": _options(scheduler)}
    return SamplerSettings.model_validate(own | named)


def _options(scheduler: Any) -> dict[str, Any]:
    """Return the options of a scheduler that a policy file can hold: those that are not its class' defaults.

    Options that many models' configurations hold are always among them: another pipeline may have others.
    """
    options = {}
    for option, parameter in inspect.signature(type(scheduler)).parameters.items():
        default = parameter.default
        value = scheduler.config.get(option, default)
        value, default = (tuple(v) if isinstance(v, list) else v for v in (value, default))
        if (value != default or option in _OFTEN_SET) and isinstance(value, bool | int | float | str | tuple):
            options[option] = value
    return options


def _check_fits(base: Mapping[str, Any], sampler: SamplerSettings) -> None:
    """Raise SamplerError for a class that reads other outputs than the model's, or steps past its own timesteps."""
    kind = getattr(diffusers, sampler.name, None)
    if kind is None:
        return  # make_scheduler names near classes
    known = inspect.signature(kind).parameters
    if "prediction_type" in base and "prediction_type" not in known:
        raise SamplerError(
            f"sampler: a {sampler.name} has no prediction_type, and this model predicts {base['prediction_type']}: "
            "name a scheduler that has one, such as DPMSolverMultistepScheduler"
        )
    if "beta_schedule" in base and "beta_schedule" not in known:
        raise SamplerError(
            f"sampler: a {sampler.name} has no beta_schedule, and this model was trained with one "
            f"({base['beta_schedule']}): name a scheduler that has one, such as DPMSolverMultistepScheduler"
        )
    spacing = sampler.options.get("timestep_spacing", base.get("timestep_spacing"))
    if sampler.name in _EVENLY_SPACED and spacing == "linspace":
        raise SamplerError(
            f"sampler: a {sampler.name} takes evenly spaced timesteps, and linspace spacing is uneven: give "
            "options={'timestep_spacing': 'trailing'}"
        )
