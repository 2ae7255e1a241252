"""Proposes sampling plans by NSGA-II (Deb et al. 2002; Optuna's), for little time and little loss at once."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping

import optuna

from compute.policy.search.plan_space import PlanSpace, Values
from compute.policy.search.sampling_plan import SamplingPlan

_POPULATION = 24
_FEW = 3
"""Values that are a choice even where they are numbers in a row."""


class Population:
    """A population of plans that evolves as their costs and losses are told.

    The same plans told the same results propose the same plans again, because everything random has a seed.
    """

    def __init__(self, space: PlanSpace, seed: int = 0) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space = space
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.NSGAIISampler(population_size=_POPULATION, seed=seed)
        self._study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
        self._distributions = _distributions(space.parameters)

    def tell_known(self, plan: SamplingPlan, evaluations: float, loss: float) -> None:
        """Add a plan that was run without having been proposed."""
        values = self._space.values(plan)
        self._study.add_trial(
            optuna.trial.create_trial(
                params=values, distributions=dict(self._distributions), values=[evaluations, loss]
            )
        )

    def proposals(self) -> Iterator[Proposal]:
        """Yield plans without end; each must be told or dropped before the next is asked for."""
        while True:
            trial = self._study.ask(dict(self._distributions))
            yield Proposal(self._study, trial, self._space.plan(trial.params))


class Proposal:
    """A proposed plan, whose result is still to be told."""

    def __init__(self, study: optuna.Study, trial: optuna.Trial, plan: SamplingPlan) -> None:
        self._study, self._trial, self.plan = study, trial, plan

    def tell(self, evaluations: float, loss: float) -> None:
        """Say what the plan costs and what its loss is."""
        self._study.tell(self._trial, [evaluations, loss])

    def drop(self) -> None:
        """Say that the plan cannot be run, or lies outside the budgets."""
        self._study.tell(self._trial, state=optuna.trial.TrialState.FAIL)


def _distributions(parameters: Mapping[str, Values]) -> Mapping[str, optuna.distributions.BaseDistribution]:
    """Return Optuna's distribution of each parameter: a range of whole numbers, or a choice."""
    found: dict[str, optuna.distributions.BaseDistribution] = {}
    for name, values in parameters.items():
        is_range = len(values) > _FEW and all(isinstance(v, int) for v in values) and _in_a_row(values)
        found[name] = (
            optuna.distributions.IntDistribution(values[0], values[-1])
            if is_range
            else optuna.distributions.CategoricalDistribution(values)
        )
    return found


def _in_a_row(values: Values) -> bool:
    return values == tuple(range(values[0], values[0] + len(values)))
