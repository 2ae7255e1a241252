"""Recommends a skip policy from a sweep: searches candidates, runs them closed-loop, and keeps the best in budget.

A candidate is run on the sweep's prompts with several seeds each. It must keep the budget with a margin, because what
was chosen on one set of prompts does worse on another; whether it holds there is for `validate` to say.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from pydantic import TypeAdapter, ValidationError

from compute.analysis.impact.ablation_impact import impact_of
from compute.analysis.impact.scale import scale_of
from compute.analysis.phases.phase_evidence import NoPhases, phases_of
from compute.metrics.registry import MetricSet
from compute.models.model import Model, load_model
from compute.models.source import ModelSource
from compute.policy.quality import PROMPT_LIMIT, Text
from compute.policy.search import Candidate, Evidence, Search
from compute.policy.skip_policy import PolicyModel, Prediction, SkipPolicy, rules_of
from compute.provenance import provenance
from compute.recommend.closed_loop import ClosedLoop
from compute.recommend.timing import measure_cost
from compute.statistics.estimate import Estimate
from compute.sweep.worker import metrics_for
from compute.unet.weights_digest import parameter_digests
from store.errors import SkipscopeError
from store.index.table import SweepReader
from store.records import Condition
from store.sampler import SamplerSettings
from store.sweep_store import SweepStore

Tell = Callable[[str], None]
_MOST_REFUSED = 4  # moves that may fail before an improvement is given up
_CONDITIONS = (18, 32)  # at least and at most so many are run
_MARGIN = 0.75  # of the budget that the search may use
_BATCH = 8


class NoRecommendation(SkipscopeError):
    """No policy can be recommended: nothing was swept to choose from, or nothing keeps the budget."""


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What to look for: the fastest policy of a damage at most so high, or the least damage from a speedup on."""

    metric: str = "mse"
    max_damage: float | None = None
    min_speedup: float | None = None

    @property
    def name(self) -> str:
        """A name for the policy."""
        if self.max_damage is not None:
            return f"{self.metric}-damage-{self.max_damage:.12g}"
        return f"{self.metric}-speedup-{self.min_speedup:.12g}"


