"""sweep.json: created once, extended atomically, refused if foreign or damaged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from store.errors import NewerFormat, NotASweep, StoreError, SweepDamaged
from store.folder.header import SweepHeader, encode_header
from store.records import Unit
from store.shard.payload import UnitPayload
from store.sweep_store import SweepStore


def test_a_created_sweep_is_opened(store: SweepStore, header: SweepHeader) -> None:
    assert SweepStore.open(store.root).header == header
    json.loads((store.root / "sweep.json").read_bytes())


def test_a_folder_that_is_not_a_sweep(tmp_path: Path) -> None:
    with pytest.raises(NotASweep, match=r"is not a sweep \(no sweep.json\)"):
        SweepStore.open(tmp_path)
    with pytest.raises(NotASweep):
        SweepStore.open(tmp_path / "nowhere")
    (tmp_path / "sweep.json").write_text('{"format": "something else"}')
    with pytest.raises(NotASweep, match=r"the format in sweep\.json is not 'skipscope-sweep'"):
        SweepStore.open(tmp_path)


def test_a_newer_format_is_refused_whatever_it_contains(store: SweepStore) -> None:
    path = store.root / "sweep.json"
    text = path.read_text(encoding="utf-8").replace('"version": 2,', '"version": 3,')
    for newer in (text, text.replace('"plan"', '"units"')):
        path.write_text(newer, encoding="utf-8")
        with pytest.raises(NewerFormat, match="is of format 3; this release reads up to 2: upgrade"):
            SweepStore.open(store.root)


def test_every_flipped_byte_of_the_header_is_noticed(store: SweepStore) -> None:
    path = store.root / "sweep.json"
    data = path.read_bytes()
    for offset in range(0, len(data), 7):
        path.write_bytes(data[:offset] + bytes([data[offset] ^ 1]) + data[offset + 1 :])
        with pytest.raises((SweepDamaged, NotASweep, NewerFormat)) as caught:
            SweepStore.open(store.root)
        assert "\n" not in str(caught.value)
    for length in range(0, len(data), 50):
        path.write_bytes(data[:length])
        with pytest.raises(SweepDamaged):
            SweepStore.open(store.root)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"format": NaN}', "\xff", '{"a": ' + "9" * 5000 + "}", "[]"])
def test_invalid_json_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "sweep.json").write_text(text, encoding="latin-1")
    with pytest.raises(StoreError):
        SweepStore.open(tmp_path)


def test_an_existing_folder_is_not_overwritten(store: SweepStore, header: SweepHeader, tmp_path: Path) -> None:
    with pytest.raises(NotASweep, match="is not empty"):
        SweepStore.create(store.root, header)
    full = tmp_path / "full"
    full.mkdir()
    (full / "notes.txt").write_text("mine")
    with pytest.raises(NotASweep, match="is not empty"):
        SweepStore.create(full, header)
    assert [path.name for path in full.iterdir()] == ["notes.txt"]
    with pytest.raises(NotASweep, match="cannot be made here"):
        SweepStore.create(full / "notes.txt" / "sweep", header)


def test_extending_keeps_the_shards(
    store: SweepStore, payload: Callable[..., UnitPayload], ablation: Callable[[int], Unit]
) -> None:
    unit = store.header.plan[0]
    receipt = store.write(unit, payload(unit))
    longer = SweepHeader(config={"more": True}, settings=store.header.settings, plan=(*store.header.plan, ablation(9)))
    store.extend(longer)
    again = SweepStore.open(store.root)
    assert again.header == longer
    assert again.receipt(unit.key) == receipt
    assert again.present("baseline") == {unit.key}
    assert again.present("ablation") == set()


def test_values_that_json_cannot_represent_are_refused(tmp_path: Path) -> None:
    for value in (float("nan"), {1, 2}, "\ud800"):
        with pytest.raises(StoreError, match="config cannot be written as JSON"):
            SweepStore.create(tmp_path / "sweep", SweepHeader(config={"a": value}))
    assert not (tmp_path / "sweep").exists()


def test_a_plan_has_unique_keys_and_its_own_baselines(header: SweepHeader, ablation: Callable[[int], Unit]) -> None:
    with pytest.raises(ValidationError, match="which is not a baseline of the plan"):
        SweepHeader(plan=(ablation(0),))
    with pytest.raises(ValidationError, match="a key is repeated"):
        SweepHeader(plan=(*header.plan, header.plan[-1]))


def test_equal_headers_are_equal_bytes(header: SweepHeader) -> None:
    assert encode_header(header) == encode_header(SweepHeader.model_validate(header.model_dump()))
