"""The sampling plans that a search may choose from, as parameters with the values that each may take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_args

from compute.policy.search.sampling_plan import Rest, SamplingPlan

Values = tuple[Any, ...]
_PLACEMENTS: Values = (None, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.2, 1.5)
_INTERVALS: Values = (1, 2, 3)
_REFRESHES: Values = (0, 2, 3)
_LEAST_STEPS, _LEAST_PLAIN = 3, 2
_STEPS_BEYOND = 2.2
"""Steps that rest in part let a run have more of them than it has evaluations: at most so many times as many."""


@dataclass(frozen=True, kw_only=True)
class PlanSpace:
    """Plans of some solvers, for `budgets` of evaluations a picture.

    `placed` names the solvers whose timesteps can be chosen. `guided` says whether the pipeline guides in one batch, so
    that guidance can rest, `branches` how many decoder layers the network has to cache below; 0 forbids it.
    """

    solvers: tuple[str, ...]
    placed: tuple[str, ...]
    budgets: tuple[float, ...]
    guided: bool
    branches: int

    @cached_property
    def parameters(self) -> Mapping[str, Values]:
        """The values of each parameter; all combinations are plans, of which several can be the same run."""
        most = max(_LEAST_STEPS, round(max(self.budgets) * (_STEPS_BEYOND if self.guided else 1.5)))
        most = min(most, 100)
        parameters: dict[str, Values] = {
            "solver": self.solvers,
            "steps": tuple(range(_LEAST_STEPS, most + 1)),
            "placement": _PLACEMENTS if self.placed else (None,),
        }
        if self.guided:
            parameters |= {"guided": tuple(range(most + 1)), "rest": get_args(Rest), "refresh": _REFRESHES}
        if self.branches:
            parameters |= {
                "interval": _INTERVALS,
                "branch": tuple(range(self.branches)),
                "cached_from": tuple(range(most)),
            }
        return parameters

    def plan(self, values: Mapping[str, Any]) -> SamplingPlan:
        """Return the plan of a value for each parameter, in its simplest form, so that equal runs are equal plans."""
        chosen = dict(values)
        if chosen["solver"] not in self.placed:
            chosen["placement"] = None
        steps = chosen["steps"]
        if chosen.get("guided", steps) >= steps:
            chosen |= {"guided": None, "rest": "repeat", "refresh": 0}
        elif chosen["guided"] == 0:  # there is no difference to repeat
            chosen |= {"rest": "leave out"}
        elif chosen["guided"] == 1 and chosen["rest"] == "extrapolate":
            chosen["rest"] = "repeat"
        if chosen.get("interval", 1) == 1 or chosen["cached_from"] >= steps - 1:
            chosen |= {"interval": 1, "branch": 0, "cached_from": 0}
        return SamplingPlan.model_validate(chosen)

    def values(self, plan: SamplingPlan) -> dict[str, Any]:
        """Return the values of a plan's parameters: `plan(values(p)) == p` for plans of this space."""
        fields = plan.model_dump()
        if fields["guided"] is None:
            fields["guided"] = plan.steps
        return {name: fields[name] for name in self.parameters}

    def plain(self, solvers: Sequence[str], budgets: Sequence[float]) -> Iterator[SamplingPlan]:
        """Yield full compute by some solvers within each budget: what plans have to be better than."""
        for budget in budgets:
            for solver in solvers:
                if int(budget) >= _LEAST_PLAIN:
                    yield SamplingPlan(solver=solver, steps=int(budget))

    def proposals(self, solvers: Sequence[str]) -> Iterator[SamplingPlan]:
        """Yield plans by some solvers that a search begins with: steps placed otherwise, and guidance that rests.

        Each costs about as much as one of the budgets, which take turns. Trials on small models showed that more steps
        where there is much noise are worthwhile, and a guided part of a third or a half of a plan's cost.
        """
        for placement in (0.6, 0.5, 0.8):
            for plan in self.plain([solver for solver in solvers if solver in self.placed], self.budgets):
                yield plan.model_copy(update={"placement": placement})
        for share in (0.5, 0.3) if self.guided else ():
            for solver in solvers:
                for budget in self.budgets:
                    guided = max(1, round(budget * share))
                    steps = guided + int(2 * (budget - guided))
                    if steps > guided and steps in self.parameters["steps"]:
                        yield SamplingPlan(solver=solver, steps=steps, guided=guided)
