"""Failed units: one JSON file for each, with the reason."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from store.errors import StoreError
from store.folder.files import read_file, replace_file
from store.folder.layout import FAILURES, checked_key, is_key, real_folder
from store.records import Record

FAILURE_LIMIT = 1 << 20  # bytes


class Failure(Record):
    """A failed unit: `reason` is one line for the user, `details` a traceback, `where` the host."""

    key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    reason: str
    attempts: Annotated[int, Field(ge=1)] = 1
    where: str = ""
    details: str = ""
    at: datetime = Field(default_factory=lambda: datetime.now(UTC))


def write_failure(root: Path, failure: Failure) -> None:
    """Write the failure of a unit, in place of an earlier one; long texts are cut. Raises StoreFull."""
    shortened = failure.model_copy(update={"reason": failure.reason[:2000], "details": failure.details[-50_000:]})
    replace_file(_path(root, failure.key), shortened.model_dump_json(indent=1).encode())


def read_failures(root: Path) -> dict[str, Failure]:
    """All failures by key. A file that cannot be read still counts as a failure of its unit."""
    folder = real_folder(root, FAILURES)
    names = sorted(os.listdir(folder)) if folder.is_dir() else []
    keys = [name.removesuffix(".json") for name in names if name.endswith(".json")]
    return {key: _read(root, key) for key in keys if is_key(key)}


def _read(root: Path, key: str) -> Failure:
    path = _path(root, key)
    try:
        failure = Failure.model_validate_json(read_file(path, FAILURE_LIMIT))
    except (FileNotFoundError, StoreError, ValidationError):
        return Failure(key=key, reason=f"the report {path.name} cannot be read")
    return failure if failure.key == key else Failure(key=key, reason=f"{path.name} is about another unit")


def remove_failure(root: Path, key: str) -> None:
    """Remove the failure of a unit, if it has one."""
    _path(root, key).unlink(missing_ok=True)


def _path(root: Path, key: str) -> Path:
    return real_folder(root, FAILURES) / f"{checked_key(key)}.json"
