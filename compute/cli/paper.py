"""The command that carries out the seed paper's study: `paper`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compute.cli.options import AsJson
from store.errors import SkipscopeError

if TYPE_CHECKING:
    from compute.policy.skip_policy import SkipPolicy
    from compute.recommend.paper_study import PaperStudy
    from store.sweep_store import SweepStore

commands = typer.Typer()


@commands.command()
def paper(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.yaml", help="The study; configs/paper.yaml.")],
    store: Annotated[Path, typer.Option(help="The sweep's folder: created or resumed.")],
    address: Annotated[str, typer.Option(help="local, serial, auto, or a Ray cluster's HOST:PORT.")] = "local",
    prompts: Annotated[
        Path | None, typer.Option(help="Validate on these, a prompt a line; on glide-mini's captions unless given.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, max=100_000, help="Without --prompts: captions to validate on.")] = 200,
    json_: AsJson = False,
) -> None:
    """Carry out the seed paper's study: eliminations, phases, what is redundant, and the time that can be saved."""
    from compute.analysis.impact.ablation_impact import impact_of
    from compute.analysis.phases.phase_evidence import phases_of
    from compute.recommend.paper_study import paper_study
    from compute.sweep.launch import sweep
    from store.sweep_reader import SweepReader
    from store.sweep_store import SweepStore

    result = sweep(config, store, address=address)
    if result.failed:
        raise SkipscopeError(f"{result.failed} units failed; skipscope status {store} lists the reasons")
    opened = SweepStore.open(store)
    phases, impact = phases_of(SweepReader(store)), impact_of(opened)
    policy = _validated_policy(opened, prompts, count)
    study = paper_study(str(opened.header.config.get("model")), impact, phases, policy)
    print(json.dumps(study.as_json(), indent=1) if json_ else _text(study))


def _validated_policy(store: SweepStore, prompts: Path | None, count: int) -> SkipPolicy:
    """Return the study's policy from the store, or search and validate it; what is there is not made again."""
    from compute.policy.skip_policy import SkipPolicy
    from compute.recommend.find_policy import validate
    from compute.recommend.goal import Goal
    from compute.recommend.paper_study import LEAST_SPEEDUP
    from compute.recommend.recommender import Recommender

    path = store.root / "policies" / "paper.json"
    if path.exists():
        policy = SkipPolicy.load(path)
    else:
        goal = Goal(min_speedup=LEAST_SPEEDUP)
        policy = Recommender(store, metric="mse", report=lambda line: print(line, file=sys.stderr)).recommend(goal)
        path.parent.mkdir(parents=True, exist_ok=True)
        policy.save(path)
    if policy.validation is None or (prompts is None and policy.validation.conditions < count):
        policy = validate(policy, prompts=prompts, count=count)
        policy.save(path)
    return policy


def _text(study: PaperStudy) -> str:
    """Return a study for a terminal: each claim with what was found, then the groups' damage by window."""
    lines = [f"The study of arXiv 2312.14965 on {study.model}"]
    for claim in study.claims:
        lines += [f"\n{claim.claim}", f"  here: {claim.here}", f"  agrees: {claim.agrees}"]
    lines.append("\nDamage of components that are eliminated together")
    width = max((len(name) for name in study.groups), default=0)
    for name, by_window in study.groups.items():
        lines.append(f"  {name:<{width}}  " + "  ".join(f"{window}: {value}" for window, value in by_window.items()))
    return "\n".join(lines)
