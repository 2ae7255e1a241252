"""A skip policy: component x step -> action, as data, with what it was measured to cost and to save.

The file is JSON of a fixed schema (docs/policy-format.md). It holds no code and no paths; what a reader does not know
is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from compute.analysis.estimate import Estimate
from compute.policy.schedule import Schedule
from store.errors import SkipscopeError
from store.records import Action, Record, Window, content_key

FORMAT = "skipscope-policy"
VERSION = 1
_ENTRY_LIMIT = 1_000_000  # a small file could otherwise ask for hours of unfolding
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


class PolicyError(SkipscopeError):
    """A policy that can't be read, or that doesn't fit the model, weights, sampler or steps it is applied to."""


class PolicyModel(Record):
    """The model that a policy was made for.

    `weights` is the digest of its folder's files (text transformer, UNet, scheduler); `unet` the digests of the UNet's
    parameters in memory, one a dtype, which `applied` compares.
    """

    name: Name
    weights: Digest
    stage: Literal["base"] = "base"
    unet: Mapping[Literal["float32", "float16", "bfloat16"], Digest]


class PolicySampler(Record):
    """The sampler that a policy was made for; `steps` is part of what it means."""

    name: Literal["ddpm", "ddim"]
    steps: Annotated[int, Field(ge=1, le=1000)]
    eta: Share = 0.0
    spacing: Literal["linspace", "trailing", "leading"]


class Rule(Record):
    """An action of some components in a window of steps. What no rule names is computed."""

    components: Annotated[tuple[Name, ...], Field(min_length=1, max_length=10_000)]
    window: Window
    action: Action

    def __str__(self) -> str:
        return f"{self.action!s} {' + '.join(self.components)} in steps {self.window}"


class Prediction(Record):
    """What the search expected, on the sweep's own conditions: this is no validation.

    `speedup` is by the cost model; `damage` was measured closed-loop on the conditions that the search used.
    """

    metric: Name
    speedup: Positive
    damage: Estimate
    conditions: Annotated[int, Field(ge=1)]


class RunQuality(Record):
    """One of the runs that a validation compares: full compute, the policy, or full compute with fewer steps.

    `speedup` is full compute's time divided by its own, of rounds run in turn. `fidelity` holds shares of pictures that
    show what the prompt says, by aspect; `kid` the kernel distance to real scenes; both are absent without a judge.
    `damage` is by metric, against full compute with the same noise; fewer steps follow other noise and have none.
    """

    name: Literal["full", "policy", "fewer_steps"]
    steps: Annotated[int, Field(ge=1)]
    seconds_per_picture: Positive
    speedup: Estimate
    damage: Mapping[Name, Estimate] = Field(default_factory=dict)
    fidelity: Mapping[Name, Estimate] = Field(default_factory=dict)
    kid: Estimate | None = None


class Validation(Record):
    """A closed-loop comparison on prompts and seeds that took no part in the search.

    `fidelity_difference` is the policy's share minus full compute's, paired by condition, with its interval.
    """

    prompts: Name
    seeds: Name
    conditions: Annotated[int, Field(ge=1)]
    batch: Annotated[int, Field(ge=1)]
    rounds: Annotated[int, Field(ge=1)]
    dtype: Literal["float32", "bfloat16", "float16"]
    device: Name
    threads: Annotated[int, Field(ge=1)]
    runs: Annotated[tuple[RunQuality, ...], Field(min_length=2, max_length=3)]
    fidelity_difference: Mapping[Name, Estimate] = Field(default_factory=dict)
    provenance: Mapping[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _full_and_policy(self) -> Validation:
        names = [run.name for run in self.runs]
        if len(set(names)) != len(names) or not {"full", "policy"} <= set(names):
            raise ValueError("runs: full and policy are needed, each once")
        return self

    def run(self, name: Literal["full", "policy", "fewer_steps"]) -> RunQuality | None:
        """The run of that name, if it was made."""
        return next((run for run in self.runs if run.name == name), None)

    @property
    def policy(self) -> RunQuality:
        """The policy's own run."""
        return next(run for run in self.runs if run.name == "policy")


class SkipPolicy(Record):
    """A skip policy with its provenance; `schedule` is what it does, `validation` what it was measured to do."""

    format: Literal["skipscope-policy"] = "skipscope-policy"
    version: Literal[1] = 1
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]{0,79}$")]
    model: PolicyModel
    sampler: PolicySampler
    guidance: Annotated[float, Field(ge=0, le=100)]
    rules: Annotated[tuple[Rule, ...], Field(max_length=10_000)]
    prediction: Prediction | None = None
    validation: Validation | None = None
    provenance: Mapping[str, str] = Field(default_factory=dict)

    @field_validator("rules")
    @classmethod
    def _change_something(cls, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
        if any(rule.action.name == "compute" for rule in rules):
            raise ValueError("compute is what every component does anyway: leave it out")
        return rules

    @model_validator(mode="after")
    def _steps_inside(self) -> SkipPolicy:
        _ = self.schedule
        return self

    @property
    def schedule(self) -> Schedule:
        """The rules as a schedule. Raises ValueError for steps outside the run and for two actions of one component."""
        steps = self.sampler.steps
        if sum(len(rule.components) * (rule.window.stop - rule.window.start) for rule in self.rules) > _ENTRY_LIMIT:
            raise ValueError(f"rules: say more than {_ENTRY_LIMIT} things, counted by component and step")
        rows: dict[int, dict[str, Action]] = {}
        for rule in self.rules:
            if rule.window.stop > steps:
                raise ValueError(f"rules: window {rule.window} lies outside the run's {steps} steps")
            for step in range(rule.window.start, rule.window.stop):
                for name in rule.components:
                    known = rows.setdefault(step, {}).setdefault(name, rule.action)
                    if known != rule.action:
                        raise ValueError(f"rules: {name} is to {known} and to {rule.action} at step {step}")
        return Schedule(steps=steps, actions=rows)

    @property
    def digest(self) -> str:
        """SHA-256 of what the policy does and for what: not of its name, measurements or provenance."""
        return content_key(
            {
                "weights": self.model.weights,
                "sampler": self.sampler.model_dump(mode="json"),
                "guidance": self.guidance,
                "rules": [rule.model_dump(mode="json") for rule in rules_of(self.schedule)],
            }
        )


def rules_of(schedule: Schedule) -> tuple[Rule, ...]:
    """A schedule as the fewest rules: components that do the same over the same steps stand together."""
    runs: dict[tuple[int, int, Action], list[str]] = {}
    for name in sorted({name for _, name, _ in schedule.entries()}):
        for start, stop, action in _runs(schedule, name):
            runs.setdefault((start, stop, action), []).append(name)
    ordered = sorted(runs.items(), key=lambda item: (item[0][0], item[0][1], str(item[0][2]), item[1]))
    return tuple(
        Rule(components=tuple(names), window=Window(start=start, stop=stop), action=action)
        for (start, stop, action), names in ordered
    )


def _runs(schedule: Schedule, name: str) -> list[tuple[int, int, Action]]:
    """The ranges [start, stop) of steps in which a component does one thing that is not computing."""
    found: list[tuple[int, int, Action]] = []
    for step in range(schedule.steps):
        action = schedule.action(step, name)
        if action.name == "compute":
            continue
        if found and found[-1][1] == step and found[-1][2] == action:
            found[-1] = (found[-1][0], step + 1, action)
        else:
            found.append((step, step + 1, action))
    return found


def policy_schema() -> dict[str, Any]:
    """The JSON Schema that docs/policy.schema.json publishes."""
    return SkipPolicy.model_json_schema(mode="validation")
