"""How interventions are run: which step a run starts from, what each step computes, how often it calls the UNet."""

from __future__ import annotations

from dataclasses import dataclass, replace

from compute.policy.graph import ComponentGraph
from compute.policy.liveness import ResolvedSchedule, resolve
from compute.policy.schedule import Schedule
from store.records import Ablation, Intervention, PromptSwitch


@dataclass(frozen=True, kw_only=True)
class Run:
    """The run of one intervention: steps `start` … N-1 of a resolved schedule.

    It calls the UNet `unet_evaluations` times; from step 0 on it would be `evaluations_from_step_0` times.
    """

    resolved: ResolvedSchedule
    start: int
    unet_evaluations: int
    evaluations_from_step_0: int


class Runs:
    """The runs of a sweep over `steps` steps of a network. Each intervention's is computed once and kept.

    Equal sets of nodes are shared between the runs, which would otherwise take 70 KB each.
    """

    def __init__(self, graph: ComponentGraph, steps: int) -> None:
        self.graph = graph
        self.steps = steps
        self._runs: dict[Intervention | None, Run] = {}
        self._node_sets: dict[frozenset[str], frozenset[str]] = {}
        self._full_compute = self._resolve(Schedule.empty(steps))

    def of(self, intervention: Intervention | None) -> Run:
        """Return the run of an intervention, None for a baseline.

        It starts at the intervention's first step, or at the earlier step that computes what the intervention reads.
        Raises ScheduleError for an ablation that cannot be run, such as a `reuse` with no earlier step to read.
        """
        if intervention not in self._runs:
            self._runs[intervention] = self._run(intervention)
        return self._runs[intervention]

    def _run(self, intervention: Intervention | None) -> Run:
        resolved, start = self._full_compute, 0
        if isinstance(intervention, Ablation):
            resolved = self._resolve(Schedule.from_ablation(intervention, self.steps))
            start = resolved.earliest_source(intervention.window.start)
        elif isinstance(intervention, PromptSwitch):
            start = intervention.step
        computes_unet = [step.unet is None for step in resolved.steps]
        return Run(
            resolved=resolved,
            start=start,
            unet_evaluations=sum(computes_unet[start:]),
            evaluations_from_step_0=sum(computes_unet),
        )

    def _resolve(self, schedule: Schedule) -> ResolvedSchedule:
        resolved = resolve(self.graph, schedule)
        steps = tuple(
            replace(step, computed=self._shared(step.computed), dead=self._shared(step.dead)) for step in resolved.steps
        )
        return replace(resolved, steps=steps)

    def _shared(self, nodes: frozenset[str]) -> frozenset[str]:
        nodes = frozenset(nodes)
        return self._node_sets.setdefault(nodes, nodes)
