"""The conditions and prompts that a search takes from its sweep."""

from __future__ import annotations

import pytest

from compute.recommend.goal import NoRecommendation
from compute.recommend.recommender import Recommender
from compute.recommend.sweep_conditions import search_prompts
from store.records import Condition
from store.sweep_store import SweepStore
from tests.recommend.conftest import PROMPTS


def with_conditions(store: SweepStore, conditions: list[Condition]) -> SweepStore:
    """A sweep whose first unit has other conditions."""
    first = store.header.plan[0]
    plan = (first.model_copy(update={"conditions": tuple(conditions)}), *store.header.plan[1:])
    return SweepStore(store.root, store.header.model_copy(update={"plan": plan}))


def test_a_prompt_that_no_policy_can_hold_is_refused_before_the_search(finished_sweep: SweepStore) -> None:
    condition = finished_sweep.header.plan[0].conditions[0].model_copy(update={"prompt": "a cat\x1b[2J"})
    reports: list[str] = []
    with pytest.raises(NoRecommendation, match=r"^prompts: 'a cat.*' can't stand in a policy") as refusal:
        Recommender(with_conditions(finished_sweep, [condition]), metric="mse", report=reports.append, device="cpu")
    assert str(refusal.value).isprintable() and reports == []


def test_the_search_uses_every_prompt_of_the_sweep_and_of_the_closed_loop(finished_sweep: SweepStore) -> None:
    """Only some of the sweep's conditions may be run closed-loop, but evidence comes from all of them."""
    many = [Condition(prompt=f"{i}", seed=0, guidance=3.0) for i in range(50)]
    run = [Condition(prompt="another", seed=0, guidance=3.0)]
    prompts = search_prompts(with_conditions(finished_sweep, many), run)
    assert sorted(prompts) == sorted({condition.prompt for condition in many} | set(PROMPTS) | {"another"})
    with pytest.raises(NoRecommendation, match="prompts: 10003 are too many for a policy; at most 10000"):
        search_prompts(finished_sweep, [Condition(prompt=f"{i}", seed=0, guidance=3.0) for i in range(10_001)])
