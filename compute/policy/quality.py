"""What a policy was predicted and measured to do: its quality and speed beside full compute, with intervals."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from compute.statistics.estimate import Estimate
from store.records import Record

_CONTROLS = r"\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069"  # with those that turn the direction


def _plain(text: str) -> str:
    """Text of a policy file reaches terminals and pages, where control characters would act."""
    if re.search(f"[{_CONTROLS}]", text):
        raise ValueError("holds a control character; printable text is accepted")
    return text


PlainText = Annotated[str, AfterValidator(_plain), Field(json_schema_extra={"pattern": f"^[^{_CONTROLS}]*$"})]
Name = Annotated[PlainText, Field(min_length=1, max_length=200)]
Text = Annotated[PlainText, Field(max_length=2000)]
PROMPT_LIMIT = 10_000
Positive = Annotated[float, Field(gt=0)]
RunName = Literal["full", "policy", "fewer_steps"]
"""The runs that a validation compares: full compute, the policy, full compute with fewer steps."""


class Prediction(Record):
    """What the search found, on the sweep's own prompts: this is no validation.

    `speedup` is by the cost model; `damage` was measured closed-loop on the conditions that the search used, whose
    `prompts` a validation must leave alone.
    """

    metric: Name
    speedup: Positive
    damage: Estimate
    conditions: Annotated[int, Field(ge=1)]
    prompts: Annotated[tuple[Text, ...], Field(max_length=PROMPT_LIMIT)] = ()


class RunQuality(Record):
    """One of the runs that a validation compares: full compute, the policy, or full compute with fewer steps.

    `speedup` is full compute's time divided by its own, of rounds run in turn. `fidelity` holds shares of pictures that
    show what the prompt says, by aspect; `kid` the kernel distance to real scenes; both are absent without a judge.
    `damage` is by metric, against full compute with the same noise; fewer steps follow other noise and have none.
    """

    name: RunName
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
    provenance: Mapping[Name, Text] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _full_and_policy(self) -> Validation:
        names = [run.name for run in self.runs]
        if len(set(names)) != len(names) or not {"full", "policy"} <= set(names):
            raise ValueError("runs: full and policy are needed, each once")
        return self

    def run(self, name: RunName) -> RunQuality | None:
        """The run of that name, if it was made."""
        return next((run for run in self.runs if run.name == name), None)

    @property
    def policy(self) -> RunQuality:
        """The policy's own run."""
        return next(run for run in self.runs if run.name == "policy")
