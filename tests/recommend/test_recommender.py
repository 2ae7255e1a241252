"""Recommendations from a real sweep of a tiny model: within their budget, or a line that says why there is none."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest

from compute.analysis.impact.ablation_impact import NoImpact
from compute.analysis.phases.phase_evidence import phases_of
from compute.policy.liveness import resolve
from compute.policy.schedule import Schedule
from compute.policy.skip_policy import SkipPolicy
from compute.recommend.goal import Goal, NoRecommendation
from compute.recommend.recommender import Recommender, composition_end
from compute.unet import parameter_digests
from store.records import Action, Condition
from store.sampler import SamplerSettings
from store.sweep_reader import SweepReader
from store.sweep_store import SweepStore
from tests.recommend.conftest import PROMPTS, STEPS

DDPM = SamplerSettings(name="ddpm", steps=STEPS)
DROP = Schedule(steps=STEPS, actions={3: {"unet": Action(name="reuse", space="x0")}})


def budget_for(recommender: Recommender) -> float:
    """A budget that some candidates keep: by the closed-loop damage of one dropped step."""
    damage = recommender.search.loop.damage(DROP)
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
        recommender.space.full_seconds / recommender.space.cost.seconds(resolved)
    )


def test_the_damage_is_that_of_whole_runs_on_the_searchs_conditions(recommender: Recommender) -> None:
    policy = recommender.recommend(Goal(max_damage=budget_for(recommender)))
    model, conditions = recommender.model, recommender.search.loop.conditions
    mse = {}
    full = model.run(conditions, DDPM)
    for name, pictures in (
        ("policy", model.run(conditions, DDPM, resolve(model.graph, policy.schedule))),
        ("reseed", model.run([condition.reseeded() for condition in conditions], DDPM)),
    ):
        mse[name] = (pictures - full).double().square().mean((1, 2, 3))
    assert policy.prediction is not None
    assert policy.prediction.damage.mean == pytest.approx(float(mse["policy"].mean() / mse["reseed"].mean()), rel=1e-4)
    assert policy.prediction.conditions == len(conditions) == len(set(conditions)) > 10
    assert {condition.prompt for condition in conditions} == set(PROMPTS)


def test_a_policy_names_what_it_is_for(recommender: Recommender, finished_sweep: SweepStore, tmp_path: Path) -> None:
    policy = recommender.recommend(Goal(max_damage=budget_for(recommender)))
    assert policy.model.weights == finished_sweep.header.settings["model"]
    assert policy.sampler.model_dump() == DDPM.model_dump()
    assert policy.guidance == 3.0
    assert policy.validation is None
    assert policy.prediction is not None and policy.prediction.prompts == tuple(PROMPTS)
    policy.save(tmp_path / "policy.json")
    assert SkipPolicy.load(tmp_path / "policy.json") == policy


def test_a_sweep_in_half_precision_gives_a_policy_with_the_digests_of_exact_weights(
    finished_sweep: SweepStore, recommender: Recommender
) -> None:
    settings = {**finished_sweep.header.settings, "dtype": "bfloat16"}
    store = SweepStore(finished_sweep.root, finished_sweep.header.model_copy(update={"settings": settings}))
    half = Recommender(store, metric="mse", report=lambda _: None, device="cpu")
    policy = half.recommend(Goal(min_speedup=1.2))
    assert dict(policy.model.unet) == parameter_digests(recommender.model.unet)


def test_of_two_budgets_the_larger_gives_the_faster_policy(recommender: Recommender) -> None:
    budget = budget_for(recommender)
    small, large = (recommender.recommend(Goal(max_damage=b)).prediction for b in (budget, 20 * budget))
    assert small is not None and large is not None
    assert large.speedup >= small.speedup


def test_a_minimum_speedup_is_reached(recommender: Recommender) -> None:
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


def test_a_similarity_is_turned_into_a_distance(finished_sweep: SweepStore) -> None:
    """SSIM of identical pictures is 1: the damage of full compute is 0, and a budget limits the loss."""
    by_ssim = Recommender(finished_sweep, metric="ssim", report=lambda _: None, device="cpu")
    full = by_ssim.search.loop.damage(Schedule.empty(STEPS))
    dropped = by_ssim.search.loop.damage(DROP)
    assert full is not None and (full.mean, full.low, full.high) == (0, 0, 0)
    assert dropped is not None and 0 < dropped.mean < 1.5
    policy = by_ssim.recommend(Goal(metric="ssim", max_damage=dropped.mean / 0.75 + 1e-9))
    assert policy.prediction is not None and policy.prediction.metric == "ssim"
    assert policy.prediction.damage.mean <= dropped.mean + 1e-9


@pytest.mark.parametrize("metric", ["psnr", "fidelity_all"])
def test_metrics_without_a_damage_scale_are_refused(finished_sweep: SweepStore, metric: str) -> None:
    with pytest.raises((NoRecommendation, NoImpact), match=rf"^--metric: '{metric}' ") as refusal:
        Recommender(finished_sweep, metric=metric, report=lambda _: None, device="cpu")
    assert "\n" not in str(refusal.value)


def test_a_metric_that_was_not_measured_is_refused(finished_sweep: SweepStore) -> None:
    with pytest.raises(NoImpact, match=r"^--metric: 'haarpsi' was not measured here; accepted: "):
        Recommender(finished_sweep, metric="haarpsi", report=lambda _: None, device="cpu")


def test_a_sweep_of_other_weights_is_refused(finished_sweep: SweepStore, tiny_model: Path, tmp_path: Path) -> None:
    other = tmp_path / "model"
    shutil.copytree(tiny_model, other)
    config = other / "scheduler" / "scheduler_config.json"
    config.write_text(config.read_text() + "\n")
    header = finished_sweep.header
    header = header.model_copy(update={"config": {**header.config, "model": str(other)}})
    with pytest.raises(NoRecommendation, match="was swept with other weights"):
        Recommender(SweepStore(finished_sweep.root, header), metric="mse", report=lambda _: None, device="cpu")


def test_candidates_run_on_the_given_conditions(finished_sweep: SweepStore) -> None:
    given = [Condition(prompt="a fox on a pink background", seed=i, guidance=3.0) for i in range(2)]
    own = Recommender(finished_sweep, metric="mse", report=lambda _: None, conditions=given, device="cpu")
    prediction = own.recommend(Goal(max_damage=900)).prediction
    assert prediction is not None and prediction.conditions == 2
    assert set(prediction.prompts) == {*PROMPTS, "a fox on a pink background"}


def test_actions_after_composition_are_searched_first(
    finished_sweep: SweepStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The search after the boundary has no evidence from before it; without prompt switches there is no boundary."""
    boundary = phases_of(SweepReader(finished_sweep.root)).boundary
    assert composition_end(finished_sweep) == (boundary and math.ceil(boundary.high))
    monkeypatch.setattr("compute.recommend.recommender.composition_end", lambda _: 3)
    reports: list[str] = []
    recommender = Recommender(finished_sweep, metric="mse", report=reports.append, device="cpu")
    assert "composition has ended by step 3" in "\n".join(reports)
    measured: list[Schedule] = []
    monkeypatch.setattr(
        recommender.search, "measure", lambda candidate, budget=None: measured.append(candidate.schedule)
    )
    with pytest.raises(NoRecommendation):
        recommender.recommend(Goal(max_damage=900))
    early = [any(step < 3 for step in schedule.actions) for schedule in measured]
    assert early[:3] == [False] * 3 and any(early)
