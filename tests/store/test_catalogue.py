"""Manifest, catalogue and table: appending, truncation by a crash, deletion, rebuilding."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from store.errors import ShardMissing, StoreError
from store.folder.failures import remove_failure
from store.folder.header import SweepHeader
from store.index.catalogue import CatalogueRow
from store.index.table import COLUMNS
from store.metric import MetricInfo
from store.records import Unit
from store.shard.payload import UnitPayload
from store.sweep_reader import SweepReader
from store.sweep_store import SweepStore
from tests.store.problems import problems

Payloads = Callable[..., UnitPayload]
LISTS = ("manifest", "catalogue")


def test_a_deleted_catalogue_is_rebuilt_byte_for_byte(filled: SweepStore) -> None:
    filled.rebuild()
    before = {name: (filled.root / name).read_bytes() for name in LISTS}
    for gone in (LISTS[:1], LISTS[1:], LISTS):
        for name in gone:
            (filled.root / name).unlink()
        assert filled.rebuild().read == len(filled.header.plan)
        assert {name: (filled.root / name).read_bytes() for name in LISTS} == before
    report = filled.rebuild()
    assert (report.read, report.dropped, report.unreadable) == (0, 0, ())


def test_the_table_needs_no_catalogue(filled: SweepStore) -> None:
    before = SweepReader(filled.root).table()
    (filled.root / "catalogue").unlink()
    after = SweepReader(filled.root).table()
    assert before.metrics == after.metrics and list(before) == list(after)
    for name in before:
        np.testing.assert_array_equal(before[name], after[name])


def test_a_truncated_line_is_ignored_and_repaired(filled: SweepStore, payload: Payloads) -> None:
    rows = filled.catalogue()
    for name in LISTS:
        path = filled.root / name
        path.write_bytes(path.read_bytes()[:-20])
    assert filled.catalogue() == rows
    with filled.drive("the next driver"):
        pass
    assert problems(filled) == []
    for name in LISTS:
        path = filled.root / name
        path.write_bytes(path.read_bytes() + b'{"half of a li')
    with filled.drive("the next driver"):
        filled.record(filled.receipt(filled.header.plan[0].key))
    assert problems(filled) == []


def test_rebuilding_drops_missing_shards_and_keeps_damaged_ones(filled: SweepStore) -> None:
    gone, damaged = (filled.shard_path(unit.key) for unit in filled.header.plan[2:4])
    gone.unlink()
    damaged.write_bytes(damaged.read_bytes()[:-1])
    report = filled.rebuild()
    assert report.unreadable == (f"units/{damaged.name}",)
    assert report.dropped == 3
    assert problems(filled) == [("truncated", f"units/{damaged.name}")]
    with filled.drive("the next driver"):
        assert filled.last_rebuild.unreadable == report.unreadable


def test_the_table_is_tidy(filled: SweepStore) -> None:
    table = SweepReader(filled.root).table()
    plan = filled.header.plan
    assert tuple(table)[: len(COLUMNS)] == COLUMNS
    assert tuple(table)[len(COLUMNS) :] == ("lpips", "psnr") == tuple(table.metrics)
    assert {len(column) for column in table.values()} == {2 * len(plan)} == {table.rows}
    assert table["key"].tolist() == [unit.key for unit in plan for _ in range(2)]
    assert table["role"].tolist()[:5] == ["baseline"] * 2 + ["control"] * 2 + ["ablation"]
    assert table["components"].tolist()[3:6] == ["", "down_blocks.0.resnets.0", "down_blocks.0.resnets.0"]
    assert table["window_start"].tolist()[2:5] == [-1, -1, 1]
    assert table["seed_offset"].tolist()[1:5] == [0, 1000, 1000, 0]
    assert table["condition"].tolist()[:4] == [0, 1, 0, 1]
    assert table["prompt"].tolist()[:2] == [condition.prompt for condition in plan[0].conditions]
    assert table["seed"].dtype == np.int64 and table["guidance"].dtype == np.float64
    np.testing.assert_array_equal(table["psnr"], [np.inf, 20.5] * len(plan))
    assert np.isnan(table["lpips"]).all()
    assert table.absent == {"lpips": ("its weights are missing",)}


def test_unplanned_units_are_in_the_table_only_on_request(filled: SweepStore) -> None:
    filled.extend(SweepHeader(settings=filled.header.settings, plan=filled.header.plan[:2]))
    reader = SweepReader(filled.root)
    assert reader.table().rows == 4
    assert reader.table(unplanned=True).rows == 10
    assert reader.store.status_counts().unplanned == 3


def test_an_empty_sweep_has_an_empty_table(store: SweepStore) -> None:
    table = SweepReader(store.root).table()
    assert table.rows == 0 and tuple(table) == COLUMNS


def test_counts_and_failures(store: SweepStore, payload: Payloads, ablation: Callable[[int], Unit]) -> None:
    plan = store.header.plan
    store.record_failure(plan[0].key, "out of memory", attempts=3, details="a traceback")
    store.record_failure(plan[1].key, "a bug")
    with store.drive("a test"):
        store.record(store.write(plan[0], payload(plan[0])))
        store.record(store.write(ablation(9), payload(ablation(9))))
    counts = store.status_counts()
    assert (counts.planned, counts.done, counts.failed, counts.left, counts.unplanned) == (5, 1, 1, 3, 1)
    failure = store.failures()[plan[1].key]
    assert (failure.reason, failure.attempts, set(store.failures())) == ("a bug", 1, {plan[1].key})
    (store.root / f"failures/{plan[1].key}.json").write_text("[")
    assert "cannot be read" in store.failures()[plan[1].key].reason
    remove_failure(store.root, plan[1].key)
    assert store.failures() == {}


def test_a_shard_can_be_discarded(filled: SweepStore) -> None:
    key = filled.header.plan[0].key
    filled.discard(key)
    assert key not in filled.present()
    with pytest.raises(ShardMissing):
        filled.read(key)


def test_a_token_is_seen_in_its_own_folder_only(store: SweepStore, tmp_path: Path) -> None:
    other = SweepStore.create(tmp_path / "other", SweepHeader())
    token = store.new_token()
    assert SweepStore.open(store.root).sees_token(token)
    assert not other.sees_token(token)
    newer = store.new_token()
    assert store.sees_token(newer) and not store.sees_token(token)
    assert not store.sees_token("../sweep.json")


@pytest.mark.parametrize("line", ["[]", "{}", '{"key": 1}', "\xff", "{" * 10_000])
def test_invalid_lines_are_ignored_and_reported(filled: SweepStore, line: str) -> None:
    rows = filled.catalogue()
    for name in LISTS:
        path = filled.root / name
        path.write_bytes(line.encode("latin-1") + b"\n" + path.read_bytes())
    assert filled.catalogue() == rows
    assert problems(filled) == [("damaged", "catalogue"), ("damaged", "manifest")]


def test_an_inconsistent_row_is_ignored_and_reported(filled: SweepStore) -> None:
    path = filled.root / "catalogue"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[0]["values"] = [[1.0], [1.0, 2.0, 3.0]]
    lines[1]["unit"] = lines[2]["unit"]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert SweepReader(filled.root).table().rows == 2 * len(filled.header.plan)
    assert set(problems(filled)) == {("damaged", "catalogue")}


@pytest.mark.parametrize("key", ["", "a" * 63, "A" * 64, "../" + "a" * 61, "a" * 64 + "\n", "/etc/passwd"])
def test_only_a_valid_key_becomes_a_path(store: SweepStore, key: str) -> None:
    for call in (store.read, store.receipt, store.discard, store.shard_path, partial(remove_failure, store.root)):
        with pytest.raises(StoreError, match="is not a unit key; 64 lower-case hexadecimal digits are accepted"):
            call(key)
    with pytest.raises(StoreError, match="is not a unit key"):
        store.record_failure(key, "no")


@pytest.mark.slow
def test_ten_thousand_units_are_a_table_in_two_seconds(store: SweepStore, ablation: Callable[[int], Unit]) -> None:
    """Process time from opening the store to the columns, with nine metrics."""
    units = [ablation(number) for number in range(10_000)]
    store.extend(SweepHeader(plan=(store.header.plan[0], *units)))
    infos = tuple(MetricInfo(name=f"metric_{number}", direction="lower", weights="ab" * 32) for number in range(9))
    values = tuple((0.1 * number, 1 / 3) for number in range(9))
    with (store.root / "catalogue").open("w") as file:
        for unit in units:
            facts = {"sha256": unit.key, "steps": 4, "start": 1, "seconds": 1.0, "unet_evaluations": 3}
            file.write(CatalogueRow(unit=unit, infos=infos, values=values, **facts).line() + "\n")
            (store.root / f"units/{unit.key}.h5").touch()
    begin = time.process_time()
    table = SweepReader(store.root).table()
    seconds = time.process_time() - begin
    assert table.rows == 20_000 and len(table.metrics) == 9
    assert seconds < 2
