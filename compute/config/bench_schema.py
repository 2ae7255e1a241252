"""The schema of a bench's configuration. Unknown fields are refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from compute.config.field_types import Prompts
from compute.config.plain_text import Name, PlainText
from store.records import Record
from store.sampler import SamplerSettings, SchedulerOption, Spacing

MAX_CONTESTANTS = 2000
StepNumbers = Annotated[tuple[Annotated[int, Field(ge=1, le=1000)], ...], Field(min_length=1)]
Levels = tuple[Annotated[float, Field(gt=0)], ...]


class BenchSampler(Record):
    """A sampler without its number of steps; the fields are those of `SamplerSettings`."""

    name: str
    eta: Annotated[float, Field(ge=0, le=1)] = 0.0
    spacing: Spacing | None = None
    options: Mapping[str, SchedulerOption | tuple[SchedulerOption, ...]] = Field(default_factory=dict)

    def with_steps(self, steps: int) -> SamplerSettings:
        """Return the sampler with a number of steps. Raises ValidationError."""
        return SamplerSettings(name=self.name, steps=steps, eta=self.eta, spacing=self.spacing, options=self.options)

    def _check_steps(self, numbers: tuple[int, ...]) -> None:
        for steps in numbers:
            try:
                self.with_steps(steps)
            except ValidationError as error:
                message = str(error.errors(include_url=False)[0]["msg"]).removeprefix("Value error, ")
                raise ValueError(f"{self.name}, steps {steps}: {message}") from None


class BenchRun(BenchSampler):
    """A sampler with one number of steps."""

    steps: Annotated[int, Field(ge=1, le=1000)]

    @model_validator(mode="after")
    def _accepted(self) -> Self:
        self._check_steps((self.steps,))
        return self

    @property
    def sampler(self) -> SamplerSettings:
        """The settings of the sampler."""
        return self.with_steps(self.steps)


class BenchSolver(BenchSampler):
    """Plain sampling at several numbers of steps: each is a contestant.

    `group` is the name under which the contestants compete, `reference` that of the many-step run whose pictures theirs
    are compared with; without one they are not.
    """

    group: Name
    steps: StepNumbers
    reference: Name | None = None

    @model_validator(mode="after")
    def _accepted(self) -> Self:
        self._check_steps(self.steps)
        return self


class BenchMethod(Record):
    """A published method on a sampler: every combination of numbers of steps and of parameters is a contestant.

    `parameters` holds the values to try of each; by default those that the method is usually tried with.
    """

    group: Name
    method: Name
    sampler: BenchSampler
    steps: StepNumbers
    parameters: Mapping[Name, Annotated[tuple[int | float | PlainText, ...], Field(min_length=1)]] = Field(
        default_factory=dict
    )
    reference: Name | None = None


class BenchPrompts(Record):
    """Prompts; the one at position i, from 0 on, has the seed `first_seed` + i."""

    prompts: Prompts
    first_seed: Annotated[int, Field(ge=0, lt=2**62)]


class BenchTurns(Record):
    """How finalists are timed: `batch` pictures at once, each of them once in each of `rounds`."""

    batch: Annotated[int, Field(ge=1, le=4096)] = 8
    rounds: Annotated[int, Field(ge=1, le=10_000)] = 5


class BenchConfig(Record):
    """What competes, on what, at which budgets. All of it is fixed before anything is run.

    `budgets` are in evaluations of the whole network, `seconds` in seconds a picture, `speedups` full compute's
    evaluations ÷ a policy's. `baseline` is what the reference lines are sampled by, `references` are the many-step
    runs. `ours` are the groups that are compared with the best of all others.
    """

    model: PlainText = "glide-mini"
    guidance: Annotated[float, Field(ge=0, le=100)] = 3.0
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    batch: Annotated[int, Field(ge=1, le=4096)] = 50
    calibration: BenchPrompts
    held_out: BenchPrompts
    budgets: Annotated[Levels, Field(min_length=1)]
    seconds: Levels = ()
    speedups: tuple[Annotated[float, Field(gt=1)], ...] = ()
    metric: Literal["mse", "rel_l2", "ssim", "haarpsi"] = "mse"
    baseline: BenchRun
    references: Mapping[Name, BenchRun] = Field(default_factory=dict)
    solvers: tuple[BenchSolver, ...] = ()
    methods: tuple[BenchMethod, ...] = ()
    policies: Mapping[Name, Annotated[tuple[PlainText, ...], Field(min_length=1)]] = Field(default_factory=dict)
    ours: tuple[Name, ...] = ("recommended",)
    renderings: Annotated[int, Field(ge=1, le=1000)] = 8
    directions: Annotated[int, Field(ge=1, le=4096)] = 32
    timing: BenchTurns = BenchTurns()

    @model_validator(mode="after")
    def _references_exist(self) -> Self:
        for field in ("solvers", "methods"):
            entries: tuple[Any, ...] = getattr(self, field)
            for number, entry in enumerate(entries):
                if entry.reference is not None and entry.reference not in self.references:
                    known = ", ".join(self.references) or "none is given"
                    raise ValueError(
                        f"{field}: {number}: reference {entry.reference!r} is not among references; accepted: {known}"
                    )
        return self

    @model_validator(mode="after")
    def _something_competes(self) -> Self:
        if not (self.solvers or self.methods or self.policies):
            raise ValueError("solvers: nothing competes; give solvers, methods or policies")
        return self
