"""Runs a sweep from a configuration to its end, with progress on standard error."""

from __future__ import annotations

import os
from pathlib import Path

from compute.config.loading import load_config
from compute.config.schema import SweepConfig
from compute.metrics.metric_weights import MetricWeights
from compute.models.long_prompts import long_prompts
from compute.progress import Bar, bar
from compute.sweep.executors.address import check_address, executor_at
from compute.sweep.executors.executor import Executor, Failed, Outcome, Slow
from compute.sweep.executors.resources import Resources
from compute.sweep.open_store import open_or_create
from compute.sweep.plan.plan import Plan
from compute.sweep.prepare import Prepared, prepare
from compute.sweep.run import SweepResult, run_sweep
from compute.sweep.worker.worker_spec import WorkerSpec
from store.records import Unit

_MAX_LISTED = 3  # ablations left out of the plan that are listed one by one


def sweep(
    config: SweepConfig | str | os.PathLike[str],
    store: str | os.PathLike[str],
    *,
    address: str = "local",
    workers: int | None = None,
    replan: bool = False,
    lpips_trunk: str | os.PathLike[str] | None = None,
    clip: str | os.PathLike[str] | None = None,
) -> SweepResult:
    """Run a sweep into the folder `store`: start it, resume it, or extend it by what the configuration adds.

    `config` is a YAML file's path or a configuration. A prompt file that it names is relative to the YAML file's
    folder; without a YAML file, to the working folder. `address` is `serial` (this process), `local` (a Ray of its own
    on this machine), `auto` or a Ray cluster's HOST:PORT; `workers` replaces the configuration's number of worker
    processes. With `replan` the store plans only what `config` names. `lpips_trunk` is the file with the weights of
    LPIPS's trunk, `clip` the folder of a transformers CLIPModel for the CLIP score; without them these metrics are
    absent.

    Units that fail are counted in the result, not raised. Raises SkipscopeError, before anything is written, for a
    configuration, address or store that cannot be used; and where the sweep has to stop.
    """
    folder = Path()
    if not isinstance(config, SweepConfig):
        folder = Path(config).absolute().parent
        config = load_config(Path(config))
    check_address(address)
    resources = Resources.of(config, address, workers)
    weights = MetricWeights(lpips_trunk=_absolute(lpips_trunk), clip=_absolute(clip))
    prepared = prepare(config, folder, weights)
    opened = open_or_create(Path(store), prepared, replan=replan)

    def start_executor() -> Executor:
        spec = WorkerSpec.of(
            prepared.config,
            prepared.source,
            opened,
            threads=resources.threads,
            call=prepared.call,
            device=resources.device,
            weights=weights,
        )
        return executor_at(address, spec, resources, prepared)

    counts = opened.status_counts()
    with bar("sweep", counts.planned, done=counts.done) as progress:
        for line in [*_cut_prompts(prepared), *_left_out(prepared.plan)]:
            progress.print(line)
        return run_sweep(opened, start_executor, _ProgressWatcher(progress))


def _cut_prompts(prepared: Prepared) -> list[str]:
    """Return a line that says which prompts are too long for the text encoder, if any are."""
    prompts = [condition.prompt for unit in prepared.plan.units for condition in unit.conditions]
    long = long_prompts(prepared.model.pipe.components, prompts)
    return [] if long is None else [str(long)]


def _absolute(path: str | os.PathLike[str] | None) -> Path | None:
    """Return a path that workers find, too: they may run in another folder."""
    return None if path is None else Path(path).absolute()


def _left_out(plan: Plan) -> list[str]:
    """Return a line for each of the first ablations that are not in the plan, and one that counts the others."""
    lines = [f"left out: {ablation}: {reason}" for ablation, reason in plan.impossible.items()]
    more = len(lines) - _MAX_LISTED
    return lines if more <= 0 else [*lines[:_MAX_LISTED], f"left out: {more} more ablations of that kind"]


class _ProgressWatcher:
    """Shows a sweep's outcomes on a progress bar."""

    def __init__(self, bar: Bar) -> None:
        self._bar, self._failed = bar, 0

    def ended(self, outcome: Outcome) -> None:
        if isinstance(outcome, Failed):
            self._failed += 1
            self._bar.print(f"failed: {outcome.unit.intervention or 'baseline'}: {outcome.reason}")
        self._bar.advance(f"{self._failed} failed" if self._failed else "")

    def slow(self, slow: Slow) -> None:
        self._bar.print(
            f"slow: {slow.unit.intervention or 'baseline'}: not ended after {slow.seconds:.0f} s; its worker is "
            f"replaced at {slow.limit:.0f} s (max_unit_seconds)"
        )

    def discarded(self, unit: Unit, reason: str) -> None:
        self._bar.print(f"damaged, computed again: {unit.intervention or 'baseline'}: {reason}")
        self._bar.retreat()
