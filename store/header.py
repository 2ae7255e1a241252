"""`sweep.json`: what the sweep is, which units it plans, and where it came from."""

from __future__ import annotations

import hashlib
import json
import re
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator

from store.errors import NewerFormat, NotASweep, StoreError, SweepDamaged
from store.files import JSON_LIMIT, parse_json, read_file
from store.layout import FORMAT, HEADER, VERSION
from store.records import Record, Unit, content_key

_FIRST_LINE = re.compile(rb'\{"sha256": "([0-9a-f]{64})",\n')


class SweepHeader(Record):
    """The content of `sweep.json`.

    - `config`: the configuration as the user gave it.
    - `settings`: what all units share and what can change their numbers (model and weights digests, scheduler, steps,
      dtype, numerics version), and nothing else: a shard made under other settings is stale.
    - `plan`: the units, each key once; the baseline that a unit names is among them.
    - `provenance`: versions, git commit, host: never looked at by the store.
    """

    config: dict[str, Any] = Field(default_factory=dict)
    settings: dict[str, Any] = Field(default_factory=dict)
    plan: tuple[Unit, ...] = ()
    provenance: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _plan_is_closed(self) -> SweepHeader:
        roles = {unit.key: unit.role for unit in self.plan}
        if len(roles) != len(self.plan):
            raise ValueError("plan: a key stands twice; each unit has its own")
        for unit in self.plan:
            if unit.baseline is not None and roles.get(unit.baseline) != "baseline":
                raise ValueError(f"plan: unit {unit.key} names {unit.baseline}, which is no baseline of the plan")
        return self

    @cached_property
    def units(self) -> dict[str, Unit]:
        """The planned units by key, in the plan's order."""
        return {unit.key: unit for unit in self.plan}

    @cached_property
    def settings_digest(self) -> str:
        """SHA-256 of the settings' canonical JSON."""
        return content_key(self.settings)


def encode_header(header: SweepHeader) -> bytes:
    """The file's bytes. Raises StoreError for values that JSON cannot hold.

    The first line holds the SHA-256 of all that follows it, so that damage is noticed; the whole is one JSON object.
    """
    body = {"format": FORMAT, "version": VERSION, **header.model_dump(mode="python", exclude={"plan"})}
    try:
        lines = [
            f"{json.dumps(name)}: {json.dumps(value, sort_keys=True, allow_nan=False)}" for name, value in body.items()
        ]
    except (TypeError, ValueError) as error:
        raise StoreError(f"{HEADER}: cannot be written as JSON: {error}") from error
    plan = ",\n".join(unit.model_dump_json() for unit in header.plan)
    rest = (",\n".join([*lines, f'"plan": [\n{plan}\n]']) + "\n}\n").encode()
    return b'{"sha256": "' + hashlib.sha256(rest).hexdigest().encode("ascii") + b'",\n' + rest


def read_header(root: Path) -> SweepHeader:
    """Read and check `sweep.json`. Raises NotASweep, NewerFormat or SweepDamaged."""
    path = root / HEADER
    try:
        data = read_file(path, JSON_LIMIT)
    except (FileNotFoundError, NotADirectoryError):
        raise NotASweep(
            f"{root}: is not a sweep (no {HEADER}); a folder that `sweep --store` made is accepted"
        ) from None
    try:
        document = parse_json(data, path)
    except StoreError as error:
        raise SweepDamaged(f"{error}; restore it from a copy, or start the sweep in another folder") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise NotASweep(f"{root}: is not a sweep: {HEADER} does not say format {FORMAT!r}")
    version = document.get("version")
    if isinstance(version, int) and version > VERSION:
        raise NewerFormat(f"{root}: is of format {version}; this release reads up to {VERSION}: upgrade skipscope")
    return _checked(path, data, document)


def _checked(path: Path, data: bytes, document: dict[str, Any]) -> SweepHeader:
    first = _FIRST_LINE.match(data)
    if document.get("version") != VERSION or first is None:
        raise SweepDamaged(f"{path}: is damaged: version {document.get('version')!r}, first line {data[:20]!r}")
    if hashlib.sha256(data[first.end() :]).hexdigest().encode("ascii") != first.group(1):
        raise SweepDamaged(f"{path}: is damaged: it does not match its own checksum; restore it from a copy")
    content = {name: value for name, value in document.items() if name not in ("sha256", "format", "version")}
    try:
        return SweepHeader.model_validate(content)
    except ValidationError as error:
        first_error = error.errors()[0]
        where = ".".join(map(str, first_error["loc"]))
        raise SweepDamaged(f"{path}: is damaged: {where}: {first_error['msg']}") from error
