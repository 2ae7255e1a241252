"""The throughput of a sweep as a share of that of raw forward passes.

    python -m benchmarks.sweep_throughput [--model NAME|DIR] [--rounds N] [--threads N] [--json]

Each round times raw batched forward passes, then units on each executor at the same batch and threads, with metrics,
distances and writing. The units zero one skip connection, which costs a full forward pass. Ratios are taken within a
round, because the speed of a shared machine drifts.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from itertools import combinations
from pathlib import Path
from typing import Any

import torch

from compute.config.schema import SweepConfig
from compute.provenance import provenance
from compute.sweep.executors.executor import Done, Executor
from compute.sweep.executors.ray_executor import RayExecutor
from compute.sweep.executors.resources import Resources
from compute.sweep.executors.serial import SerialExecutor
from compute.sweep.executors.unit_clock import UnitClock
from compute.sweep.open_store import open_or_create
from compute.sweep.prepare import Prepared, prepare
from compute.sweep.worker.worker_spec import WorkerSpec
from store.records import Unit
from store.sweep_store import SweepStore

_METRICS = ("mse", "rel_l2", "psnr", "ssim", "haarpsi", "fidelity_all")
_STEPS = 25


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="glide-mini")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--batch", type=int, default=6)
    parser.add_argument("--units", type=int, default=4, help="units of each executor in a round")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of the worker and of the raw pass")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    report = measure(
        options.model, rounds=options.rounds, batch=options.batch, units=options.units, threads=options.threads
    )
    print(json.dumps(report, indent=1) if options.json else describe(report))


def measure(model: str, *, rounds: int, batch: int, units: int, threads: int) -> dict[str, Any]:
    """Return the report as plain data."""
    torch.set_num_threads(threads)
    prepared = prepare(_config(model, batch, count=rounds * units), Path())
    work = [unit for unit in prepared.plan.units if unit.role == "ablation"]
    halves = {"serial": work[::2], "ray": work[1::2]}
    with tempfile.TemporaryDirectory() as folder:
        store = open_or_create(Path(folder) / "store", prepared)
        spec = WorkerSpec.of(prepared.config, prepared.source, store, threads=threads)
        serial = SerialExecutor(spec, retries=0, model=prepared.model, runs=prepared.plan.runs)
        _execute(store, serial, [unit for unit in prepared.plan.units if unit.role != "ablation"])
        resources = Resources(workers=1, threads=threads)
        ray = RayExecutor(spec, resources, address="local", retries=0, clock=UnitClock(None))
        with closing(ray):
            seconds = _rounds(prepared, store, {"serial": serial, "ray": ray}, halves, rounds, units)
    shares = {
        name: [raw / own for raw, own in zip(seconds["raw"], seconds[name], strict=True)] for name in ("serial", "ray")
    }
    return {
        "benchmark": "sweep throughput",
        "model": model,
        "batch": batch,
        "threads": threads,
        "dtype": "float32",
        "metrics": list(_METRICS),
        "rounds": rounds,
        "raw_milliseconds_per_evaluation": _spread([value * 1000 for value in seconds["raw"]]),
        "share_of_raw": {name: _spread(values) for name, values in shares.items()},
        "provenance": provenance(),
    }


def describe(report: dict[str, Any]) -> str:
    """Return the report as text."""
    raw = report["raw_milliseconds_per_evaluation"]
    lines = [
        f"{report['model']}, {report['batch']} conditions a unit, {report['threads']} threads, {report['dtype']}, "
        f"{report['rounds']} rounds, torch {report['provenance']['torch']}",
        f"raw forward pass: {raw['median']:.1f} ms an evaluation ({raw['min']:.1f} to {raw['max']:.1f})",
    ]
    for name, share in report["share_of_raw"].items():
        lines.append(f"{name}: {share['median']:.1%} of raw throughput ({share['min']:.1%} to {share['max']:.1%})")
    return "\n".join(lines)


def _config(model: str, batch: int, *, count: int) -> SweepConfig:
    """Return a sweep of 2 * `count` units, each about half a run long at the cost of full compute."""
    spans = sorted(combinations(range(_STEPS + 1), 2), key=lambda span: (abs(span[0] - _STEPS // 2), span))
    windows = [{"start": a, "stop": b} for a, b in spans[: 2 * count]]
    return SweepConfig.model_validate(
        {
            "model": model,
            "sampler": {"name": "ddpm", "steps": _STEPS},
            "prompts": {"split": "train", "count": batch, "seed": 7},
            "conditions_per_unit": batch,
            "components": ["skip:conv_in"],
            "windows": windows,
            "actions": ["zero"],
            "metrics": list(_METRICS),
        }
    )


def _rounds(
    prepared: Prepared,
    store: SweepStore,
    executors: dict[str, Executor],
    work: dict[str, list[Unit]],
    rounds: int,
    units: int,
) -> dict[str, list[float]]:
    """Return the seconds of an evaluation in each round, of the raw pass and each executor, without the first round."""
    seconds: dict[str, list[float]] = {"raw": [], **{name: [] for name in executors}}
    for number in range(rounds):
        before = _raw(prepared)
        for name, executor in executors.items():
            share = work[name][number * units : (number + 1) * units]
            began = time.perf_counter()
            evaluations = _execute(store, executor, share)
            seconds[name].append((time.perf_counter() - began) / evaluations)
        seconds["raw"].append((before + _raw(prepared)) / 2)
    return {name: values[1:] for name, values in seconds.items()}


def _execute(store: SweepStore, executor: Executor, units: Sequence[Unit]) -> int:
    """Execute and record units as a sweep does. Return the number of UNet evaluations, counted by condition."""
    evaluations = 0
    for outcome in executor.execute(units):
        assert isinstance(outcome, Done), outcome
        store.record(outcome.receipt)
        evaluations += outcome.receipt.catalogue.unet_evaluations * len(outcome.unit.conditions)
    return evaluations


@torch.inference_mode()
def _raw(prepared: Prepared, repeats: int = 20) -> float:
    """Return the seconds of an evaluation, from forward passes alone."""
    config, began = prepared.config, time.perf_counter()
    for _ in range(repeats):
        prepared.model.call_unet(config.sampler, config.guidance, config.conditions_per_unit)
    return (time.perf_counter() - began) / repeats / config.conditions_per_unit


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


if __name__ == "__main__":
    main()
