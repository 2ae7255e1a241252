"""Liveness: which nodes each step of a schedule runs, which earlier steps it reads, and what it keeps for later ones.

A node is *live* at a step if its value reaches the output of that step. Live nodes are found by walking the graph
backwards from the output: through a component's inputs if its action needs them (`compute`, `bypass` and `reuse_delta`
do, `reuse` and `zero` do not). All other nodes are dead and do not run. If `unet` is reused, every node is dead.

A live `reuse` or `reuse_delta` reads the last earlier step at which the component was live and computed (with order 1
the last two, with order 2 the last three). So the live nodes of a step depend on the actions of that step alone:
reading never makes an earlier step run more nodes. A component that is dead, or has an action other than `compute`, is
never a source. A schedule that leaves a reuse without a source is refused. A dead component reads and writes nothing,
whatever its action.

`guidance` is live wherever the network runs. At a step where it has an action the network computes the conditional half
of the batch alone, so only steps without one are its sources. Such a step can read what a full step computed, of which
it takes the conditional half; a full step that would read what only a half was computed of is refused.

A part of a transformer is live where the transformer is live and computed. An action of the whole transformer makes its
parts dead, so where both have an action that of the whole one holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from compute.policy.admission import check_admitted
from compute.policy.graph import GUIDANCE, UNET, ComponentGraph
from compute.policy.schedule import Schedule, ScheduleError, StepActions
from store.actions import CachedPart
from store.records import Action


@dataclass(frozen=True, kw_only=True)
class StepPlan:
    """What one step runs, reads and keeps.

    `actions` holds the actions of live components that are not computed, `computed` the live nodes (components and
    structures) that run in full, `dead` the nodes that do not run. `sources` holds, for each component that reuses, the
    steps that it reads, latest first. `writes` holds, for each component that later steps read, the parts to keep: the
    value, or the residual contribution.
    """

    step: int
    actions: Mapping[str, Action]
    computed: frozenset[str]
    dead: frozenset[str]
    sources: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    writes: Mapping[str, frozenset[CachedPart]] = field(default_factory=dict)

    @property
    def unet(self) -> Action | None:
        """The action that replaces the whole network at this step, if any."""
        return self.actions.get(UNET)

    @property
    def guidance(self) -> Action | None:
        """The action of `guidance` at this step, if any: then the conditional half of the batch runs alone."""
        return self.actions.get(GUIDANCE)

    @property
    def is_patched(self) -> bool:
        """Whether modules of the network do something else at this step than compute, or keep what they compute."""
        return bool(self.dead or (self.actions.keys() | self.writes.keys()) - {UNET, GUIDANCE})

    @property
    def bypassed(self) -> frozenset[str]:
        """The live components of which only the shortcut runs."""
        names = self.actions.keys() - {GUIDANCE}
        return frozenset(name for name in names if self.actions[name].properties.runs_shortcut)


@dataclass(frozen=True, kw_only=True)
class ResolvedSchedule:
    """A schedule that was checked against a graph, with the plan of every step."""

    graph: ComponentGraph
    schedule: Schedule
    steps: tuple[StepPlan, ...]

    def earliest_source(self, start: int) -> int:
        """Return the last step from which a run can start so that steps from `start` on find every value they read.

        Outputs of the whole network are not counted: a run that starts in the middle replays those before it.
        """
        first = start
        while True:
            read = [min(steps) for plan in self.steps[first:] for name, steps in plan.sources.items() if name != UNET]
            if not read or min(read) >= first:
                return first
            first = min(read)

    def flops(self, step: int) -> int:
        """Return the FLOPs of a step's forward pass for one row of the batch; 0 if `unet` is reused.

        Where guidance rests it is half of them, because half of the rows are not computed.
        """
        plan = self.steps[step]
        if plan.unet:
            return 0
        deltas = [name for name, parts in plan.writes.items() if "delta" in parts]
        flops = self.graph.flops(plan.computed, [*plan.bypassed, *deltas])
        return flops // 2 if plan.guidance else flops

    @property
    def total_flops(self) -> int:
        """FLOPs of all steps for one sample, without guidance."""
        return sum(self.flops(step) for step in range(len(self.steps)))

    def last_reads(self) -> Mapping[tuple[str, int], int]:
        """Return the last step that reads each kept value, by (component, step that computed it)."""
        return {
            (name, source): plan.step
            for plan in self.steps
            for name, sources in plan.sources.items()
            for source in sources
        }


_NONE = "no step before it computes"
_NEEDED = (
    "one earlier step that does is needed",
    *(f"{number} earlier steps that do are needed" for number in ("two", "three", "four")),
)
_SIZE_LIMIT = 2_000_000  # steps times nodes; the largest network that is known has 1,000 nodes, a run 1,000 steps


def resolve(graph: ComponentGraph, schedule: Schedule) -> ResolvedSchedule:
    """Check a schedule against a graph and return what each step runs, reads and keeps.

    Raises ScheduleError for an action that its component does not admit, a reuse without a source, an action of `unet`
    beside others, a full step that reads a half one, and more steps and nodes than can be; UnknownComponent for a name
    that is not in the graph. An action of `guidance` needs no graph that has it.
    """
    if GUIDANCE in schedule.components:
        graph = graph.guided
    if schedule.steps * len(graph.nodes) > _SIZE_LIMIT:
        raise ScheduleError(
            f"{schedule.steps} steps of {len(graph.nodes)} nodes; at most {_SIZE_LIMIT} in all are accepted"
        )
    live_sets: dict[tuple[tuple[str, Action], ...], frozenset[str]] = {}
    history: dict[str, list[int]] = {}
    plans: list[StepPlan] = []
    writes: dict[int, dict[str, set[CachedPart]]] = {}
    for step in range(schedule.steps):
        row = _checked(graph, schedule.at(step), step)
        key = tuple(row.items())
        if key not in live_sets:
            live_sets[key] = _live(graph, row)
        plan = _plan(graph, row, live_sets[key], step, history)
        _check_halves(plan, plans)
        for name in plan.computed:
            history.setdefault(name, []).append(step)
        for name, sources in plan.sources.items():
            part = plan.actions[name].properties.reads
            assert part is not None, "an action with sources reads"
            for source in sources:
                writes.setdefault(source, {}).setdefault(name, set()).add(part)
        plans.append(plan)
    for step, parts_of in writes.items():
        plans[step] = replace(plans[step], writes={name: frozenset(parts) for name, parts in parts_of.items()})
    return ResolvedSchedule(graph=graph, schedule=schedule, steps=tuple(plans))


def _checked(graph: ComponentGraph, row: StepActions, step: int) -> StepActions:
    """Return the actions of a step after checking that their components admit them; `unet` gets its default space."""
    for name, action in row.items():
        check_admitted(graph.component(name), action, step)
    if UNET in row and len(row) > 1:
        others = ", ".join(name for name in row if name != UNET)
        raise ScheduleError(f"{UNET} can't {row[UNET]} at step {step} beside {others}: unet alone is accepted")
    if UNET in row and row[UNET].space is None:
        return {UNET: row[UNET].model_copy(update={"space": "eps"})}
    return row


def _live(graph: ComponentGraph, row: StepActions) -> frozenset[str]:
    """Return the live nodes of a step with these actions; none if `unet` is reused."""
    if UNET in row:
        return frozenset()
    live = {UNET, *graph.outputs} | ({GUIDANCE} & graph.nodes.keys())
    for name in reversed(graph.nodes):
        node = graph.nodes[name]
        if node.kind == "embedding":
            live.add(name)
        elif name in live and (name not in row or row[name].properties.needs_input):
            live.update(graph.inputs[name])
    live.update(part for part, parent in graph.parents.items() if parent in live and parent not in row)
    return frozenset(live)


def _plan(
    graph: ComponentGraph, row: StepActions, live: frozenset[str], step: int, history: Mapping[str, list[int]]
) -> StepPlan:
    """Return the plan of a step, without `writes`; `history` holds the earlier steps that computed each node."""
    actions = {name: action for name, action in row.items() if name in live or name == UNET}
    return StepPlan(
        step=step,
        actions=actions,
        computed=live - actions.keys(),
        dead=frozenset(graph.nodes) - live - {UNET},
        sources={
            name: _sources(name, action, step, history.get(name, []))
            for name, action in actions.items()
            if action.reads_cache
        },
    )


def _check_halves(plan: StepPlan, earlier: Sequence[StepPlan]) -> None:
    """Raise ScheduleError where a step with both halves of the batch reads one that computed the conditional alone."""
    if plan.guidance is not None:
        return
    for name, sources in plan.sources.items():
        half = next((step for step in sources if name != UNET and earlier[step].guidance is not None), None)
        if half is not None:
            raise ScheduleError(
                f"{name} can't {plan.actions[name]} at step {plan.step}: step {half}, which it would read, computes it "
                f"for the conditional half alone, because guidance rests there; let it rest at step {plan.step} too"
            )


def _sources(name: str, action: Action, step: int, computed: list[int]) -> tuple[int, ...]:
    """Return the steps that a reuse reads, latest first, of the steps at which its component was computed."""
    needed = action.values_read
    if len(computed) < needed:
        steps = " and ".join(map(str, computed))
        verb = "computes" if len(computed) < 2 else "compute"
        available = f"only step{'s' * (len(computed) > 1)} {steps} before it {verb}" if computed else _NONE
        count = _NEEDED[needed - 1]
        raise ScheduleError(
            f"{name} can't {action} at step {step}: {available} {name} (where it is dead, it is not computed); {count}"
        )
    return tuple(reversed(computed[-needed:]))
