"""Manipulated shards: no other file is opened, and the error names the element."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from store.errors import ShardDamaged, StoreError
from store.records import Unit
from store.shard.payload import UnitPayload
from store.shard.seal import SEAL_SIZE, sealed
from store.sweep_store import SweepStore
from tests.store.problems import problems

Change = Callable[[h5py.File], Any]


@pytest.fixture
def unit(filled: SweepStore) -> Unit:
    """A finished unit."""
    return filled.header.plan[2]


def tamper(store: SweepStore, unit: Unit, change: Change) -> Path:
    """Change a shard and renew its seal."""
    path = store.shard_path(unit.key)
    image = path.with_suffix(".image")
    image.write_bytes(path.read_bytes()[SEAL_SIZE:])
    with h5py.File(image, "r+") as file:
        change(file)
    path.write_bytes(sealed(image.read_bytes()))
    image.unlink()
    return path


def replace_dataset(file: h5py.File, name: str, **make: Any) -> None:
    """Replace a dataset and keep its attributes."""
    attributes = dict(file[name].attrs)
    del file[name]
    dataset = file.create_dataset(name, **make)
    dataset.attrs.update(attributes)


def external(file: h5py.File) -> None:
    values = {"shape": (2, 3, 8, 8), "dtype": "float32", "external": [("/etc/passwd", 0, h5py.h5f.UNLIMITED)]}
    replace_dataset(file, "final", **values)


def virtual(file: h5py.File) -> None:
    attributes = dict(file["final"].attrs)
    del file["final"]
    layout = h5py.VirtualLayout(shape=(2, 3, 8, 8), dtype="float32")
    layout[:] = h5py.VirtualSource("/tmp/other.h5", "final", shape=(2, 3, 8, 8))
    file.create_virtual_dataset("final", layout).attrs.update(attributes)


def linked(name: str, link: h5py.SoftLink | h5py.ExternalLink) -> Change:
    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = link

    return change


def attribute(name: str, value: Any, element: str = "/") -> Change:
    def change(file: h5py.File) -> None:
        file[element].attrs[name] = value

    return change


def missing(name: str) -> Change:
    def change(file: h5py.File) -> None:
        del file[name]

    return change


def replaced(name: str, **make: Any) -> Change:
    return lambda file: replace_dataset(file, name, **make)


HUGE = {"shape": (2, 30_000, 30_000, 30_000), "dtype": "float32", "chunks": (1, 1, 8, 8)}
CASES: dict[str, tuple[Change, str]] = {
    "external link": (
        linked("final", h5py.ExternalLink("/tmp/other.h5", "/final")),
        "final: is a soft or external link",
    ),
    "soft link": (linked("x_t", h5py.SoftLink("/pred_x0")), "x_t: is a soft or external link"),
    "external storage": (external, "final: keeps its values in another file"),
    "virtual dataset": (virtual, "final: keeps its values in another file"),
    "foreign filter": (
        replaced("final", data=np.zeros((2, 3, 8, 8), np.float32), compression="lzf"),
        "final: is packed with a filter",
    ),
    "dtype": (replaced("final", data=np.zeros((2, 3, 8, 8), np.int32)), "final: type int32; float32, float16"),
    "batch": (replaced("final", data=np.zeros((3, 3, 8, 8), np.float32)), r"final: shape \(3, 3, 8, 8\)"),
    "axes": (replaced("x_t/values", data=np.zeros((4, 2, 3), np.float32)), "values: shape"),
    "huge": (replaced("final", **HUGE), "one picture is larger than"),
    "steps": (replaced("x_t/steps", data=np.array([1, 2, 4, 3])), "x_t/steps: .* not ascending"),
    "steps outside": (replaced("pred_x0/steps", data=np.array([1, 2, 4])), "pred_x0/steps: .* not ascending"),
    "no final": (missing("final"), "final: is missing"),
    "no unit": (missing("unit"), "unit: is missing"),
    "unit no JSON": (replaced("unit", data=np.bytes_("{")), "unit: is not valid JSON"),
    "unit no text": (replaced("unit", data=np.zeros(3)), "unit: is not a JSON text"),
    "unit no unit": (replaced("unit", data=np.bytes_('{"a": 1}')), "unit: is not a unit"),
    "group as dataset": (
        lambda file: (missing("final")(file), file.create_group("final")),
        "is a Group, not a Dataset",
    ),
    "another key": (attribute("key", "f" * 64), "but the file says"),
    "another encoding": (attribute("encoding-type", "anndata"), "encoding 'anndata', not 'skipscope-unit'"),
    "newer encoding": (attribute("encoding-version", 3), "version 3; this release reads up to 2: upgrade"),
    "newer element": (attribute("encoding-version", 9, "final"), "encoding pictures version 9"),
    "infinite": (attribute("seconds", np.inf), "attribute seconds: is 'inf', not a float"),
    "no number": (attribute("steps", "many"), "attribute steps: is 'many', not a int"),
    "many numbers": (attribute("steps", [1, 2]), "attribute steps"),
    "start": (attribute("start", 9), "start: 9 of 4 steps"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_hostile_shard_is_refused(filled: SweepStore, unit: Unit, case: str) -> None:
    change, message = CASES[case]
    path = tamper(filled, unit, change)
    with pytest.raises(ShardDamaged, match=message) as caught:
        filled.read(unit.key, check=True)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert ("foreign", f"units/{path.name}") in set(problems(filled))
    assert unit.key in filled.catalogue()  # its recorded row is kept


METRICS: dict[str, tuple[Change, str]] = {
    "outside its range": (replaced("metrics/psnr", data=np.array([1.0, -5.0])), "metrics/psnr: .* outside its range"),
    "too many": (replaced("metrics/psnr", data=np.zeros(3)), "metrics/psnr: shape"),
    "direction": (attribute("direction", "sideways", "metrics/psnr"), "metrics/psnr"),
    "name": (lambda file: file.move("metrics/psnr", "metrics/PSNR"), "metrics/PSNR"),
    "type": (replaced("metrics/psnr", data=np.array([b"a", b"b"])), "psnr: type"),
}


@pytest.mark.parametrize("case", METRICS)
def test_hostile_metrics_are_refused(filled: SweepStore, unit: Unit, case: str) -> None:
    change, message = METRICS[case]
    tamper(filled, unit, change)
    with filled.read(unit.key) as reader, pytest.raises(ShardDamaged, match=message):
        reader.metrics  # noqa: B018


@pytest.mark.parametrize("data", [b"", b"nothing", b"\x89HDF\r\n\x1a\n" + bytes(600), bytes(5000)])
def test_a_file_that_is_not_hdf5_is_refused(filled: SweepStore, unit: Unit, data: bytes) -> None:
    filled.shard_path(unit.key).write_bytes(data)
    for call in (filled.read, filled.receipt):
        with pytest.raises(ShardDamaged) as caught:
            call(unit.key)
        assert "\n" not in str(caught.value)


def test_a_link_in_place_of_a_shard_is_refused(filled: SweepStore, unit: Unit, tmp_path: Path) -> None:
    path = filled.shard_path(unit.key)
    outside = tmp_path / "outside.h5"
    path.rename(outside)
    os.symlink(outside, path)
    assert unit.key not in filled.present()
    for call in (filled.read, filled.receipt):
        with pytest.raises(ShardDamaged, match="is a symbolic link"):
            call(unit.key)


def test_a_link_in_place_of_a_folder_is_refused(
    store: SweepStore, payload: Callable[..., UnitPayload], tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (store.root / "units").rmdir()
    os.symlink(outside, store.root / "units")
    unit = store.header.plan[2]
    with pytest.raises(StoreError, match="units: is a symbolic link"):
        store.write(unit, payload(unit))
    assert list(outside.iterdir()) == []


def test_a_link_in_place_of_the_manifest_is_not_followed(filled: SweepStore, tmp_path: Path) -> None:
    receipt = filled.receipt(filled.header.plan[0].key)
    outside = tmp_path / "outside"
    outside.write_text("mine\n")
    (filled.root / "manifest").unlink()
    os.symlink(outside, filled.root / "manifest")
    with pytest.raises(StoreError):
        filled.record(receipt)
    assert outside.read_text() == "mine\n"
