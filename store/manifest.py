"""The manifest: the SHA-256 and size of every shard, as the driver acknowledged it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from store.catalogue import read_rows
from store.records import Record


class ManifestRow(Record):
    """One shard: its path relative to the store, its size in bytes, and the SHA-256 of the whole file."""

    path: Annotated[str, Field(pattern=r"^(baselines|units)/[0-9a-f]{64}\.h5$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=0)]

    @property
    def key(self) -> str:
        """The key of the shard's unit."""
        return self.path.partition("/")[2].removesuffix(".h5")


def read_manifest(path: Path) -> dict[str, ManifestRow]:
    """The manifest's rows by the shard's relative path; the last line of a path holds, damaged lines are left out."""
    rows, _ = read_rows(path, ManifestRow)
    return {row.path: row for row in rows}
