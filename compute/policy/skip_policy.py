"""A skip policy: component x step -> action, as data, with what it was measured to cost and to save.

The file is JSON of a fixed schema (docs/policy-format.md). It holds no code and no paths; what a reader does not know
is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from compute.config.messages import error_lines, shown
from compute.policy import strict_json
from compute.policy.quality import Name, Text
from compute.policy.quality import Prediction as Prediction
from compute.policy.quality import RunQuality as RunQuality
from compute.policy.quality import Validation as Validation
from compute.policy.schedule import Schedule
from store.errors import SkipscopeError
from store.folder.files import replace_file
from store.records import Action, Record, Window, components_text, content_key
from store.sampler import SamplerSettings

FORMAT = "skipscope-policy"
VERSION = 1
MAX_STEPS = 1000
_ENTRY_LIMIT = 1_000_000  # a small file could otherwise ask for hours of unfolding
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


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


class Rule(Record):
    """An action of some components in a window of steps. What no rule names is computed."""

    components: Annotated[tuple[Name, ...], Field(min_length=1, max_length=10_000)]
    window: Window
    action: Action

    def __str__(self) -> str:
        return f"{self.action!s} {components_text(self.components)} in steps {self.window}"


class SkipPolicy(Record):
    """A skip policy with its provenance; `schedule` is what it does, `validation` what it was measured to do."""

    format: Literal["skipscope-policy"] = "skipscope-policy"
    version: Literal[1] = 1
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]{0,79}$")]
    model: PolicyModel
    sampler: SamplerSettings
    guidance: Annotated[float, Field(ge=0, le=100)]
    rules: Annotated[tuple[Rule, ...], Field(max_length=10_000)]
    prediction: Prediction | None = None
    validation: Validation | None = None
    provenance: Mapping[Name, Text] = Field(default_factory=dict)

    @field_validator("sampler")
    @classmethod
    def _steps_in_range(cls, sampler: SamplerSettings) -> SamplerSettings:
        if sampler.steps > MAX_STEPS:
            raise ValueError(f"steps is {sampler.steps}; at most {MAX_STEPS} is accepted")
        return sampler

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

    @classmethod
    def load(cls, path: str | Path) -> SkipPolicy:
        """The policy in a file. Raises PolicyError with a line for each mistake; nothing in the file is trusted."""
        try:
            return cls.loads(strict_json.read_bytes(Path(path)), where=str(path))
        except strict_json.NotStrict as error:
            raise PolicyError(f"{_safe(path)}: {error}") from None

    @classmethod
    def loads(cls, data: bytes | str, where: str = "policy") -> SkipPolicy:
        """The policy in a JSON text (UTF-8), which errors call `where`. Raises PolicyError, a line a mistake."""
        where = _safe(where)
        try:
            _check_format(strict_json.parse(data))
            return cls.model_validate_json(data, strict=True)
        except (strict_json.NotStrict, PolicyError) as error:
            raise PolicyError(f"{where}: {error}") from None
        except ValidationError as error:
            lines = error_lines(error, cls, whole="policy", part="field", document="docs/policy-format.md")
            raise PolicyError("\n".join(f"{where}: {line}" for line in lines)) from None

    def dumps(self) -> str:
        """The policy as the JSON text that `save` writes: always the same for equal policies, fields in their order."""
        return strict_json.laid_out(self.model_dump(mode="json", exclude_none=True)) + "\n"

    def save(self, path: str | Path) -> None:
        """Write the policy to a file, whole or not at all.

        Raises PolicyError for one that `load` would refuse as too large, StoreError where the file can't be written.
        """
        data = self.dumps().encode("utf-8")
        if len(data) > strict_json.SIZE_LIMIT:
            raise PolicyError(f"{_safe(path)}: {len(data)} bytes; a policy has at most {strict_json.SIZE_LIMIT}")
        replace_file(Path(path), data)

    def resampled(self, steps: int) -> SkipPolicy:
        """The policy for another number of steps: new step j does what step floor(j N / steps) did, N the old number.

        So step 0 stays step 0, and the share of the run that a rule covers stays about the same. Nothing was measured
        for it: prediction and validation are dropped, and the provenance says so. It may reuse what is not computed any
        more; that is refused when it is applied. Raises PolicyError for a number of steps that no run has.
        """
        if not 1 <= steps <= MAX_STEPS:
            raise PolicyError(f"steps: {steps} is no number of steps; 1 to {MAX_STEPS} are accepted")
        old = self.sampler.steps
        if steps == old:
            return self
        try:
            sampler = SamplerSettings.model_validate(self.sampler.model_dump() | {"steps": steps})
        except ValidationError as error:
            raise PolicyError("; ".join(error_lines(error, SamplerSettings, whole="sampler"))) from None
        schedule = self.schedule
        rows = {step: schedule.at(step * old // steps) for step in range(steps)}
        story = "; ".join(filter(None, [self.provenance.get("resampled"), f"from {old} to {steps} steps"]))
        return self.model_copy(
            update={
                "sampler": sampler,
                "rules": rules_of(Schedule(steps=steps, actions=rows)),
                "prediction": None,
                "validation": None,
                "provenance": {**self.provenance, "resampled": story},
            }
        )

    @property
    def schedule(self) -> Schedule:
        """The rules as a schedule. Raises ValueError for steps outside the run and for two actions of one component."""
        steps = self.sampler.steps
        for rule in self.rules:
            if rule.window.stop > steps:
                raise ValueError(f"rules: window {rule.window} lies outside the run: steps 0 to {steps - 1} exist")
        if sum(len(rule.components) * (rule.window.stop - rule.window.start) for rule in self.rules) > _ENTRY_LIMIT:
            raise ValueError(f"rules: say more than {_ENTRY_LIMIT} things, counted by component and step")
        rows: dict[int, dict[str, Action]] = {}
        for rule in self.rules:
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
    """The JSON Schema that docs/policy.schema.json publishes. A file says its format and version, whatever else."""
    schema = SkipPolicy.model_json_schema(mode="validation")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "required": ["format", "version", *schema["required"]],
    }


def _check_format(data: Any) -> None:
    """Refuse what is no policy, and a newer one, before its fields are looked at. Raises PolicyError."""
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        found = shown(data.get("format", "nothing")) if isinstance(data, dict) else f"a {type(data).__name__}"
        raise PolicyError(f"format: {found} is no skip policy; an object whose format is {FORMAT!r} is accepted")
    version = data.get("version")
    if type(version) is int and version > VERSION:
        raise PolicyError(f"is of version {shown(version)}; this release reads version {VERSION}: upgrade skipscope")
    if type(version) is not int or version < VERSION:
        found = "nothing" if version is None else shown(version)
        raise PolicyError(f"version: {found} is no version of a skip policy; {VERSION} is accepted")


def _safe(where: str | Path) -> str:
    """A path or name as an error may show it: control characters would act on a terminal."""
    text = str(where)
    return text if text.isprintable() else repr(text)
