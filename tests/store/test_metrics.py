"""Metrics in shards: adding, replacing, checking; values of different versions."""

from __future__ import annotations

import numpy as np
import pytest

from store.errors import PayloadError, ShardDamaged, ShardMissing
from store.metric import MetricInfo, MetricValues
from store.records import content_key
from store.shard.encoding import add_metrics_to
from store.shard.reader import UnitReader
from store.sweep_reader import SweepReader
from store.sweep_store import SweepStore
from tests.store.problems import problems


def test_metrics_are_added_and_replaced(filled: SweepStore) -> None:
    unit = filled.header.plan[2]
    with filled.read(unit.key) as reader:
        before = reader.payload()
    lpips = MetricInfo(name="lpips", direction="lower", low=0, weights="ab12")
    receipt = filled.add_metrics(unit.key, lambda _: [MetricValues(info=lpips, values=np.array([0.25, 0.5]))])
    assert problems(filled) == [("unlisted", f"units/{unit.key}.h5")]
    with filled.drive("measure"):
        filled.record(receipt)
    assert problems(filled) == []
    with filled.read(unit.key, check=True) as reader:
        after = reader.payload()
    np.testing.assert_array_equal(after.x_t, before.x_t)
    assert [metric.info.name for metric in after.metrics] == ["lpips", "psnr"]
    assert after.metrics[0].info == lpips and after.metrics[0].values is not None
    np.testing.assert_array_equal(after.metrics[0].values, [0.25, 0.5])
    with pytest.raises(PayloadError, match="metric lpips: 3 values for 2 conditions"):
        filled.add_metrics(unit.key, lambda _: [MetricValues(info=lpips, values=np.zeros(3))])
    with pytest.raises(ShardMissing, match="holds no shard of unit"):
        filled.add_metrics(content_key("nobody"), lambda _: [])


def test_metrics_are_computed_from_the_checked_bytes(filled: SweepStore) -> None:
    unit = filled.header.plan[2]
    path = filled.shard_path(unit.key)
    whole = path.read_bytes()
    info = MetricInfo(name="mean", direction="lower")

    def compute(reader: UnitReader) -> list[MetricValues]:
        path.write_bytes(b"changed by somebody else meanwhile")
        return [MetricValues(info=info, values=reader.final.mean(axis=(1, 2, 3), dtype=np.float64))]

    receipt = filled.add_metrics(unit.key, compute)
    assert receipt == filled.receipt(unit.key)
    assert path.read_bytes() == add_metrics_to(whole, [stored_metric(filled, unit.key, "mean")])


def stored_metric(store: SweepStore, key: str, name: str) -> MetricValues:
    with store.read(key) as reader:
        return next(metric for metric in reader.metrics if metric.info.name == name)


@pytest.mark.parametrize("error", [RuntimeError, KeyError, OSError, PayloadError])
def test_an_error_of_a_metric_is_raised_and_changes_nothing(filled: SweepStore, error: type[Exception]) -> None:
    key = filled.header.plan[2].key
    before = filled.shard_path(key).read_bytes()

    def compute(reader: UnitReader) -> list[MetricValues]:
        raise error("out of memory")

    with pytest.raises(error, match="out of memory"):
        filled.add_metrics(key, compute)
    assert filled.shard_path(key).read_bytes() == before and not list(filled.root.rglob("*.tmp"))


def test_a_damaged_shard_is_not_measured(filled: SweepStore) -> None:
    key = filled.header.plan[2].key
    path = filled.shard_path(key)
    path.write_bytes(path.read_bytes()[:-1] + b"\xfe")
    with pytest.raises(ShardDamaged, match="is flipped"):
        filled.add_metrics(key, lambda _: pytest.fail("a damaged shard was read"))


def test_a_crash_after_measuring_is_repaired_by_the_next_driver(filled: SweepStore) -> None:
    key = filled.header.plan[2].key
    info = MetricInfo(name="mse", direction="lower", low=0)
    path = filled.shard_path(key)
    before = path.read_bytes()
    filled.add_metrics(key, lambda _: [MetricValues(info=info, values=np.array([1.0, 2.0]))])
    with filled.drive("the next driver"):
        pass
    assert problems(filled) == []
    assert info in filled.catalogue()[key].infos
    size = path.stat().st_size
    path.write_bytes(before)
    filled.add_metrics(key, lambda _: [MetricValues(info=info, values=np.array([3.0, 4.0]))])
    assert path.stat().st_size == size, "only the content may differ in this case"
    with filled.drive("the next driver"):
        pass
    assert problems(filled) == []
    np.testing.assert_array_equal(filled.catalogue()[key].values[1], (3.0, 4.0))


def test_values_of_different_versions_are_not_mixed(filled: SweepStore) -> None:
    newer = MetricInfo(name="psnr", version=3, direction="higher", low=0)
    with filled.drive("measure"):
        receipt = filled.add_metrics(
            filled.header.plan[0].key, lambda _: [MetricValues(info=newer, values=np.array([1.0, 2.0]))]
        )
        filled.record(receipt)
    table = SweepReader(filled.root).table()
    assert table.metrics["psnr"] == newer
    np.testing.assert_array_equal(table["psnr"][:2], [1.0, 2.0])
    assert np.isnan(table["psnr"][2:]).all()
    assert table.absent["psnr"] == ("was measured by version 2 or other weights; measure again",)


def test_invalid_metric_values_are_refused() -> None:
    info = MetricInfo(name="ssim", direction="higher", low=-1, high=1)
    MetricValues(info=info, values=np.array([1.0 + 1e-6, np.nan]))
    with pytest.raises(PayloadError, match=r"metric ssim: 1.5 is outside its range \[-1.0, 1.0\]"):
        MetricValues(info=info, values=np.array([1.5]))
    with pytest.raises(PayloadError, match="either values or a reason"):
        MetricValues(info=info)
