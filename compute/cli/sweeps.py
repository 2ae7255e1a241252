"""The commands that run sweeps: `sweep`, `status`, `measure`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from compute.cli.options import AsJson, ClipFolder, LpipsTrunk, StoreFolder
from store.errors import SkipscopeError

commands = typer.Typer()


@commands.command()
def sweep(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.yaml", help="What to sweep; see docs/configuration.md.")],
    store: Annotated[Path, typer.Option(help="The sweep's folder: created, resumed or extended.")],
    address: Annotated[str, typer.Option(help="local, serial, auto, or a Ray cluster's HOST:PORT.")] = "local",
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes, instead of the config's.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what it would cost, and write nothing.")] = False,
    replan: Annotated[
        bool, typer.Option("--replan", help="Plan only what CONFIG names; the rest may be pruned.")
    ] = False,
    lpips_trunk: LpipsTrunk = None,
    clip: ClipFolder = None,
) -> None:
    """Sweep ablations over a model: start, resume or extend."""
    if dry_run:
        _print_cost(config)
        return
    from compute.sweep.launch import sweep as run

    result = run(config, store, address=address, workers=workers, replan=replan, lpips_trunk=lpips_trunk, clip=clip)
    print(f"{store}: {result.executed} units executed, {result.resumed} already done, {result.failed} failed")
    if result.failed:
        raise SkipscopeError(f"{result.failed} units failed; python -m compute status {store} lists the reasons")


def _print_cost(path: Path) -> None:
    from compute.config.loading import load_config
    from compute.sweep.cost import cost_of
    from compute.sweep.prepare import prepare

    prepared = prepare(load_config(path), path.absolute().parent)
    cost = cost_of(prepared)
    hours = cost.seconds / 3600
    time = f"{hours:.1f} h" if hours >= 1 else f"{cost.seconds / 60:.1f} min"
    print(f"units: {cost.units} ({len(prepared.plan.impossible)} ablations left out as impossible)")
    print(
        f"UNet evaluations: {cost.evaluations} of one condition each "
        f"({cost.evaluations / cost.evaluations_from_step_0:.0%} of a sweep that starts every run at step 0)"
    )
    print(f"time: {time} with one worker on this machine, from a forward pass timed just now")
    print(f"disk: at most {cost.bytes / 1e6:.0f} MB, before compression")


@commands.command()
def status(store: StoreFolder, json_: AsJson = False) -> None:
    """How far a sweep is: units done, failed and left, rate, time left, evaluations saved."""
    from compute.cli.status_text import status_document, status_text
    from store.care.status import evaluation_counts, sweep_status
    from store.sweep_reader import SweepReader

    reader = SweepReader(store)
    state, evaluations = sweep_status(reader.store), evaluation_counts(reader.table())
    print(json.dumps(status_document(state, evaluations), indent=1) if json_ else status_text(state, evaluations))


@commands.command()
def measure(
    store: StoreFolder,
    metrics: Annotated[str, typer.Option(help="Names, separated by commas.")],
    lpips_trunk: LpipsTrunk = None,
    clip: ClipFolder = None,
) -> None:
    """Add metrics to a finished sweep from its stored pictures, without running the model."""
    from compute.metrics.metric_weights import MetricWeights
    from compute.sweep.measure import measure as add_metrics
    from store.sweep_store import SweepStore

    names = list(dict.fromkeys(name.strip() for name in metrics.split(",") if name.strip()))
    if not names:
        raise SkipscopeError("--metrics: names no metric; write for instance ssim,haarpsi")
    units, absent = add_metrics(
        SweepStore.open(store), names, weights=MetricWeights(lpips_trunk=lpips_trunk, clip=clip)
    )
    for name, reason in absent.items():
        print(f"{name}: absent: {reason}")
    print(f"{store}: {len(names) - len(absent)} metrics measured on {units} units")
