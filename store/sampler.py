"""The settings of a sampler: which scheduler, how many steps, and its options. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from store.records import Record

SamplerName = Literal["ddpm", "ddim"]
Spacing = Literal["linspace", "trailing", "leading"]

# The first is the default. DDPM takes only the spacing that ends at t = 0, where no noise is added; DDIM only evenly
# spaced ones, of which `leading` starts below pure noise (at 25 steps a picture of its own).
_SPACINGS: Mapping[str, tuple[Spacing, ...]] = {"ddpm": ("linspace",), "ddim": ("trailing", "leading")}


class SamplerSettings(Record):
    """Which sampler, and how many steps. `eta` is DDIM's share of fresh noise: 0 is deterministic, 1 is DDPM-like.

    A missing `spacing` is filled in with the sampler's own, so that equal samplers are equal records.
    """

    name: SamplerName
    steps: Annotated[int, Field(ge=1)]
    eta: Annotated[float, Field(ge=0, le=1)] = 0.0
    spacing: Spacing | None = None

    @model_validator(mode="before")
    @classmethod
    def _default_spacing(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or data.get("spacing") is not None:
            return data
        name = data.get("name")
        return {**data, "spacing": _SPACINGS[name][0]} if isinstance(name, str) and name in _SPACINGS else data

    @model_validator(mode="after")
    def _fields_belong(self) -> SamplerSettings:
        if self.spacing not in _SPACINGS[self.name]:
            raise ValueError(f"spacing of {self.name} is {' or '.join(_SPACINGS[self.name])}, not {self.spacing}")
        if self.name == "ddpm" and self.eta:
            raise ValueError("eta belongs to ddim, not to ddpm")
        if self.name == "ddpm" and self.steps < 2:
            raise ValueError("steps of ddpm is at least 2: one step would start at t = 0")
        return self
