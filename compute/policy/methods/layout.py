"""Where a UNet's parts lie, as the published methods name them: decoder layers, their skip connections, the encoder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from compute.policy.graph import Component, ComponentGraph
from compute.policy.schedule import Schedule, ScheduleError, StepActions
from store.actions import PART_KINDS
from store.records import Action

REUSE = Action(name="reuse")


def concats(graph: ComponentGraph) -> list[str]:
    """Return the decoder's concatenations with skip connections, the last before the output first."""
    return [name for name, node in graph.nodes.items() if node.kind == "concat"][::-1]


def from_below(graph: ComponentGraph, branch: int) -> tuple[str, ...]:
    """Return the components whose outputs come up from deeper layers into a concatenation, by its number in `concats`.

    Raises ScheduleError for a branch that the network lacks.
    """
    places = concats(graph)
    if not 0 <= branch < len(places):
        raise ScheduleError(f"branch {branch}: this network has 0 to {len(places) - 1}")
    nodes = [graph.nodes[name] for name in graph.inputs[places[branch]]]
    return tuple(node.name for node in nodes if isinstance(node, Component) and node.kind != "skip")


def skips_into(graph: ComponentGraph, branches: Iterable[int]) -> tuple[str, ...]:
    """Return the skip connections that enter the concatenations of these numbers in `concats`."""
    places = concats(graph)
    sources = [name for branch in branches for name in graph.inputs[places[branch]]]
    return tuple(dict.fromkeys(name for name in sources if graph.nodes[name].kind == "skip"))


def outer_branches(graph: ComponentGraph) -> tuple[int, ...]:
    """Return the numbers of the concatenations at full resolution: those of the decoder's last block."""
    count = sum(graph.nodes[name].level == 0 for name in concats(graph))
    if not count:
        raise ScheduleError("branch: this network has no decoder with skip connections at its full resolution")
    return tuple(range(count))


def with_residual(graph: ComponentGraph) -> tuple[str, ...]:
    """Return the components, parts of transformers apart, that add a residual to what they are given."""
    wholes = (graph.component(name) for name in graph.names)
    return tuple(c.name for c in wholes if "reuse_delta" in c.actions and c.kind not in PART_KINDS)


def at_steps(steps: int, rows: Mapping[int, StepActions]) -> Schedule:
    """Return the schedule with these rows. Raises ScheduleError for a run of no steps."""
    if steps < 1:
        raise ScheduleError(f"steps {steps}: 1 or more is accepted")
    return Schedule(steps=steps, actions=rows)


def between(steps: int, full: Sequence[int], row: StepActions) -> Schedule:
    """Return the schedule that has a row at every step but the full ones, of which step 0 must be one."""
    if not full or min(full) != 0:
        raise ScheduleError(f"keys {list(full)}: step 0 must be among them, because later steps reuse it")
    return at_steps(steps, {step: row for step in range(steps) if step not in set(full)})


def check_interval(interval: int) -> None:
    """Raise ScheduleError for an interval of full steps below 1."""
    if interval < 1:
        raise ScheduleError(f"interval {interval}: a full step every 1 or more steps is accepted")
