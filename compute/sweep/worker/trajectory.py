"""Trajectories: the states of a run at every step, and how they are sampled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from compute.models.long_prompts import without_repeated_warnings
from compute.models.model import Model
from compute.models.other_stage import StagePictures
from compute.pipeline.followed_step import Replay, Step
from compute.sweep.plan.runs import Run
from store.errors import SkipscopeError
from store.records import Condition
from store.sampler import SamplerSettings


class NotFinite(SkipscopeError):
    """A run whose states are not finite numbers; the message names the first step and condition."""


@dataclass(frozen=True, kw_only=True)
class Trajectory:
    """The states of a run from step `start` on, and its pictures.

    `x_t` holds states start … N, `pred_x0` and `output`, what the scheduler was given, steps start … N-1. `pictures`
    are the decoded final states, in [-1, 1]. `output` has the run's dtype.
    """

    start: int
    x_t: Float32[np.ndarray, "states B C H W"]
    pred_x0: Float32[np.ndarray, "steps B C H W"]
    output: Float[Tensor, "steps B K H W"]
    pictures: Float32[np.ndarray, "B 3 h w"]
    inputs: StagePictures | None = None
    """The pictures of a cascade's stage before this one."""


class TrajectorySampler:
    """Samples trajectories with one model and one sampler."""

    def __init__(self, model: Model, sampler: SamplerSettings) -> None:
        self._model, self._sampler = model, sampler

    def sample(self, conditions: Sequence[Condition], run: Run, baseline: Trajectory | None) -> Trajectory:
        """Run conditions; the steps before the run's start are replayed from its baseline's outputs.

        A cascade's stage is given the input pictures of its baseline; a baseline's are sampled by the stage before it.
        A batch that does not fit into the GPU's memory is halved, down to single conditions. Raises
        torch.OutOfMemoryError where one condition does not fit, NotFinite where a state is not a finite number.
        """
        inputs = self._model.inputs(conditions) if baseline is None else baseline.inputs
        outputs = None if baseline is None or not run.start else baseline.output
        return self._sample_rows(conditions, run, outputs, inputs, slice(0, len(conditions)))

    def _sample_rows(
        self,
        conditions: Sequence[Condition],
        run: Run,
        outputs: Float[Tensor, "steps B K H W"] | None,
        inputs: StagePictures | None,
        rows: slice,
    ) -> Trajectory:
        replay = None if outputs is None else Replay(start=run.start, outputs=outputs[:, rows])
        try:
            return self._sample_batch(conditions[rows], run, replay, None if inputs is None else inputs[rows])
        except torch.OutOfMemoryError:
            if rows.stop - rows.start == 1:
                raise
        torch.cuda.empty_cache()  # outside of the handler, whose exception keeps the tensors alive
        middle = (rows.start + rows.stop) // 2
        halves = [
            self._sample_rows(conditions, run, outputs, inputs, half)
            for half in (slice(rows.start, middle), slice(middle, rows.stop))
        ]
        return Trajectory(
            start=run.start,
            x_t=np.concatenate([half.x_t for half in halves], axis=1),
            pred_x0=np.concatenate([half.pred_x0 for half in halves], axis=1),
            output=torch.cat([half.output for half in halves], dim=1),
            pictures=np.concatenate([half.pictures for half in halves]),
            inputs=inputs if inputs is None else inputs[rows],
        )

    def _sample_batch(
        self, conditions: Sequence[Condition], run: Run, replay: Replay | None, inputs: StagePictures | None
    ) -> Trajectory:
        steps: list[Step] = []

        def record(step: Step) -> None:
            if step.index >= run.start:
                steps.append(step)

        with without_repeated_warnings(self._model.pipe, [condition.prompt for condition in conditions]):
            pictures = self._model.run(
                conditions, self._sampler, run.resolved, replay=replay, inputs=inputs, on_step=record
            )
        trajectory = Trajectory(
            start=run.start,
            x_t=_to_numpy([*(step.x_t for step in steps), steps[-1].x_next]),
            pred_x0=_to_numpy([step.pred_x0 for step in steps]),
            output=torch.stack([step.output for step in steps]).cpu(),
            pictures=pictures.numpy(),
            inputs=inputs,
        )
        _check_finite(trajectory, conditions)
        return trajectory


def _check_finite(trajectory: Trajectory, conditions: Sequence[Condition]) -> None:
    finite = np.isfinite(trajectory.x_t[1:]).all(axis=(2, 3, 4))
    if not finite.all():
        row, sample = np.argwhere(~finite)[0]
        condition = conditions[sample]
        raise NotFinite(
            f"step {trajectory.start + row}: the state after it holds NaN or infinities, with prompt "
            f"{condition.prompt[:60]!r} and seed {condition.seed}: the model's output overflowed; try dtype float32"
        )


def _to_numpy(states: Sequence[Tensor]) -> Float32[np.ndarray, "states B C H W"]:
    return torch.stack(list(states)).float().cpu().numpy()
