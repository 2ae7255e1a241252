"""DeepCache as a schedule (Ma, Fang and Wang, CVPR 2024, arXiv 2312.00858).

At most steps it computes the outer layers alone, and takes the tensor that comes up from the deeper ones from the last
full step. That tensor enters a concatenation of the decoder, beside a skip connection: reusing it leaves all that only
it needs dead.
"""

from __future__ import annotations

from compute.policy.graph import Component, ComponentGraph
from compute.policy.schedule import Schedule, ScheduleError
from store.records import Action


def deepcache(graph: ComponentGraph, *, steps: int, interval: int, branch: int = 0) -> Schedule:
    """Return the schedule of DeepCache: a full step every `interval` steps, from step 0 on.

    `branch` is the number of decoder layers, counted from the output, that still run with their skip connections, less
    one: 0 is the fastest. With three layers a block it is the published package's `cache_branch_id`. Raises
    ScheduleError for an interval below 1, and for a branch that the network lacks.
    """
    if interval < 1:
        raise ScheduleError(f"interval {interval}: a full step every 1 or more steps is accepted")
    reused = {name: Action(name="reuse") for name in reused_from_below(graph, branch)}
    return Schedule(steps=steps, actions={step: reused for step in range(steps) if step % interval})


def reused_from_below(graph: ComponentGraph, branch: int) -> list[str]:
    """Return the components whose outputs come up into a branch's concatenation. Raises ScheduleError."""
    concats = [name for name, node in graph.nodes.items() if node.kind == "concat"][::-1]
    if not 0 <= branch < len(concats):
        raise ScheduleError(f"branch {branch}: this network has 0 to {len(concats) - 1}")
    nodes = [graph.nodes[name] for name in graph.inputs[concats[branch]]]
    return [node.name for node in nodes if isinstance(node, Component) and node.kind != "skip"]
