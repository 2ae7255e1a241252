"""The search for cyclic garbage is paused while large files are read, and afterwards as it was."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.errors import SweepDamaged
from store.folder.header import SweepHeader, read_header
from store.folder.layout import CATALOGUE, HEADER
from store.garbage_collection import paused_collection
from store.index.catalogue import CatalogueRow, read_catalogue
from store.sweep_store import SweepStore
from tests.store.conftest import BASELINE, make_ablation


@pytest.fixture
def collections() -> Iterator[list[int]]:
    """The generations that are searched during the test."""
    found: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            found.append(info["generation"])

    gc.collect()
    gc.callbacks.append(note)
    yield found
    gc.callbacks.remove(note)


@pytest.mark.parametrize("enabled", [True, False])
def test_afterwards_it_is_as_before(enabled: bool) -> None:
    """Also after an error, and within another pause."""
    try:
        if not enabled:
            gc.disable()
        with pytest.raises(ZeroDivisionError), paused_collection():
            with paused_collection():
                assert not gc.isenabled()
            assert not gc.isenabled()
            _ = 1 / 0
        assert gc.isenabled() is enabled
    finally:
        gc.enable()


def test_reading_a_sweep_searches_little(tmp_path: Path, collections: list[int]) -> None:
    """What is read is all kept, so nothing would be found; and a damaged header leaves no pause."""
    plan = (BASELINE, *(make_ablation(number) for number in range(200)))
    store = SweepStore.create(tmp_path / "sweep", SweepHeader(plan=plan))
    row = CatalogueRow(unit=BASELINE, sha256="0" * 64, steps=4, start=0, seconds=1.0, unet_evaluations=4)
    lines = [row.model_copy(update={"unit": unit}).line() + "\n" for unit in plan]
    (store.root / CATALOGUE).write_text("".join(lines), "ascii")
    before = gc.get_threshold()
    gc.set_threshold(50)
    try:
        collections.clear()
        header = read_header(store.root)
        rows = read_catalogue(store.root / CATALOGUE, header.units).rows
        assert len(rows) == len(plan)
        assert len(collections) < 10, "records are searched while they are made"
        (store.root / HEADER).write_bytes((store.root / HEADER).read_bytes().replace(b"bypass", b"bypasS", 1))
        with pytest.raises(SweepDamaged):
            read_header(store.root)
        assert gc.isenabled()
    finally:
        gc.set_threshold(*before)
