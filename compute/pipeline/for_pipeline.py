"""Policies written by hand for a pipeline: sampler, guidance and digests are read from it."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from compute.pipeline.call import STEP_LISTS, call_parameters, default_guidance, pictures_of, plain_numbers
from compute.pipeline.follow import check_can_be_followed
from compute.pipeline.graphs import graph_of
from compute.pipeline.probe import RUN_ERRORS, probe, refusal
from compute.pipeline.run_scheduler import run_scheduler
from compute.pipeline.run_steps import RunSteps
from compute.pipeline.set_sampler import sampler_of
from compute.policy.graph import GUIDANCE, UNET
from compute.policy.rules import Rule, rules_of
from compute.policy.run_scheduler import RunScheduler
from compute.policy.schedule import Schedule
from compute.policy.skip_policy import PolicyError, PolicyModel, SkipPolicy
from compute.unet.blocks import uncompiled
from compute.unet.weights_digest import dtype_name, known_digests
from store.records import Action


def policy_for_pipeline(
    pipe: Any,
    *,
    rules: Sequence[Rule | Mapping[str, Any]],
    steps: int,
    guidance: float | None = None,
    call: Mapping[str, Any] | None = None,
    name: str = "by hand",
) -> SkipPolicy:
    """Return a policy for runs of `pipe` with `num_inference_steps=steps`.

    A rule is a `Rule`, or a mapping with `components` (names, globs or `kind:…`), `window` ([start, stop), of the steps
    that a run really makes, all of them if left out) and `action` (a name, or the fields of an `Action`). The scheduler
    and its options, the steps that it really makes and the weights' digests are read from the pipeline; `guidance` is
    the scale that the policy is for, by default that of the pipeline's call. `call` holds the arguments of the
    pipeline's calls where a run does not make every step of its scheduler (image to image, custom timesteps): the
    pipeline is called once with them, without its UNet, and shows which steps it makes.

    Raises PolicyError for rules that cannot be executed, and for a call that the pipeline refuses; UnsupportedUNet for
    a network that cannot be read; FollowError for a pipeline that cannot be followed.
    """
    check_can_be_followed(pipe)
    given = _given_steps(call or {})
    if call is None:
        timesteps, scheduler = run_of(pipe.scheduler, steps)
    else:
        timesteps, scheduler = _run_of_call(pipe, steps, call)
    if guidance is None and call is not None:
        guidance = call.get("guidance_scale")
    sampler = sampler_of(pipe.scheduler, steps=len(timesteps), asked=None if given else steps, **given)
    made = len(timesteps)
    return SkipPolicy(
        name=name,
        model=model_of(pipe),
        sampler=sampler,
        timesteps=timesteps,
        call={"eta": call["eta"]} if call and "eta" in call else {},
        guidance=default_guidance(pipe) if guidance is None else guidance,
        scheduler=scheduler,
        rules=rules_of(_schedule(pipe, rules, made)),
    )


def model_of(pipe: Any) -> PolicyModel:
    """Return what a policy says of a pipeline's model: its class, and the digests of its UNet's weights."""
    network = uncompiled(pipe.unet)
    digests = known_digests(network)
    return PolicyModel(name=type(pipe).__name__, weights=digests[dtype_name(network)], unet=digests)


def run_of(
    scheduler: Any, steps: int, given: Mapping[str, tuple[float, ...]] = MappingProxyType({})
) -> tuple[tuple[float, ...], RunScheduler]:
    """Return the timesteps of the steps that a scheduler makes where `steps` are asked for, and what it does.

    `given` may hold `timesteps` or `sigmas` instead. Raises PolicyError for steps that the scheduler refuses.
    """
    own = copy.deepcopy(scheduler)
    set_steps(own, steps, given)
    timesteps = tuple(float(t) for t in own.timesteps.tolist())
    return timesteps, run_scheduler(own, RunSteps(timesteps=timesteps))


def set_steps(scheduler: Any, steps: int, given: Mapping[str, tuple[float, ...]]) -> None:
    """Set a scheduler's steps: their number, or the lists that are given. Raises PolicyError where it refuses them."""
    name, accepted = type(scheduler).__name__, inspect.signature(scheduler.set_timesteps).parameters
    if lacks := given.keys() - accepted.keys():
        raise PolicyError(f"{min(lacks)}: a {name} takes none of its own; give steps, or name another sampler")
    try:
        if given:
            scheduler.set_timesteps(**{key: plain_numbers(key, given[key]) for key in STEP_LISTS if key in given})
        else:
            scheduler.set_timesteps(steps)
    except (*RUN_ERRORS, AssertionError) as error:
        what, value = next(iter(given.items()), ("steps", steps))
        raise PolicyError(f"{what}: a {name} refuses {value}: {refusal(error)}") from None


def _given_steps(call: Mapping[str, Any]) -> dict[str, tuple[float, ...]]:
    """Return the timesteps or the sigmas that a call is given."""
    return {key: tuple(float(number) for number in call[key]) for key in STEP_LISTS if call.get(key) is not None}


def _run_of_call(pipe: Any, steps: int, call: Mapping[str, Any]) -> tuple[tuple[float, ...], RunScheduler]:
    """Return the timesteps of the steps that a call makes, and what its scheduler does. Raises PolicyError."""
    if unknown := call.keys() - call_parameters(pipe).keys():  # diffusers drops some of these without a word
        raise PolicyError(f"call.{min(unknown)}: a {type(pipe).__name__} has no such argument")
    given = {key: value for key, value in call.items() if key != "generator"}  # whose state would change
    if not given.keys() & {"timesteps", "sigmas"}:
        given["num_inference_steps"] = steps
    try:
        shown = probe(pipe, pipe.unet, lambda: pictures_of(pipe(**given | {"output_type": "np"})))
        return shown.steps.timesteps, shown.scheduler
    except RUN_ERRORS as error:
        raise PolicyError(f"call: the {type(pipe).__name__} refuses {', '.join(given)}: {refusal(error)}") from error


def _schedule(pipe: Any, rules: Sequence[Rule | Mapping[str, Any]], steps: int) -> Schedule:
    """Return the schedule of rules whose components may be patterns. Raises PolicyError for a rule without sense."""
    rows: dict[int, dict[str, Action]] = {}
    for number, rule in enumerate(rules):
        fields = rule.model_dump() if isinstance(rule, Rule) else dict(rule)
        unknown = fields.keys() - {"components", "window", "action"}
        if unknown or not {"components", "action"} <= fields.keys():
            raise PolicyError(f"rules.{number}: components, window and action are accepted; given: {', '.join(fields)}")
        start, stop = _window(fields.get("window"), steps, number)
        patterns = [fields["components"]] if isinstance(fields["components"], str) else list(fields["components"])
        whole = set(patterns) <= {UNET, GUIDANCE}
        names = tuple(patterns) if whole else graph_of(pipe.unet).guided.match(patterns)
        action = fields["action"]
        made = Action.model_validate({"name": action} if isinstance(action, str) else action)
        for step in range(start, stop):
            for component in names:
                if rows.setdefault(step, {}).setdefault(component, made) != made:
                    raise PolicyError(f"rules.{number}: {component} has another action at step {step} already")
    return Schedule(steps=steps, actions=rows)


def _window(window: Any, steps: int, number: int) -> tuple[int, int]:
    if window is None:
        return 0, steps
    start, stop = (window["start"], window["stop"]) if isinstance(window, Mapping) else window
    if not 0 <= start < stop <= steps:
        raise PolicyError(f"rules.{number}: window [{start}, {stop}) lies outside the run: it makes {steps} steps")
    return int(start), int(stop)
