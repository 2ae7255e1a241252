"""The manifest: the SHA-256 and size of every shard that the driver recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from store.garbage_collection import paused_collection
from store.index.json_lines import line_of, read_lines
from store.records import Record


class ManifestRow(Record):
    """One shard: its path relative to the store, its size in bytes, and the SHA-256 of the whole file.

    `seal` is the digest in the shard's first bytes, which shows without reading the rest whether the row is up to date.
    """

    path: Annotated[str, Field(pattern=r"^(baselines|units)/[0-9a-f]{64}\.h5$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    seal: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=0)]

    def line(self) -> str:
        """The row as a line of the file, without its newline."""
        return line_of(self)


@paused_collection()
def read_manifest(path: Path) -> tuple[dict[str, ManifestRow], list[int]]:
    """The rows by the shard's path, of which the last line counts, and the numbers of damaged lines."""
    lines = read_lines(path, ManifestRow)
    return {row.path: row for _, row in lines.records}, lines.damaged
