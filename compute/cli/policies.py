"""The commands that make and check skip policies: `recommend`, `validate`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compute.cli.options import ClipFolder
from store.errors import SkipscopeError

if TYPE_CHECKING:
    from compute.policy.frontier_report import BudgetUnit
    from store.sweep_store import SweepStore

commands = typer.Typer()


@commands.command()
def recommend(
    store: Annotated[Path, typer.Argument(metavar="DIR", help="The sweep's folder.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The policy file to write; a folder for several.")],
    metric: Annotated[
        str | None, typer.Option(help="The metric that damage (mse) or the distance to many steps is computed from.")
    ] = None,
    max_damage: Annotated[
        str | None, typer.Option(help="The fastest policy within this damage; several with commas: 0.003,0.01.")
    ] = None,
    min_speedup: Annotated[float | None, typer.Option(help="The least damage at this speedup or above.")] = None,
    evaluations: Annotated[
        str | None, typer.Option(help="The best within so many passes of the whole network a picture: 4,5,6,8,10.")
    ] = None,
    seconds: Annotated[str | None, typer.Option(help="The best within so many seconds a picture: 0.1,0.2.")] = None,
    samples: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="With these two: search for the time of so many pictures.")
    ] = 500,
    solver: Annotated[
        list[str] | None, typer.Option(help="With these: search with this solver alone; repeatable.")
    ] = None,
    never: Annotated[
        list[str] | None, typer.Option(help="With these: what may not rest, guidance or layers; repeatable.")
    ] = None,
    prompts: Annotated[Path | None, typer.Option(help="Run candidates on these, a prompt a line.")] = None,
    seeds: Annotated[
        str | None, typer.Option(help='With --prompts: "0:8" (0 to 7, the default), "3" or "1,5".')
    ] = None,
    count: Annotated[
        int | None, typer.Option(min=1, max=100_000, help="Run candidates on this many of glide-mini's captions.")
    ] = None,
    split: Annotated[str, typer.Option(help="With --count: held-out or train.")] = "held-out",
) -> None:
    """Search a sweep for a skip policy, and run candidates from noise to picture: on the sweep's prompts, or others.

    With --evaluations or --seconds the search is for what to run in that time: solver, steps, and what rests in them.
    """
    from compute.recommend.evaluation_conditions import search_conditions
    from compute.recommend.goal import budgets_of, goals_of
    from compute.recommend.recommender import Recommender
    from store.sweep_store import SweepStore

    budgets = budgets_of(evaluations, seconds)
    if budgets is not None and (max_damage is not None or min_speedup is not None):
        raise SkipscopeError("--evaluations, --seconds, --max-damage, --min-speedup: give one of them")
    if budgets is not None:
        opened = SweepStore.open(store)
        conditions = search_conditions(opened, prompts=prompts, seeds=seeds, split=split, count=count)
        _recommend_for_budgets(
            opened, output, budgets, metric=metric, conditions=conditions, samples=samples, solvers=solver or (),
            never=never or (),
        )  # fmt: skip
        return
    if solver or never:
        raise SkipscopeError("--solver, --never: belong to --evaluations and --seconds")
    metric = metric or "mse"
    goals = goals_of(metric, max_damage, min_speedup)
    if len(goals) > 1 and output.suffix == ".json":
        raise SkipscopeError(f"--output: {output} is one file and {len(goals)} policies are asked for; give a folder")
    into_folder = len(goals) > 1 or output.is_dir()
    paths = {goal: output / f"{goal.name}.json" if into_folder else output for goal in goals}
    for path in paths.values():
        _check_writable(path)
    opened = SweepStore.open(store)
    conditions = search_conditions(opened, prompts=prompts, seeds=seeds, split=split, count=count)
    recommender = Recommender(opened, metric=metric, report=_print_to_stderr, conditions=conditions)
    for goal, path in paths.items():
        policy = recommender.recommend(goal)
        path.parent.mkdir(parents=True, exist_ok=True)
        policy.save(path)
        prediction = policy.prediction
        assert prediction is not None, "a recommended policy has one"
        print(
            f"{path}: {prediction.speedup:.2f}x by the cost model, damage {prediction.damage} by {metric} on the "
            f"search's own {prediction.conditions} conditions; not validated yet: python -m compute validate {path}"
        )


def _recommend_for_budgets(
    store: SweepStore,
    output: Path,
    budgets: tuple[BudgetUnit, list[float]],
    **search: Any,
) -> None:
    """Search what to run within each budget, write the policies into a folder, and say what was found."""
    from compute.cli.frontier_text import frontier_lines
    from compute.recommend.frontier.recommend_frontier import REPORT_FILE, recommend_frontier

    if output.suffix == ".json":
        raise SkipscopeError(f"--output: {output} is a file; give a folder, for the policies and what was tried")
    _check_writable(output / REPORT_FILE)
    unit, numbers = budgets
    found = recommend_frontier(store, output, budgets=numbers, unit=unit, report=_print_to_stderr, **search)
    print("\n".join([*frontier_lines(found), f"not validated yet: skipscope validate {output}/{unit}-*.json"]))


@commands.command()
def validate(
    policies: Annotated[
        list[Path], typer.Argument(metavar="POLICY.json...", help="Policies; the results are written into them.")
    ],
    prompts: Annotated[Path | None, typer.Option(help="A text file, a prompt a line.")] = None,
    seeds: Annotated[
        str | None, typer.Option(help='With --prompts: "0:8" (0 to 7, the default), "3" or "1,5".')
    ] = None,
    split: Annotated[
        str, typer.Option(help="Without --prompts: glide-mini's held-out or train captions.")
    ] = "held-out",
    count: Annotated[int, typer.Option(min=1, max=100_000, help="Captions of the split.")] = 64,
    batch: Annotated[int, typer.Option(min=1, max=4096, help="Pictures sampled at once.")] = 8,
    model: Annotated[
        str | None, typer.Option("--model", help="The model's folder, if not the policy's own name.")
    ] = None,
    clip: ClipFolder = None,
    reference: Annotated[
        Path | None, typer.Option(help="With --clip: a folder of pictures that the runs are compared with.")
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write here instead of into the file.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Skip policies that are validated already.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Measure policies on prompts that their search never saw, beside full compute and fewer steps."""
    from compute.cli.validation_text import validation_document, validation_lines
    from compute.policy.skip_policy import SkipPolicy
    from compute.progress import bar
    from compute.recommend.clip_evaluation import ClipEvaluation
    from compute.recommend.evaluation_conditions import unseen_conditions
    from compute.recommend.policy_model import load_for
    from compute.recommend.validation import validate as run
    from compute.recommend.validation_picture import validation_picture
    from store.folder.files import save_file

    if output is not None and len(policies) > 1:
        raise SkipscopeError(f"--output: is one file and {len(policies)} policies are given; leave --output away")
    by_path = {path: SkipPolicy.load(path) for path in policies}
    for path in policies if output is None else [output]:
        _check_writable(path)
    by_clip = ClipEvaluation.load(clip, reference)
    for path, policy in by_path.items():
        if keep and policy.validation is not None:
            continue
        loaded = load_for(policy, model=model)
        evaluation = unseen_conditions(policy, loaded.source, prompts=prompts, seeds=seeds, split=split, count=count)
        with bar(f"validate {policy.name}", len(evaluation.conditions), unit="picture") as progress:
            result = run(policy, loaded, evaluation, batch=batch, bar=progress, clip=by_clip)
        target = output or path
        target.parent.mkdir(parents=True, exist_ok=True)
        result.policy.save(target)
        pictures = target.with_name(target.name.removesuffix(".json") + ".png")
        save_file(pictures, validation_picture(result.pictures, result.conditions))
        by_path[path] = result.policy
    if json_:
        print(json.dumps([validation_document(policy) for policy in by_path.values()], indent=1))
        return
    for path, policy in by_path.items():
        print("\n".join([*validation_lines(policy), f"  {output or path}"]))


