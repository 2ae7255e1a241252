"""verify reports any changed byte, any truncation, and files that do not belong."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable

import pytest

from store.folder.header import SweepHeader
from store.records import Unit, content_key
from store.shard.payload import UnitPayload
from store.sweep_store import SweepStore
from tests.store.problems import problem_kinds, problems


def test_a_complete_store_has_no_problems(filled: SweepStore) -> None:
    assert problems(filled) == []


@pytest.fixture
def small(store: SweepStore, payload: Callable[..., UnitPayload]) -> SweepStore:
    """A finished sweep of one baseline."""
    baseline = store.header.plan[0]
    with store.drive("a test"):
        store.extend(SweepHeader(settings=store.header.settings, plan=(baseline,)))
        store.record(store.write(baseline, payload(baseline)))
    return store


@pytest.mark.parametrize("listed", [True, False])
def test_a_hundred_flipped_bits_are_reported(small: SweepStore, listed: bool) -> None:
    """In any byte, the seal's padding included, with and without a manifest."""
    rng = random.Random(0)
    path = small.shard_path(small.header.plan[0].key)
    name = f"baselines/{path.name}"
    whole = path.read_bytes()
    if not listed:
        (small.root / "manifest").unlink()
    offsets = [0, 100, 511, 512, len(whole) - 1, *(rng.randrange(len(whole)) for _ in range(95))]
    for offset in offsets:
        path.write_bytes(whole[:offset] + bytes([whole[offset] ^ (1 << rng.randrange(8))]) + whole[offset + 1 :])
        kinds = {kind for kind, reported in problems(small) if reported == name}
        assert kinds == {"flipped"} if listed else kinds & {"flipped", "foreign", "truncated"}, offset


@pytest.mark.parametrize("listed", [True, False])
def test_a_hundred_truncations_are_reported(small: SweepStore, listed: bool) -> None:
    rng = random.Random(1)
    path = small.shard_path(small.header.plan[0].key)
    name = f"baselines/{path.name}"
    whole = path.read_bytes()
    if not listed:
        (small.root / "manifest").unlink()
    for length in [0, 1, 512, len(whole) - 1, *(rng.randrange(512, len(whole)) for _ in range(96))]:
        path.write_bytes(whole[:length])
        kinds = {kind for kind, reported in problems(small) if reported == name}
        assert kinds == {"truncated"} if listed or length >= 512 else kinds == {"foreign"}, length


def test_a_longer_file_is_reported(filled: SweepStore) -> None:
    path = filled.shard_path(filled.header.plan[0].key)
    path.write_bytes(path.read_bytes() + b"\0")
    assert set(problems(filled)) == {("flipped", f"baselines/{path.name}")}


def test_flipped_bits_in_manifest_and_catalogue_are_reported(small: SweepStore) -> None:
    rng = random.Random(2)
    for name in ("manifest", "catalogue"):
        path = small.root / name
        whole = path.read_bytes()
        for offset in [rng.randrange(len(whole)) for _ in range(25)]:
            path.write_bytes(whole[:offset] + bytes([whole[offset] ^ 1]) + whole[offset + 1 :])
            assert problems(small) or offset == len(whole) - 1, (name, offset, whole[offset - 20 : offset + 20])
        path.write_bytes(whole)


def test_foreign_and_outdated_files_are_reported(
    filled: SweepStore, payload: Callable[..., UnitPayload], ablation: Callable[[int], Unit]
) -> None:
    root = filled.root
    shard = filled.shard_path(filled.header.plan[2].key)
    other = f"units/{content_key('nobody')}.h5"
    shutil.copy(shard, root / other)
    (root / "units/notes.txt").write_text("mine")
    (root / f"units/{shard.name}.17.0123456789ab.tmp").write_bytes(b"half")
    (root / "units/\x1b[31mred\n").write_bytes(b"")
    os.symlink("/etc/passwd", root / "stray")
    filled.write(ablation(7), payload(ablation(7)))
    filled.record_failure(filled.header.plan[0].key, "it failed once")
    filled.record_failure(content_key("gone"), "it was planned once")
    filled.shard_path(filled.header.plan[3].key).unlink()
    assert set(problems(filled)) == {
        ("foreign", other),
        ("unlisted", other),
        ("foreign", "units/notes.txt"),
        ("stale", f"units/{shard.name}.17.0123456789ab.tmp"),
        ("foreign", "units/?[31mred?"),
        ("foreign", "stray"),
        ("stale", f"units/{ablation(7).key}.h5"),
        ("unlisted", f"units/{ablation(7).key}.h5"),
        ("stale", f"failures/{filled.header.plan[0].key}.json"),
        ("stale", f"failures/{content_key('gone')}.json"),
        ("missing", f"units/{filled.header.plan[3].key}.h5"),
    }


def test_shards_of_other_settings_are_stale(filled: SweepStore) -> None:
    filled.extend(SweepHeader(settings={"steps": 5}, plan=filled.header.plan))
    assert problem_kinds(filled) == {"stale"}
    assert len(set(problems(filled))) == len(filled.header.plan)


def test_a_unit_that_differs_from_the_plan_is_foreign(filled: SweepStore) -> None:
    unit = filled.header.plan[-1]
    changed = unit.model_copy(update={"conditions": unit.conditions[:1]})
    filled.extend(SweepHeader(settings=filled.header.settings, plan=(*filled.header.plan[:-1], changed)))
    assert ("foreign", f"units/{unit.key}.h5") in problems(filled)


def test_work_in_progress_is_not_reported(
    filled: SweepStore, payload: Callable[..., UnitPayload], ablation: Callable[[int], Unit]
) -> None:
    filled.extend(SweepHeader(settings=filled.header.settings, plan=(*filled.header.plan, ablation(5))))
    with filled.drive("a test"):
        filled.write(ablation(5), payload(ablation(5)))
        (filled.root / "units/x.h5.17.0123456789ab.tmp").write_bytes(b"half")
        assert problems(filled) == []
    assert problem_kinds(filled) == {"unlisted", "stale"}
