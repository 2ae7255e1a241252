"""Runs a schedule on a UNet, and compares outputs and liveness with the oracle's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from compute.policy.graph import ComponentGraph
from compute.policy.liveness import ResolvedSchedule, resolve
from compute.policy.schedule import Schedule, ScheduleError
from compute.unet import executing
from tests.unet.oracle import run_everything

TOLERANCE = 1e-4
InputsAt = Callable[[int], dict[str, Any]]


def call(unet: Any, inputs: dict[str, Any]) -> torch.Tensor:
    """Return the UNet's output."""
    with torch.no_grad():
        output: torch.Tensor = unet(**inputs, return_dict=False)[0]
    return output


def run(unet: Any, resolved: ResolvedSchedule, inputs_at: InputsAt, start: int = 0) -> list[torch.Tensor | None]:
    """Return the outputs of all steps from `start` on; None where `unet` is reused."""
    outputs: list[torch.Tensor | None] = [None] * start
    with executing(unet, resolved) as execution:
        for step in range(start, len(resolved.steps)):
            execution.begin_step(step)
            outputs.append(None if execution.unet_action(step) else call(unet, inputs_at(step)))
    return outputs


def check(unet: Any, graph: ComponentGraph, schedule: Schedule, inputs_at: InputsAt) -> ResolvedSchedule:
    """Compare outputs and liveness with the oracle's."""
    resolved = resolve(graph, schedule)
    outputs, expected_passes = run(unet, resolved, inputs_at), run_everything(unet, schedule, inputs_at)
    structures = {"unet", *(s.name for s in graph.structures if s.kind not in ("convolution", "layer"))}
    for plan, output, expected in zip(resolved.steps, outputs, expected_passes, strict=True):
        assert (output is None) == (expected is None)
        if output is None or expected is None:
            continue
        assert not expected.output.isnan().any()
        scale = max(1.0, float(expected.output.abs().max()))
        torch.testing.assert_close(output, expected.output, atol=TOLERANCE * scale, rtol=TOLERANCE)
        recorded = set(graph.nodes) - structures
        assert plan.dead & recorded == recorded - expected.needed
    return resolved


def resolves(graph: ComponentGraph, schedule: Schedule) -> bool:
    """Return whether a schedule is accepted."""
    try:
        resolve(graph, schedule)
    except ScheduleError:
        return False
    return True


def all_actions(graph: ComponentGraph) -> list[tuple[str, str]]:
    """Return every action of every component but the whole network."""
    return [(name, action) for name in graph.names[1:] for action in graph.component(name).actions[1:]]