@commands.command()
def combine(
    policies: Annotated[
        list[Path],
        typer.Argument(metavar="POLICY.json...", help="Policies of a cascade's stages, the first stage first."),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The policy file to write.")],
) -> None:
    """Put the policies of a cascade's stages into one file, which `validate` measures as a whole."""
    from functools import reduce

    from compute.policy.skip_policy import SkipPolicy

    if len(policies) < 2:
        raise SkipscopeError("POLICY.json: give the policies of two stages or more")
    loaded = [SkipPolicy.load(path) for path in policies]
    _check_writable(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    reduce(lambda before, policy: policy.after(before), loaded).save(output)
    print(f"{output}: {len(policies)} stages; not validated together yet: skipscope validate {output}")


def _print_to_stderr(line: str) -> None:
    print(line, file=sys.stderr)


def _check_writable(path: Path) -> None:
    """Raise SkipscopeError where a file cannot be written; called before the long computation of its content."""
    folder = path.parent
    try:
        while not folder.exists():
            folder = folder.parent
        if path.is_dir():
            raise SkipscopeError(f"--output: {path} is a folder; give a file")
    except OSError as error:
        raise SkipscopeError(f"--output: {str(path)[:200]}: cannot be written: {error.strerror}") from None
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise SkipscopeError(f"--output: {path}: cannot be written into {folder}; give another path")
