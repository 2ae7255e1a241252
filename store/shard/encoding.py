"""A unit's payload as the bytes of a shard.

The HDF5 file is built in memory: if the disk is full or the process is killed, no incomplete file is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
from jaxtyping import Num

from store.errors import StoreError
from store.metric import MetricValues
from store.records import Unit, canonical_json
from store.shard.elements import mark, write_array, write_text
from store.shard.payload import UnitPayload
from store.shard.seal import SEAL_SIZE, sealed

ENCODING = "skipscope-unit"
ENCODING_VERSION = 2


def encode_shard(unit: Unit, payload: UnitPayload, settings_digest: str) -> bytes:
    """The bytes of the shard of a checked payload, made under the settings of that digest."""
    with h5py.File("shard", "w", driver="core", backing_store=False, libver=("v110", "v110")) as file:
        mark(file, ENCODING, ENCODING_VERSION)
        file.attrs["key"] = unit.key
        file.attrs["role"] = unit.role
        file.attrs["settings"] = settings_digest
        file.attrs["steps"] = payload.steps
        file.attrs["start"] = payload.start
        file.attrs["seconds"] = float(payload.seconds)
        file.attrs["unet_evaluations"] = payload.unet_evaluations
        write_text(file, "unit", canonical_json(unit))
        write_text(file, "provenance", _provenance_json(payload))
        write_array(file, "final", payload.final, "pictures", (1, *payload.final.shape[1:]))
        _write_trajectory(file, "x_t", payload.x_t, payload.x_t_steps)
        _write_trajectory(file, "pred_x0", payload.pred_x0, payload.pred_x0_steps)
        if payload.output is not None:
            _write_trajectory(file, "output", payload.output, tuple(range(payload.steps)))
        if payload.inputs is not None:
            write_array(file, "inputs", payload.inputs, "pictures", (1, *payload.inputs.shape[1:]))
        distances = file.create_group("distances")
        mark(distances, "distances")
        for name, rows in sorted(payload.distances.items()):
            write_array(distances, name, rows, "array", None)
        mark(file.create_group("metrics"), "metrics")
        _write_metrics(file["metrics"], payload.metrics)
        return _sealed_image(file)


def add_metrics_to(data: bytes, metrics: Sequence[MetricValues]) -> bytes:
    """The bytes of a shard with metrics added, in place of those of the same name."""
    with open_in_memory(data) as file:
        _write_metrics(file["metrics"], metrics)
        return _sealed_image(file)


def open_in_memory(data: bytes) -> h5py.File:
    """Open the bytes of a shard as an HDF5 file in memory; changes to it do not reach any disk."""
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_fapl_core(1 << 16, False)
    access.set_file_image(memoryview(data)[SEAL_SIZE:])
    return h5py.File(h5py.h5f.open(b"shard", h5py.h5f.ACC_RDWR, access))


def _write_metrics(group: h5py.Group, metrics: Sequence[MetricValues]) -> None:
    """Write each metric as a dataset with its description as attributes; an absent metric's dataset is empty."""
    for metric in metrics:
        info = metric.info
        if info.name in group:
            del group[info.name]
        if metric.values is None:
            dataset = group.create_dataset(info.name, shape=(0,), dtype="float64", dcpl=_compact_attributes())
            dataset.attrs["absent"] = metric.absent
        else:
            dataset = group.create_dataset(info.name, data=metric.values, dcpl=_compact_attributes())
        mark(dataset, "metric")
        dataset.attrs["version"] = info.version
        dataset.attrs["direction"] = info.direction
        dataset.attrs["paired"] = int(info.paired)
        dataset.attrs["label"] = info.label
        optional = {"low": info.low, "high": info.high, "weights": info.weights}
        for name, value in optional.items():
            if value is not None:
                dataset.attrs[name] = value


def _compact_attributes() -> Any:
    """Properties that keep attributes in the object's header: HDF5's default moves more than eight into a heap, which
    takes kilobytes for each metric."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_attr_phase_change(32, 16)
    return properties


def _write_trajectory(
    file: h5py.File, name: str, values: Num[np.ndarray, "S B C H W"] | None, steps: tuple[int, ...]
) -> None:
    if values is None:
        return
    group = file.create_group(name)
    mark(group, "trajectory")
    # One step of one sample is a chunk: film strips read a sample across steps, resumed runs a step across samples.
    write_array(group, "values", values, "latents", (1, 1, *values.shape[2:]))
    if values.dtype == "uint16":
        group["values"].attrs["bits-of"] = "bfloat16"
    group.create_dataset("steps", data=list(steps), dtype="int64")
    mark(group["steps"], "array")


def _provenance_json(payload: UnitPayload) -> str:
    try:
        return canonical_json(dict(payload.provenance))
    except (TypeError, ValueError) as error:
        raise StoreError(f"provenance: cannot be written as JSON: {error}") from error


def _sealed_image(file: h5py.File) -> bytes:
    file.flush()
    return sealed(file.id.get_file_image())
