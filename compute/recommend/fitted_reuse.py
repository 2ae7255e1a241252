"""Fits the reuse of the whole network to a sweep's baselines: a few weights a step, by least squares.

A dropped step's prediction is a weighted sum of the last computed ones and of `x_t`. Repetition and extrapolation are
special cases, and so are the coefficients of multistep solvers. The fit is along full compute's own trajectories, so
what an error does to later steps is not part of it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from compute.policy.graph import UNET
from compute.policy.rules import rules_of
from compute.policy.schedule import Schedule
from compute.policy.skip_policy import SkipPolicy
from store.errors import SkipscopeError
from store.records import WEIGHTS_LIMIT, Action
from store.sweep_store import SweepStore

Space = Literal["eps", "x0"]
_DIGITS = 6


class NotFitted(SkipscopeError):
    """A reuse that cannot be fitted; the message names what is missing."""


@dataclass(frozen=True, kw_only=True)
class StoredPredictions:
    """The states of baselines and what the network predicted at each step, in one space."""

    space: Space
    x_t: Float[np.ndarray, "steps conditions values"]
    predictions: Float[np.ndarray, "steps conditions values"]

    def of(self, conditions: Sequence[int]) -> StoredPredictions:
        """Return those of some of the conditions."""
        rows = list(conditions)
        return StoredPredictions(space=self.space, x_t=self.x_t[:, rows], predictions=self.predictions[:, rows])


def stored_predictions(store: SweepStore, space: Space = "x0") -> StoredPredictions:
    """Read the baselines that a sweep has finished.

    Raises NotFitted where there is none, and for the space `eps` where the model predicts something else.
    """
    prediction = store.header.settings.get("scheduler", {}).get("prediction_type", "epsilon")
    if space == "eps" and prediction != "epsilon":
        raise NotFitted(f"space: the model predicts {prediction}, so its eps is not stored; fit the space x0")
    present = store.present()
    x_t, predictions = [], []
    for unit in store.header.plan:
        if unit.role != "baseline" or unit.key not in present:
            continue
        with store.read(unit.key, check=True) as reader:
            payload = reader.payload()
        assert payload.x_t is not None and payload.pred_x0 is not None and payload.output is not None
        states = payload.x_t[: payload.steps]
        own = payload.pred_x0 if space == "x0" else payload.output[:, :, : states.shape[2]]
        x_t.append(_flat(states))
        predictions.append(_flat(own))
    if not x_t:
        raise NotFitted(f"{store.root}: has no finished baseline to fit to; run the sweep first")
    return StoredPredictions(
        space=space, x_t=np.concatenate(x_t, axis=1), predictions=np.concatenate(predictions, axis=1)
    )


def fit_reuse(
    store: str | os.PathLike[str],
    policy: SkipPolicy,
    *,
    space: Space = "x0",
    depth: int = 2,
    with_state: bool = True,
    ridge: float = 0.01,
) -> SkipPolicy:
    """Return a policy whose reuses of `unet` have weights that are fitted to the baselines of the sweep in `store`.

    The sweep is one of the policy's model with its steps. The arguments are those of `fitted_schedule`. The policy's
    prediction and validation are dropped, because the new one was not measured. Raises SkipscopeError for a folder that
    is no sweep, NotFitted for a sweep of other weights and for what `fitted_schedule` refuses.
    """
    opened = SweepStore.open(store)
    if opened.header.settings.get("model") != policy.model.weights:
        raise NotFitted(
            f"{opened.root}: is a sweep of other weights than the policy's; give one of {policy.model.name!r}"
        )
    stored = stored_predictions(opened, space)
    schedule = fitted_schedule(stored, policy.schedule, depth=depth, with_state=with_state, ridge=ridge)
    return policy.model_copy(update={"rules": rules_of(schedule), "prediction": None, "validation": None})


def fitted_schedule(
    stored: StoredPredictions, schedule: Schedule, *, depth: int = 2, with_state: bool = True, ridge: float = 0.01
) -> Schedule:
    """Return a schedule with each reuse of `unet` replaced by one whose weights are fitted to the stored baselines.

    A step reads the last `depth` computed ones (at most 4), or as many as there are. `ridge` draws the weights towards
    repetition, as strongly as that share of the data of one condition would. Raises NotFitted for another number of
    steps than the baselines have, for numbers out of range, and for a reuse without a computed step before it.
    """
    if not 1 <= depth <= WEIGHTS_LIMIT:
        raise NotFitted(f"depth: is {depth}; 1 to {WEIGHTS_LIMIT} earlier predictions are accepted")
    if not (np.isfinite(ridge) and ridge >= 0):
        raise NotFitted(f"ridge: is {ridge:g}; a number from 0 on is accepted")
    if schedule.steps != len(stored.predictions):
        raise NotFitted(f"schedule: has {schedule.steps} steps; the sweep's baselines have {len(stored.predictions)}")
    rows = dict(schedule.actions)
    computed: list[int] = []
    for step in range(schedule.steps):
        if UNET not in schedule.at(step):
            computed.insert(0, step)
            continue
        if not computed:
            raise NotFitted(f"schedule: step {step} reuses unet, and no step before it computes it")
        action = fitted_action(stored, step, computed[:depth], with_state=with_state, ridge=ridge)
        rows[step] = {UNET: action}
    return Schedule(steps=schedule.steps, actions=rows)


def fitted_action(
    stored: StoredPredictions, step: int, sources: Sequence[int], *, with_state: bool = True, ridge: float = 0.01
) -> Action:
    """Return the reuse of a step from the steps `sources`, latest first, that is nearest to what the step predicted.

    Ridge regression around repetition: the least |A w - b|^2 + ridge / conditions * trace(A^T A) / n * |w - w_0|^2,
    where the columns of A are the earlier predictions and `x_t`, and w_0 is 1 for the latest and 0 for the others.
    """
    columns = [stored.predictions[source] for source in sources] + ([stored.x_t[step]] if with_state else [])
    matrix = np.stack([np.asarray(column, dtype=np.float64).ravel() for column in columns], axis=1)
    target = np.asarray(stored.predictions[step], dtype=np.float64).ravel()
    prior = np.eye(len(columns))[0]
    gram = matrix.T @ matrix
    strength = ridge / stored.predictions.shape[1] * np.trace(gram) / len(columns)
    weights = (
        prior
        + np.linalg.lstsq(gram + strength * np.eye(len(columns)), matrix.T @ (target - matrix @ prior), rcond=None)[0]
    )
    numbers = [round(float(weight), _DIGITS) for weight in weights]
    return Action(
        name="reuse",
        space=stored.space,
        weights=tuple(numbers[: len(sources)]),
        state=numbers[-1] if with_state else None,
    )


def reuse_residual(stored: StoredPredictions, action: Action, step: int, sources: Sequence[int]) -> float:
    """Return how far a reuse with weights is from what a step predicted, as a share of that: root mean squares."""
    assert action.weights is not None, "a fitted reuse has weights"
    pairs = zip(action.weights, sources, strict=True)
    value = (
        sum(weight * stored.predictions[source] for weight, source in pairs) + (action.state or 0) * stored.x_t[step]
    )
    target = stored.predictions[step]
    return float(np.sqrt(np.mean((value - target) ** 2) / np.mean(target**2)))


def _flat(states: Float[np.ndarray, "steps B C H W"]) -> Float[np.ndarray, "steps B values"]:
    return states.reshape(*states.shape[:2], -1).astype(np.float32)
