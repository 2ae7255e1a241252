"""prune removes what the sweep no longer needs, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from store.care.prune import PruneItem, PrunePlan, plan_prune, prune
from store.errors import DriverRunning, StoreError
from store.folder.header import SweepHeader
from store.records import content_key
from store.sweep_store import SweepStore
from tests.store.problems import problem_kinds, problems


def listed(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}


def shorten(store: SweepStore, units: int) -> list[str]:
    """Reduce the plan to its first units; return the shards of the others."""
    gone = [f"units/{unit.key}.h5" for unit in store.header.plan[units:]]
    store.extend(SweepHeader(settings=store.header.settings, plan=store.header.plan[:units]))
    return gone


def test_nothing_is_removed_from_a_complete_store(filled: SweepStore) -> None:
    assert plan_prune(filled).items == ()


def test_unneeded_files_are_removed(filled: SweepStore) -> None:
    gone = shorten(filled, 3)
    leftover = f"baselines/{'a' * 64}.h5.17.0123456789ab.tmp"
    (filled.root / leftover).write_bytes(b"half")
    filled.record_failure(filled.header.plan[0].key, "it failed once")
    filled.record_failure(content_key("gone"), "it was planned once")
    token = f"tokens/{filled.new_token()}"
    for other in ("notes.txt", "units/notes.txt", "reports/mine.tmp", "policies/notes.txt"):
        (filled.root / other).write_text("mine")
    failures = [f"failures/{filled.header.plan[0].key}.json", f"failures/{content_key('gone')}.json"]
    before = listed(filled.root)
    plan = plan_prune(filled)
    expected = {*gone, leftover, token, *failures}
    assert {item.path for item in plan.items} == expected
    assert plan.total == sum((filled.root / path).stat().st_size for path in expected)
    assert prune(filled, plan) == plan
    assert listed(filled.root) == before - expected
    assert problem_kinds(filled) == {"foreign"}
    assert plan_prune(filled).items == ()


def test_damaged_shards_are_removed_on_request(filled: SweepStore) -> None:
    truncated, flipped = (filled.shard_path(unit.key) for unit in filled.header.plan[2:4])
    truncated.write_bytes(truncated.read_bytes()[:-1])
    flipped.write_bytes(flipped.read_bytes()[:-1] + b"\xfe")
    assert plan_prune(filled).items == ()
    plan = plan_prune(filled, damaged=True)
    assert {item.path for item in plan.items} == {f"units/{truncated.name}", f"units/{flipped.name}"}
    prune(filled, plan, damaged=True)
    assert problems(filled) == []
    assert filled.status_counts().left == 2


def test_nothing_is_removed_while_a_driver_runs(filled: SweepStore) -> None:
    shorten(filled, 3)
    other = SweepStore.open(filled.root)
    plan = plan_prune(other)
    before = listed(filled.root)
    with filled.drive("a test"):
        with pytest.raises(DriverRunning, match="is driven by a test"):
            plan_prune(other)
        with pytest.raises(DriverRunning, match="is driven by a test"):
            prune(other, plan)
        assert before <= listed(filled.root)


def test_units_that_were_planned_again_are_kept(filled: SweepStore) -> None:
    whole = filled.header
    shorten(filled, 3)
    other = SweepStore.open(filled.root)
    plan = plan_prune(other)
    filled.extend(whole)
    assert prune(other, plan).items == ()
    assert filled.status_counts().done == len(whole.plan)


def test_links_are_not_followed(filled: SweepStore, tmp_path: Path) -> None:
    gone = shorten(filled, 2)
    outside = tmp_path / "outside"
    (filled.root / "units").rename(outside)
    os.symlink(outside, filled.root / "units")
    before = listed(outside)
    with pytest.raises(StoreError, match="is a symbolic link"):
        plan_prune(filled)
    with pytest.raises(StoreError):
        prune(filled, PrunePlan(items=tuple(PruneItem(path=path, reason="", size=0) for path in gone)))
    assert listed(outside) == before


def test_a_link_is_removed_and_its_target_kept(filled: SweepStore, tmp_path: Path) -> None:
    outside = tmp_path / "outside.h5"
    outside.write_bytes(b"mine")
    link = filled.root / f"units/{content_key('nobody')}.h5"
    os.symlink(outside, link)
    assert plan_prune(filled).items == ()
    assert set(problems(filled)) == {("foreign", f"units/{link.name}")}
    prune(filled, plan_prune(filled, damaged=True), damaged=True)
    assert not link.is_symlink() and outside.read_bytes() == b"mine"


@pytest.mark.parametrize("path", ["../outside", "units/../../outside", "/etc/passwd", "units/..", "elsewhere/x"])
def test_a_plan_cannot_name_files_outside_the_store(filled: SweepStore, tmp_path: Path, path: str) -> None:
    (tmp_path / "outside").write_text("mine")
    prune(filled, PrunePlan(items=(PruneItem(path=path, reason="", size=0),)))
    assert (tmp_path / "outside").read_text() == "mine"
    assert problems(filled) == []
