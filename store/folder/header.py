"""`sweep.json`: the configuration, the plan and the provenance of a sweep."""

from __future__ import annotations

import hashlib
import json
import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError, model_validator
from pydantic_core import from_json

from store.errors import NewerFormat, NotASweep, StoreError, SweepDamaged
from store.folder.files import JSON_LIMIT, parse_json, read_file
from store.folder.layout import FORMAT, HEADER, VERSION
from store.garbage_collection import paused_collection
from store.records import (
    STEP_LIMIT,
    Ablation,
    Condition,
    Intervention,
    Record,
    Role,
    Unit,
    canonical_json,
    content_key,
)

_BATCH = TypeAdapter(tuple[Condition, ...])
_FIRST_LINE = re.compile(rb'\{"sha256": "([0-9a-f]{64})",\n')
_CHECKSUM_LINE = 100  # bytes, more than it takes
_VERSION = re.compile(rb'^"format": "skipscope-sweep",\n"version": ([0-9]{1,9}),\n', re.MULTILINE)


class SweepHeader(Record):
    """The content of `sweep.json`.

    - `config`: the configuration as the user wrote it.
    - `settings`: everything that all units share and that can change their numbers (model and weights digests,
      scheduler, steps, dtype, numerics version), and nothing else. A shard made under other settings is stale.
    - `plan`: the units, with unique keys; every baseline that a unit names is one of them.
    - `provenance`: versions, git commit, host. The store does not use it.
    - `version`: the format that the sweep was written in.
    """

    config: dict[str, Any] = Field(default_factory=dict)
    settings: dict[str, Any] = Field(default_factory=dict)
    plan: tuple[Unit, ...] = ()
    provenance: dict[str, Any] = Field(default_factory=dict)
    version: Annotated[int, Field(ge=1, le=VERSION)] = VERSION

    @model_validator(mode="after")
    def _plan_is_closed(self) -> SweepHeader:
        roles = {unit.key: unit.role for unit in self.plan}
        if len(roles) != len(self.plan):
            raise ValueError("plan: a key is repeated; units need different keys")
        for unit in self.plan:
            if isinstance(unit.intervention, Ablation) and unit.intervention.window.stop > STEP_LIMIT:
                raise ValueError(f"plan: unit {unit.key} acts in steps {unit.intervention.window}; {STEP_LIMIT} can be")
            if unit.baseline is not None and roles.get(unit.baseline) != "baseline":
                raise ValueError(f"plan: unit {unit.key} names {unit.baseline}, which is not a baseline of the plan")
        return self

    @cached_property
    def units(self) -> dict[str, Unit]:
        """The planned units by key, in plan order."""
        return {unit.key: unit for unit in self.plan}

    @cached_property
    def settings_digest(self) -> str:
        """SHA-256 of the settings as canonical JSON."""
        return content_key(self.settings)


class _PlannedUnit(Record):
    """A unit in `sweep.json`. Units share lists of conditions, so `batch` is an index into the file's `batches`."""

    key: str
    role: Role
    baseline: str | None
    intervention: Intervention | None
    batch: Annotated[int, Field(ge=0)]

    @classmethod
    def of(cls, unit: Unit, batch: int) -> _PlannedUnit:
        return cls(key=unit.key, role=unit.role, baseline=unit.baseline, intervention=unit.intervention, batch=batch)

    def unit(self, batches: tuple[tuple[Condition, ...], ...]) -> Unit:
        if self.batch >= len(batches):
            raise ValueError(f"plan: unit {self.key[:64]} has batch {self.batch} of {len(batches)}")
        fields = {name: getattr(self, name) for name in ("key", "role", "baseline", "intervention")}
        return Unit(**fields, conditions=batches[self.batch])


class _Document(Record):
    """`sweep.json` on disk."""

    sha256: str
    format: Literal["skipscope-sweep"]
    version: int
    config: dict[str, Any]
    settings: dict[str, Any]
    provenance: dict[str, Any]
    batches: tuple[tuple[Condition, ...], ...]
    plan: tuple[_PlannedUnit, ...]

    def header(self) -> SweepHeader:
        plan = tuple(unit.unit(self.batches) for unit in self.plan)
        return SweepHeader(
            config=self.config,
            settings=self.settings,
            plan=plan,
            provenance=self.provenance,
            version=self.version,
        )


