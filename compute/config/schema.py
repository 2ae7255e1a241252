"""The schema of a sweep's configuration. Unknown fields are refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, field_validator

from compute.config.field_types import CallValue, KeptStates, Prompts, Seeds, SwitchSteps, WindowCount, Windows
from compute.config.plain_text import PlainText
from compute.config.swept_action import ScreenedAction, SweptAction
from store.records import Record, StageName
from store.sampler import SamplerSettings


class Kept(Record):
    """Which states of an ablated run are stored, and in which precision.

    `all`, `final` (only the final picture) or every k-th step. `8-bit` rounds pictures (`pred_x0` and the final one) to
    multiples of 1/128, about the precision of a PNG, and stores `x_t` as float16. Baselines are stored in full, as
    float32, because ablated runs start from them.
    """

    x_t: KeptStates = "all"
    pred_x0: KeptStates = "all"
    precision: Literal["float32", "float16", "8-bit"] = "float16"


class SweepConfig(Record):
    """What is swept, on which conditions, and how.

    The fields from `model` to `conditions_per_unit` can change numbers and determine the units' keys. The others do
    not.
    """

    model: PlainText = "glide-mini"
    stage: StageName | None = None
    sampler: SamplerSettings = SamplerSettings(name="ddpm", steps=25)
    call: Mapping[PlainText, CallValue] = Field(default_factory=dict)
    guidance: Annotated[float, Field(ge=0, le=100)] = 3.0
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    prompts: Prompts | None = None
    seeds: Seeds = (0,)
    components: Annotated[tuple[PlainText, ...], Field(min_length=1)] = ("*",)
    windows: Windows = WindowCount(count=5)
    actions: Annotated[tuple[SweptAction, ...], Field(min_length=1)]
    screen: tuple[ScreenedAction, ...] = ()
    prompt_switch: SwitchSteps | None = None
    conditions_per_unit: Annotated[int, Field(ge=1, le=4096)] = 8

    metrics: tuple[PlainText, ...] = ("mse", "rel_l2", "ssim", "haarpsi")
    keep: Kept = Kept()
    workers: Annotated[int, Field(ge=1, le=4096)] | None = None
    gpus_per_worker: Annotated[float, Field(ge=0, le=64)] = 0
    threads_per_worker: Annotated[int, Field(ge=1, le=4096)] | None = None
    retries: Annotated[int, Field(ge=0, le=100)] = 2
    max_unit_seconds: Annotated[float, Field(ge=1, le=10_000_000)] | None = None

    @field_validator("gpus_per_worker")
    @classmethod
    def _share_or_whole(cls, gpus: float) -> float:
        if gpus != int(gpus) and (gpus > 1 or gpus < 0.001):
            raise ValueError("a share of one GPU (0.001 to 1) or a whole number of them is accepted")
        return gpus
