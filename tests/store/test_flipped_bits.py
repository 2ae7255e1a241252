"""A flipped bit in any file of a store changes no result: it is found, and the line is made again from its shard."""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.care.verify import verify
from store.errors import ShardDamaged
from store.folder.documents import write_document
from store.folder.own_digest import with_digest, without_digest
from store.metric import MetricInfo, MetricValues
from store.shard import seal
from store.sweep_reader import SweepReader
from store.sweep_store import SweepStore
from tests.store.problems import problems

LISTS = ("manifest", "catalogue")
ADDED = MetricValues(info=MetricInfo(name="added", direction="lower"), values=np.array([0.25, 0.75]))


def flip(path: Path, position: int, bit: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1 << bit
    path.write_bytes(data)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_flipped_bit_in_the_lists_changes_no_result(filled: SweepStore, data: st.DataObject) -> None:
    filled.rebuild()
    before = {name: (filled.root / name).read_bytes() for name in LISTS}
    table = SweepReader(filled.root).table()
    for name in LISTS:
        flip(filled.root / name, data.draw(st.integers(0, len(before[name]) - 2)), data.draw(st.integers(0, 7)))
    after = SweepReader(filled.root).table()
    for column in table:
        np.testing.assert_array_equal(table[column], after[column])
    assert {path for _, path in problems(filled)} <= {"manifest", "catalogue", *_shards(filled)}
    filled.rebuild()
    assert {name: (filled.root / name).read_bytes() for name in LISTS} == before


def _shards(store: SweepStore) -> list[str]:
    return [f"{path.parent.name}/{path.name}" for _, path in store.shards()]


def test_a_damaged_line_brings_no_earlier_value_back(filled: SweepStore) -> None:
    """A unit may have several lines, of which the last counts; where that is damaged the one before is out of date."""

    key = filled.header.plan[2].key
    with filled.drive("a test"):
        filled.record(filled.add_metrics(key, lambda reader: [ADDED]))
    rows = filled.catalogue()
    path = filled.root / "catalogue"
    whole = path.read_bytes()
    for position in (whole.rindex(b"added") + 2, len(whole) - 1):  # the last is the line's newline
        flip(path, position)
        assert filled.catalogue() == rows
        path.write_bytes(whole)


def test_lists_of_earlier_releases_are_read_and_get_digests(filled: SweepStore) -> None:
    rows = filled.catalogue()
    filled.rebuild()
    new = {name: (filled.root / name).read_bytes() for name in LISTS}
    for name in LISTS:
        path = filled.root / name
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert all(next(iter(line)) == "check" for line in lines)
        for line in lines:
            del line["check"]
        path.write_text("".join(json.dumps(line, sort_keys=True, separators=(",", ":")) + "\n" for line in lines))
    assert filled.catalogue() == rows and problems(filled) == []
    assert filled.rebuild().read == len(rows), "without a digest the shards are what counts"
    assert {name: (filled.root / name).read_bytes() for name in LISTS} == new


def test_any_shard_is_checked_when_it_is_read_once_a_modification(
    filled: SweepStore, monkeypatch: pytest.MonkeyPatch
) -> None:

    read: list[Path] = []
    original = seal.read_sealed
    monkeypatch.setattr(seal, "read_sealed", lambda path: read.append(path) or original(path))
    for unit in filled.header.plan:
        read.clear()
        for _ in range(3):
            filled.read(unit.key).close()
        path = filled.shard_path(unit.key)
        assert len(read) <= 1
        os.utime(path)
        filled.read(unit.key).close()
        assert read[-1] == path
        flip(path, path.stat().st_size - 200)
        for _ in range(2):
            with pytest.raises(ShardDamaged, match="does not match its own checksum"):
                filled.read(unit.key)


def _png() -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big")

    header = (1).to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    pixels = zlib.compress(b"\0\x7f")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize("folder", ["policies", "reports"])
def test_documents_are_verified(filled: SweepStore, folder: str) -> None:
    document = with_digest({"a": [1, 2.5], "b": {"c": "x" * 50}})
    files = {"own.json": json.dumps(document).encode(), "by-hand.json": b'{"a": 1}', "notes.txt": b"mine"}
    for name, data in (files | {"picture.png": _png()}).items():
        write_document(filled.root, folder, name, data)  # type: ignore[arg-type]
    assert problems(filled) == []
    for name in ("own.json", "picture.png"):
        path = filled.root / folder / name
        before = path.read_bytes()
        for position in range(len(before)):
            flip(path, position)
            assert problems(filled) == [("damaged", f"{folder}/{name}")], position
            path.write_bytes(before)
    (filled.root / folder / "own.json").write_text("[")
    (detail,) = [problem.detail for problem in verify(filled)]
    assert "is not valid JSON" in detail


def test_a_digest_of_its_own() -> None:
    document = {"b": 1, "a": [0.1, None, "x"]}
    sealed = with_digest(document)
    assert list(sealed) == ["b", "a", "sha256"]
    assert without_digest(json.loads(json.dumps(sealed, indent=3))) == without_digest(document) == document
    for change in ({"b": 2}, {"b": 1.5}, {"c": 1}, {"sha256": None}, {"sha256": 3}):
        with pytest.raises(ValueError, match="remove the field sha256 to accept it as it is"):
            without_digest({**sealed, **change})
