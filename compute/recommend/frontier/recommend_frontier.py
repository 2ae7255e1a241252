"""Recommends what to run within budgets of time, for the model and the prompts of a sweep."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from compute.config.errors import ConfigError
from compute.metrics.metric_weights import NO_WEIGHTS
from compute.metrics.registry import MetricSet
from compute.models.judges import judge_for
from compute.models.model_metrics import metrics_for
from compute.models.source import ModelSource
from compute.policy.cost import CostModel
from compute.policy.frontier_report import BudgetUnit, FrontierCandidate, FrontierChoice, FrontierReport
from compute.policy.graph import ComponentGraph
from compute.policy.liveness import resolve
from compute.policy.quality import Prediction
from compute.policy.schedule import Schedule
from compute.policy.search.plan_space import PlanSpace
from compute.policy.track import adds_noise
from compute.progress import bar
from compute.provenance import provenance
from compute.recommend.bench.engine import Engine
from compute.recommend.bench.results import ResultFolder
from compute.recommend.frontier.contest import Contest
from compute.recommend.frontier.find_frontier import ROUNDS, Choice, FrontierSearch
from compute.recommend.frontier.picture_loss import DistanceLoss, JudgeLoss, PictureLoss
from compute.recommend.frontier.solvers import solvers_for, takes_timesteps, with_steps
from compute.recommend.frontier.standing import Standing
from compute.recommend.run_policy import policy_of_run
from compute.recommend.swept_model import swept_model
from compute.recommend.timing import measure_cost
from store.records import Condition
from store.sampler import SamplerSettings
from store.sweep_store import SweepStore

Report = Callable[[str], None]
REPORT_FILE = "frontier.json"
_BATCH = 8
_REFERENCE_STEPS = 50
_MOST_BRANCHES = 3
RESTING = ("guidance", "layers")
"""What rests in plans, as `never` names it."""


def recommend_frontier(
    store: SweepStore,
    output: Path,
    *,
    budgets: Sequence[float],
    unit: BudgetUnit = "evaluations",
    metric: str | None = None,
    conditions: Sequence[Condition] | None = None,
    samples: int = 500,
    solvers: Sequence[str] = (),
    never: Sequence[str] = (),
    report: Report,
) -> FrontierReport:
    """Search what to run within each budget, and write it to the folder `output`.

    A budget is a number of full evaluations of the network a picture, or of seconds. The loss is the doubt of the
    model's judge; without one, or with `metric`, the distance to a run of 50 steps from the same initial noise, which
    leaves out solvers that add noise. The search runs as many evaluations of the network as `samples` pictures of the
    sweep's own sampler take, on the sweep's conditions or on `conditions`; with `solvers` of these names alone, and
    without letting rest what `never` names (of `RESTING`). What is run is kept in `output`, so that a
    search that was interrupted goes on.

    Writes a policy for each budget, and `frontier.json`. Raises SkipscopeError for a sweep of other weights, and where
    nothing fits into the budgets.
    """
    if unknown := set(never) - set(RESTING):
        raise ConfigError(f"--never: {min(unknown)[:60]!r} does not rest; accepted: {', '.join(RESTING)}")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    swept = swept_model(store, conditions, device=device, report=report)
    model, source, guidance, chosen = swept.model, swept.model.source, swept.guidance, swept.conditions
    report("timing the components")
    cost = measure_cost(model, swept.sampler, batch=_BATCH, guidance=guidance)
    results = ResultFolder(output / "runs", report)
    judge = None if metric else judge_for(source)
    engine = Engine(model, results, batch=_BATCH, judge=judge_for(source))
    tried = _named(solvers_for(model, guidance, report), solvers)
    loss: PictureLoss
    if judge is None:
        tried = {name: sampler for name, sampler in tried.items() if not adds_noise(sampler, model.call)}
        loss = _distance(engine, source, tried, metric or "haarpsi", guidance, device)
    else:
        loss = JudgeLoss(judge)
    rounds = sorted({min(number, len(chosen)) for number in ROUNDS})
    full = sum(cost.computed.values()) + cost.network + cost.step
    space = PlanSpace(
        solvers=tuple(tried),
        placed=tuple(name for name, sampler in tried.items() if takes_timesteps(model, sampler)),
        budgets=tuple(budgets) if unit == "evaluations" else tuple(_evaluations(b, cost, full) for b in budgets),
        guided=cost.half is not None and "guidance" not in never,
        branches=0 if "layers" in never else _branches(model.graph),
    )
    spend = float(samples * swept.sampler.steps)
    with bar("recommend", math.ceil(spend), unit="evaluation") as progress:
        contest = Contest(engine, chosen, loss, rounds, progress)
        search = FrontierSearch(model, contest, space, tried, cost, guidance=guidance, budgets=budgets, unit=unit)
        search.run(spend)
    seconds = cost.seconds(resolve(model.graph, Schedule.empty(swept.sampler.steps))) / cost.batch
    return _written(output, contest, search, Predicted(prompts=swept.prompts, full_seconds=seconds))


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """What the predictions of all policies of a search share: its prompts, and a picture's seconds as it was swept."""

    prompts: tuple[str, ...]
    full_seconds: float

    def of(self, standing: Standing, metric: str) -> Prediction:
        """Return what the search expects of a policy."""
        return Prediction(
            metric=metric,
            speedup=self.full_seconds / standing.candidate.seconds,
            damage=standing.estimate(),
            conditions=len(standing.losses),
            prompts=self.prompts,
        )


