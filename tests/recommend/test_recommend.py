"""Recommendations from a real sweep of a tiny model: within their budget, or a line that says why there is none."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from compute.analysis.impact.ablation_impact import NoImpact
from compute.analysis.phases.phase_evidence import phases_of
from compute.metrics.registry import metrics
from compute.models.model import Model
from compute.policy.liveness import resolve
from compute.policy.schedule import Schedule
from compute.policy.skip_policy import SkipPolicy
from compute.recommend.closed_loop import ClosedLoop
from compute.recommend.recommender import Goal, NoRecommendation, Recommender, _prompts, composed_from, goals_of
from compute.unet import parameter_digests
from store.index.table import SweepReader
from store.records import RESEED_OFFSET, Action, Condition
from store.sampler import SamplerSettings
from store.sweep_store import SweepStore
from tests.recommend.conftest import PROMPTS, STEPS

DDPM = SamplerSettings(name="ddpm", steps=STEPS)
DROP = Schedule(steps=STEPS, actions={3: {"unet": Action(name="reuse", space="x0")}})


def budget_for(recommender: Recommender) -> float:
    """A budget that something keeps and not everything does: by the damage of one dropped step, run closed-loop."""
    damage = recommender.loop.damage(DROP)
    assert damage is not None
    return damage.mean / 0.75 + 1e-9


def test_a_policy_keeps_its_budget_and_is_faster(recommender: Recommender) -> None:
    budget = budget_for(recommender)
    policy = recommender.recommend(Goal(max_damage=budget))
    assert policy.prediction is not None
    assert policy.prediction.speedup > 1
    assert policy.prediction.damage.mean <= 0.75 * budget
    assert policy.rules
    resolved = resolve(recommender.model.graph, policy.schedule)
    assert policy.prediction.speedup == pytest.approx(
        recommender.search.full_seconds / recommender.search.cost.seconds(resolved)
    )


def test_the_damage_is_that_of_whole_runs_on_the_searchs_conditions(recommender: Recommender) -> None:
    policy = recommender.recommend(Goal(max_damage=budget_for(recommender)))
    model, conditions = recommender.model, recommender.loop.conditions
    mse = {}
    full = model.pictures(conditions, DDPM)
    for name, drawn in (
        ("policy", model.pictures(conditions, DDPM, resolve(model.graph, policy.schedule))),
        ("reseed", model.pictures([condition.reseeded() for condition in conditions], DDPM)),
    ):
        mse[name] = (drawn - full).double().square().mean((1, 2, 3))
    assert policy.prediction is not None
    assert policy.prediction.damage.mean == pytest.approx(float(mse["policy"].mean() / mse["reseed"].mean()), rel=1e-4)
    assert policy.prediction.conditions == len(conditions) == len(set(conditions)) > 10
    assert {condition.prompt for condition in conditions} == set(PROMPTS)


def test_a_policy_says_what_it_is_for(recommender: Recommender, swept: SweepStore, tmp_path: Path) -> None:
    policy = recommender.recommend(Goal(max_damage=budget_for(recommender)))
    assert policy.model.weights == swept.header.settings["model"]
    assert policy.sampler.model_dump() == DDPM.model_dump()
    assert policy.guidance == 3.0
    assert policy.validation is None
    assert policy.prediction is not None and policy.prediction.prompts == tuple(PROMPTS)
    policy.save(tmp_path / "policy.json")
    assert SkipPolicy.load(tmp_path / "policy.json") == policy


def test_a_sweep_in_half_precision_gives_a_policy_with_the_digests_of_exact_weights(
    swept: SweepStore, recommender: Recommender
) -> None:
    settings = {**swept.header.settings, "dtype": "bfloat16"}
    store = SweepStore(swept.root, swept.header.model_copy(update={"settings": settings}))
    policy = Recommender(store, metric="mse", tell=lambda _: None, device="cpu").recommend(Goal(min_speedup=1.2))
    assert dict(policy.model.unet) == parameter_digests(recommender.model.unet)


def test_of_two_budgets_the_larger_gives_the_faster_policy(recommender: Recommender) -> None:
    budget = budget_for(recommender)
    small, large = (recommender.recommend(Goal(max_damage=b)).prediction for b in (budget, 20 * budget))
    assert small is not None and large is not None
    assert large.speedup >= small.speedup


def test_a_speed_is_kept(recommender: Recommender) -> None:
    policy = recommender.recommend(Goal(min_speedup=1.3))
    assert policy.prediction is not None and policy.prediction.speedup >= 1.3
    assert policy.name == "mse-speedup-1.3"


def test_a_budget_that_nothing_keeps(recommender: Recommender) -> None:
    with pytest.raises(NoRecommendation, match=r"^--max-damage: nothing keeps 1e-09 ") as refusal:
        recommender.recommend(Goal(max_damage=1e-9))
    assert "\n" not in str(refusal.value)


def test_a_speed_that_is_out_of_reach(recommender: Recommender) -> None:
    with pytest.raises(NoRecommendation, match=r"^--min-speedup: 900 is out of reach; at most \d+\.\d\d is$"):
        recommender.recommend(Goal(min_speedup=900))


@pytest.mark.parametrize(
    ("damage", "speedup", "says"),
    [
        (None, None, "--max-damage, --min-speedup: give one of the two"),
        ("0.1", 1.5, "--max-damage, --min-speedup: give one of the two"),
        ("much", None, "--max-damage: 'much' is not understood; write 0.01"),
        ("", None, "--max-damage: '' is not understood"),
        ("0.1,,0.2", None, "is not understood"),
        ("0", None, "is not understood"),
        ("-1", None, "is not understood"),
        ("nan", None, "is not understood"),
        ("inf", None, "is not understood"),
        ("1e9", None, "is not understood"),
        ("x" * 5000, None, "is not understood"),
        (None, 1.0, "--min-speedup: 1; a number above 1 is accepted"),
        (None, float("nan"), "--min-speedup: nan; a number above 1"),
        (None, float("inf"), "--min-speedup: inf; a number above 1"),
    ],
)
def test_goals_that_are_none(damage: str | None, speedup: float | None, says: str) -> None:
    with pytest.raises(NoRecommendation) as refusal:
        goals_of("mse", damage, speedup)
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 200


def test_several_budgets_are_several_goals_with_names_of_their_own() -> None:
    goals = goals_of("mse", "0.03,0.01,0.01,0.0100001", None)
    assert [goal.max_damage for goal in goals] == [0.01, 0.0100001, 0.03]
    assert len({goal.name for goal in goals}) == 3
    assert goals_of("ssim", None, 1.5) == [Goal(metric="ssim", min_speedup=1.5)]


def test_a_similarity_is_turned_into_a_distance(swept: SweepStore) -> None:
    """SSIM is 1 of identical pictures: the damage of doing nothing is 0, and its budget is one of losses."""
    by_ssim = Recommender(swept, metric="ssim", tell=lambda _: None, device="cpu")
    nothing = by_ssim.loop.damage(Schedule.empty(STEPS))
    some = by_ssim.loop.damage(DROP)
    assert nothing is not None and (nothing.mean, nothing.low, nothing.high) == (0, 0, 0)
    assert some is not None and 0 < some.mean < 1.5
    policy = by_ssim.recommend(Goal(metric="ssim", max_damage=some.mean / 0.75 + 1e-9))
    assert policy.prediction is not None and policy.prediction.metric == "ssim"
    assert policy.prediction.damage.mean <= some.mean + 1e-9


@pytest.mark.parametrize("metric", ["psnr", "fidelity_all"])
def test_metrics_without_a_damage_scale_are_refused(swept: SweepStore, metric: str) -> None:
    with pytest.raises((NoRecommendation, NoImpact), match=rf"^--metric: '{metric}' ") as refusal:
        Recommender(swept, metric=metric, tell=lambda _: None, device="cpu")
    assert "\n" not in str(refusal.value)


def test_a_metric_that_was_not_measured_is_refused(swept: SweepStore) -> None:
    with pytest.raises(NoImpact, match=r"^--metric: 'haarpsi' was not measured here; accepted: "):
        Recommender(swept, metric="haarpsi", tell=lambda _: None, device="cpu")


def test_a_sweep_of_other_weights_is_refused(swept: SweepStore, tiny_model: Path, tmp_path: Path) -> None:
    other = tmp_path / "model"
    shutil.copytree(tiny_model, other)
    config = other / "scheduler" / "scheduler_config.json"
    config.write_text(config.read_text() + "\n")
    store = SweepStore(swept.root, swept.header.model_copy(
        update={"config": {**swept.header.config, "model": str(other)}}
    ))  # fmt: skip
    with pytest.raises(NoRecommendation, match="was swept with other weights"):
        Recommender(store, metric="mse", tell=lambda _: None, device="cpu")


def test_a_prompt_that_no_policy_can_hold_is_told_before_the_search(swept: SweepStore) -> None:
    first = swept.header.plan[0]
    condition = first.conditions[0].model_copy(update={"prompt": "a cat\x1b[2J"})
    plan = (first.model_copy(update={"conditions": (condition,)}), *swept.header.plan[1:])
    store = SweepStore(swept.root, swept.header.model_copy(update={"plan": plan}))
    told: list[str] = []
    with pytest.raises(NoRecommendation, match=r"^prompts: 'a cat.*' can't stand in a policy") as refusal:
        Recommender(store, metric="mse", tell=told.append, device="cpu")
    assert str(refusal.value).isprintable() and told == []


def test_every_prompt_of_the_sweep_and_of_the_closed_loop_took_part(swept: SweepStore) -> None:
    """Only some of the sweep's conditions may be run closed-loop, but the evidence comes from all."""
    first = swept.header.plan[0]
    many = [Condition(prompt=f"{i}", seed=0, guidance=3.0) for i in range(50)]
    plan = (first.model_copy(update={"conditions": tuple(many)}), *swept.header.plan[1:])
    store = SweepStore(swept.root, swept.header.model_copy(update={"plan": plan}))
    run = [Condition(prompt="another", seed=0, guidance=3.0)]
    found = _prompts(store, run)
    assert sorted(found) == sorted({condition.prompt for condition in many} | set(PROMPTS) | {"another"})
    with pytest.raises(NoRecommendation, match="prompts: 10003 are too many for a policy; at most 10000"):
        _prompts(swept, [Condition(prompt=f"{i}", seed=0, guidance=3.0) for i in range(10_001)])


