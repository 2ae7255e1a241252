"""Validation: whole runs side by side on unseen prompts, and what is measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from compute import progress
from compute.models.judges import judge_for
from compute.models.mini.scenes.scene import UnreadableCaption
from compute.models.model import Model
from compute.policy.liveness import resolve
from compute.policy.skip_policy import PolicyError, SkipPolicy
from compute.recommend.validation import ValidationResult, validate
from compute.statistics.estimate import Estimate
from store.records import Condition
from store.sampler import SamplerSettings
from tests.recommend.validations import DDPM, DROP_TWO, STEPS, conditions_of, evaluation_of, policy_for, validated


def test_a_policy_of_full_compute_has_no_damage_and_the_same_pictures(full_validation: ValidationResult) -> None:
    validation = full_validation.policy.validation
    assert validation is not None
    zero = Estimate(mean=0, low=0, high=0)
    assert set(validation.policy.damage) == {"mse", "ssim", "haarpsi"}
    assert validation.policy.damage["mse"] == zero
    assert all(damage.high < 1e-12 for damage in validation.policy.damage.values()), "except for rounding"
    assert set(validation.fidelity_difference) == {"objects", "relation", "background", "all"}
    assert all(difference == zero for difference in validation.fidelity_difference.values())
    assert torch.equal(full_validation.pictures["full"], full_validation.pictures["policy"])


def test_damage_is_the_loss_over_that_of_another_seed(drop_validation: ValidationResult, model: Model) -> None:
    conditions = conditions_of(21)
    full = model.run(conditions, DDPM)
    own = model.run(conditions, DDPM, resolve(model.graph, DROP_TWO))
    other = model.run([condition.reseeded() for condition in conditions], DDPM)
    losses = [float((pictures - full).double().square().mean()) for pictures in (own, other)]
    assert drop_validation.policy.validation is not None
    damages = drop_validation.policy.validation.policy.damage
    assert damages["mse"].mean == pytest.approx(losses[0] / losses[1], rel=1e-4)
    assert all(0 < damage.low <= damage.mean <= damage.high < 1.5 for damage in damages.values())


def test_pictures_are_those_of_whole_runs_in_the_order_of_the_conditions(
    drop_validation: ValidationResult, model: Model
) -> None:
    assert drop_validation.conditions == tuple(conditions_of(21))
    for name, resolved in (("full", None), ("policy", resolve(model.graph, DROP_TWO))):
        expected = model.run(drop_validation.conditions, DDPM, resolved)
        assert torch.allclose(drop_validation.pictures[name], expected, atol=1e-4)  # type: ignore[index]


def test_fewer_steps_are_run_beside_the_policy_and_have_no_damage(drop_validation: ValidationResult) -> None:
    validation = drop_validation.policy.validation
    assert validation is not None
    fewer, full = validation.run("fewer_steps"), validation.run("full")
    assert fewer is not None and full is not None
    assert 2 <= fewer.steps <= STEPS
    assert (full.steps, validation.policy.steps) == (STEPS, STEPS)
    assert fewer.damage == full.damage == {}
    assert full.speedup == Estimate(mean=1, low=1, high=1)
    assert drop_validation.pictures["fewer_steps"].shape == drop_validation.pictures["full"].shape


def test_measurements_are_part_of_the_policy(drop_validation: ValidationResult, model: Model, tmp_path: Path) -> None:
    validation = drop_validation.policy.validation
    assert validation is not None
    assert (validation.conditions, validation.batch, validation.rounds) == (21, 8, 3)
    assert (validation.dtype, validation.threads) == ("float32", torch.get_num_threads())
    assert all(run.seconds_per_picture > 0 and run.speedup.mean > 0 for run in validation.runs)
    assert all(run.kid is not None and run.kid.low <= run.kid.mean <= run.kid.high for run in validation.runs)
    drop_validation.policy.save(tmp_path / "policy.json")
    assert SkipPolicy.load(tmp_path / "policy.json") == drop_validation.policy
    assert drop_validation.policy.digest == policy_for(model, DROP_TWO).digest


def test_fidelity_is_the_judges_paired_by_condition(drop_validation: ValidationResult, model: Model) -> None:
    judge, prompts = judge_for(model.source), [condition.prompt for condition in drop_validation.conditions]
    validation = drop_validation.policy.validation
    assert judge is not None and validation is not None
    verdicts = {run.name: judge.fidelity(drop_validation.pictures[run.name], prompts) for run in validation.runs}
    for run in validation.runs:
        for aspect, share in run.fidelity.items():
            assert share.mean == pytest.approx(float(verdicts[run.name][aspect].mean()), abs=1e-6)
    assert verdicts.keys() == {"full", "policy", "fewer_steps"}
    for aspect, difference in validation.fidelity_difference.items():
        expected = float((verdicts["policy"][aspect] - verdicts["full"][aspect]).mean())
        assert difference.mean == pytest.approx(expected, abs=1e-6)


def test_prompts_that_took_part_in_the_search_are_refused(model: Model) -> None:
    conditions = conditions_of(3)
    policy = policy_for(model, DROP_TWO, prompts=[conditions[1].prompt])
    with (
        progress.bar("validate", 3) as bar,
        pytest.raises(PolicyError, match=r"^prompts: .* took part in the search") as refusal,
    ):
        validate(policy, model, evaluation_of(conditions), batch=2, bar=bar)
    assert conditions[1].prompt in str(refusal.value) and "\n" not in str(refusal.value)


def test_prompts_that_the_judge_cannot_read_are_refused_before_anything_is_sampled(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compute.models.model.Model.run", lambda *_: pytest.fail("pictures were sampled"))
    evaluation = evaluation_of([*conditions_of(2), Condition(prompt="cat blue", seed=0, guidance=3.0)])
    with progress.bar("validate", 3) as bar, pytest.raises(UnreadableCaption, match="'cat blue' is not one"):
        validate(policy_for(model, DROP_TWO), model, evaluation, batch=2, bar=bar)


def test_without_a_judge_there_is_no_fidelity(unjudged_validation: ValidationResult) -> None:
    validation = unjudged_validation.policy.validation
    assert validation is not None
    assert validation.fidelity_difference == {}
    assert all(run.fidelity == {} and run.kid is None for run in validation.runs)


def test_the_runs_take_turns(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that slows down slows all runs: each is the first in a third of the rounds."""
    order: list[str] = []

    def noted(
        model: Model, conditions: Sequence[Condition], sampler: SamplerSettings, resolved: object = None, **_: object
    ) -> torch.Tensor:
        name = "policy" if resolved else "full" if sampler.steps == STEPS else "fewer"
        order.append("other" if conditions[0].seed > 1000 else name)
        return torch.rand(len(conditions), 3, 16, 16)

    monkeypatch.setattr("compute.models.model.Model.run", noted)
    monkeypatch.setattr("compute.recommend.validation.steps_in_equal_time", lambda *_: 3)
    validated(model, DROP_TWO, count=6, batch=2)
    rounds = [order[i : i + 4] for i in range(0, 12, 4)]
    assert rounds == [
        ["full", "policy", "fewer", "other"],
        ["policy", "fewer", "full", "other"],
        ["fewer", "full", "policy", "other"],
    ]
