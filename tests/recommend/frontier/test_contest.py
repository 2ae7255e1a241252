"""A contest: whom it runs on how much, what that costs, and who is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from compute.policy.schedule import Schedule
from compute.policy.skip_policy import SkipPolicy
from compute.recommend.frontier.contest import Contest
from compute.recommend.frontier.picture_loss import Losses
from compute.recommend.frontier.standing import Candidate, within
from store.records import Condition
from tests.policy.policies import policy_of

CONDITIONS = [Condition(prompt=f"prompt {number}", seed=number, guidance=3.0) for number in range(12)]


class Bar:
    """Counts what is advanced."""

    total = 0

    def advance(self, note: str = "", *, count: int = 1) -> None:
        self.total += count


class Loss:
    """A loss that is written into the pictures."""

    name = metric = "written"

    def of(self, pictures: Any, conditions: Sequence[Condition]) -> Losses:
        return np.asarray(pictures, dtype=np.float64)


class Engine:
    """Makes pictures that say the loss of a policy: its guidance scale, and more on later conditions where asked."""

    def __init__(self) -> None:
        self.runs: list[tuple[float, int]] = []

    def outcome(self, policy: SkipPolicy, conditions: Sequence[Condition]) -> Any:
        self.runs.append((policy.guidance, len(conditions)))
        return SimpleNamespace(pictures=np.full(len(conditions), policy.guidance))


def candidate(loss: float, evaluations: float, *, plain: bool = False) -> Candidate:
    policy = policy_of(Schedule.empty(5), guidance=loss)
    return Candidate(
        label=f"{loss:g} at {evaluations:g}", policy=policy, is_plain=plain, evaluations=evaluations, seconds=1.0
    )


def contest_of(*candidates: Candidate) -> tuple[Contest, Engine]:
    engine = Engine()
    contest = Contest(engine, CONDITIONS, Loss(), (4, 8, 12), Bar())  # type: ignore[arg-type]
    for item in candidates:
        contest.run(item, 0)
    return contest, engine


def test_a_candidate_costs_what_it_was_not_run_on_before() -> None:
    one = candidate(2.0, 5.0)
    contest, engine = contest_of(one, one)
    assert contest.spent == 4 * 5
    assert engine.runs == [(2.0, 4)]
    contest.run(one, 2)
    assert contest.spent == 12 * 5
    assert len(contest.run(one, 1).losses) == 12


def test_the_best_of_each_budget_and_its_best_plain_one_go_on() -> None:
    candidates = [candidate(loss, 4.0) for loss in (1.0, 2.0, 3.0)] + [candidate(4.0, 4.0, plain=True)]
    contest, engine = contest_of(*candidates, candidate(0.5, 9.0))
    contest.promote(1, [4.0], 2, by="evaluations")
    assert sorted(loss for loss, count in engine.runs if count == 8) == [1.0, 2.0, 4.0]


def test_who_has_not_come_to_the_round_before_cannot_skip_it() -> None:
    contest, engine = contest_of(candidate(1.0, 4.0), candidate(2.0, 4.0))
    contest.promote(1, [4.0], 1, by="evaluations")
    contest.promote(2, [4.0], 2, by="evaluations")
    assert [loss for loss, count in engine.runs if count == 12] == [1.0]


def test_within_a_budget_the_most_measured_come_first_then_the_least_loss() -> None:
    contest, _ = contest_of(candidate(1.0, 4.0), candidate(2.0, 4.0), candidate(3.0, 4.0), candidate(0.1, 6.0))
    for loss in (2.0, 3.0):
        contest.run(candidate(loss, 4.0), 2)
    found = within(contest.standings, 4.0, by="evaluations")
    assert [standing.loss for standing in found] == [2.0, 3.0, 1.0]


def test_differences_are_paired_on_the_conditions_of_both() -> None:
    contest, _ = contest_of(candidate(1.0, 4.0), candidate(3.0, 4.0))
    first, second = contest.standings
    assert second.minus(first).mean == 2.0
    assert second.minus(first).high == 2.0