def encode_header(header: SweepHeader) -> bytes:
    """The bytes of `sweep.json`: one JSON object, whose first line holds the SHA-256 of all lines after it.

    Raises StoreError for values that JSON cannot represent.
    """
    fields = header.model_dump(mode="python", exclude={"plan", "version"})
    body = {"format": FORMAT, "version": header.version, **fields}
    lines = [f"{json.dumps(name)}: {_json_text(name, value)}" for name, value in body.items()]
    batches: dict[tuple[Condition, ...], int] = {}
    for unit in header.plan:
        batches.setdefault(unit.conditions, len(batches))
    plan = [canonical_json(_PlannedUnit.of(unit, batches[unit.conditions])) for unit in header.plan]
    lists = {"batches": [_BATCH.dump_json(batch).decode("utf-8") for batch in batches], "plan": plan}
    lines += [json.dumps(name) + ": [\n" + ",\n".join(items) + "\n]" for name, items in lists.items()]
    rest = (",\n".join(lines) + "\n}\n").encode("utf-8")
    if len(rest) > JSON_LIMIT - _CHECKSUM_LINE:
        raise StoreError(
            f"{HEADER}: {len(rest)} bytes for {len(header.plan)} units; at most {JSON_LIMIT} are accepted: "
            "split the sweep"
        )
    return b'{"sha256": "' + hashlib.sha256(rest).hexdigest().encode("ascii") + b'",\n' + rest


def _json_text(name: str, value: Any) -> str:
    try:
        text = json.dumps(value, sort_keys=True, allow_nan=False)
        from_json(text)  # refuses what could not be read again, such as half a surrogate pair
    except (TypeError, ValueError, RecursionError) as error:
        raise StoreError(f"{HEADER}: {name} cannot be written as JSON: {error}") from error
    return text


def read_header(root: Path) -> SweepHeader:
    """Read and check `sweep.json`. Raises NotASweep, NewerFormat or SweepDamaged."""
    path = root / HEADER
    try:
        data = read_file(path, JSON_LIMIT)
    except (FileNotFoundError, NotADirectoryError):
        raise NotASweep(
            f"{root}: is not a sweep (no {HEADER}); a folder that `sweep --store` made is accepted"
        ) from None
    # The version comes first: a newer format may differ in everything else.
    version = _VERSION.search(data[:1000])
    if version and int(version.group(1)) > VERSION:
        number = int(version.group(1))
        raise NewerFormat(f"{root}: is of format {number}; this release reads up to {VERSION}: upgrade skipscope")
    first = _FIRST_LINE.match(data)
    if first is None or version is None:
        raise _unrecognised_header(root, data)
    if hashlib.sha256(data[first.end() :]).hexdigest().encode("ascii") != first.group(1):
        raise SweepDamaged(f"{path}: is damaged: it does not match its own checksum; restore it from a copy")
    try:
        with paused_collection():
            header = _Document.model_validate_json(data).header()
        for name in ("config", "settings", "provenance"):
            canonical_json(getattr(header, name))  # raises for NaN and infinities, which pydantic takes in free objects
        return header
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise SweepDamaged(f"{path}: is damaged: {where}: {problem['msg']}") from error
    except ValueError as error:
        raise SweepDamaged(f"{path}: is damaged: {error}") from error


def _unrecognised_header(root: Path, data: bytes) -> StoreError:
    """The error for a `sweep.json` whose first lines are not those that `encode_header` writes."""
    path = root / HEADER
    try:
        document = parse_json(data, f"{path}: is damaged")
    except StoreError as error:
        return SweepDamaged(f"{error}; restore it from a copy, or start the sweep in another folder")
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        return NotASweep(f"{root}: is not a sweep: the format in {HEADER} is not {FORMAT!r}")
    return SweepDamaged(f"{path}: is damaged: its first lines are not as they were written; restore it from a copy")
