"""Recommends skip policies from a sweep: times the components, searches closed-loop, and builds the policy.

Candidates must keep the budget with a margin, because a policy chosen on one set of prompts does more damage on others.
Only a validation shows whether it keeps the budget there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from compute.analysis.impact.ablation_impact import impact_of
from compute.analysis.impact.scale import scale_of
from compute.analysis.phases.phase_evidence import NoPhases, phases_of
from compute.metrics.metric_weights import NO_WEIGHTS
from compute.metrics.registry import MetricSet
from compute.models.loading import load_model
from compute.models.model_metrics import metrics_for
from compute.policy.quality import Prediction
from compute.policy.search.evidence import Evidence
from compute.policy.search.frontier import frontier
from compute.policy.search.search_space import SearchSpace
from compute.policy.skip_policy import SkipPolicy
from compute.provenance import provenance
from compute.recommend.closed_loop import ClosedLoop
from compute.recommend.closed_loop_search import ClosedLoopSearch, MeasuredCandidate, Report
from compute.recommend.goal import Goal, NoRecommendation
from compute.recommend.run_policy import policy_of_run
from compute.recommend.swept_model import swept_model, swept_source
from compute.recommend.timing import measure_cost
from store.records import Condition
from store.sweep_reader import SweepReader
from store.sweep_store import SweepStore

_MARGIN = 0.75  # of the budget that the search may use
_BATCH = 8


class Recommender:
    """Finds policies for the model, sampler and prompts of one sweep; several goals share its runs."""

    def __init__(
        self,
        store: SweepStore,
        *,
        metric: str,
        report: Report,
        conditions: Sequence[Condition] | None = None,
        device: str | None = None,
    ) -> None:
        """Load the model and time its components.

        Candidates are run on `conditions`; by default on the sweep's own, with further seeds. Raises NoImpact for a
        metric that the sweep lacks, NoRecommendation for one without a damage scale and for a sweep of other weights.
        """
        impact = impact_of(store, metric)
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        paired_metric = _check_damage_scale(metrics_for(swept_source(store), [metric], NO_WEIGHTS, device))
        swept = swept_model(store, conditions, device=device, report=report)
        self.model, self.sampler, self.prompts = swept.model, swept.sampler, swept.prompts
        self.metric, self.guidance = metric, swept.guidance
        loop = ClosedLoop(self.model, self.sampler, swept.conditions, paired_metric, batch=_BATCH)
        report("timing the components")
        cost = measure_cost(self.model, self.sampler, batch=_BATCH, guidance=self.guidance)
        evidence = [Evidence(ablation=a.ablation, damage=a.effect.mean) for a in impact.ablations]
        self.space = SearchSpace(self.model.graph, self.sampler.steps, evidence, cost)
        spaces = [self.space]
        end = composition_end(store)
        if end is not None:
            report(f"composition has ended by step {end} (by the prompt switches): later actions are searched first")
            late = [item for item in evidence if item.ablation.window.start >= end]
            spaces.insert(0, SearchSpace(self.model.graph, self.sampler.steps, late, cost))
        self.search = ClosedLoopSearch(spaces, loop, report)

    def recommend(self, goal: Goal) -> SkipPolicy:
        """Return the policy for a goal. Raises NoRecommendation, with the nearest result, if there is none."""
        if goal.max_damage is None:
            best = self.search.least_damage(goal.min_speedup or 1.0)
        else:
            best = self.search.fastest(goal.max_damage * _MARGIN)
        if best is None:
            raise self._not_reached(goal)
        return self._policy(best, goal)

    def _not_reached(self, goal: Goal) -> NoRecommendation:
        candidates = frontier(self.space)
        if goal.min_speedup is not None:
            fastest = max((self.space.full_seconds / candidate.seconds for candidate in candidates), default=1.0)
            return NoRecommendation(f"--min-speedup: {goal.min_speedup:g} is out of reach; at most {fastest:.2f} is")
        if not candidates:
            return NoRecommendation("the sweep holds nothing that saves time: sweep bypass, or screen reuse of unet")
        least = self.search.least
        nearest = "" if least is None else f"; the least found is {least.damage} at {least.speedup:.2f}x"
        return NoRecommendation(
            f"--max-damage: nothing keeps {goal.max_damage:g} on the search's own prompts with the margin of "
            f"{1 - _MARGIN:.0%} for others{nearest}"
        )

    def _policy(self, best: MeasuredCandidate, goal: Goal) -> SkipPolicy:
        exact = self.model if self.model.dtype == torch.float32 else load_model(self.model.source, call=self.model.call)
        policy = policy_of_run(exact, self.sampler, self.guidance, name=goal.name, schedule=best.candidate.schedule)
        prediction = Prediction(
            metric=self.metric,
            speedup=best.speedup,
            damage=best.damage,
            conditions=len(self.search.loop.conditions),
            prompts=self.prompts,
        )
        return policy.model_copy(update={"prediction": prediction, "provenance": provenance()})


def composition_end(store: SweepStore) -> int | None:
    """Return the first step after composition: the upper end of the interval of the boundary between the phases.

    An action before it can change whole pictures, which few conditions show. None for a sweep without prompt switches,
    or without a boundary.
    """
    try:
        boundary = phases_of(SweepReader(store.root)).boundary
    except NoPhases:
        return None
    return None if boundary is None else math.ceil(boundary.high)


def _check_damage_scale(metric_set: MetricSet) -> MetricSet:
    """Return a set of one metric. Raises NoRecommendation if the metric is absent or has no damage scale."""
    ((name, metric),) = metric_set.descriptors.items()
    if name in metric_set.absent:
        raise NoRecommendation(f"--metric: {name!r} is not available here: {metric_set.absent[name]}")
    if scale_of(metric.info) != "damage":
        raise NoRecommendation(f"--metric: {name!r} has no damage scale; mse, rel_l2, ssim and haarpsi have")
    return metric_set
