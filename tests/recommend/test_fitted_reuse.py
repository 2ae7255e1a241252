"""Fitted reuse: on conditions that the fit did not see it is no worse than repetition, and exact where it can be."""

from __future__ import annotations

import numpy as np
import pytest

from compute.models.model import Model
from compute.policy.extrapolation import extrapolated
from compute.policy.schedule import Schedule
from compute.recommend.fitted_reuse import (
    NotFitted,
    StoredPredictions,
    fit_reuse,
    fitted_action,
    fitted_schedule,
    reuse_residual,
    stored_predictions,
)
from store.records import Action
from store.sweep_store import SweepStore
from tests.recommend.validations import policy_for

STEPS = 6
DROP = {"unet": Action(name="reuse", space="x0")}
EVERY_SECOND = Schedule(steps=STEPS, actions={1: DROP, 3: DROP, 5: DROP})
REPEATED = Action(name="reuse", space="x0", weights=(1.0,))


def smooth(conditions: int = 4, noise: float = 0.0) -> StoredPredictions:
    """Predictions that grow along lines over the steps, each with a slope of its own, and with some noise."""
    rng = np.random.default_rng(0)
    start, slope = rng.normal(size=(2, 1, conditions, 48))
    steps = np.arange(STEPS).reshape(-1, 1, 1)
    predictions = start * (1 + 0.3 * steps) + 0.2 * slope * steps + noise * rng.normal(size=(STEPS, conditions, 48))
    return StoredPredictions(space="x0", x_t=rng.normal(size=(STEPS, conditions, 48)), predictions=predictions)


def test_a_line_is_found() -> None:
    """Extrapolation is a special case, and so are the weights of a multistep solver over uneven steps."""
    for step, sources in ((2, (1, 0)), (5, (2, 0)), (4, (3, 1))):
        action = fitted_action(smooth(), step, sources, ridge=0.0)
        one, other = (extrapolated(step, sources, pair) for pair in ((1.0, 0.0), (0.0, 1.0)))
        assert action.weights == pytest.approx((one, other), abs=1e-5)
        assert action.state == pytest.approx(0.0, abs=1e-5)
        assert reuse_residual(smooth(), action, step, sources) < 1e-5


def test_a_strong_ridge_is_repetition() -> None:
    action = fitted_action(smooth(), 3, (2, 1, 0), ridge=1e9)
    assert action.weights == pytest.approx((1, 0, 0), abs=1e-3) and action.state == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_unseen_conditions_are_no_worse_than_repeated(noise: float) -> None:
    stored = smooth(12, noise)
    seen, unseen = stored.of(range(8)), stored.of(range(8, 12))
    for step, row in fitted_schedule(seen, EVERY_SECOND).actions.items():
        sources = [source for source in range(step - 1, -1, -1) if source % 2 == 0][:2]
        fitted = reuse_residual(unseen, row["unet"], step, sources)
        assert fitted <= reuse_residual(unseen, REPEATED, step, sources[:1])


def test_a_schedule_keeps_what_is_not_a_reuse_of_the_network() -> None:
    rest = {"guidance": Action(name="reuse")}
    made = fitted_schedule(
        smooth(), Schedule(steps=STEPS, actions={1: DROP, 2: rest, 4: DROP}), depth=3, with_state=False
    )
    assert made.at(2) == rest and made.at(0) == {}
    assert [len(made.at(step)["unet"].weights or ()) for step in (1, 4)] == [1, 3]
    assert made.at(4)["unet"].state is None


def test_what_can_not_be_fitted() -> None:
    stored = smooth()
    with pytest.raises(NotFitted, match="depth: is 5"):
        fitted_schedule(stored, EVERY_SECOND, depth=5)
    with pytest.raises(NotFitted, match="ridge: is -1"):
        fitted_schedule(stored, EVERY_SECOND, ridge=-1)
    with pytest.raises(NotFitted, match="has 7 steps; the sweep's baselines have 6"):
        fitted_schedule(stored, Schedule(steps=7, actions={1: DROP}))
    with pytest.raises(NotFitted, match="step 0 reuses unet"):
        fitted_schedule(stored, Schedule(steps=STEPS, actions={0: DROP}))


def test_a_sweep_s_baselines_are_fitted(finished_sweep: SweepStore) -> None:
    """In both spaces; the second condition is held out, where the ridge has only one to learn from."""
    schedule = Schedule(steps=5, actions={2: DROP, 4: DROP})
    for space in ("x0", "eps"):
        stored = stored_predictions(finished_sweep, space)  # type: ignore[arg-type]
        assert stored.x_t.shape == stored.predictions.shape and stored.x_t.shape[:2] == (5, 2)
        for ridge in (0.01, 10.0):
            made = fitted_schedule(stored.of([0]), schedule, ridge=ridge)
            for step, sources in ((2, (1, 0)), (4, (3, 1))):
                action = made.at(step)["unet"]
                assert action.space == space and len(action.weights or ()) == 2
                repeated = reuse_residual(stored.of([1]), REPEATED, step, sources[:1])
                assert reuse_residual(stored.of([1]), action, step, sources) <= repeated


def test_a_policy_is_fitted_to_a_sweep_of_its_own_model(finished_sweep: SweepStore, model: Model) -> None:
    policy = policy_for(model, Schedule(steps=5, actions={2: DROP}))
    fitted = fit_reuse(finished_sweep.root, policy, ridge=0.5)
    assert fitted.schedule == fitted_schedule(stored_predictions(finished_sweep), policy.schedule, ridge=0.5)
    other = policy.model_copy(update={"model": policy.model.model_copy(update={"weights": "0" * 64})})
    with pytest.raises(NotFitted, match="is a sweep of other weights"):
        fit_reuse(finished_sweep.root, other)
