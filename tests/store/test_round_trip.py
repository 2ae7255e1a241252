"""Writing and reading a shard, with any arrays stored and in any precision."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from store.errors import ShardDamaged, StoreError
from store.folder.header import SweepHeader
from store.metric import MetricInfo, MetricValues
from store.records import Ablation, Action, Condition, Unit, Window, content_key
from store.shard.opening import open_reader
from store.shard.payload import DISTANCES, UnitPayload, bfloat16_bits, widen_bfloat16
from store.sweep_store import SweepStore

RAM = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # hundreds of fsyncs are slow on a disk
finite = {"allow_nan": False, "allow_infinity": False}


def arrays(dtype: str, shape: tuple[int, ...]) -> st.SearchStrategy[np.ndarray]:
    """Finite numbers; for uint16 the bits of bfloat16 numbers."""
    if dtype == "uint16":
        return hnp.arrays(np.float16, shape, elements=st.floats(width=16, **finite)).map(
            lambda values: bfloat16_bits(values.astype(np.float32))
        )
    numbers = st.floats(width=32, **finite) if dtype == "float32" else st.floats(width=16, **finite)
    return hnp.arrays(dtype, shape, elements=numbers)


@st.composite
def metric_values(draw: st.DrawFn, batch: int) -> tuple[MetricValues, ...]:
    names = draw(st.lists(st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True), unique=True, max_size=3))
    metrics = []
    for name in names:
        info = MetricInfo(
            name=name,
            version=draw(st.integers(1, 3)),
            direction=draw(st.sampled_from(["lower", "higher"])),
            paired=draw(st.booleans()),
            label=draw(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)),
            weights=draw(st.none() | st.just("ab12")),
        )
        values = draw(st.none() | hnp.arrays(np.float64, batch, elements=st.floats(width=64)))
        metrics.append(MetricValues(info=info, values=values, absent=None if values is not None else "a reason"))
    return tuple(metrics)


@st.composite
def units_and_payloads(draw: st.DrawFn) -> tuple[Unit, UnitPayload]:
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    seeds = draw(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=3))
    conditions = tuple(Condition(prompt=draw(text), seed=seed, guidance=2.5) for seed in seeds)
    steps = draw(st.integers(1, 5))
    start = draw(st.integers(0, steps - 1))
    picture = (draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    kept: dict[str, Any] = {}
    for name, last in (("x_t", steps), ("pred_x0", steps - 1)):
        indices = tuple(sorted(draw(st.sets(st.integers(start, last), max_size=4))))
        dtype = draw(st.sampled_from(["float32", "float16", "uint16"]))
        kept[f"{name}_steps"] = indices
        kept[name] = draw(arrays(dtype, (len(indices), len(seeds), *picture))) if indices else None
    distances = draw(st.sets(st.sampled_from(DISTANCES)))
    payload = UnitPayload(
        steps=steps,
        start=start,
        final=draw(arrays(draw(st.sampled_from(["float32", "float16"])), (len(seeds), *picture))),
        distances={name: draw(arrays("float32", (steps - start, len(seeds)))) for name in distances},
        metrics=draw(metric_values(len(seeds))),
        seconds=draw(st.floats(0, 1e6)),
        unet_evaluations=draw(st.integers(0, 10**9)),
        provenance=draw(st.dictionaries(text, st.none() | st.integers(-(2**53), 2**53) | text, max_size=3)),
        **kept,
    )
    intervention = Ablation(components=("unet",), window=Window(start=start, stop=steps), action=Action(name="reuse"))
    baseline = content_key("baseline")
    key = content_key("unit")
    return Unit(key=key, role="ablation", baseline=baseline, intervention=intervention, conditions=conditions), payload


def plain(value: Any) -> Any:
    """A value for comparison, in which NaN equals NaN."""
    if isinstance(value, np.ndarray):
        return value.dtype.name, value.shape, value.tobytes()
    if isinstance(value, MetricValues):
        return value.info, plain(value.values), value.absent
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return value


def stored(payload: UnitPayload) -> dict[str, Any]:
    """The fields of the payload that a reader returns for a written one."""
    values = {field.name: getattr(payload, field.name) for field in fields(payload)}
    for name in ("x_t", "pred_x0"):
        if values[name] is not None and values[name].dtype == np.uint16:
            values[name] = widen_bfloat16(values[name])
    values["metrics"] = sorted((plain(metric) for metric in payload.metrics), key=lambda metric: metric[0].name)
    return {name: plain(value) for name, value in values.items()}


@settings(max_examples=40, deadline=None)
@given(units_and_payloads())
def test_a_unit_is_read_as_it_was_written(case: tuple[Unit, UnitPayload]) -> None:
    unit, payload = case
    with tempfile.TemporaryDirectory(dir=RAM) as folder:
        store = SweepStore.create(folder, SweepHeader())
        receipt = store.write(unit, payload)
        with store.read(unit.key, check=True) as reader:
            assert reader.unit == unit
            assert stored(reader.payload()) == stored(payload)
        assert store.receipt(unit.key) == receipt
        with store.drive("a test"):
            store.record(receipt)
        assert SweepStore.open(folder).catalogue() == {unit.key: receipt.catalogue}


def test_slices_are_parts_of_the_whole(store: SweepStore, payload: Callable[..., UnitPayload]) -> None:
    unit = store.header.plan[2]
    written = payload(unit)
    store.write(unit, written)
    assert written.x_t is not None and written.pred_x0 is not None
    with store.read(unit.key) as reader:
        assert (reader.start, reader.x_t_steps, reader.pred_x0_steps) == (1, (1, 2, 3, 4), (1, 2, 3))
        np.testing.assert_array_equal(reader.x_t(4), written.x_t[3])
        np.testing.assert_array_equal(reader.pred_x0(2), written.pred_x0[1])
        with pytest.raises(StoreError, match=r"pred_x0 of step 4 is not stored; stored steps: 1, 2, 3"):
            reader.pred_x0(4)
        sample = reader.sample(1)
        np.testing.assert_array_equal(sample.x_t, written.x_t[:, 1])
        np.testing.assert_array_equal(sample.final, written.final[1])
        with pytest.raises(StoreError, match=r"x_t of step 0 is not stored; stored steps: 1, 2, 3, 4"):
            reader.x_t(0)
        with pytest.raises(StoreError, match="sample 2 is outside the batch; 0 to 1 are accepted"):
            reader.sample(2)


def test_a_slice_is_read_alone(store: SweepStore, payload: Callable[..., UnitPayload]) -> None:
    """With one chunk overwritten, everything outside it can still be read."""
    import h5py

    unit = store.header.plan[2]
    written = payload(unit)
    store.write(unit, written)
    assert written.x_t is not None
    path = store.shard_path(unit.key)
    with h5py.File(path) as file:
        chunk = file["x_t/values"].id.get_chunk_info_by_coord((2, 1, 0, 0, 0))
    with path.open("r+b") as raw:
        raw.seek(chunk.byte_offset)
        raw.write(bytes(chunk.size))
    with open_reader(path, unit.key) as reader:  # `store.read` compares the whole file with its checksum
        np.testing.assert_array_equal(reader.x_t(1), written.x_t[0])
        np.testing.assert_array_equal(reader.sample(0).x_t, written.x_t[:, 0])
        with pytest.raises(ShardDamaged, match="x_t"):
            reader.x_t(3)
        with pytest.raises(ShardDamaged, match="x_t"):
            reader.sample(1)
    with pytest.raises(ShardDamaged, match="flipped"):
        store.read(unit.key, check=True)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 0xFFFF))
def test_bfloat16_bits_are_exact(bits: int) -> None:
    values = widen_bfloat16(np.array([bits], dtype=np.uint16))
    assert bfloat16_bits(values).tolist() == [bits]


def test_the_first_complete_shard_is_kept(store: SweepStore, payload: Callable[..., UnitPayload]) -> None:
    """A slow worker that was taken for dead must not replace a shard that the manifest lists."""
    unit = store.header.plan[2]
    first = store.write(unit, payload(unit, seed=1))
    assert store.write(unit, payload(unit, seed=2)) == first
    path = store.shard_path(unit.key)
    path.write_bytes(path.read_bytes()[:-1])
    second = store.write(unit, payload(unit, seed=2))
    assert second.manifest.sha256 != first.manifest.sha256
    assert store.receipt(unit.key) == second


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"final": np.zeros((3, 3, 8, 8), np.float32)}, r"final: shape \(3, 3, 8, 8\) for 2 conditions"),
        ({"final": np.zeros((2, 3, 8, 8), np.float64)}, "final: type float64; float32, float16 are accepted"),
        ({"final": np.full((2, 3, 8, 8), np.nan, np.float32)}, "final: holds numbers that are not finite"),
        ({"x_t_steps": (1, 2, 3, 5)}, "x_t_steps: .* from 1 to 4"),
        ({"x_t_steps": (0, 1, 2, 3)}, "x_t_steps: .* from 1 to 4"),
        ({"x_t_steps": (1, 3, 2, 4)}, "ascending"),
        ({"x_t": None}, "x_t_steps: .* without x_t"),
        ({"pred_x0_steps": (1, 2)}, "pred_x0: shape .* for 2 steps"),
        ({"distances": {"x_t_rel_l2": np.zeros((4, 2), np.float32)}}, r"x_t_rel_l2: shape \(4, 2\), not \(3, 2\)"),
        ({"distances": {"l1": np.zeros((3, 2), np.float32)}}, "distances: 'l1' is unknown"),
        ({"start": 4}, "start: 4 of 4 steps"),
        ({"seconds": float("nan")}, "seconds"),
        ({"provenance": {"x": float("nan")}}, "provenance: cannot be written as JSON"),
    ],
)
def test_an_inconsistent_payload_is_refused(
    store: SweepStore, payload: Callable[..., UnitPayload], change: dict[str, Any], message: str
) -> None:
    unit = store.header.plan[2]
    with pytest.raises(StoreError, match=message):
        store.write(unit, replace(payload(unit), **change))
    assert store.present() == set()
    assert not any((store.root / "units").iterdir())
