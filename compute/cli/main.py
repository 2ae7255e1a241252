"""The command line. Commands import what they need when they run, so that `--help` is instant."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from compute.cli import policies
from store.errors import SkipscopeError
from store.exit_status import run_app

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Skipscope: see which parts of a diffusion UNet matter at which step, and stop paying for the rest.",
)
StoreFolder = Annotated[Path, typer.Argument(metavar="DIR", help="The sweep's folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
ModelName = Annotated[str, typer.Option("--model", help="glide-mini, or a pipeline's folder.")]
LpipsTrunk = Annotated[
    Path | None, typer.Option("--lpips-trunk", help="Weights of LPIPS's trunk; without them the metric is absent.")
]


def main() -> None:
    """Run the command line and exit the process."""
    sys.exit(run_app(app))


@app.command()
def sweep(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.yaml", help="What to sweep; see docs/configuration.md.")],
    store: Annotated[Path, typer.Option(help="The sweep's folder: made, resumed or extended.")],
    address: Annotated[str, typer.Option(help="local, serial, auto, or a Ray cluster's HOST:PORT.")] = "local",
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes, instead of the config's.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would cost, and write nothing.")] = False,
    replan: Annotated[
        bool, typer.Option("--replan", help="Plan only what CONFIG names; the rest may be pruned.")
    ] = False,
    lpips_trunk: LpipsTrunk = None,
) -> None:
    """Sweep ablations over a model: start, resume or extend."""
    from compute import progress
    from compute.config.schema import load_config
    from compute.sweep import start

    settings = load_config(config)
    if not dry_run:
        start.check_place(settings, address)
    prepared = start.prepare(settings, config.absolute().parent)
    if dry_run:
        _print_cost(start.cost(prepared), prepared)
        return
    opened = start.open_or_create(store, prepared, replan=replan)
    counts = opened.status_counts()
    with progress.bar("sweep", counts.planned, done=counts.done) as bar:
        for ablation, reason in list(prepared.plan.impossible.items())[:3]:
            bar.tell(f"left out: {ablation}: {reason}")
        if len(prepared.plan.impossible) > 3:
            bar.tell(f"left out: {len(prepared.plan.impossible) - 3} more ablations of that kind")
        result = start.run(prepared, opened, bar, address=address, workers=workers, lpips_trunk=lpips_trunk)
    print(f"{store}: {result.executed} units executed, {result.resumed} were there, {result.failed} failed")
    if result.failed:
        raise SkipscopeError(f"{result.failed} units failed; python -m compute status {store} says why")


def _print_cost(cost: Any, prepared: Any) -> None:
    hours = cost.seconds / 3600
    time = f"{hours:.1f} h" if hours >= 1 else f"{cost.seconds / 60:.1f} min"
    print(f"units: {cost.units} ({len(prepared.plan.impossible)} ablations left out as impossible)")
    print(
        f"UNet evaluations: {cost.evaluations} of one condition each "
        f"({cost.evaluations / cost.naive_evaluations:.0%} of a sweep that starts every run at step 0)"
    )
    print(f"time: {time} with one worker on this machine, from a forward pass timed just now")
    print(f"disk: at most {cost.bytes / 1e6:.0f} MB, before compression")


@app.command()
def status(store: StoreFolder, json_: AsJson = False) -> None:
    """How far a sweep is: units done, failed and left, rate, time left, what it saved."""
    from compute.cli.status_text import status_document, status_text
    from store.care.status import evaluation_counts, sweep_status
    from store.sweep_reader import SweepReader

    reader = SweepReader(store)
    state, evaluations = sweep_status(reader.store), evaluation_counts(reader.table())
    print(json.dumps(status_document(state, evaluations), indent=1) if json_ else status_text(state, evaluations))


@app.command()
def measure(
    store: StoreFolder,
    metrics: Annotated[str, typer.Option(help="Names, separated by commas.")],
    lpips_trunk: LpipsTrunk = None,
) -> None:
    """Add metrics to a finished sweep from its stored pictures, without running the model."""
    from compute.sweep import start
    from store.sweep_store import SweepStore

    names = list(dict.fromkeys(name.strip() for name in metrics.split(",") if name.strip()))
    if not names:
        raise SkipscopeError("--metrics: names no metric; write for instance ssim,haarpsi")
    units, absent = start.measure(SweepStore.open(store), names, lpips_trunk=lpips_trunk)
    for name, reason in absent.items():
        print(f"{name}: absent: {reason}")
    print(f"{store}: {len(names) - len(absent)} metrics measured on {units} units")


@app.command()
def summary(
    store: StoreFolder,
    sheet: Annotated[Path | None, typer.Option(help="Write a sample sheet (PNG) here.")] = None,
    metric: Annotated[str, typer.Option(help="The metric that damage is computed from.")] = "mse",
    json_: AsJson = False,
) -> None:
    """The components that matter most and least, by window, and a sample sheet."""
    from compute.analysis.impact.ablation_impact import impact_of
    from compute.analysis.report.terminal import describe_impact
    from store.sweep_store import SweepStore

    opened = SweepStore.open(store)
    impact = impact_of(opened, metric)
    if sheet is not None:
        from compute.analysis.report.sample_sheet import write_sheet

        write_sheet(opened, impact, sheet)
    print(json.dumps(impact.as_json(), indent=1) if json_ else describe_impact(impact))
    if sheet is not None and not json_:
        print(f"\nsample sheet: {sheet}")


@app.command()
def phases(store: StoreFolder, json_: AsJson = False) -> None:
    """The two phases of generation: composition first, denoising after, with the evidence for their boundary."""
    from compute.analysis.phases.phase_evidence import phases_of
    from compute.analysis.report.terminal import describe_phases
    from store.sweep_reader import SweepReader

    found = phases_of(SweepReader(store))
    print(json.dumps(found.as_json(), indent=1) if json_ else describe_phases(found))


@app.command()
def sample(
    prompt: Annotated[str, typer.Option(help="What to draw.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The PNG to write.")],
    model: Annotated[str | None, typer.Option("--model", help="glide-mini, or a pipeline's folder.")] = None,
    policy: Annotated[Path | None, typer.Option(help="A skip policy; sampler, steps and guidance are its own.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1)] = 0,
    steps: Annotated[int | None, typer.Option(min=1, max=1000, help="25 unless given.")] = None,
    guidance: Annotated[float | None, typer.Option(min=0, max=100, help="3 unless given.")] = None,
    sampler: Annotated[str | None, typer.Option(help="ddpm (the default) or ddim.")] = None,
) -> None:
    """Draw one picture, at full compute or by a skip policy."""
    from compute.images import image_of, save_png
    from compute.models.model import load_model
    from compute.policy.liveness import resolve
    from store.records import Condition

    if policy is None:
        loaded = load_model(model or "glide-mini")
        condition = Condition(prompt=prompt, seed=seed, guidance=3.0 if guidance is None else guidance)
        pictures = loaded.pictures([condition], _sampler(sampler or "ddpm", steps or 25))
    else:
        from compute.policy.skip_policy import SkipPolicy
        from compute.recommend.policy_model import check_same_run, load_for

        skip = SkipPolicy.load(policy)
        check_same_run(skip, steps=steps, guidance=guidance, sampler=sampler)
        loaded = load_for(skip, model=model)
        condition = Condition(prompt=prompt, seed=seed, guidance=skip.guidance)
        pictures = loaded.pictures([condition], skip.sampler, resolve(loaded.graph, skip.schedule))
    save_png(image_of(pictures[0].cpu().numpy()), output)
    print(output)


@app.command()
def fidelity(
    model: ModelName = "glide-mini",
    split: Annotated[str, typer.Option(help="held-out or train.")] = "held-out",
    count: Annotated[int, typer.Option(min=1, max=100_000, help="Prompts, each with a seed of its own.")] = 1000,
    steps: Annotated[int, typer.Option(min=1, max=1000)] = 25,
    guidance: Annotated[float, typer.Option(min=0, max=100)] = 3.0,
    sampler: Annotated[str, typer.Option(help="ddpm or ddim.")] = "ddpm",
    sheet: Annotated[Path | None, typer.Option(help="Write the first pictures with captions (PNG) here.")] = None,
    json_: AsJson = False,
) -> None:
    """Prompt fidelity at full compute: the share of pictures that show what their prompt says, with intervals."""
    from compute.models.mini.fidelity import evaluate_fidelity

    found = evaluate_fidelity(
        model, split, count=count, sampler=_sampler(sampler, steps), guidance=guidance, sheet=sheet
    )
    print(json.dumps(found.as_json(), indent=1) if json_ else found.describe())


@app.command("train-mini")
def train_mini(
    output: Annotated[Path, typer.Option("-o", "--output", help="A folder for checkpoint, log and pipeline.")],
    iterations: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's.")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Train glide-mini; the same command resumes."""
    from compute.models.mini.training.commands import train_pipeline

    train_pipeline(output, iterations=iterations, seed=seed)


@app.command("train-judge")
def train_judge(
    output: Annotated[Path, typer.Option("-o", "--output", help="The safetensors file to write.")],
    iterations: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's.")] = None,
) -> None:
    """Train the scene judge and print how often it is right on fresh scenes."""
    from compute.models.mini.training.commands import train_the_judge

    train_the_judge(output, iterations=iterations)


@app.command("judge-agreement")
def judge_agreement(json_: AsJson = False) -> None:
    """How far the scene judge agrees with labels made by eye on generated pictures."""
    from compute.models.mini.judge.agreement import agreement

    found = agreement()
    print(json.dumps(found.as_json(), indent=1) if json_ else found.describe())


policies.add_commands(app)


def _sampler(name: str, steps: int) -> Any:
    from pydantic import ValidationError

    from compute.config.schema import ConfigError, error_lines
    from store.sampler import SamplerSettings

    try:
        return SamplerSettings.model_validate({"name": name, "steps": steps})
    except ValidationError as error:
        raise ConfigError("; ".join(f"--sampler: {line}" for line in error_lines(error, SamplerSettings))) from None
