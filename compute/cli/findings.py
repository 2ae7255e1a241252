"""The commands that print what a sweep shows: `summary`, `phases`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from compute.cli.options import AsJson, StoreFolder

commands = typer.Typer()


@commands.command()
def summary(
    store: StoreFolder,
    sheet: Annotated[Path | None, typer.Option(help="Write a sample sheet (PNG) here.")] = None,
    metric: Annotated[str, typer.Option(help="The metric that damage is computed from.")] = "mse",
    json_: AsJson = False,
) -> None:
    """The components that matter most and least, by window, and a sample sheet."""
    from compute.analysis.coverage import ablation_coverage
    from compute.analysis.impact.ablation_impact import impact_of
    from compute.analysis.report.findings import too_early
    from compute.analysis.report.terminal import describe_impact
    from store.sweep_store import SweepStore

    opened = SweepStore.open(store)
    impact = impact_of(opened, metric)
    if sheet is not None:
        from compute.analysis.report.sample_sheet import write_sheet

        write_sheet(opened, impact, sheet)
    early = too_early(ablation_coverage(opened.header.plan, opened.present()))
    if early and not json_:
        print(f"Too early for findings. {early} What is done so far:\n")
    print(json.dumps(impact.as_json(), indent=1) if json_ else describe_impact(impact))
    if sheet is not None and not json_:
        print(f"\nsample sheet: {sheet}")


@commands.command()
def phases(store: StoreFolder, json_: AsJson = False) -> None:
    """The two phases of generation: composition first, denoising after, with the evidence for their boundary."""
    from compute.analysis.phases.phase_evidence import phases_of
    from compute.analysis.report.terminal import describe_phases
    from store.sweep_reader import SweepReader

    evidence = phases_of(SweepReader(store))
    print(json.dumps(evidence.as_json(), indent=1) if json_ else describe_phases(evidence))
