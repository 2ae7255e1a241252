"""The worker: executes one unit after another on one device and writes their shards."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from compute.config.schema import Kept
from compute.metrics.distance import trajectory_distances
from compute.metrics.registry import MetricSet
from compute.metrics.semantic import of_other_prompt
from compute.models.model import load_model
from compute.models.model_metrics import metrics_for
from compute.models.source import ModelSource
from compute.pipeline.sampling import TextEncoding
from compute.policy.liveness import ResolvedSchedule, resolve
from compute.provenance import provenance
from compute.sweep.plan import first_step, schedule_of, unet_evaluations
from compute.unet import executing
from store.errors import SkipscopeError
from store.index.receipt import ShardReceipt
from store.metric import MetricValues
from store.records import Condition, PromptSwitch, Reseed, Unit
from store.sampler import SamplerSettings
from store.shard.payload import UnitPayload
from store.sweep_store import SweepStore

_BASELINES_KEPT = 4
_ENCODINGS_KEPT = 8


class WorkerRefused(SkipscopeError):
    """A worker that cannot work for this sweep: another folder, other weights, no device."""


@dataclass(frozen=True, kw_only=True)
class WorkerSpec:
    """All that a worker needs to know; plain data, so that it travels."""

    store: Path
    token: str
    source: ModelSource
    sampler: SamplerSettings
    dtype: str
    metrics: tuple[str, ...]
    keep: Kept
    threads: int | None = None
    device: str = "cpu"
    lpips_trunk: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Trajectory:
    """A run's states as they came: `x_t` of states start … N, `pred_x0` of steps start … N-1, all float32."""

    start: int
    x_t: npt.NDArray[np.float32]  # (N - start + 1, B, C, H, W)
    pred_x0: npt.NDArray[np.float32]  # (N - start, B, C, H, W)