def test_candidates_run_on_the_conditions_asked_for(swept: SweepStore) -> None:
    asked = [Condition(prompt="a fox on a pink background", seed=i, guidance=3.0) for i in range(2)]
    own = Recommender(swept, metric="mse", tell=lambda _: None, conditions=asked, device="cpu")
    found = own.recommend(Goal(max_damage=900)).prediction
    assert found is not None and found.conditions == 2
    assert set(found.prompts) == {*PROMPTS, "a fox on a pink background"}


def test_actions_after_composition_are_looked_at_first(
    swept: SweepStore, recommender: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The search after the boundary knows nothing of what comes before it; without switches there is no boundary."""
    boundary = phases_of(SweepReader(swept.root)).boundary
    assert recommender.composed == composed_from(swept) == (boundary and math.ceil(boundary.high))
    monkeypatch.setattr("compute.recommend.recommender.composed_from", lambda _: 3)
    told: list[str] = []
    after = Recommender(swept, metric="mse", tell=told.append, device="cpu")
    assert "composition has ended by step 3" in "\n".join(told)
    tried: list[Schedule] = []
    monkeypatch.setattr(after, "_try", lambda candidate, budget=None: tried.append(candidate.schedule))
    with pytest.raises(NoRecommendation):
        after.recommend(Goal(max_damage=900))
    early = [any(step < 3 for step in schedule.actions) for schedule in tried]
    assert early[:3] == [False] * 3 and any(early)


def conditions_of(count: int) -> list[Condition]:
    return [Condition(prompt=PROMPTS[i % 2], seed=i, guidance=3.0) for i in range(count)]


def loop_of(model: Model, count: int, batch: int) -> ClosedLoop:
    return ClosedLoop(model, DDPM, conditions_of(count), metrics(["mse"]), batch=batch)


def test_another_seed_is_1_on_the_damage_scale(model: Model) -> None:
    loop = loop_of(model, 3, 2)
    others = [condition.model_copy(update={"seed": condition.seed + RESEED_OFFSET}) for condition in loop.conditions]
    drawn, full = model.pictures(others, DDPM), model.pictures(loop.conditions, DDPM)
    expected = (drawn - full).double().square().mean((1, 2, 3))
    assert np.allclose(loop.reseeds, expected.numpy(), rtol=1e-4)
    assert Condition(prompt="", seed=2**63 - 1, guidance=0).reseeded().seed == RESEED_OFFSET - 1


def test_doing_nothing_does_no_damage(model: Model) -> None:
    damage = loop_of(model, 3, 2).damage(Schedule.empty(STEPS))
    assert damage is not None and (damage.mean, damage.low, damage.high) == (0, 0, 0)


def test_a_run_is_left_as_soon_as_it_exceeds_the_budget_and_taken_up_again(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []
    pictures = Model.pictures

    def counted(*arguments: Any, **more: Any) -> torch.Tensor:
        drawn.append(len(arguments[1]))
        return pictures(*arguments, **more)

    monkeypatch.setattr(Model, "pictures", counted)
    loop = loop_of(model, 6, 2)
    whole = loop_of(model, 6, 2).damage(DROP)
    assert whole is not None
    _ = loop.reseeds
    drawn.clear()
    assert loop.damage(DROP, at_most=whole.mean / 100) is None
    assert drawn == [2], "the first two conditions were enough"
    assert loop.damage(DROP) == whole
    assert drawn == [2, 2, 2]
    assert loop.damage(DROP, at_most=whole.mean + 1e-9) == whole
    assert drawn == [2, 2, 2], "what was run is remembered"


def test_the_order_in_which_batches_are_run_changes_nothing(model: Model) -> None:
    """What was harmed most by other schedules comes first; each distance stays with its own condition's reseed."""
    straight, turned = loop_of(model, 6, 2), loop_of(model, 6, 2)
    turned._harm = [0.0, 1.0, 2.0]
    assert straight.damage(DROP) == turned.damage(DROP)
