"""T-GATE's temporal gating as a schedule (Zhang et al., arXiv 2404.02747, `tgate_scheduler` of its package).

From the gate step on cross-attention repeats what it computed at the step before the gate, and self-attention is reused
between steps before it. The package also averages the two halves of guidance at the gate and samples without guidance
from there on; here guidance stays as it is, and each half repeats its own.
"""

from __future__ import annotations

from compute.policy.graph import ComponentGraph
from compute.policy.methods.layout import REUSE, at_steps
from compute.policy.schedule import Schedule, ScheduleError
from store.records import Action


def tgate(
    graph: ComponentGraph,
    *,
    steps: int,
    gate: int = 10,
    self_interval: int = 5,
    late_interval: int = 1,
    warm_up: int = 2,
) -> Schedule:
    """Return the schedule: `gate` is the first step without cross-attention.

    Self-attention is computed up to step `warm_up`, then at multiples of `self_interval` up to the step before the
    gate, and from the gate on at multiples of `late_interval`. Joint attention, which reads text and picture in one
    (GLIDE's), has no cross-attention of its own: there what it adds is repeated as a whole from the gate on, and
    computed before it. Raises ScheduleError for a network without attention, and for a gate outside the run.
    """
    if not 1 <= gate < steps or min(self_interval, late_interval) < 1 or warm_up < 0:
        raise ScheduleError(
            f"gate {gate}, intervals {self_interval} and {late_interval}, warm_up {warm_up}: a gate of 1 to "
            f"{steps - 1}, intervals of 1 or more and a warm-up of 0 or more are accepted"
        )
    cross, own = graph.of_kind("cross_attention"), graph.of_kind("self_attention")
    if not cross:
        return _joint(graph, steps, gate)
    rows: dict[int, dict[str, Action]] = {}
    for step in range(steps):
        interval = self_interval if step < gate else late_interval
        rests = step > warm_up if step < gate - 1 else step >= gate
        reused = (*(cross if step >= gate else ()), *(own if rests and step % interval else ()))
        rows[step] = dict.fromkeys(reused, REUSE)
    return at_steps(steps, rows)


def _joint(graph: ComponentGraph, steps: int, gate: int) -> Schedule:
    parents = graph.parts.keys()
    joint = [name for name in graph.of_kind("attention") if name not in parents]
    joint = [name for name in joint if "reuse_delta" in graph.component(name).actions]
    if not joint:
        raise ScheduleError("gate: this network has no attention to text to rest")
    row = dict.fromkeys(joint, Action(name="reuse_delta"))
    return at_steps(steps, dict.fromkeys(range(gate, steps), row))