def _named(solvers: dict[str, SamplerSettings], names: Sequence[str]) -> dict[str, SamplerSettings]:
    """Return the solvers of these names, all without names. Raises ConfigError for a name that is not among them."""
    if unknown := set(names) - solvers.keys():
        raise ConfigError(f"--solver: {min(unknown)[:60]!r} is not tried; accepted here: {', '.join(solvers)}")
    return {name: sampler for name, sampler in solvers.items() if not names or name in names}


def _branches(graph: ComponentGraph) -> int:
    """Return how many of the decoder's last layers a plan may cache below."""
    return min(_MOST_BRANCHES, sum(node.kind == "concat" for node in graph.nodes.values()))


def _evaluations(seconds: float, cost: CostModel, full: float) -> float:
    """Return how many full steps fit into some seconds a picture, at least one."""
    return max(1.0, (seconds * cost.batch - cost.run) / full)


def _distance(
    engine: Engine, source: ModelSource, solvers: dict[str, SamplerSettings], metric: str, guidance: float, device: str
) -> DistanceLoss:
    """Return the distance to a run of many steps of the first solver. Raises ConfigError without one, or a metric."""
    if not solvers:
        raise ConfigError("--metric: no solver of this model samples without fresh noise, so there is no distance")
    metrics: MetricSet = metrics_for(source, [metric], NO_WEIGHTS, device)
    if metrics.absent:
        raise ConfigError(f"--metric: {metric!r} is not available here: {next(iter(metrics.absent.values()))}")
    sampler = with_steps(next(iter(solvers.values())), _REFERENCE_STEPS, None)
    reference = policy_of_run(engine.model, sampler, guidance, name=f"{_REFERENCE_STEPS} steps")
    return DistanceLoss(engine, reference, metrics)


def _written(output: Path, contest: Contest, search: FrontierSearch, predicted: Predicted) -> FrontierReport:
    """Write the policy of each budget and the report, and return the report."""
    choices = []
    source = contest.engine.model.source
    output.mkdir(parents=True, exist_ok=True)
    for choice in search.choices():
        name = f"{search.unit}-{choice.budget:g}.json"
        prediction = predicted.of(choice.chosen, contest.loss.metric)
        policy = choice.chosen.candidate.policy
        policy.model_copy(update={"prediction": prediction, "provenance": provenance()}).save(output / name)
        choices.append(_choice(choice, name))
    made = FrontierReport(
        model=source.name,
        weights=source.digest,
        guidance=search.guidance,
        loss=contest.loss.name,
        unit=search.unit,
        conditions=len(contest.conditions),
        spent=max(1.0, contest.spent),
        candidates=tuple(_entry(standing) for standing in contest.standings),
        choices=tuple(choices),
        provenance=provenance(),
    )
    made.save(output / REPORT_FILE)
    return made


def _choice(choice: Choice, file: str) -> FrontierChoice:
    plain = choice.plain
    is_other = plain is not None and plain is not choice.chosen
    return FrontierChoice(
        budget=choice.budget,
        chosen=choice.chosen.candidate.label,
        file=file,
        plain=None if plain is None else plain.candidate.label,
        difference=choice.chosen.minus(plain) if plain is not None and is_other else None,
    )


def _entry(standing: Standing) -> FrontierCandidate:
    candidate = standing.candidate
    return FrontierCandidate(
        label=candidate.label,
        plain=candidate.is_plain,
        evaluations=candidate.evaluations,
        seconds=candidate.seconds,
        loss=standing.estimate(),
        conditions=len(standing.losses),
        policy=candidate.policy.digest,
    )
