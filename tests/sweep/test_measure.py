"""Metrics that are added later equal those that the sweep itself would have measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compute.policy.graph_document import GRAPH_DOCUMENT
from compute.sweep.measure import measure
from store.care.verify import verify
from store.records import Ablation
from store.sweep_reader import sweep_table
from store.sweep_store import SweepStore
from tests.sweep.run_sweep import sweep
from tests.sweep.small_config import CONFIG, SWITCHES, WITHOUT_SWITCHES, write_config
from tests.sweep.stores import metric_values


def test_metrics_added_later_equal_those_of_the_sweep(tiny_model: Path, tmp_path: Path) -> None:
    original = sweep(write_config(tmp_path / "config.yaml", tiny_model, **CONFIG), tmp_path / "original")
    without = write_config(tmp_path / "without.yaml", tiny_model, **{**CONFIG, "metrics": ["psnr"]})
    store = sweep(without, tmp_path / "store")
    units, absent = measure(store, CONFIG["metrics"])
    assert (units, absent) == (len(store.header.plan), {})
    for name in CONFIG["metrics"]:
        values = [
            {
                (t["key"][row], t["condition"][row]): t[name][row]
                for row in range(t.rows)
                if t["role"][row] != "baseline"
            }
            for t in (sweep_table(original), sweep_table(store))
        ]
        assert values[0] == values[1]
        assert values[0]
    assert verify(store) == []


@pytest.fixture(scope="module")
def with_switches(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> SweepStore:
    """A finished serial sweep with prompt switches and screening, for reading only."""
    folder = tmp_path_factory.mktemp("switches")
    return sweep(write_config(folder / "config.yaml", tiny_model, **SWITCHES), folder / "store")


def test_an_older_store_is_extended_and_measured_in_place(
    with_switches: SweepStore, tiny_model: Path, tmp_path: Path
) -> None:
    """Switches and screening leave each earlier key and shard as it was; `measure` adds what a sweep would have."""
    config = write_config(tmp_path / "config.yaml", tiny_model, **{**WITHOUT_SWITCHES, "metrics": ["psnr"]})
    older = sweep(config, tmp_path / "store")
    (older.root / "reports" / GRAPH_DOCUMENT).unlink()  # as in a store of an earlier release
    before = {key: path.stat().st_mtime_ns for key, path in older.shards()}
    write_config(config, tiny_model, **{**SWITCHES, "metrics": ["psnr"]})
    extended = sweep(config, tmp_path / "store")
    after = {key: path.stat().st_mtime_ns for key, path in extended.shards()}
    assert before.items() < after.items()
    assert [unit.key for unit in extended.header.plan][: len(before)] == [unit.key for unit in older.header.plan]
    assert extended.header.units == with_switches.header.units
    assert (extended.root / "reports" / GRAPH_DOCUMENT).is_file()
    measure(extended, CONFIG["metrics"])
    for key, unit in extended.header.units.items():
        expected, values = metric_values(with_switches, key), metric_values(extended, key)
        assert values.keys() - {"psnr"} == expected.keys()
        assert all(np.array_equal(values[name], expected[name], equal_nan=True) for name in expected), unit.intervention
    assert verify(extended) == []


def test_the_null_ablation_has_no_damage_by_a_metric_measured_on_rounded_pictures(
    tiny_model: Path, tmp_path: Path
) -> None:
    fields: dict[str, Any] = {
        **WITHOUT_SWITCHES,
        "metrics": ["psnr"],
        "keep": {"x_t": "final", "pred_x0": "final", "precision": "8-bit"},
        "prompt_switch": [2],
    }
    store = sweep(write_config(tmp_path / "config.yaml", tiny_model, **fields), tmp_path / "store")
    measure(store, ["mse", "fidelity_all"])
    for unit in store.header.plan:
        values = metric_values(store, unit.key)
        with store.read(unit.key) as reader:
            final = reader.final.astype(np.float64)
        if unit.role == "baseline":
            assert not np.array_equal(final * 128, (final * 128).round())
            continue
        assert np.array_equal(final * 128, (final * 128).round()), "multiples of 1/128"
        if isinstance(unit.intervention, Ablation) and not unit.intervention.components:
            assert values["mse"].tolist() == [0] * len(unit.conditions)
        else:
            assert (values["mse"] > 0).all()
        assert np.allclose(values["mse"], 4 / 10 ** (values["psnr"] / 10), atol=1e-3), "as the sweep itself measured"
        assert ("fidelity_other_all" in values) == (unit.role == "switch")
