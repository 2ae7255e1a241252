"""The worker: executes units on one device and writes their shards."""

from __future__ import annotations

import os
import socket
import time
from functools import lru_cache

import torch

from compute.metrics.distance import trajectory_distances
from compute.models.loading import load_model
from compute.models.model import Model
from compute.models.model_metrics import metrics_for
from compute.provenance import provenance
from compute.sweep.plan.runs import Runs
from compute.sweep.worker.stored_states import array_of, stored_states
from compute.sweep.worker.trajectory import Trajectory, TrajectorySampler
from compute.sweep.worker.unit_metrics import unit_metrics
from compute.sweep.worker.worker_spec import WorkerSpec
from store.errors import NotASweep, SkipscopeError
from store.index.receipt import ShardReceipt
from store.records import Condition, PromptSwitch, Reseed, Unit
from store.shard.payload import UnitPayload
from store.sweep_store import SweepStore

_BASELINES_KEPT = 4


class WorkerRefused(SkipscopeError):
    """A worker that sees another folder than the driver."""


class Worker:
    """A loaded model that executes units.

    `model` and `runs` are those of the driver, if the worker runs in its process; the model is loaded again where its
    device or dtype is not that of the specification. Raises WorkerRefused, and ModelNotFound for other weights.
    """

    def __init__(self, spec: WorkerSpec, *, model: Model | None = None, runs: Runs | None = None) -> None:
        self._store = _drivers_store(spec)
        torch.set_num_threads(spec.threads)
        if model is None or not _is_loaded_as(model, spec):
            model = load_model(spec.source, device=spec.device, dtype=getattr(torch, spec.dtype), call=spec.call)
        self._spec = spec
        self._runs = runs or Runs(model.graph, spec.sampler.steps)
        self._sampler = TrajectorySampler(model, spec.sampler)
        self._metrics = metrics_for(spec.source, spec.metrics, spec.weights, spec.device)
        self._provenance = {
            **provenance(),
            "device": str(torch.device(spec.device)),
            "dtype": spec.dtype,
            "weights": spec.source.digest,
        }
        self._baseline = lru_cache(_BASELINES_KEPT)(self._read_baseline)

    def run(self, unit: Unit) -> ShardReceipt:
        """Execute a unit and write its shard. Whatever is raised, no part of the shard is visible then."""
        return self._store.write(unit, self.compute(unit))

    def compute(self, unit: Unit) -> UnitPayload:
        """Execute a unit without writing it."""
        began = time.perf_counter()
        run = self._runs.of(unit.intervention)
        baseline = None if unit.baseline is None else self._baseline(unit.baseline)
        trajectory = self._sampler.sample(_sampled_conditions(unit), run, baseline)
        final, baseline_final, distances = trajectory.pictures, None, {}
        if baseline is not None:
            baseline_final = baseline.pictures
            distances = trajectory_distances(
                trajectory.x_t[1:], trajectory.pred_x0, baseline.x_t[run.start + 1 :], baseline.pred_x0[run.start :]
            )
        stored = stored_states(trajectory, final, unit.role, self._spec.keep)
        return UnitPayload(
            steps=self._spec.sampler.steps,
            start=run.start,
            final=stored.final,
            x_t=stored.x_t,
            x_t_steps=stored.x_t_steps,
            pred_x0=stored.pred_x0,
            pred_x0_steps=stored.pred_x0_steps,
            output=array_of(trajectory.output) if unit.role == "baseline" else None,
            inputs=trajectory.inputs if unit.role == "baseline" else None,
            distances=distances,
            metrics=unit_metrics(self._metrics, final, baseline_final, unit, self._spec.device),
            seconds=time.perf_counter() - began,
            unet_evaluations=run.unet_evaluations,
            provenance=self._provenance,
        )

    def _read_baseline(self, key: str) -> Trajectory:
        with self._store.read(key, check=True) as reader:
            payload = reader.payload()
        assert payload.x_t is not None and payload.pred_x0 is not None, "baselines keep all states"
        assert payload.output is not None, "baselines keep the model's output"
        return Trajectory(
            start=0,
            x_t=payload.x_t,
            pred_x0=payload.pred_x0,
            output=torch.from_numpy(payload.output).to(getattr(torch, self._spec.dtype)),
            pictures=payload.final,
            inputs=payload.inputs,
        )


def this_worker() -> str:
    """Return where this worker runs, in words."""
    return f"a worker on {socket.gethostname()} (process {os.getpid()})"


def _drivers_store(spec: WorkerSpec) -> SweepStore:
    """Return the store that the driver has opened. Raises WorkerRefused where this process sees something else."""
    seen = "another folder of this name than the driver"
    try:
        store = SweepStore.open(spec.store)
        if store.sees_token(spec.token):
            return store
    except NotASweep:
        seen = "no sweep in this folder" if spec.store.exists() else "no such folder"
    real = spec.store.resolve()
    where = "" if real == spec.store else f", which there is {real}"
    raise WorkerRefused(
        f"{spec.store}: {this_worker()} sees {seen}{where}; put the store on a file system that driver and workers "
        "share"
    )


def _is_loaded_as(model: Model, spec: WorkerSpec) -> bool:
    wanted = (spec.source, torch.device(spec.device), getattr(torch, spec.dtype))
    return (model.source, model.device, model.dtype) == wanted


def _sampled_conditions(unit: Unit) -> list[Condition]:
    """Return the unit's conditions with the other seed or the other prompts of its intervention."""
    if isinstance(unit.intervention, Reseed):
        return [condition.reseeded(unit.intervention.offset) for condition in unit.conditions]
    if isinstance(unit.intervention, PromptSwitch):
        pairs = zip(unit.conditions, unit.intervention.prompts, strict=True)
        return [condition.model_copy(update={"prompt": prompt}) for condition, prompt in pairs]
    return list(unit.conditions)
