"""Starting, extending, describing and measuring a sweep: what the command line and other programs call."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from compute.config.schema import SweepConfig
from compute.models.model import Model, load_model
from compute.models.model_metrics import metrics_for
from compute.models.source import ModelSource
from compute.policy.graph_document import has_graph, write_graph
from compute.policy.liveness import resolve
from compute.progress import Bar
from compute.progress import bar as progress_bar
from compute.provenance import provenance
from compute.sweep.executors.address import check_address
from compute.sweep.executors.executor import Executor, Failed, Outcome, SerialExecutor, SweepStopped
from compute.sweep.plan import Plan, first_step, make_plan, schedule_of, settings_of, unet_evaluations
from compute.sweep.run import SweepResult, run_sweep
from compute.sweep.worker import WorkerSpec, eight_bit, measured
from store.errors import NotASweep
from store.folder.header import SweepHeader
from store.folder.layout import HEADER
from store.metric import MetricValues
from store.records import Unit
from store.shard.reader import UnitReader
from store.sweep_store import SweepStore


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A sweep that could start: its configuration, model and plan."""

    config: SweepConfig
    source: ModelSource
    model: Model
    plan: Plan


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a plan costs. Evaluations are forward passes of the UNet for one condition (with guidance, two rows)."""

    units: int
    evaluations: int
    naive_evaluations: int
    """Of a sweep that starts every run at step 0."""
    bytes: int
    """Upper bound: before compression."""
    seconds: float
    """On this machine, one worker, from a forward pass timed now."""


def check_place(config: SweepConfig, address: str) -> None:
    """Raise SweepStopped where units could not be executed there; quick, and before anything is loaded or written."""
    check_address(address)
    if config.gpus_per_worker > 0 and address in ("local", "serial") and not torch.cuda.is_available():
        raise SweepStopped(
            f"gpus_per_worker: {config.gpus_per_worker:g} is asked for and this machine shows no GPU; 0 takes the CPU"
        )


def prepare(config: SweepConfig, folder: Path) -> Prepared:
    """Everything that can be wrong with a configuration shows here, before anything is written."""
    source = ModelSource.find(config.model)
    model = load_model(source)
    scheduler = model.scheduler(config.sampler)
    settings = settings_of(config, source.digest, dict(scheduler.config))
    metrics_for(source, config.metrics, None, "cpu")
    return Prepared(config=config, source=source, model=model, plan=make_plan(config, settings, model.graph, folder))


def open_or_create(path: Path, prepared: Prepared, *, replan: bool = False) -> SweepStore:
    """The sweep's store, made or extended so that it plans this plan's units, too; with `replan`, only these.

    Raises what the store raises, and NotASweep for a store whose numbers would not compare.
    """
    plan = prepared.plan
    header = SweepHeader(
        config=prepared.config.model_dump(mode="json"),
        settings=dict(plan.settings),
        plan=plan.units,
        provenance={**provenance(), "model": prepared.source.name},
    )
    try:
        there = (path / HEADER).exists()
    except OSError as error:
        raise NotASweep(f"{path}: a sweep cannot be made here: {error.strerror}") from None
    store = SweepStore.open(path) if there else SweepStore.create(path, header)
    if store.header.settings != header.settings:
        changed = [key for key in header.settings if store.header.settings.get(key) != header.settings[key]]
        raise NotASweep(
            f"{path}: holds a sweep with another {', '.join(changed)}; numbers would not compare: use another --store"
        )
    units = plan.units if replan else tuple({**store.header.units, **{unit.key: unit for unit in plan.units}}.values())
    if units != store.header.plan:
        with store.drive("extend", maintenance=True):
            store.extend(header.model_copy(update={"plan": units}))
    if not has_graph(store.root):
        write_graph(store.root, prepared.model.graph)
    return store


def run(
    prepared: Prepared,
    store: SweepStore,
    bar: Bar,
    *,
    address: str,
    workers: int | None,
    lpips_trunk: Path | None = None,
) -> SweepResult:
    """Execute what the store lacks; `address` is serial, local, auto or a Ray cluster's."""
    config = prepared.config
    count = workers or config.workers or default_workers(config)
    cores = os.cpu_count() or 1
    threads = config.threads_per_worker or max(1, cores if address == "serial" else cores // count)
    cuda = config.gpus_per_worker > 0 or (address == "serial" and torch.cuda.is_available())

    def spec() -> WorkerSpec:
        return WorkerSpec(
            store=store.root,
            token=store.new_token(),
            source=prepared.source,
            sampler=config.sampler,
            dtype=config.dtype,
            metrics=config.metrics,
            keep=config.keep,
            threads=threads,
            device="cuda" if cuda else "cpu",
            lpips_trunk=lpips_trunk,
        )

    def executor() -> Executor:
        if address == "serial":
            return SerialExecutor(spec(), retries=config.retries)
        from compute.sweep.executors.ray_executor import RayExecutor

        return RayExecutor(
            spec(), address=address, workers=count, threads=threads, gpus=config.gpus_per_worker, retries=config.retries
        )

    return run_sweep(store, executor, _BarWatcher(bar))


def default_workers(config: SweepConfig) -> int:
    """As many as the GPUs carry; on the CPU one for each two cores."""
    if config.gpus_per_worker > 0 and torch.cuda.is_available():
        return max(1, int(torch.cuda.device_count() / config.gpus_per_worker))
    return max(1, (os.cpu_count() or 1) // (config.threads_per_worker or 2))


def cost(prepared: Prepared) -> Cost:
    """Units, UNet evaluations, disk and time of a plan."""
    steps, graph = prepared.config.sampler.steps, prepared.model.graph
    channels, height, width = prepared.model.state_shape
    picture = channels * height * width
    evaluations = naive = size = 0
    for unit in prepared.plan.units:
        resolved = resolve(graph, schedule_of(unit.intervention, steps))
        start = first_step(unit.intervention, resolved)
        evaluations += unet_evaluations(resolved, start) * len(unit.conditions)
        naive += unet_evaluations(resolved, 0) * len(unit.conditions)
        size += _kept_bytes(prepared.config, unit, steps - start, picture)
    return Cost(
        units=len(prepared.plan.units),
        evaluations=evaluations,
        naive_evaluations=naive,
        bytes=size,
        seconds=evaluations * seconds_per_evaluation(prepared),
    )


def _kept_bytes(config: SweepConfig, unit: Unit, states: int, picture: int) -> int:
    pictures = len(unit.conditions) * picture
    if unit.role == "baseline":
        return (2 * states + 2) * 4 * pictures
    width = 4 if config.keep.precision == "float32" else 2  # 8-bit pictures are stored as float16, too
    every = [which for which in (config.keep.x_t, config.keep.pred_x0) if which != "final"]
    kept = sum(states if which == "all" else -(-states // int(which)) for which in every)
    return (kept * width + 4) * pictures


@torch.inference_mode()
def seconds_per_evaluation(prepared: Prepared, repeats: int = 3) -> float:
    """Seconds of a forward pass for one condition at the config's batch, timed here and now: the median."""
    batch = prepared.config.conditions_per_unit
    x_t = prepared.model.noise(range(2 * batch))
    text = prepared.model.encode([""] * batch)
    took = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        prepared.model.call_unet(x_t, 500, text)
        took.append(time.perf_counter() - began)
    return sorted(took[1:])[repeats // 2] / batch


def measure(store: SweepStore, names: Sequence[str], *, lpips_trunk: Path | None = None) -> tuple[int, dict[str, str]]:
    """Add metrics to every finished unit from its stored pictures, without running the model.

    Returns the number of units, and of each metric that cannot be had here the reason.
    """
    source = ModelSource.find(str(store.header.config.get("model", "")))
    wanted = metrics_for(source, names, lpips_trunk, "cpu")
    present = store.present()
    units = [unit for unit in store.header.plan if unit.key in present]

    @lru_cache(maxsize=4)
    def baseline_final(key: str) -> npt.NDArray[np.float32]:
        with store.read(key, check=True) as reader:
            final: npt.NDArray[np.float32] = reader.final
        return final

    def metrics_of(reader: UnitReader) -> tuple[MetricValues, ...]:
        final, baseline = reader.final, None if reader.unit.baseline is None else baseline_final(reader.unit.baseline)
        if baseline is not None and final.dtype == np.float16:
            baseline = eight_bit(baseline)  # as the unit's own pictures are kept, or doing nothing would do damage
        return measured(wanted, final, baseline, reader.unit)

    with store.drive("measure", maintenance=True), progress_bar("measure", len(units)) as bar:
        for unit in units:
            store.record(store.add_metrics(unit.key, metrics_of))
            bar.advance()
    return len(units), dict(wanted.absent)


class _BarWatcher:
    """Shows a sweep's outcomes on a bar."""

    def __init__(self, bar: Bar) -> None:
        self._bar, self._failed = bar, 0

    def ended(self, outcome: Outcome) -> None:
        if isinstance(outcome, Failed):
            self._failed += 1
            self._bar.tell(f"failed: {outcome.unit.intervention or 'baseline'}: {outcome.reason}")
        self._bar.advance(f"{self._failed} failed" if self._failed else "")

    def discarded(self, unit: Unit, reason: str) -> None:
        self._bar.tell(f"damaged, computed again: {unit.intervention or 'baseline'}: {reason}")
        self._bar.retreat()
