"""Trajectories: the states of a run at every step, and how they are sampled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from compute.models.model import Model
from compute.sweep.plan.runs import Run
from compute.unet import executing
from store.records import Condition
from store.sampler import SamplerSettings

_ENCODINGS_KEPT = 8


@dataclass(frozen=True, kw_only=True)
class Trajectory:
    """The states of a run from step `start` on: `x_t` of states start … N, `pred_x0` of steps start … N-1."""

    start: int
    x_t: Float32[np.ndarray, "states B C H W"]
    pred_x0: Float32[np.ndarray, "steps B C H W"]


class TrajectorySampler:
    """Samples trajectories with one model and one sampler."""

    def __init__(self, model: Model, sampler: SamplerSettings) -> None:
        self._model = model
        self._scheduler = model.scheduler(sampler)
        self._encoding = lru_cache(_ENCODINGS_KEPT)(model.encode)  # units share their batches of prompts

    def sample(self, conditions: Sequence[Condition], run: Run, baseline: Trajectory | None) -> Trajectory:
        """Run conditions from the state of `baseline` at the run's start; from noise at step 0 or without a baseline.

        A batch that does not fit into the GPU's memory is halved, down to single conditions. Raises
        torch.OutOfMemoryError where one condition does not fit.
        """
        return self._sample_rows(conditions, run, baseline, slice(0, len(conditions)))

    def decode(self, x_t: Float32[np.ndarray, "B C H W"]) -> Float32[np.ndarray, "B 3 H W"]:
        """Return the pictures of final states, in [-1, 1]."""
        return self._model.decode(torch.from_numpy(x_t).to(self._model.device)).cpu().numpy()

    def _sample_rows(
        self, conditions: Sequence[Condition], run: Run, baseline: Trajectory | None, rows: slice
    ) -> Trajectory:
        try:
            return self._sample_batch(conditions[rows], run, None if baseline is None else baseline.x_t[:, rows])
        except torch.OutOfMemoryError:
            if rows.stop - rows.start == 1:
                raise
        torch.cuda.empty_cache()  # outside of the handler, whose exception keeps the tensors alive
        middle = (rows.start + rows.stop) // 2
        halves = [
            self._sample_rows(conditions, run, baseline, half)
            for half in (slice(rows.start, middle), slice(middle, rows.stop))
        ]
        return Trajectory(
            start=run.start,
            x_t=np.concatenate([half.x_t for half in halves], axis=1),
            pred_x0=np.concatenate([half.pred_x0 for half in halves], axis=1),
        )

    def _sample_batch(
        self, conditions: Sequence[Condition], run: Run, baseline_x_t: Float32[np.ndarray, "states B C H W"] | None
    ) -> Trajectory:
        model = self._model
        if run.start and baseline_x_t is not None:
            x_t = torch.from_numpy(baseline_x_t[run.start]).to(model.device)
        else:
            x_t = model.noise([condition.seed for condition in conditions])
        text = self._encoding(tuple(condition.prompt for condition in conditions))
        states, predictions = [x_t], []
        with executing(model.unet, run.resolved) as execution:
            for step in model.steps(conditions, self._scheduler, text, x_t, start=run.start, execution=execution):
                states.append(step.x_next)
                predictions.append(step.pred_x0)
        return Trajectory(start=run.start, x_t=_to_numpy(states), pred_x0=_to_numpy(predictions))


def _to_numpy(states: Sequence[Tensor]) -> Float32[np.ndarray, "states B C H W"]:
    return torch.stack(list(states)).float().cpu().numpy()
