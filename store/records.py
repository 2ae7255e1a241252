"""The vocabulary as frozen records: what a sweep changes, on what, and when.

Every record is keyword-only, immutable, refuses unknown fields, and has one canonical JSON form, from which the content
keys of units are made. Nothing here knows of torch, HDF5 or a file system.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from store.actions import ACTIONS, READING, ActionName, ActionProperties

ComponentName = Annotated[str, Field(max_length=200)]
Components = tuple[ComponentName, ...]
"""Names of components that are acted on together, sorted."""
StageName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
"""The name of a stage of a model: one of the pipelines that run one after the other."""
ONLY_STAGE = "base"
"""The name of the only stage of a model that has one."""
PROMPT_LIMIT = 10_000
"""Characters of a prompt; a text encoder reads hundreds."""
STEP_LIMIT = 1_000_000
"""No run makes more steps."""
Prompt = Annotated[str, Field(max_length=PROMPT_LIMIT)]
RESEED_OFFSET = 1_000_003
"""What the control `Reseed` adds to a condition's seed."""


class Record(BaseModel):
    """Base of all records: frozen, unknown fields refused, infinities and NaN refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


WEIGHTS_LIMIT = 4
"""The most earlier values that a reuse weighs."""
Weight = Annotated[float, Field(ge=-1000, le=1000)]


def _is_none(value: Any) -> bool:
    return value is None


class Action(Record):
    """What a component does at a step instead of being computed.

    `order` is 0 (repeat the last computed value), 1 (extrapolate linearly from the last two) or 2 (quadratically from
    the last three) and belongs to `reuse` and `reuse_delta`; `space` says what a reused `unet` repeats: its noise
    prediction (`eps`) or the guided clean picture (`x0`), and belongs to `reuse` of `unet` alone. Instead of an order a
    `reuse` of `unet` or of `guidance` may have `weights`, those of the last computed values, the latest first; for
    `unet` also `state`, that of `x_t`.
    """

    name: ActionName
    order: Literal[0, 1, 2] = 0
    space: Literal["eps", "x0"] | None = None
    weights: tuple[Weight, ...] | None = Field(
        default=None, min_length=1, max_length=WEIGHTS_LIMIT, exclude_if=_is_none
    )
    state: Weight | None = Field(default=None, exclude_if=_is_none)

    @field_validator("order", mode="before")
    @classmethod
    def _no_truth_value(cls, order: Any) -> Any:
        if isinstance(order, bool | float):  # Python's True is 1, and so is 1.0
            raise ValueError("0, 1 or 2 is accepted")
        return order

    @model_validator(mode="after")
    def _fields_belong(self) -> Action:
        if self.order and not self.reads_cache:
            raise ValueError(f"order belongs to {' and '.join(READING)}, not to {self.name}")
        if self.space is not None and self.name != "reuse":
            raise ValueError(f"space belongs to reuse of unet, not to {self.name}")
        if self.weights is not None and (self.name != "reuse" or self.order):
            what = f"reuse of order {self.order}" if self.name == "reuse" else self.name
            raise ValueError(f"weights belong to reuse of unet or guidance without an order, not to {what}")
        if self.state is not None and self.weights is None:
            raise ValueError("state belongs to a reuse with weights: it is the weight of x_t beside them")
        return self

    @property
    def properties(self) -> ActionProperties:
        """What holds of every use of this action."""
        return ACTIONS[self.name]

    @property
    def reads_cache(self) -> bool:
        """Whether the action reads what an earlier step computed."""
        return self.properties.reads is not None

    @property
    def values_read(self) -> int:
        """How many earlier values the action reads."""
        if not self.reads_cache:
            return 0
        return self.order + 1 if self.weights is None else len(self.weights)

    def __str__(self) -> str:
        details = [f"order {self.order}"] if self.order else []
        details += [f"weights {' '.join(f'{weight:.3g}' for weight in self.weights)}"] if self.weights else []
        details += [f"state {self.state:.3g}"] if self.state is not None else []
        details += [self.space] if self.space else []
        return self.name + (f" ({', '.join(details)})" if details else "")


class Window(Record):
    """A half-open range of sampling steps `[start, stop)`; step 0 is the noisiest."""

    start: Annotated[int, Field(ge=0)]
    stop: int

    @model_validator(mode="after")
    def _not_empty(self) -> Window:
        if self.stop <= self.start:
            raise ValueError(f"window [{self.start}, {self.stop}) is empty: stop must be greater than start")
        return self

    def __contains__(self, step: object) -> bool:
        return isinstance(step, int) and self.start <= step < self.stop

    def __str__(self) -> str:
        return f"{self.start}-{self.stop - 1}"


def components_text(components: Iterable[str]) -> str:
    """Return components as people read them, joined by " + "."""
    return " + ".join(components)


class Ablation(Record):
    """One action on a set of components in one window. Without components it is the null ablation, a control."""

    type: Literal["ablation"] = "ablation"
    components: Components
    window: Window
    action: Action

    @field_validator("components")
    @classmethod
    def _canonical(cls, components: Components) -> Components:
        return tuple(sorted(set(components)))

    def __str__(self) -> str:
        return f"{self.action!s} {components_text(self.components) or 'nothing'} in steps {self.window}"


class Reseed(Record):
    """The other control: the same prompt with another seed, whose distance to the baseline is 1 on the damage scale."""

    type: Literal["reseed"] = "reseed"
    offset: Annotated[int, Field(ge=1, lt=2**63)]

    def __str__(self) -> str:
        return f"another seed (+{self.offset})"


class PromptSwitch(Record):
    """From one step on the network reads another prompt: which of the two does the picture obey?

    `prompts` has one for each of the unit's conditions, in their order. A switch at step 0 is the other prompt's
    baseline from the same noise.
    """

    type: Literal["prompt_switch"] = "prompt_switch"
    step: Annotated[int, Field(ge=0, le=STEP_LIMIT)]
    prompts: Annotated[tuple[Prompt, ...], Field(min_length=1)]

    def __str__(self) -> str:
        return f"another prompt from step {self.step}"


Intervention = Annotated[Ablation | Reseed | PromptSwitch, Field(discriminator="type")]


class Condition(Record):
    """What one picture is asked to be: a prompt, a seed and a guidance scale."""

    prompt: Prompt
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    guidance: Annotated[float, Field(ge=0)]

    def reseeded(self, offset: int = RESEED_OFFSET) -> Condition:
        """Return the same prompt with another seed, `offset` further (modulo 2**63)."""
        return self.model_copy(update={"seed": (self.seed + offset) % 2**63})


Role = Literal["baseline", "control", "ablation", "switch"]
ROLES: tuple[Role, ...] = get_args(Role)


class Unit(Record):
    """One intervention (none for a baseline) on one batch of conditions: what a worker executes and a shard holds."""

    key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    role: Role
    baseline: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    intervention: Intervention | None = None
    conditions: tuple[Condition, ...]

    @model_validator(mode="after")
    def _baseline_of_others(self) -> Unit:
        if (self.role == "baseline") != (self.baseline is None) or (self.role == "baseline") != (
            self.intervention is None
        ):
            raise ValueError("a baseline has no intervention; every other unit has one and names its baseline's key")
        return self

    @model_validator(mode="after")
    def _prompt_for_each(self) -> Unit:
        if isinstance(self.intervention, PromptSwitch) and len(self.intervention.prompts) != len(self.conditions):
            raise ValueError("a prompt switch names one prompt for each condition")
        return self


def canonical_json(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces, ASCII. Raises ValueError for what JSON can't hold."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def content_key(value: Any) -> str:
    """SHA-256 (64 hex digits) of a value's canonical JSON: the same in every process and on every machine."""
    return hashlib.sha256(canonical_json(value).encode("ascii")).hexdigest()
