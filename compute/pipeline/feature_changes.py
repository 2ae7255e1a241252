"""Measures how much the outputs of a UNet's components change from step to step of a run."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor

from compute.pipeline.follow import RunFollower, check_can_be_followed, following
from compute.pipeline.followed_step import Step
from compute.pipeline.run_steps import FollowError
from compute.policy.methods.changes import FeatureChanges
from compute.unet.blocks import component_modules, uncompiled
from compute.unet.trace import tensor_of


def measure_changes(pipe: Any, run: Callable[[], Any], *, lags: int = 3) -> FeatureChanges:
    """Return the changes of every component over 1 to `lags` steps in a run of a pipeline, and of the state.

    `run` calls the pipeline once. The outputs of the last `lags` steps are held in memory. Raises FollowError for a run
    that is not one, or has too few steps.
    """
    check_can_be_followed(pipe)
    recorder = _Recorder(lags)
    unet = uncompiled(pipe.unet)
    modules = dict(unet.named_modules())
    with torch.no_grad(), ExitStack() as hooks:
        for name in component_modules(unet):
            hooks.callback(modules[name].register_forward_hook(recorder.hook(name)).remove)
        with following(pipe, pipe.unet, RunFollower(pipe, on_step=recorder.end_step)):
            run()
    return recorder.result()


class _Recorder:
    """Collects the outputs of a step by component, and compares them with those of the steps before."""

    def __init__(self, lags: int) -> None:
        self._lags = lags
        self._now: dict[str, list[Tensor]] = {}
        self._before: deque[dict[str, Tensor]] = deque(maxlen=lags)
        self._changes: dict[str, list[list[float]]] = {}
        self._distances: list[float] = []

    def hook(self, name: str) -> Callable[..., None]:
        """Return a forward hook that keeps a component's outputs; a part, or guidance in two calls, has several."""

        def keep(module: Any, arguments: Any, output: Any) -> None:
            self._now.setdefault(name, []).append(tensor_of(output).detach().float().flatten())

        return keep

    def end_step(self, step: Step) -> None:
        """Compare the outputs of a step that ends with those of the steps before."""
        if step.index != len(self._distances):
            raise FollowError("run: it made more than one run of the pipeline; one is measured")
        self._distances.append(float((step.x_next - step.x_t).abs().mean()))
        now = {name: torch.cat(outputs).clone() for name, outputs in self._now.items()}
        self._now = {}
        for lag, before in enumerate(reversed(self._before)):
            for name, output in now.items():
                if name in before and before[name].shape == output.shape:
                    rows = self._changes.setdefault(name, [[] for _ in range(self._lags)])
                    rows[lag].append(_relative_change(before[name], output))
        self._before.append(now)

    def result(self) -> FeatureChanges:
        """Return what was measured. Raises FollowError where the run had too few steps."""
        steps = len(self._distances)
        if steps <= self._lags:
            raise FollowError(f"run: it made {steps} steps; more than {self._lags}, the lags, are needed")
        changes = {name: tuple(map(tuple, rows)) for name, rows in self._changes.items()}
        return FeatureChanges(steps=steps, changes=changes, distances=tuple(self._distances))


def _relative_change(earlier: Tensor, later: Tensor) -> float:
    """Return the L1 distance of two outputs over the L1 norm of the later one; 0 where that is 0."""
    norm = float(later.abs().sum())
    return float((later - earlier).abs().sum()) / norm if norm else 0.0
