"""A skip policy: an action for each component and step, with its provenance, predicted and measured quality.

The file format is JSON of a fixed schema (docs/policy-format.md). A file holds no code and no paths, and unknown fields
are refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from compute.config.messages import error_lines
from compute.config.plain_text import CallArguments, Name, Text, printable
from compute.policy import strict_json
from compute.policy.policy_format import check_format
from compute.policy.quality import Prediction, Validation
from compute.policy.rules import Rule, rules_of, schedule_of_rules
from compute.policy.run_scheduler import RunScheduler
from compute.policy.schedule import Schedule
from store.errors import SkipscopeError
from store.folder.files import save_file
from store.folder.own_digest import with_digest, without_digest
from store.paths import expanded
from store.records import ONLY_STAGE, Record, StageName, content_key
from store.sampler import SamplerSettings, is_empty

MAX_STEPS = 1000
_MAX_STAGES = 8

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class PolicyError(SkipscopeError):
    """A policy that can't be read, or that doesn't fit the model, weights, sampler or steps it is applied to."""


class PolicyModel(Record):
    """The model that a policy was made for.

    `weights` is the digest of the model folder's files (text transformer, UNet, scheduler). `unet` holds digests of the
    UNet's parameters in memory, one for each dtype; `applied` compares them.
    """

    name: Name
    weights: Digest
    stage: StageName = ONLY_STAGE
    unet: Mapping[Literal["float32", "float16", "bfloat16"], Digest]


class SkipPolicy(Record):
    """A skip policy: rules for a model and sampler, with prediction, validation and provenance.

    `timesteps` are those of the run's steps, where the sampler does not tell them by itself. `call` holds the further
    arguments of the pipeline's call that the policy was made with, such as `height`. `scheduler` is what the run's
    scheduler did; without it (policies of earlier releases, or written by hand) less can be compared.
    `prediction` is what the search expected, `validation` what was measured on prompts that the search did not use.
    `previous` is the policy of the cascade's stage before this one, for a cascade whose stages all follow one.
    """

    format: Literal["skipscope-policy"] = "skipscope-policy"
    version: Literal[1] = 1
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]{0,79}$")]
    model: PolicyModel
    sampler: SamplerSettings
    timesteps: Annotated[tuple[float, ...], Field(min_length=1, max_length=MAX_STEPS)] | None = None
    call: CallArguments = Field(default_factory=dict, exclude_if=is_empty)
    guidance: Annotated[float, Field(ge=0, le=100)]
    scheduler: RunScheduler | None = None
    rules: Annotated[tuple[Rule, ...], Field(max_length=10_000)]
    prediction: Prediction | None = None
    validation: Validation | None = None
    provenance: Mapping[Name, Text] = Field(default_factory=dict)
    previous: SkipPolicy | None = Field(default=None, exclude_if=is_empty)

    @field_validator("sampler")
    @classmethod
    def _steps_in_range(cls, sampler: SamplerSettings) -> SamplerSettings:
        if sampler.steps > MAX_STEPS:
            raise ValueError(f"steps is {sampler.steps}; at most {MAX_STEPS} is accepted")
        return sampler

    @field_validator("rules")
    @classmethod
    def _no_compute(cls, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
        if any(rule.action.name == "compute" for rule in rules):
            raise ValueError("compute is the default of every component: leave it out")
        return rules

    @model_validator(mode="after")
    def _stages_differ(self) -> SkipPolicy:
        names = [policy.model.stage for policy in self.stages]
        if len(set(names)) != len(names) or len(names) > _MAX_STAGES:
            raise ValueError(
                f"previous: the stages are {', '.join(names)[:200]}; at most {_MAX_STAGES} different ones are accepted"
            )
        return self

    @model_validator(mode="after")
    def _rules_agree(self) -> SkipPolicy:
        _ = self.schedule
        return self

    @classmethod
    def load(cls, path: str | Path) -> SkipPolicy:
        """Read a policy file without trusting it. Raises PolicyError with one line for each mistake."""
        try:
            return cls.loads(strict_json.read_bytes(expanded(path)), where=str(path))
        except strict_json.JsonRefused as error:
            raise PolicyError(f"{printable(path)}: {error}") from None

    @classmethod
    def loads(cls, data: bytes | str, where: str = "policy") -> SkipPolicy:
        """Read a policy from JSON text (UTF-8), called `where` in errors. PolicyError has one line for each mistake."""
        where = printable(where)
        try:
            document = strict_json.parse(data)
            check_format(document)
            return cls.model_validate_json(_content(document), strict=True)
        except strict_json.JsonRefused as error:
            raise PolicyError(f"{where}: {error}") from None
        except ValidationError as error:
            lines = error_lines(error, cls, whole="policy", part="field", document="docs/policy-format.md")
            raise PolicyError("\n".join(f"{where}: {line}" for line in lines)) from None

    @staticmethod
    def for_pipeline(
        pipe: Any,
        *,
        rules: Sequence[Rule | Mapping[str, Any]],
        steps: int,
        guidance: float | None = None,
        call: Mapping[str, Any] | None = None,
        name: str = "by hand",
    ) -> SkipPolicy:
        """Return a policy for runs of a diffusers pipeline: see `compute.pipeline.for_pipeline`, which needs torch."""
        reader = import_module("compute.pipeline.for_pipeline")
        made: SkipPolicy = reader.policy_for_pipeline(
            pipe, rules=rules, steps=steps, guidance=guidance, call=call, name=name
        )
        return made

    def dumps(self) -> str:
        """Return the policy as JSON text, without a digest of its own; equal policies have equal texts."""
        return strict_json.indented(self.model_dump(mode="json", exclude_none=True)) + "\n"

    def save(self, path: str | Path) -> None:
        """Write the policy to a file, atomically, with a digest of its content: `load` refuses a file that has another.

        Raises PolicyError for a policy that `load` would refuse as too large, StoreError where nothing can be written.
        """
        document = with_digest(self.model_dump(mode="json", exclude_none=True))
        data = (strict_json.indented(document) + "\n").encode("utf-8")
        if len(data) > strict_json.SIZE_LIMIT:
            raise PolicyError(f"{printable(path)}: {len(data)} bytes; a policy has at most {strict_json.SIZE_LIMIT}")
        save_file(expanded(path), data)

    def resampled(self, steps: int) -> SkipPolicy:
        """Return the policy for another number of steps: new step j has the actions of step floor(j N / steps).

        N is the policy's own number of steps. Step 0 stays step 0, and a rule covers about the same share of the run.
        Prediction and validation are dropped, because the new policy was not measured; `provenance["resampled"]` names
        both numbers of steps. A `reuse` may lose the step that it reads; `applied` then refuses the policy. Raises
        PolicyError for a number of steps that the sampler does not accept, and where the policy lists its own.
        """
        if not 1 <= steps <= MAX_STEPS:
            raise PolicyError(f"steps: {steps} is no number of steps; 1 to {MAX_STEPS} are accepted")
        old = self.sampler.steps
        if steps == old:
            return self
        if self.sampler.timesteps or self.sampler.sigmas:
            raise PolicyError(f"steps: the policy lists its own {old}; make one for {steps} steps")
        try:
            sampler = SamplerSettings.model_validate(
                self.sampler.model_dump() | {"steps": steps, "num_inference_steps": None}
            )
        except ValidationError as error:
            raise PolicyError("; ".join(error_lines(error, SamplerSettings, whole="sampler"))) from None
        schedule = self.schedule
        rows = {step: schedule.at(step * old // steps) for step in range(steps)}
        history = "; ".join(filter(None, [self.provenance.get("resampled"), f"from {old} to {steps} steps"]))
        return self.model_copy(
            update={
                "sampler": sampler,
                "timesteps": None,
                "scheduler": None if self.scheduler is None else self.scheduler.without_steps(),
                "rules": rules_of(Schedule(steps=steps, actions=rows)),
                "prediction": None,
                "validation": None,
                "provenance": {**self.provenance, "resampled": history},
            }
        )

    @property
    def stages(self) -> tuple[SkipPolicy, ...]:
        """The policies of a cascade's stages in the order in which they run; of one stage, this policy alone."""
        return (self,) if self.previous is None else (*self.previous.stages, self)

    def of_stage(self, stage: str) -> SkipPolicy:
        """Return the policy of one stage. Raises PolicyError for one that is not among them."""
        for policy in self.stages:
            if policy.model.stage == stage:
                return policy
        names = ", ".join(policy.model.stage for policy in self.stages)
        raise PolicyError(f"stage: the policy has none for {stage!r}; it has {names}")

    def after(self, previous: SkipPolicy) -> SkipPolicy:
        """Return this policy together with that of the stage before it. They have not been measured together."""
        fields = self.model_dump() | {"previous": previous.model_dump(), "validation": None}
        try:
            return SkipPolicy.model_validate(fields)
        except ValidationError as error:
            raise PolicyError("; ".join(error_lines(error, SkipPolicy, whole="policy"))) from None

    @property
    def schedule(self) -> Schedule:
        """The rules as a schedule."""
        return schedule_of_rules(self.rules, self.sampler.steps)

    @property
    def digest(self) -> str:
        """SHA-256 of what makes a run what it is; name, measurements and provenance do not count."""
        return content_key(
            {
                "weights": self.model.weights,
                "sampler": self.sampler.model_dump(mode="json"),
                "guidance": self.guidance,
                **({"timesteps": self.timesteps} if self.timesteps else {}),
                **({"call": dict(self.call)} if self.call else {}),
                **({"previous": self.previous.digest} if self.previous else {}),
                **({"scheduler": self.scheduler.model_dump(mode="json")} if self.scheduler else {}),
                "rules": [rule.model_dump(mode="json") for rule in rules_of(self.schedule)],
            }
        )


def _content(document: dict[str, Any]) -> str:
    """Return the JSON text of a policy file's fields without its digest. Raises JsonRefused where that doesn't fit."""
    try:
        return json.dumps(without_digest(document))
    except RecursionError:
        raise strict_json.JsonRefused("is nested too deeply") from None
    except ValueError as error:
        raise strict_json.JsonRefused(str(error)) from None