def goals_of(metric: str, max_damage: str | None, min_speedup: float | None) -> list[Goal]:
    """What the command line asks for: a speed, a damage, or several. Raises NoRecommendation for anything else."""
    if (max_damage is None) == (min_speedup is None):
        raise NoRecommendation("--max-damage, --min-speedup: give one of the two")
    if min_speedup is not None:
        if not 1 < min_speedup < 1000:
            raise NoRecommendation(f"--min-speedup: {min_speedup:g}; a number above 1 is accepted, 1.5 for instance")
        return [Goal(metric=metric, min_speedup=min_speedup)]
    try:
        budgets = sorted({float(part) for part in str(max_damage).split(",")})
        if not all(0 < budget < 1000 for budget in budgets):
            raise ValueError
    except ValueError:
        raise NoRecommendation(
            f"--max-damage: {str(max_damage)[:60]!r} is not understood; write 0.01, or several: 0.003,0.01"
        ) from None
    return [Goal(metric=metric, max_damage=budget) for budget in budgets]


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A candidate after its closed-loop run."""

    candidate: Candidate
    damage: Estimate
    speedup: float


class Recommender:
    """Looks for policies for the model, sampler and prompts of one sweep; several goals share its runs."""

    def __init__(
        self,
        store: SweepStore,
        *,
        metric: str,
        tell: Tell,
        conditions: Sequence[Condition] | None = None,
        device: str | None = None,
    ) -> None:
        """Loads the model and times its components.

        `conditions` are what candidates are run on; without them it is the sweep's own, with further seeds.
        """
        impact = impact_of(store, metric)
        config, settings = store.header.config, store.header.settings
        source = ModelSource.find(str(config.get("model", "")))
        if source.digest != settings.get("model"):
            raise NoRecommendation(
                f"{store.root}: was swept with other weights of {source.name!r} than those here; sweep these again"
            )
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        wanted = _with_damage(metrics_for(source, [metric], None, device))
        conditions = _tuning_conditions(store) if conditions is None else conditions
        self.prompts = _prompts(store, conditions)
        self.model: Model = load_model(source, device=device, dtype=getattr(torch, str(settings["dtype"])))
        self.sampler = SamplerSettings.model_validate(settings["sampler"])
        self.metric, self._tell = metric, tell
        self.guidance = conditions[0].guidance
        self.loop = ClosedLoop(self.model, self.sampler, conditions, wanted, batch=_BATCH)
        tell("timing the components")
        cost = measure_cost(self.model, self.sampler, batch=_BATCH, guidance=self.guidance)
        evidence = [Evidence(ablation=a.ablation, damage=a.effect.mean) for a in impact.ablations]
        self.search = Search(self.model.graph, self.sampler.steps, evidence, cost)
        self.composed = composed_from(store)
        after = [it for it in evidence if self.composed is not None and it.ablation.window.start >= self.composed]
        self._after = Search(self.model.graph, self.sampler.steps, after, cost)
        if self.composed is not None:
            tell(f"composition has ended by step {self.composed}, by the prompt switches: actions from there on first")
        self._least: Tried | None = None

    def recommend(self, goal: Goal) -> SkipPolicy:
        """The policy for a goal. Raises NoRecommendation, with what came nearest."""
        families = [
            frontier
            for search in (self._after, self.search)
            for frontier in (search.frontier(("drop",)), search.regular(), search.frontier())
        ]
        if goal.max_damage is None:
            best = self._least_damage(families, goal.min_speedup or 1.0)
        else:
            best = None
            for frontier in families:
                best = self._fastest(frontier, goal.max_damage * _MARGIN, best)
        if best is None:
            raise self._nothing(goal)
        if goal.max_damage is not None:
            best = self._improved(best, goal.max_damage * _MARGIN)
        return self._policy(best, goal)

    def _least_damage(self, families: Sequence[Sequence[Candidate]], speedup: float) -> Tried | None:
        """The best of those that are just fast enough."""
        enough = self.search.full_seconds / speedup
        first = [next((c for c in frontier if c.seconds <= enough), None) for frontier in families]
        tried = [found for c in first if c is not None and (found := self._try(c)) is not None]
        return min(tried, key=lambda found: found.damage.mean, default=None)

    def _fastest(self, frontier: Sequence[Candidate], budget: float, best: Tried | None) -> Tried | None:
        """Bisection: towards the end of a frontier candidates are faster and do more damage."""
        frontier = [c for c in frontier if best is None or c.seconds < best.candidate.seconds]
        low, high = 0, len(frontier)
        while low < high:
            middle = (low + high) // 2
            tried = self._try(frontier[middle], budget)
            if tried is not None:
                best, low = tried, middle + 1
            else:
                high = middle
        return best

    def _improved(self, best: Tried, budget: float) -> Tried:
        """From the best so far, one move after the other while the budget lasts."""
        refused: set[str] = set()
        while len(refused) < _MOST_REFUSED:
            for candidate in self._neighbours(best.candidate):
                change = str(set(rules_of(candidate.schedule)) - set(rules_of(best.candidate.schedule)))
                if change in refused:
                    continue
                tried = self._try(candidate, budget)
                if tried is not None:
                    best = tried
                    break
                refused.add(change)
                if len(refused) >= _MOST_REFUSED:
                    break
            else:
                break
        return best

    def _neighbours(self, candidate: Candidate) -> list[Candidate]:
        """Moves after composition first: a damage that six pictures did not show, one in sixty may."""
        return [*self._after.neighbours(candidate.schedule), *self.search.neighbours(candidate.schedule)]

    def _try(self, candidate: Candidate, budget: float | None = None) -> Tried | None:
        """The candidate after its closed-loop run; None where it does not keep the budget."""
        damage = self.loop.damage(candidate.schedule, at_most=budget)
        speedup = self.search.full_seconds / candidate.seconds
        said = "too much damage" if damage is None else f"damage {damage}"
        self._tell(f"{speedup:.2f}x predicted, {said} closed-loop")
        if damage is None:
            return None
        tried = Tried(candidate=candidate, damage=damage, speedup=speedup)
        if self._least is None or damage.mean < self._least.damage.mean:
            self._least = tried
        return tried if budget is None or damage.mean <= budget else None

    def _nothing(self, goal: Goal) -> NoRecommendation:
        if goal.min_speedup is not None:
            fastest = max((self.search.full_seconds / c.seconds for c in self.search.frontier()), default=1.0)
            return NoRecommendation(f"--min-speedup: {goal.min_speedup:g} is out of reach; at most {fastest:.2f} is")
        if not self.search.frontier():
            return NoRecommendation("the sweep holds nothing that saves time: sweep bypass, or screen reuse of unet")
        least = (
            "" if self._least is None else f"; the least found is {self._least.damage} at {self._least.speedup:.2f}x"
        )
        return NoRecommendation(
            f"--max-damage: nothing keeps {goal.max_damage:g} on the search's own prompts with the margin of "
            f"{1 - _MARGIN:.0%} for others{least}"
        )

    def _policy(self, best: Tried, goal: Goal) -> SkipPolicy:
        source = self.model.source
        exact = self.model if self.model.dtype == torch.float32 else load_model(source)
        return SkipPolicy(
            name=goal.name,
            model=PolicyModel(name=source.name, weights=source.digest, unet=parameter_digests(exact.unet)),
            sampler=self.sampler,
            guidance=self.guidance,
            rules=rules_of(best.candidate.schedule),
            prediction=Prediction(
                metric=self.metric,
                speedup=best.speedup,
                damage=best.damage,
                conditions=len(self.loop.conditions),
                prompts=self.prompts,
            ),
            provenance=provenance(),
        )


def composed_from(store: SweepStore) -> int | None:
    """The step by which composition has ended: the upper end of the boundary's interval, where prompts were switched.

    What is decided before it can flip whole pictures, which few conditions show.
    """
    try:
        boundary = phases_of(SweepReader(store.root)).boundary
    except NoPhases:
        return None
    return None if boundary is None else math.ceil(boundary.high)


def _with_damage(wanted: MetricSet) -> MetricSet:
    """The one metric, if policies can be compared by it here."""
    ((name, metric),) = wanted.descriptors.items()
    if name in wanted.absent:
        raise NoRecommendation(f"--metric: {name!r} can't be had here: {wanted.absent[name]}")
    if scale_of(metric.info) != "damage":
        raise NoRecommendation(f"--metric: {name!r} has no damage scale; mse, rel_l2, ssim and haarpsi have")
    return wanted


def _prompts(store: SweepStore, conditions: Sequence[Condition]) -> tuple[str, ...]:
    """Every prompt of the sweep, whose evidence the search has seen, and those that candidates are run on."""
    swept = (c for unit in store.header.plan for c in unit.conditions)
    found = dict.fromkeys(c.prompt for c in (*swept, *conditions))
    if len(found) > PROMPT_LIMIT:
        raise NoRecommendation(f"prompts: {len(found)} are too many for a policy; at most {PROMPT_LIMIT} are accepted")
    for prompt in found:
        try:
            TypeAdapter(Text).validate_python(prompt)
        except ValidationError:
            raise NoRecommendation(
                f"prompts: {prompt[:60]!r} can't stand in a policy; at most 2000 printable characters are accepted"
            ) from None
    return tuple(found)


def _tuning_conditions(store: SweepStore) -> list[Condition]:
    """The sweep's conditions, and their prompts with further seeds."""
    swept = list(dict.fromkeys(c for unit in store.header.plan if unit.role == "baseline" for c in unit.conditions))
    least, most = _CONDITIONS
    more = [
        condition.model_copy(update={"seed": condition.seed + 7919 * extra})
        for extra in range(1, -(-least // len(swept)))
        for condition in swept
    ]
    return list(dict.fromkeys([*swept, *more]))[:most]
