"""A cascade: pipelines that run one after the other, each given the picture of the one before.

`cascade.json` in a folder names them: GLIDE's base and its upsampler, the stages of DeepFloyd, a base model and its
refiner. The file holds no code; its folders are relative to its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator

from compute.config.messages import error_lines
from compute.config.plain_text import CallArguments
from compute.policy import strict_json
from store.errors import SkipscopeError
from store.records import Record, StageName
from store.sampler import SamplerSettings, is_empty

CASCADE_FILE = "cascade.json"


class CascadeError(SkipscopeError):
    """A cascade.json that cannot be used, or a stage that a model does not have."""


class CascadeStage(Record):
    """A stage of a cascade: the folder of its pipeline, and how it runs where another stage is swept.

    Without `sampler` it runs with the pipeline's own scheduler and number of steps, without `guidance` with the
    pipeline's own scale. `call` holds further arguments of the pipeline's call.
    """

    name: StageName
    folder: Annotated[str, Field(min_length=1, max_length=1000)]
    sampler: SamplerSettings | None = None
    guidance: Annotated[float, Field(ge=0, le=100)] | None = None
    call: CallArguments = Field(default_factory=dict, exclude_if=is_empty)


class Cascade(Record):
    """The stages of a cascade, in the order in which they run."""

    format: Literal["skipscope-cascade"] = "skipscope-cascade"
    version: Literal[1] = 1
    stages: Annotated[tuple[CascadeStage, ...], Field(min_length=1, max_length=8)]

    @field_validator("stages")
    @classmethod
    def _names_differ(cls, stages: tuple[CascadeStage, ...]) -> tuple[CascadeStage, ...]:
        if len({stage.name for stage in stages}) != len(stages):
            raise ValueError("two stages have the same name")
        return stages

    @classmethod
    def read(cls, folder: Path) -> Cascade | None:
        """Return the cascade of a folder, or None where it has no cascade.json. Raises CascadeError."""
        path = folder / CASCADE_FILE
        if not path.is_file():
            return None
        try:
            data = strict_json.read_bytes(path)
            strict_json.parse(data)
            return cls.model_validate_json(data, strict=True)
        except strict_json.JsonRefused as error:
            raise CascadeError(f"{path}: {error}") from None
        except ValidationError as error:
            lines = error_lines(error, cls, whole="cascade", part="field", document="docs/models.md")
            raise CascadeError("\n".join(f"{path}: {line}" for line in lines)) from None

    def dumps(self) -> str:
        """Return the JSON text of the file."""
        return strict_json.indented(self.model_dump(mode="json", exclude_none=True)) + "\n"
