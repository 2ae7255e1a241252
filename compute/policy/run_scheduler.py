"""What a scheduler makes of a model's outputs, as data: with it a policy knows the runs that it is for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field, model_validator

from compute.config.plain_text import Name, Text
from store.records import Record

Numbers = Annotated[tuple[float, ...], Field(max_length=1000)]
_TOLERANCE = 1e-4


class RunScheduler(Record):
    """The noise levels, the prediction type and the solver's options of a run.

    `alphas` and `sigmas` are the shares of the clean sample and of noise in `x_t`, step by step; empty where they are
    not known. `trained` holds alpha_bar at 9 training timesteps, evenly spaced from the first to the last; empty for a
    scheduler that has none. `clip` is the range that the predicted sample is clipped to, if it is. `options` are those
    of the scheduler's class that change a step and that nothing else here shows.
    """

    prediction_type: Name
    clip: Annotated[float, Field(gt=0)] | None = None
    trained: Numbers = ()
    alphas: Numbers = ()
    sigmas: Numbers = ()
    options: Mapping[Name, bool | int | float | Text] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _as_many(self) -> RunScheduler:
        if len(self.alphas) != len(self.sigmas):
            raise ValueError(f"alphas are {len(self.alphas)} and sigmas {len(self.sigmas)}; each step has both")
        return self

    def difference(self, other: RunScheduler) -> str | None:
        """Return what differs in another run, as "NAME X, and Y" with its values; None if nothing does.

        Numbers are the same up to rounding. What one of the two does not know is not compared.
        """
        for name in ("prediction_type", "clip"):
            own, others = getattr(self, name), getattr(other, name)
            if own != others:
                return f"{name} {own}, and this run has {others}"
        for name, value in self.options.items():
            if name in other.options and other.options[name] != value:
                return f"{name}={value!r}, and this run has {other.options[name]!r}"
        if (place := _first_difference(self.trained, other.trained)) is not None:
            own, others = self.trained[place], other.trained[place]
            return f"a noise schedule (betas) with alpha_bar {own:g} where this run's has {others:g}"
        for name in ("alphas", "sigmas"):
            own, others = getattr(self, name), getattr(other, name)
            if (step := _first_difference(own, others)) is not None:
                return f"{name[:-1]} {own[step]:g} at step {step}, and this run has {others[step]:g}"
        return None

    def with_options(self, *names: str) -> RunScheduler:
        """Return the same with only some of the options."""
        return self.model_copy(update={"options": {name: self.options[name] for name in names if name in self.options}})

    def without_steps(self) -> RunScheduler:
        """Return what holds for any number of steps."""
        return self.model_copy(update={"alphas": (), "sigmas": ()})


def _first_difference(own: Sequence[float], other: Sequence[float]) -> int | None:
    if not own or not other:
        return None
    if len(own) != len(other):
        return min(len(own), len(other)) - 1
    return next((i for i, (a, b) in enumerate(zip(own, other, strict=True)) if not _is_close(a, b)), None)


def _is_close(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE * 1e-2)
