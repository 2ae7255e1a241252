"""What competes in a bench: policies with a label and a group, made from its configuration."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice, product
from pathlib import Path

from pydantic import ValidationError

from compute.config.bench_schema import MAX_CONTESTANTS, BenchConfig, BenchMethod
from compute.config.errors import ConfigError
from compute.config.messages import error_lines
from compute.models.model import Model
from compute.policy.liveness import resolve
from compute.policy.methods.registry import METHODS, Method
from compute.policy.schedule import ScheduleError
from compute.policy.skip_policy import SkipPolicy
from compute.recommend.run_policy import policy_of_run
from store.errors import SkipscopeError


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """A policy that competes within a group; `reference` names the many-step run whose pictures its own should be."""

    label: str
    group: str
    policy: SkipPolicy
    reference: str | None = None


def contestants_of(config: BenchConfig, model: Model, folder: Path) -> tuple[Contestant, ...]:
    """Return everything that a configuration lets compete; paths of policy files are relative to `folder`.

    Raises SkipscopeError, which names the field.
    """
    parts = (_of_solvers(config, model), _of_methods(config, model), _of_files(config, folder))
    found = list(islice(chain(*parts), MAX_CONTESTANTS + 1))
    if len(found) > MAX_CONTESTANTS:
        raise ConfigError(f"solvers, methods: more than {MAX_CONTESTANTS} contestants; give fewer steps or parameters")
    for label, count in Counter(contestant.label for contestant in found).items():
        if count > 1:
            raise ConfigError(
                f"solvers, methods, policies: {label!r} competes {count} times: give it once, in one group"
            )
    return tuple(found)


def plain(policy: SkipPolicy) -> SkipPolicy:
    """Return full compute by a policy's sampler."""
    return policy.model_copy(update={"rules": (), "name": "full compute"}) if policy.rules else policy


def _of_solvers(config: BenchConfig, model: Model) -> Iterator[Contestant]:
    for number, solver in enumerate(config.solvers):
        for steps in solver.steps:
            label = f"{solver.group} {steps}"
            with _naming(f"solvers.{number}", label):
                policy = policy_of_run(model, solver.with_steps(steps), config.guidance, name=policy_name(label))
            yield Contestant(label=label, group=solver.group, policy=policy, reference=solver.reference)


def _of_methods(config: BenchConfig, model: Model) -> Iterator[Contestant]:
    for number, entry in enumerate(config.methods):
        field = f"methods.{number}"
        if entry.method not in METHODS:
            raise ConfigError(f"{field}.method: {entry.method!r} is not known; accepted: {', '.join(METHODS)}")
        method = METHODS[entry.method]
        if method.needs:
            needs = ", ".join(method.needs)
            raise ConfigError(f"{field}.method: {entry.method} needs {needs} of a run; give its policies as files")
        if unknown := entry.parameters.keys() - method.parameters.keys():
            known = ", ".join(method.parameters) or "none"
            raise ConfigError(f"{field}.parameters: {entry.method} has no {min(unknown)!r}; accepted: {known}")
        for steps in entry.steps:
            yield from _of_method(field, entry, method, steps, config, model)


def _of_method(
    field: str, entry: BenchMethod, method: Method, steps: int, config: BenchConfig, model: Model
) -> Iterator[Contestant]:
    """Yield a method's combinations of parameters on a number of steps.

    Where the configuration gives none, those that a network or so few steps do not allow are left out.
    """
    ranges = {name: entry.parameters.get(name, values) for name, values in method.parameters.items()}
    for values in product(*ranges.values()):
        parameters = dict(zip(ranges, values, strict=True))
        label = " ".join([f"{entry.group} {steps}", *(f"{name}={value}" for name, value in parameters.items())])
        with _naming(field, label):
            sampler = model.resolved(entry.sampler.with_steps(steps), config.guidance)
            try:
                schedule = method.schedule(model.graph, steps=sampler.steps, **parameters)
                resolve(model.graph, schedule)
            except ScheduleError:
                if entry.parameters:
                    raise
                continue
            policy = policy_of_run(model, sampler, config.guidance, name=policy_name(label), schedule=schedule)
        yield Contestant(label=label, group=entry.group, policy=policy, reference=entry.reference)


def _of_files(config: BenchConfig, folder: Path) -> Iterator[Contestant]:
    for group, paths in config.policies.items():
        for path in paths:
            policy = SkipPolicy.load(folder / Path(path).expanduser())
            yield Contestant(label=f"{group} {policy.name}", group=group, policy=policy)


def policy_name(label: str) -> str:
    """Return a label as the name of a policy, which has fewer signs: + becomes p, others a dash."""
    return re.sub(r"[^A-Za-z0-9._ -]", "-", label.replace("+", "p").replace("=", " "))[:80]


@contextmanager
def _naming(field: str, label: str) -> Iterator[None]:
    """Let the errors of a contestant begin with its field."""
    try:
        yield
    except ValidationError as error:
        raise ConfigError(f"{field}: {label}: {error_lines(error, SkipPolicy)[0]}") from None
    except SkipscopeError as error:
        raise ConfigError(f"{field}: {label}: {error}") from None
