"""Files that are small, or sparse, and would take much memory: they are refused before they are read."""

from __future__ import annotations

import resource
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from store.care.verify import verify
from store.errors import PayloadError, ShardDamaged, StoreError, SweepDamaged
from store.folder.files import read_file
from store.folder.header import SweepHeader, encode_header
from store.records import Unit, canonical_json
from store.shard.payload import UnitPayload
from store.shard.reader import UnitReader
from store.sweep_store import SweepStore
from tests.store.test_hostile import Change, replace_dataset, tamper

MEGABYTE = 1 << 20


@pytest.fixture
def unit(filled: SweepStore) -> Unit:
    """A finished unit."""
    return filled.header.plan[2]


@pytest.fixture(autouse=True)
def _memory() -> Iterator[None]:
    """Let no test take more than 400 MB of Python's own memory."""
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 400 * MEGABYTE


def zeros(name: str, *shape: int, level: int = 9) -> Change:
    """Replace a dataset by zeros, one picture a chunk."""

    def change(file: h5py.File) -> None:
        chunks = (*(1 for _ in shape[:-3]), *shape[-3:])
        packing = {"chunks": chunks, "compression": "gzip", "compression_opts": level, "shuffle": True}
        replace_dataset(file, name, shape=shape, dtype="float32", fillvalue=0, **packing)
        packed = zlib.compress(bytes(4 * int(np.prod(shape[-3:]))), level)
        for index in np.ndindex(*shape[:-3]):
            file[name].id.write_direct_chunk((*index, 0, 0, 0), packed)

    return change


def bomb(file: h5py.File) -> None:
    """Make one small picture's chunk unpack to 64 MB."""
    packed = zlib.compress(bytes(64 * MEGABYTE), 9)
    properties = {"shape": (2, 3, 256, 256), "dtype": "float32", "chunks": (1, 3, 256, 256), "compression": "gzip"}
    replace_dataset(file, "final", **properties)
    for index in range(2):
        file["final"].id.write_direct_chunk((index, 0, 0, 0), packed)


def unwritten(file: h5py.File) -> None:
    replace_dataset(file, "final", shape=(2, 3, 64, 64), dtype="float32", chunks=(1, 3, 64, 64), compression="gzip")


def read_all(reader: UnitReader) -> object:
    """Read everything of a shard."""
    return reader.payload()


