"""The folder of a bench: its plan, which is fixed when it is made, its outcomes, its report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from compute.policy.bench_report import BenchError
from store.driver.lease import Lease
from store.errors import StoreError
from store.folder.files import JSON_LIMIT, create_file, parse_json, read_file, replace_file
from store.records import canonical_json

FORMAT, VERSION = "skipscope-bench-folder", 1
PLAN, OUTCOMES, TIMING, REPORT = "plan.json", "outcomes", "timing.json", "bench.json"


@contextmanager
def held(root: Path, plan: dict[str, Any]) -> Iterator[None]:
    """Make or open the folder of a bench with a plan, and hold it alone within the context.

    Raises BenchError for a folder that holds something else or another plan, DriverRunning where another process holds
    it.
    """
    document = {"format": FORMAT, "version": VERSION, **plan}
    _check_empty_or_ours(root)
    root.mkdir(parents=True, exist_ok=True)
    create_file(root / PLAN, canonical_json(document).encode("ascii"))
    _check_same(root, _read_plan(root), document)
    with Lease(root, owner="bench"):
        yield


def kept_timing(root: Path, key: str) -> dict[str, float] | None:
    """Return the seconds that were measured for a key, which holds all that they depend on; None if there are none."""
    try:
        timing = parse_json(read_file(root / TIMING, JSON_LIMIT), root / TIMING)
    except (FileNotFoundError, StoreError):
        return None
    return timing["seconds"] if isinstance(timing, dict) and timing.get("key") == key else None


def keep_timing(root: Path, key: str, seconds: dict[str, float]) -> None:
    """Keep measured seconds. Raises StoreError, StoreFull."""
    replace_file(root / TIMING, canonical_json({"key": key, "seconds": seconds}).encode("ascii"))


def _check_empty_or_ours(root: Path) -> None:
    if root.exists() and not root.is_dir():
        raise BenchError(f"--out: {root} is a file; give a folder")
    if root.is_dir() and any(root.iterdir()) and not (root / PLAN).is_file():
        raise BenchError(f"--out: {root} holds something else than a bench; give an empty or a new folder")


def _read_plan(root: Path) -> dict[str, Any]:
    path = root / PLAN
    try:
        plan = parse_json(read_file(path, JSON_LIMIT), path)
    except (OSError, StoreError) as error:
        raise BenchError(f"--out: {path} cannot be read: {error}") from None
    if not isinstance(plan, dict) or plan.get("format") != FORMAT:
        raise BenchError(f"--out: {path} is no plan of a bench; give another folder")
    return plan


def _check_same(root: Path, kept: dict[str, Any], asked: dict[str, Any]) -> None:
    for field in sorted({*kept, *asked}):
        if kept.get(field) != asked.get(field):
            raise BenchError(
                f"--out: {root} holds a bench with another {field}, which is fixed before anything is run: give "
                "another folder, or the configuration that this one was made with"
            )
