"""Outcomes of policies: what they hold, what their keys depend on, and files that are damaged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from compute.models.judges import judge_for
from compute.models.model import Model
from compute.policy.skip_policy import PolicyError, SkipPolicy
from compute.progress import bar
from compute.recommend.bench.contestants import plain
from compute.recommend.bench.engine import Engine, as_tensor
from compute.recommend.bench.results import ResultFolder
from compute.recommend.run_policy import policy_of_run
from store.records import Condition
from store.sampler import SamplerSettings
from tests.recommend.validations import DROP_TWO, STEPS, conditions_of

DDIM = SamplerSettings(name="ddim", steps=2)


def engine_of(model: Model, folder: Path, lines: list[str] | None = None, batch: int = 2) -> Engine:
    report = (lambda line: pytest.fail(line)) if lines is None else lines.append
    return Engine(model, ResultFolder(folder, report), batch=batch, judge=judge_for(model.source))


def run(engine: Engine, policies: Sequence[SkipPolicy], conditions: Sequence[Condition]) -> int:
    """Run policies; return how many evaluations were left."""
    left = engine.left(policies, conditions)
    with bar("bench", left) as progress:
        engine.run(policies, conditions, progress)
    return left


def test_an_outcome_is_that_of_whole_runs_in_the_order_of_the_conditions(model: Model, tmp_path: Path) -> None:
    conditions = conditions_of(3)
    policy = policy_of_run(model, SamplerSettings(name="ddpm", steps=STEPS), 3.0, name="drop", schedule=DROP_TWO)
    engine = engine_of(model, tmp_path)
    outcome = engine.outcome(policy, conditions)
    expected = model.run(conditions, policy.sampler, engine.resolved(policy))
    assert torch.allclose(as_tensor(outcome.pictures), expected.clamp(-1, 1), atol=1.01 / 255)
    judge = judge_for(model.source)
    assert judge is not None
    pictures = as_tensor(outcome.pictures)
    verdicts = judge.fidelity(pictures, [condition.prompt for condition in conditions])
    assert all(np.array_equal(outcome.fidelity[name], values.numpy()) for name, values in verdicts.items())
    assert np.allclose(outcome.features, judge.embed(pictures).numpy(), atol=1e-5)
    assert outcome.seconds.shape == (2,) and (outcome.seconds > 0).all()
    full = engine.outcome(plain(policy), conditions)
    assert not np.array_equal(full.pictures, outcome.pictures)


def test_what_was_run_is_kept_and_a_set_can_grow(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conditions, policy = conditions_of(6), policy_of_run(model, DDIM, 3.0, name="a")
    engine = engine_of(model, tmp_path)
    assert run(engine, [policy, policy.model_copy(update={"name": "b"})], conditions[:4]) == 8, "the same run once"
    first = engine.outcome(policy, conditions[:4])
    assert run(engine_of(model, tmp_path), [policy], conditions) == 4
    assert len(list(tmp_path.glob("*.outcome"))) == 3
    monkeypatch.setattr(Model, "run", lambda *_, **__: pytest.fail("a kept outcome was sampled again"))
    again = engine_of(model, tmp_path).outcome(policy, conditions[:4])
    assert np.array_equal(first.pictures, again.pictures) and np.array_equal(first.seconds, again.seconds)


def test_another_sampler_seed_guidance_or_precision_has_another_key(model: Model, tmp_path: Path) -> None:
    conditions = conditions_of(2)
    engine = engine_of(model, tmp_path)
    run(engine, [policy_of_run(model, DDIM, 3.0, name="a")], conditions)
    others = [
        (policy_of_run(model, DDIM.model_copy(update={"eta": 0.5}), 3.0, name="a"), conditions),
        (policy_of_run(model, DDIM, 2.0, name="a"), conditions),
        (policy_of_run(model, DDIM, 3.0, name="a"), [condition.reseeded() for condition in conditions]),
    ]
    for policy, own in others:
        assert engine.left([policy], own) == 4


def test_a_damaged_file_is_reported_and_made_again(model: Model, tmp_path: Path) -> None:
    conditions, policy, lines = conditions_of(2), policy_of_run(model, DDIM, 3.0, name="a"), list[str]()
    engine = engine_of(model, tmp_path, lines)
    first = engine.outcome(policy, conditions)
    (file,) = tmp_path.glob("*.outcome")
    whole = file.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", whole[:100] + bytes([whole[100] ^ 255]) + whole[101:]):
        file.write_bytes(damaged)
        again = engine.outcome(policy, conditions)
        assert np.array_equal(first.pictures, again.pictures)
        assert np.array_equal(first.features, again.features)
    assert len(lines) == 3 and all("is damaged and made again" in line for line in lines)


def test_evaluations_are_flops_of_full_steps(model: Model, tmp_path: Path) -> None:
    engine = engine_of(model, tmp_path)
    sampler = SamplerSettings(name="ddpm", steps=STEPS)
    assert engine.evaluations(policy_of_run(model, sampler, 3.0, name="full")) == pytest.approx(STEPS)
    dropped = policy_of_run(model, sampler, 3.0, name="drop", schedule=DROP_TWO)
    assert engine.evaluations(dropped) == pytest.approx(STEPS - 2)


def test_policies_that_are_not_for_this_model_are_refused(model: Model, tmp_path: Path) -> None:
    engine = engine_of(model, tmp_path)
    policy = policy_of_run(model, SamplerSettings(name="DDIMScheduler", steps=2), 3.0, name="a")
    other = policy.model.model_copy(update={"weights": "0" * 64})
    with pytest.raises(PolicyError, match="is for weights 000000000000"):
        engine.evaluations(policy.model_copy(update={"model": other}))
    with pytest.raises(PolicyError, match="makes other steps in a run"):
        engine.evaluations(policy.model_copy(update={"timesteps": (900.0, 100.0)}))
