"""The commands that make and check skip policies: `recommend`, `validate`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from store.errors import SkipscopeError

commands = typer.Typer()


@commands.command()
def recommend(
    store: Annotated[Path, typer.Argument(metavar="DIR", help="The sweep's folder.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The policy file to write; a folder for several.")],
    metric: Annotated[str, typer.Option(help="The metric that damage is computed from.")] = "mse",
    max_damage: Annotated[
        str | None, typer.Option(help="The fastest policy within this damage; several with commas: 0.003,0.01.")
    ] = None,
    min_speedup: Annotated[float | None, typer.Option(help="The least damage at this speedup or above.")] = None,
    prompts: Annotated[Path | None, typer.Option(help="Run candidates on these, a prompt a line.")] = None,
    seeds: Annotated[
        str | None, typer.Option(help='With --prompts: "0:8" (0 to 7, the default), "3" or "1,5".')
    ] = None,
    count: Annotated[
        int | None, typer.Option(min=1, max=100_000, help="Run candidates on so many captions of glide-mini's.")
    ] = None,
    split: Annotated[str, typer.Option(help="With --count: held-out or train.")] = "held-out",
) -> None:
    """Search a sweep for a skip policy, and run candidates closed-loop: on the sweep's own prompts, or on more."""
    from compute.recommend.evaluation_conditions import search_conditions
    from compute.recommend.goal import Goal, goals_of
    from compute.recommend.recommender import Recommender
    from store.sweep_store import SweepStore

    goals: list[Goal] = goals_of(metric, max_damage, min_speedup)
    several = len(goals) > 1
    if several and output.suffix == ".json":
        raise SkipscopeError(f"--output: {output} is one file and {len(goals)} policies are asked for; give a folder")
    into_folder = several or output.is_dir()
    targets = {goal: output / f"{goal.name}.json" if into_folder else output for goal in goals}
    for path in targets.values():
        _check_place(path)
    opened = SweepStore.open(store)
    conditions = search_conditions(opened, prompts=prompts, seeds=seeds, split=split, count=count)

    def tell(line: str) -> None:
        print(line, file=sys.stderr)

    recommender = Recommender(opened, metric=metric, report=tell, conditions=conditions)
    for goal, path in targets.items():
        policy = recommender.recommend(goal)
        path.parent.mkdir(parents=True, exist_ok=True)
        policy.save(path)
        found = policy.prediction
        assert found is not None
        print(
            f"{path}: {found.speedup:.2f}x by the cost model, damage {found.damage} by {metric} on the search's own "
            f"{found.conditions} conditions; not validated yet: python -m compute validate {path}"
        )


@commands.command()
def validate(
    policies: Annotated[list[Path], typer.Argument(metavar="POLICY.json...", help="Policies that `recommend` wrote.")],
    prompts: Annotated[Path | None, typer.Option(help="A text file, a prompt a line.")] = None,
    seeds: Annotated[
        str | None, typer.Option(help='With --prompts: "0:8" (0 to 7, the default), "3" or "1,5".')
    ] = None,
    split: Annotated[
        str, typer.Option(help="Without --prompts: glide-mini's held-out or train captions.")
    ] = "held-out",
    count: Annotated[int, typer.Option(min=1, max=100_000, help="Captions of the split.")] = 64,
    batch: Annotated[int, typer.Option(min=1, max=4096, help="Pictures drawn at once.")] = 8,
    model: Annotated[
        str | None, typer.Option("--model", help="The model's folder, if not the policy's own name.")
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write here instead of into the file.")] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave policies that are validated already as they are.")
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Run policies on prompts they never saw, beside full compute and fewer steps, and write in what came out."""
    from compute.cli.validation_text import validation_document, validation_lines
    from compute.policy.skip_policy import SkipPolicy
    from compute.progress import bar
    from compute.recommend.evaluation_conditions import unseen_conditions
    from compute.recommend.policy_model import load_for
    from compute.recommend.validation import validate as run
    from compute.recommend.validation_picture import validation_picture
    from store.folder.files import replace_file

    if output is not None and len(policies) > 1:
        raise SkipscopeError(f"--output: is one file and {len(policies)} policies are given; leave --output away")
    loaded = {path: SkipPolicy.load(path) for path in policies}
    for path in policies if output is None else [output]:
        _check_place(path)
    for path, policy in loaded.items():
        if keep and policy.validation is not None:
            continue
        there = load_for(policy, model=model)
        evaluation = unseen_conditions(policy, there.source, prompts=prompts, seeds=seeds, split=split, count=count)
        with bar(f"validate {policy.name}", len(evaluation.conditions), unit="picture") as progress:
            found = run(policy, there, evaluation, batch=batch, bar=progress)
        target = output or path
        target.parent.mkdir(parents=True, exist_ok=True)
        found.policy.save(target)
        pictures = target.with_name(target.name.removesuffix(".json") + ".png")
        replace_file(pictures, validation_picture(found.pictures, found.conditions))
        loaded[path] = found.policy
    if json_:
        print(json.dumps([validation_document(policy) for policy in loaded.values()], indent=1))
        return
    for path, policy in loaded.items():
        print("\n".join([*validation_lines(policy), f"  {output or path}"]))


def _check_place(path: Path) -> None:
    """Raises SkipscopeError where a file can't be written, before the time is spent that it takes to fill it."""
    folder = path.parent
    try:
        while not folder.exists():
            folder = folder.parent
        if path.is_dir():
            raise SkipscopeError(f"--output: {path} is a folder; give a file")
    except OSError as error:
        raise SkipscopeError(f"--output: {str(path)[:200]}: cannot be written: {error.strerror}") from None
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise SkipscopeError(f"--output: {path}: cannot be written into {folder}; give another place")
