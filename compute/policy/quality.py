"""Predicted and measured quality of a policy: speed, damage and fidelity beside full compute, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from compute.config.plain_text import Name, Text
from compute.statistics.estimate import Estimate
from store.records import Record, StageName

MAX_PROMPTS = 10_000
"""The number of prompts that a prediction may list."""
Positive = Annotated[float, Field(gt=0)]
RunName = Literal["full", "policy", "fewer_steps"]
"""The runs that a validation compares: full compute, the policy, full compute with fewer steps."""


class Prediction(Record):
    """What the search expects of a policy. It is not a validation.

    `speedup` comes from the cost model. `damage` was measured closed-loop on the search's own conditions, whose
    `prompts` a validation must not use; where `metric` is `doubt` it is no damage, but the probability by a judge that
    a picture does not show its whole prompt.
    """

    metric: Name
    speedup: Positive
    damage: Estimate
    conditions: Annotated[int, Field(ge=1)]
    prompts: Annotated[tuple[Text, ...], Field(max_length=MAX_PROMPTS)] = ()


def _is_none(value: object) -> bool:
    return value is None


class ClipQuality(Record):
    """Quality of a run by a CLIP model: nothing here needs a judge.

    `score` is the mean CLIP score (100 * cosine) over the conditions that have a prompt. `kid` and `frechet` are the
    kernel and the Fréchet distance to reference pictures in CLIP's features; None without them, or for too few.
    """

    score: Estimate | None = None
    kid: Estimate | None = None
    frechet: Annotated[float, Field(ge=0)] | None = None


class ClipComparison(Record):
    """What the runs' `ClipQuality` was measured with, and the policy's score minus full compute's, paired by condition.

    `weights` is the digest of the CLIP model's folder, `reference` the number of reference pictures.
    """

    weights: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    reference: Annotated[int, Field(ge=1)] | None = None
    score_difference: Estimate | None = None


class EndQuality(Record):
    """Quality of a run at the end of its cascade, whose later stages run at full compute.

    `damage` and `fidelity` are as in `RunQuality`, of the pictures of `stage`.
    """

    stage: StageName
    damage: Mapping[Name, Estimate] = Field(default_factory=dict)
    fidelity: Mapping[Name, Estimate] = Field(default_factory=dict)


class RunQuality(Record):
    """Speed and quality of one of the runs that a validation compares.

    `speedup` is full compute's time divided by the run's own. `damage` is by metric, against full compute with the same
    noise; full compute and fewer steps have none, the latter because other steps add other noise. `fidelity` is the
    share of pictures that match their prompt, by aspect; `kid` is the kernel distance to real scenes in the judge's
    features. Both need a judge. `clip` needs a CLIP model of the user's. `end` belongs to stages of a cascade that
    others follow.
    """

    name: RunName
    steps: Annotated[int, Field(ge=1)]
    seconds_per_picture: Positive
    speedup: Estimate
    damage: Mapping[Name, Estimate] = Field(default_factory=dict)
    fidelity: Mapping[Name, Estimate] = Field(default_factory=dict)
    kid: Estimate | None = None
    clip: ClipQuality | None = Field(default=None, exclude_if=_is_none)
    end: EndQuality | None = Field(default=None, exclude_if=_is_none)


class Validation(Record):
    """A closed-loop comparison of a policy with full compute, on prompts and seeds that the search did not use.

    `fidelity_difference` is the policy's fidelity minus full compute's, by aspect, paired by condition. `clip` says
    what the runs' own was measured with: all runs have it, or none.
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
    clip: ClipComparison | None = Field(default=None, exclude_if=_is_none)
    provenance: Mapping[Name, Text] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _full_and_policy(self) -> Validation:
        names = [run.name for run in self.runs]
        if len(set(names)) != len(names) or not {"full", "policy"} <= set(names):
            raise ValueError("runs: full and policy are needed, each once")
        return self

    @model_validator(mode="after")
    def _clip_of_all_or_none(self) -> Validation:
        if {run.clip is None for run in self.runs} != {self.clip is None}:
            raise ValueError("clip: it is measured for all runs or for none")
        return self

    def run(self, name: RunName) -> RunQuality | None:
        """Return the run of a name, or None if the validation lacks it."""
        return next((run for run in self.runs if run.name == name), None)

    @property
    def policy(self) -> RunQuality:
        """The policy's own run."""
        return next(run for run in self.runs if run.name == "policy")