CASES: dict[str, tuple[Change, str]] = {
    "much in all": (zeros("x_t/values", 4, 2, 3, 2000, 2000), "unpacks to 38.* bytes, more than 300 times"),
    "many pictures": (zeros("final", 2, 16, 2000, 2000), "unpacks to 512.* bytes, more than 300 times"),
    "a large picture": (
        lambda file: replace_dataset(
            file, "final", shape=(2, 3, 9000, 9000), dtype="float32", chunks=(1, 3, 9000, 9000)
        ),
        "one picture is larger than",
    ),
    "a chunk larger than it says": (bomb, "the picture at .* does not unpack to its 786432 bytes|takes more bytes"),
    "chunks that are not there": (unwritten, "is not stored"),
    "values that are not there": (
        lambda file: replace_dataset(file, "final", shape=(2, 3, 4000, 4000), dtype="float32"),
        "final: 0 bytes are stored of 384000000",
    ),
    "large chunks": (
        lambda file: replace_dataset(
            file, "final", data=np.zeros((2, 3, 8, 8), "f4"), chunks=(64, 3, 64, 64), maxshape=(None,) * 4
        ),
        "final: chunks of shape",
    ),
    "a metric in chunks": (
        lambda file: replace_dataset(file, "metrics/psnr", data=np.zeros(2), chunks=(2,), compression="gzip"),
        "psnr: chunks of shape",
    ),
    "a large attribute": (
        lambda file: file["final"].attrs.__setitem__("encoding-type", np.bytes_(b"x" * 60_000)),
        "attribute encoding-type",
    ),
    "an attribute of many": (lambda file: file.attrs.__setitem__("seconds", np.zeros(8000)), "attribute seconds: has"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_unpacks_to_much_is_refused_before_it_is_read(filled: SweepStore, unit: Unit, case: str) -> None:
    change, message = CASES[case]
    tamper(filled, unit, change)
    with pytest.raises(ShardDamaged, match=message), filled.read(unit.key) as reader:
        read_all(reader)


def test_black_pictures_are_read(filled: SweepStore, unit: Unit) -> None:
    """What this program itself deflates, also to 1/230 of its size, is accepted."""
    tamper(filled, unit, zeros("final", 2, 3, 2000, 2000, level=1))
    with filled.read(unit.key) as reader:
        assert not reader.final.any()


def test_a_shard_of_other_conditions_than_planned_is_refused(filled: SweepStore, unit: Unit) -> None:
    other = unit.model_copy(update={"conditions": tuple(reversed(unit.conditions))})
    text = np.bytes_(canonical_json(other).encode())
    tamper(filled, unit, lambda file: replace_dataset(file, "unit", data=text))
    with pytest.raises(ShardDamaged, match="another unit than the plan"):
        filled.read(unit.key)


SPARSE = 200 << 30


@pytest.mark.parametrize("name", ["sweep.json", "catalogue", "manifest", "driver.json", "shard"])
def test_sparse_files_are_refused_before_they_are_read(filled: SweepStore, unit: Unit, name: str) -> None:
    path = filled.shard_path(unit.key) if name == "shard" else filled.root / name
    with path.open("r+b") as file:
        file.truncate(SPARSE)
    with pytest.raises(StoreError, match=f"{SPARSE} bytes are more than") as caught:
        store = SweepStore.open(filled.root)
        store.driver()
        if name == "shard":
            store.receipt(unit.key)
        store.rebuild()
    assert "\n" not in str(caught.value)


def test_a_sparse_shard_is_foreign_and_can_be_pruned(filled: SweepStore, unit: Unit) -> None:
    path = filled.shard_path(unit.key)
    with path.open("r+b") as file:
        file.truncate(SPARSE)
    assert [(problem.kind, problem.path) for problem in verify(filled)] == [("foreign", f"units/{path.name}")]


def test_a_catalogue_of_too_many_lines_says_what_to_do(filled: SweepStore) -> None:
    (filled.root / "catalogue").write_bytes(b"\n" * 600_000)
    with pytest.raises(StoreError, match=r"600000 lines are more than .* remove it"):
        filled.catalogue()


def test_memory_that_is_not_there_is_an_error_in_words(tmp_path: Path) -> None:
    path, limits = tmp_path / "large", resource.getrlimit(resource.RLIMIT_AS)
    with path.open("wb") as file:
        file.truncate(1 << 40)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (1 << 36, limits[1]))
        with pytest.raises(StoreError, match="do not fit into memory"):
            read_file(path, 1 << 50)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def test_what_could_not_be_read_again_is_not_written(store: SweepStore, payload: Callable[..., UnitPayload]) -> None:
    unit = store.header.plan[0]
    large = np.broadcast_to(np.float32(0), (2, 3, 8192, 8192))
    with pytest.raises(PayloadError, match="bytes a picture"):
        store.write(unit, UnitPayload(**{**vars(payload(unit)), "final": large}))
    with pytest.raises(StoreError, match="bytes of JSON"):
        store.write(unit, UnitPayload(**{**vars(payload(unit)), "provenance": {"log": "x" * (9 << 20)}}))
    with pytest.raises(StoreError, match=r"sweep\.json: .* split the sweep"):
        encode_header(SweepHeader(config={"note": "x" * (65 << 20)}))


def test_a_header_that_parses_to_much_is_refused(filled: SweepStore) -> None:
    (filled.root / "sweep.json").write_bytes(b"[" * (65 << 20))
    with pytest.raises((StoreError, SweepDamaged), match="are more than"):
        SweepStore.open(filled.root)
