"""Closed-loop damage: its scale, and batches that are run only once and only while they matter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from compute.metrics.registry import metrics
from compute.models.model import Model
from compute.policy.schedule import Schedule
from compute.recommend.closed_loop import ClosedLoop
from store.records import RESEED_OFFSET, Action, Condition
from store.sampler import SamplerSettings
from tests.recommend.conftest import PROMPTS, STEPS

DDPM = SamplerSettings(name="ddpm", steps=STEPS)
DROP = Schedule(steps=STEPS, actions={3: {"unet": Action(name="reuse", space="x0")}})


def loop_of(model: Model, count: int, batch: int) -> ClosedLoop:
    conditions = [Condition(prompt=PROMPTS[i % 2], seed=i, guidance=3.0) for i in range(count)]
    return ClosedLoop(model, DDPM, conditions, metrics(["mse"]), batch=batch)


def test_another_seed_is_1_on_the_damage_scale(model: Model) -> None:
    loop = loop_of(model, 3, 2)
    others = [condition.model_copy(update={"seed": condition.seed + RESEED_OFFSET}) for condition in loop.conditions]
    reseeded, full = model.run(others, DDPM), model.run(loop.conditions, DDPM)
    expected = (reseeded - full).double().square().mean((1, 2, 3))
    assert np.allclose(loop.reseeds, expected.numpy(), rtol=1e-4)
    assert Condition(prompt="", seed=2**63 - 1, guidance=0).reseeded().seed == RESEED_OFFSET - 1


def test_full_compute_has_no_damage(model: Model) -> None:
    damage = loop_of(model, 3, 2).damage(Schedule.empty(STEPS))
    assert damage is not None and (damage.mean, damage.low, damage.high) == (0, 0, 0)


def test_a_run_stops_when_it_exceeds_the_budget_and_can_be_continued(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampled: list[int] = []
    pictures = Model.run

    def counted(*arguments: Any, **more: Any) -> torch.Tensor:
        sampled.append(len(arguments[1]))
        return pictures(*arguments, **more)

    monkeypatch.setattr(Model, "run", counted)
    loop = loop_of(model, 6, 2)
    whole = loop_of(model, 6, 2).damage(DROP)
    assert whole is not None
    _ = loop.reseeds
    sampled.clear()
    assert loop.damage(DROP, at_most=whole.mean / 100) is None
    assert sampled == [2], "the first two conditions were enough"
    assert loop.damage(DROP) == whole
    assert sampled == [2, 2, 2]
    assert loop.damage(DROP, at_most=whole.mean + 1e-9) == whole
    assert sampled == [2, 2, 2], "a batch is run once"


def test_the_order_of_batches_does_not_matter(model: Model) -> None:
    """Batches with the largest losses come first; each loss stays with its own condition's reseed."""
    loop, reversed_loop = loop_of(model, 6, 2), loop_of(model, 6, 2)
    reversed_loop._total_losses = [0.0, 1.0, 2.0]
    assert loop.damage(DROP) == reversed_loop.damage(DROP)
