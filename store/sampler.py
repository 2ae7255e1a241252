"""The settings of a sampler: which scheduler, how many steps, and its options. No torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from store.records import Record

Spacing = Literal["linspace", "trailing", "leading"]
SchedulerOption = bool | int | float | str | None
Steps = Annotated[int, Field(ge=1)]

# The first is the default. DDPM takes only the spacing that ends at t = 0, where no noise is added; DDIM only evenly
# spaced ones, of which `leading` starts below pure noise (at 25 steps a picture of its own).
_SPACINGS: Mapping[str, tuple[Spacing, ...]] = {"ddpm": ("linspace",), "ddim": ("trailing", "leading")}
OWN_SAMPLERS = tuple(_SPACINGS)
"""The samplers with names of their own: GLIDE's DDPM, and DDIM that steps from each timestep to the next."""
_CLASS_NAME = re.compile(r"[A-Z][A-Za-z0-9]{2,60}Scheduler")


def is_empty(value: object) -> bool:
    """Return whether a field is left out of documents, so that those without it keep their form."""
    return not value


def _numbers_from_list(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


Numbers = Annotated[tuple[float, ...], Field(min_length=1, max_length=1000), BeforeValidator(_numbers_from_list)]


class SamplerSettings(Record):
    """Which sampler, and how many steps.

    `name` is `ddpm`, `ddim` or the name of a diffusers scheduler class, whose configuration `options` change. `steps`
    is the number of steps that a run makes; where another number is asked of the pipeline, because the scheduler makes
    more (Heun, PNDM) or the pipeline fewer (image-to-image), that is `num_inference_steps`. Before a run has been tried
    `steps` is the number asked for. `timesteps` or `sigmas` replace the scheduler's own; `ddpm` and `ddim` take whole
    timesteps alone.

    `eta` and `spacing` belong to `ddim` and `ddpm`; `eta` is DDIM's share of fresh noise: 0 is deterministic, 1 is
    DDPM-like. A missing `spacing` is filled in with the sampler's own, so that equal samplers are equal records.
    """

    name: str
    steps: Steps
    eta: Annotated[float, Field(ge=0, le=1)] = 0.0
    spacing: Spacing | None = None
    num_inference_steps: Steps | None = Field(default=None, exclude_if=is_empty)
    timesteps: Numbers | None = Field(default=None, exclude_if=is_empty)
    sigmas: Numbers | None = Field(default=None, exclude_if=is_empty)
    options: Mapping[str, SchedulerOption | tuple[SchedulerOption, ...]] = Field(
        default_factory=dict, exclude_if=is_empty
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        filled, name = dict(data), data.get("name")
        if filled.get("spacing") is None and isinstance(name, str) and name in _SPACINGS:
            filled["spacing"] = _SPACINGS[name][0]
        if "steps" not in filled:
            listed = next(
                (filled[key] for key in ("timesteps", "sigmas") if isinstance(filled.get(key), list | tuple)), None
            )
            steps = filled.get("num_inference_steps") or (len(listed) if listed else None)
            if steps is not None:
                filled["steps"] = steps
        if filled.get("num_inference_steps") == filled.get("steps"):
            filled.pop("num_inference_steps", None)
        return filled

    @field_validator("name")
    @classmethod
    def _known_form(cls, name: str) -> str:
        if name not in _SPACINGS and not _CLASS_NAME.fullmatch(name):
            raise ValueError(
                f"{' or '.join(OWN_SAMPLERS)} is accepted, or the class of a diffusers scheduler, such as "
                "DPMSolverMultistepScheduler"
            )
        return name

    @model_validator(mode="after")
    def _fields_belong(self) -> SamplerSettings:
        if self.timesteps is not None and self.sigmas is not None:
            raise ValueError("timesteps and sigmas: give one of the two")
        if self.name not in _SPACINGS:
            if self.spacing is not None or self.eta:
                raise ValueError(
                    f"spacing and eta belong to {' and '.join(OWN_SAMPLERS)}; write options.timestep_spacing, and eta "
                    "as an argument of the pipeline's call"
                )
            return self
        if self.options or self.sigmas:
            raise ValueError(f"options and sigmas belong to diffusers schedulers, not to {self.name}")
        if self.timesteps and (self.steps != len(self.timesteps) or any(t != int(t) for t in self.timesteps)):
            raise ValueError(f"timesteps of {self.name} are whole numbers, as many as steps")
        if self.spacing not in _SPACINGS[self.name]:
            raise ValueError(f"spacing of {self.name} is {' or '.join(_SPACINGS[self.name])}, not {self.spacing}")
        if self.name == "ddpm" and self.eta:
            raise ValueError("eta belongs to ddim, not to ddpm")
        if self.name == "ddpm" and self.steps < 2:
            raise ValueError("steps of ddpm is at least 2: one step would start at t = 0")
        return self

    @property
    def asked_steps(self) -> int:
        """The number of steps that is asked of the pipeline, `num_inference_steps` of its call."""
        return self.num_inference_steps or self.steps

    def making(self, steps: int) -> SamplerSettings:
        """Return the same sampler for a run that makes `steps` steps where `asked_steps` are asked for."""
        return SamplerSettings.model_validate(
            self.model_dump() | {"steps": steps, "num_inference_steps": self.asked_steps}
        )

    def asking(self, steps: int) -> SamplerSettings:
        """Return the same sampler where `steps` steps are asked of the pipeline, by the scheduler's own timesteps."""
        changes = {"steps": steps, "num_inference_steps": None, "timesteps": None, "sigmas": None}
        return SamplerSettings.model_validate(self.model_dump() | changes)