class Worker:
    """A loaded model with what executing units needs. Raises WorkerRefused when it is made in the wrong place."""

    def __init__(self, spec: WorkerSpec) -> None:
        self.spec = spec
        self.store = SweepStore.open(spec.store)
        if not self.store.sees_token(spec.token):
            raise WorkerRefused(
                f"{spec.store}: a worker on {provenance().get('host')} sees another folder of this name than the "
                "driver; put the store on a file system that driver and workers share"
            )
        if spec.threads:
            torch.set_num_threads(spec.threads)
        self.device = torch.device(spec.device)
        self.model = load_model(spec.source, device=self.device, dtype=getattr(torch, spec.dtype))
        self.scheduler = self.model.scheduler(spec.sampler)
        self._metrics = metrics_for(spec.source, spec.metrics, spec.lpips_trunk, spec.device)
        self._provenance = {
            **provenance(),
            "device": str(self.device),
            "dtype": spec.dtype,
            "weights": spec.source.digest,
        }
        self._baselines: OrderedDict[str, Trajectory] = OrderedDict()
        self._encodings: OrderedDict[tuple[str, ...], TextEncoding] = OrderedDict()

    def run(self, unit: Unit) -> ShardReceipt:
        """Execute a unit and write its shard. Raises what went wrong; then nothing of the unit is visible."""
        return self.store.write(unit, self.compute(unit))

    def compute(self, unit: Unit) -> UnitPayload:
        """Execute a unit without writing it."""
        began = time.perf_counter()
        steps = self.spec.sampler.steps
        resolved = resolve(self.model.graph, schedule_of(unit.intervention, steps))
        start = first_step(unit.intervention, resolved)
        baseline = None if unit.baseline is None else self._baseline(unit.baseline)
        own = self._run(_conditions_run(unit), resolved, start, baseline)
        if baseline is None:
            distances: Mapping[Any, Any] = {}
        else:
            distances = trajectory_distances(
                own.x_t[1:], own.pred_x0, baseline.x_t[start + 1 :], baseline.pred_x0[start:]
            )
        keep = Kept(x_t="all", pred_x0="all", precision="float32") if unit.role == "baseline" else self.spec.keep
        dtype = "float32" if keep.precision == "float32" else "float16"
        final = self._decoded(own.x_t[-1])
        against = None if baseline is None else self._decoded(baseline.x_t[-1])
        kept_final, pictures = final, own.pred_x0
        if keep.precision == "8-bit":
            kept_final, pictures = eight_bit(final).astype(dtype), eight_bit(own.pred_x0)
        x_t, x_t_steps = _kept(own.x_t, keep.x_t, start, dtype)
        pred_x0, pred_x0_steps = _kept(pictures, keep.pred_x0, start, dtype)
        return UnitPayload(
            steps=steps,
            start=start,
            final=kept_final,
            x_t=x_t,
            x_t_steps=x_t_steps,
            pred_x0=pred_x0,
            pred_x0_steps=pred_x0_steps,
            distances=distances,
            metrics=measured(self._metrics, final, against, unit, self.device),
            seconds=time.perf_counter() - began,
            unet_evaluations=unet_evaluations(resolved, start),
            provenance=self._provenance,
        )

    def _run(
        self,
        conditions: Sequence[Condition],
        resolved: ResolvedSchedule,
        start: int,
        baseline: Trajectory | None,
        rows: slice = slice(None),
    ) -> Trajectory:
        """Return the trajectory of conditions; where memory does not suffice, of each half after the other."""
        try:
            return self._trajectory(conditions[rows], resolved, start, baseline, rows)
        except torch.OutOfMemoryError:
            first, last, _ = rows.indices(len(conditions))
            if last - first == 1:
                raise
            middle = (first + last) // 2
        torch.cuda.empty_cache()
        halves = [
            self._run(conditions, resolved, start, baseline, part)
            for part in (slice(first, middle), slice(middle, last))
        ]
        return Trajectory(
            start=start,
            x_t=np.concatenate([half.x_t for half in halves], axis=1),
            pred_x0=np.concatenate([half.pred_x0 for half in halves], axis=1),
        )

    def _trajectory(
        self,
        conditions: Sequence[Condition],
        resolved: ResolvedSchedule,
        start: int,
        baseline: Trajectory | None,
        rows: slice,
    ) -> Trajectory:
        if start and baseline is not None:
            x_t = torch.from_numpy(baseline.x_t[start, rows]).to(self.device)
        else:
            x_t = self.model.noise([condition.seed for condition in conditions])
        text = self._encoded(tuple(condition.prompt for condition in conditions))
        states, predictions = [x_t], []
        with executing(self.model.unet, resolved) as execution:
            for step in self.model.steps(conditions, self.scheduler, text, x_t, start=start, execution=execution):
                states.append(step.x_next)
                predictions.append(step.pred_x0)
        return Trajectory(start=start, x_t=_numpy(states), pred_x0=_numpy(predictions))

    def _encoded(self, prompts: tuple[str, ...]) -> TextEncoding:
        """Return the encoding of a batch of prompts; the last few stay in memory, since units share their batches."""
        if prompts not in self._encodings:
            self._encodings[prompts] = self.model.encode(prompts)
        self._encodings.move_to_end(prompts)
        while len(self._encodings) > _ENCODINGS_KEPT:
            self._encodings.popitem(last=False)
        return self._encodings[prompts]

    def _decoded(self, x_t: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        pictures: npt.NDArray[np.float32] = self.model.decode(torch.from_numpy(x_t).to(self.device)).cpu().numpy()
        return pictures

    def _baseline(self, key: str) -> Trajectory:
        """The stored trajectory of a baseline; the last few stay in memory."""
        if key not in self._baselines:
            with self.store.read(key, check=True) as reader:
                payload = reader.payload()
            assert payload.x_t is not None and payload.pred_x0 is not None
            self._baselines[key] = Trajectory(start=0, x_t=payload.x_t, pred_x0=payload.pred_x0)
        self._baselines.move_to_end(key)
        while len(self._baselines) > _BASELINES_KEPT:
            self._baselines.popitem(last=False)
        return self._baselines[key]


def measured(
    wanted: MetricSet,
    final: npt.NDArray[np.float32],
    baseline: npt.NDArray[np.float32] | None,
    unit: Unit,
    device: torch.device | str = "cpu",
) -> tuple[MetricValues, ...]:
    """Every metric of a unit's final pictures; of a baseline only those that need no other picture.

    After a prompt switch those that read the prompt are measured against both.
    """
    pictures = torch.from_numpy(np.ascontiguousarray(final, dtype=np.float32)).to(device)
    against = pictures if baseline is None else torch.from_numpy(np.ascontiguousarray(baseline, np.float32)).to(device)
    numbers = wanted.compute(pictures, against, [condition.prompt for condition in unit.conditions])
    of_other = {}
    if isinstance(unit.intervention, PromptSwitch):
        of_other = wanted.compute(pictures, against, unit.intervention.prompts)
    values = []
    for name, metric in wanted.descriptors.items():
        if metric.info.paired and baseline is None:
            continue
        if name in wanted.absent:
            values.append(MetricValues(info=metric.info, absent=wanted.absent[name]))
        else:
            values.append(MetricValues(info=metric.info, values=numbers[name]))
            if of_other and not metric.info.paired:
                values.append(MetricValues(info=of_other_prompt(metric.info), values=of_other[name]))
    return tuple(values)


def _conditions_run(unit: Unit) -> list[Condition]:
    """Return what a unit really samples: its conditions with the other seed or the other prompt of its intervention."""
    what = unit.intervention
    if isinstance(what, Reseed):
        return [condition.reseeded(what.offset) for condition in unit.conditions]
    if isinstance(what, PromptSwitch):
        pairs = zip(unit.conditions, what.prompts, strict=True)
        return [condition.model_copy(update={"prompt": prompt}) for condition, prompt in pairs]
    return list(unit.conditions)


def _numpy(states: list[Tensor]) -> npt.NDArray[np.float32]:
    stacked: npt.NDArray[np.float32] = torch.stack(states).float().cpu().numpy()
    return stacked


def eight_bit(pictures: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Pictures in [-1, 1] on 257 evenly spaced levels, which float16 holds exactly and which compress well."""
    rounded: npt.NDArray[np.float32] = (pictures * 128).round() / np.float32(128)
    return rounded


def _kept(
    states: npt.NDArray[np.float32], which: str | int, start: int, precision: str
) -> tuple[npt.NDArray[Any] | None, tuple[int, ...]]:
    if which == "final":
        return None, ()
    every = 1 if which == "all" else int(which)
    steps = [step for step in range(start, start + len(states)) if step % every == 0]
    if not steps:
        return None, ()
    return states[[step - start for step in steps]].astype(precision), tuple(steps)
