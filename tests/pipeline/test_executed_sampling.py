"""Followed runs with schedules that are executed on a real UNet."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import torch

from compute.pipeline import RunFollower, Step, following
from compute.policy.liveness import resolve
from compute.policy.schedule import Schedule
from compute.unet import Execution, executing, read_graph
from store.records import Action
from tests.pipeline.pipelines import OtherPipeline, ddpm, run_pipeline

STEPS = 6
BYPASSED = {3: {"mid_block.resnets.0": Action(name="bypass")}}
DROPPED = {4: {"unet": Action(name="reuse", space="x0")}}


class Stop(Exception):
    """Ends a run early."""


def run(unet: Any, execution: Execution | None, stop: int | None = None) -> list[Step]:
    """Return the steps of a run, followed by an execution."""
    steps: list[Step] = []

    def record(step: Step) -> None:
        steps.append(step)
        if len(steps) == stop:
            raise Stop

    pipe = OtherPipeline(unet, ddpm())
    with following(pipe, unet, RunFollower(pipe, execution=execution, on_step=record)), suppress(Stop):
        run_pipeline(pipe, num_inference_steps=STEPS)
    return steps


def equal(runs: tuple[list[Step], list[Step]]) -> list[bool]:
    return [torch.equal(a.x_next, b.x_next) for a, b in zip(*runs, strict=True)]


def schedule(unet: Any, actions: dict[int, dict[str, Action]]) -> Any:
    return resolve(read_graph(unet), Schedule(steps=STEPS, actions=actions))


def test_an_empty_schedule_is_bit_identical_to_none(tiny_unet: Any) -> None:
    plain = run(tiny_unet, None)
    with executing(tiny_unet, schedule(tiny_unet, {})) as execution:
        assert all(equal((run(tiny_unet, execution), plain)))
    assert all(equal((run(tiny_unet, None), plain)))


@pytest.mark.parametrize(("actions", "first_changed"), [(BYPASSED, 3), (DROPPED, 4)], ids=["bypass", "unet"])
def test_an_action_changes_its_step_and_the_following_ones(tiny_unet: Any, actions: Any, first_changed: int) -> None:
    plain = run(tiny_unet, None)
    with executing(tiny_unet, schedule(tiny_unet, actions)) as execution:
        executed = run(tiny_unet, execution)
    assert equal((executed, plain)) == [index < first_changed for index in range(STEPS)]
    assert all(step.x_next.isfinite().all() for step in executed)


def test_a_new_run_does_not_depend_on_an_unfinished_one(tiny_unet: Any) -> None:
    with executing(tiny_unet, schedule(tiny_unet, BYPASSED | DROPPED)) as execution:
        first = run(tiny_unet, execution)
        run(tiny_unet, execution, stop=2)
        assert all(equal((run(tiny_unet, execution), first)))
