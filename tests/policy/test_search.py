"""The search: what it proposes can be carried out, is what it says, and is the best that sums can find."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.policy import search as search_module
from compute.policy.cost import CostModel
from compute.policy.liveness import resolve
from compute.policy.schedule import Schedule, ScheduleError
from compute.policy.search import MOVE_KINDS, Candidate, Evidence, MoveKind, Search
from store.records import Ablation, Action, Window
from tests.policy.graphs import chain
from tests.policy.searches import costs, searches

Case = tuple[Search, list[Evidence]]
Row = Mapping[str, Action]
ALL_ACTIONS = ("bypass", "zero", "reuse", "reuse_delta")


def row_of(ablation: Ablation) -> Row:
    return dict.fromkeys(ablation.components, ablation.action)


def least_damage(schedule: Schedule, evidence: Sequence[Evidence]) -> float:
    """The least sum of what the evidence says of a schedule's parts: each run of steps, each component left out."""
    best = [0.0] + [float("inf")] * schedule.steps
    for step in range(schedule.steps):
        row = schedule.at(step)
        if not any(action.reads_cache for action in row.values()):
            best[step + 1] = min(best[step + 1], best[step] + sum(share(n, a, step, evidence) for n, a in row.items()))
        for it in evidence:
            window, own = it.ablation.window, row_of(it.ablation)
            runs = range(window.start, window.stop)
            beside = [schedule.at(s) for s in (window.start - 1, window.stop) if 0 <= s < schedule.steps]
            if window.start == step and all(schedule.at(s) == own for s in runs) and own not in beside:
                best[window.stop] = min(best[window.stop], best[step] + max(0.0, it.damage))
    return best[-1]


def share(name: str, action: Action, step: int, evidence: Sequence[Evidence]) -> float:
    """What leaving a component out of one step does, when a window's damage is divided among its steps."""
    return min(
        max(0.0, it.damage) / (it.ablation.window.stop - it.ablation.window.start)
        for it in evidence
        if it.ablation.components == (name,) and it.ablation.action == action and step in it.ablation.window
    )


@settings(max_examples=60, deadline=None)
@given(searches(ALL_ACTIONS), st.sampled_from([MOVE_KINDS, *((kind,) for kind in MOVE_KINDS)]))
def test_every_candidate_is_what_it_says(case: Case, kinds: Sequence[MoveKind]) -> None:
    search, evidence = case
    for candidate in search.frontier(kinds):
        resolved = resolve(search.graph, candidate.schedule)
        assert candidate.schedule.steps == search.steps
        assert not candidate.schedule.is_empty
        assert candidate.seconds == search.cost.seconds(resolved)
        assert candidate.damage == pytest.approx(least_damage(candidate.schedule, evidence), abs=1e-9)
        assert kinds_in(candidate.schedule) <= set(kinds)


def kinds_in(schedule: Schedule) -> set[MoveKind]:
    found: set[MoveKind] = set()
    for _, name, action in schedule.entries():
        found.add("drop" if name == "unet" else "part" if action.reads_cache else "bypass")
    return found


@settings(max_examples=60, deadline=None)
@given(searches())
def test_along_the_frontier_less_time_costs_more_damage(case: Case) -> None:
    search, _ = case
    frontier = search.frontier()
    for slower, faster in zip(frontier, frontier[1:], strict=False):
        assert slower.seconds >= faster.seconds
        assert slower.damage <= faster.damage + 1e-12
    schedules = [candidate.schedule for candidate in frontier]
    assert all(one != other for one, other in combinations(schedules, 2))
    assert all(candidate.seconds < search.full_seconds for candidate in frontier)


@settings(max_examples=40, deadline=None)
@given(searches(ALL_ACTIONS), st.data())
def test_neighbours_are_faster_by_one_move_of_the_evidence(case: Case, data: st.DataObject) -> None:
    search, evidence = case
    start = data.draw(st.sampled_from([Schedule.empty(search.steps), *(c.schedule for c in search.frontier())]))
    for neighbour in search.neighbours(start):
        assert neighbour.seconds == search.cost.seconds(resolve(search.graph, neighbour.schedule))
        assert neighbour.seconds < search.seconds(start)
        changed = [s for s in range(search.steps) if neighbour.schedule.at(s) != start.at(s)]
        assert changed == list(range(changed[0], changed[-1] + 1)), "a move changes a run of steps"
        assert any(
            all(row_of(it.ablation).items() <= neighbour.schedule.at(s).items() for s in changed)
            and set(changed) <= set(range(it.ablation.window.start, it.ablation.window.stop))
            for it in evidence
        )


@settings(max_examples=40, deadline=None)
@given(searches())
def test_neighbours_that_pay_most_for_their_damage_come_first(case: Case) -> None:
    search, _ = case
    neighbours = search.neighbours(Schedule.empty(search.steps))
    prices = [it.damage / (search.full_seconds - it.seconds) for it in neighbours]
    assert prices == sorted(prices)
    assert all(one.schedule != other.schedule for one, other in combinations(neighbours, 2))


def sequences(
    search: Search, evidence: Sequence[Evidence], step: int = 0, state: str = "nothing"
) -> Iterator[tuple[dict[int, Row], float]]:
    """All that the moves allow from a step on, and its damage; by hand, and by no cleverness.

    A step is computed, whole or without some components; or in part, when the last that was not dropped was computed;
    or dropped with those after it, as many as were dropped when it was measured.
    """
    if step == search.steps:
        yield {}, 0.0
        return
    here = [it for it in evidence if step in it.ablation.window]
    out = [it for it in here if it.ablation.action.name in ("bypass", "zero")]
    options: list[tuple[list[Row], float, str]] = []
    for count in range(len(out) + 1):
        for some in combinations(out, count):
            names = [it.ablation.components[0] for it in some]
            if len(set(names)) == len(names):
                row = {name: it.ablation.action for name, it in zip(names, some, strict=True)}
                damage = sum(it.damage / (it.ablation.window.stop - it.ablation.window.start) for it in some)
                options.append(([row], damage, "full"))
    for it in here:
        window = it.ablation.window
        if not it.ablation.action.reads_cache or window.start != step:
            continue
        if it.ablation.components == ("unet",):
            if state in ("full", "part"):
                options.append(([row_of(it.ablation)] * (window.stop - window.start), it.damage, f"{state}, dropped"))
        elif window.stop == step + 1 and state.startswith("full"):
            options.append(([row_of(it.ablation)], it.damage, "part"))
    for rows, damage, after in options:
        for rest, more in sequences(search, evidence, step + len(rows), after):
            yield {step + i: row for i, row in enumerate(rows)} | rest, damage + more


def least_regular(search: Search, single: Sequence[Evidence]) -> list[str]:
    """For each stride and number of dropped steps the number, and the least sum of damages, as text."""
    damages: dict[int, float] = {}
    for it in single:
        if it.ablation.components == ("unet",):
            step = it.ablation.window.start
            damages[step] = min(damages.get(step, float("inf")), max(0.0, it.damage))
    found = []
    for stride in (2, 3):
        for count in range(1, search.steps + 1):
            runs = [[first + i * stride for i in range(count)] for first in range(search.steps)]
            sums = [sum(damages[step] for step in run) for run in runs if set(run) <= damages.keys()]
            found += [f"{count} {min(sums):.9f}"] if sums else []
    return found


@settings(max_examples=60, deadline=None)
@given(searches())
def test_regular_candidates_drop_every_second_or_third_step(case: Case) -> None:
    search, evidence = case
    found = search.regular()
    single = [it for it in evidence if it.ablation.window.stop == it.ablation.window.start + 1]
    for candidate in found:
        rows = candidate.schedule.actions
        assert candidate.seconds == search.cost.seconds(resolve(search.graph, candidate.schedule))
        assert all(list(row) == ["unet"] for row in rows.values())
        apart = {later - step for step, later in zip(rows, list(rows)[1:], strict=False)}
        assert len(apart) <= 1 and apart <= {2, 3}
        assert candidate.damage == pytest.approx(
            sum(
                min(
                    max(0.0, it.damage)
                    for it in single
                    if (step, row) == (it.ablation.window.start, row_of(it.ablation))
                )
                for step, row in rows.items()
            )
        )
    assert [c.seconds for c in found] == sorted((c.seconds for c in found), reverse=True)
    assert sorted(f"{len(c.schedule.actions)} {c.damage:.9f}" for c in found) == sorted(least_regular(search, single))
    assert found or not [it for it in single if it.ablation.components == ("unet",)]


GRAPH = chain("block.0", "block.1", "plain.2", "block.3", skips=(("block.0", "block.3"),))


@st.composite
def tiny_cases(draw: st.DrawFn) -> Case:
    """4 or 5 steps; bypass of two blocks, reuse of a third component, steps dropped; all of order 0."""
    steps = draw(st.integers(4, 5))
    damages = st.floats(0, 0.3)

    def some(name: str, action: Action, longest: int, count: int) -> list[Evidence]:
        found = []
        for _ in range(draw(st.integers(0, count))):
            start = draw(st.integers(1 if action.reads_cache else 0, steps - 1))
            window = Window(start=start, stop=min(steps, start + draw(st.integers(1, longest))))
            ablation = Ablation(components=(name,), window=window, action=action)
            found.append(Evidence(ablation=ablation, damage=draw(damages)))
        return found

    evidence = [
        *some("block.0", Action(name="bypass"), 3, 2),
        *some("block.3", Action(name="bypass"), 3, 1),
        *some("plain.2", Action(name="reuse"), 1, 3),
        *some("unet", Action(name="reuse", space="x0"), 3, 4),
    ]
    return Search(GRAPH, steps, evidence, draw(costs(GRAPH))), evidence


@settings(max_examples=15, deadline=None)
@given(tiny_cases())
def test_no_sequence_of_moves_is_better_at_any_rate(case: Case) -> None:
    search, evidence = case
    frontier = search.frontier()
    found = [(candidate.damage, candidate.seconds) for candidate in frontier] + [(0.0, search.full_seconds)]
    there = []
    for rows, damage in sequences(search, evidence):
        try:
            there.append((damage, search.seconds(Schedule(steps=search.steps, actions=rows))))
        except ScheduleError:
            continue
    for rate in search_module._RATES / search.full_seconds:
        least = min(damage + rate * seconds for damage, seconds in there)
        assert min(damage + rate * seconds for damage, seconds in found) <= least + 1e-9


def made(*evidence: tuple[str, Action, tuple[int, int], float], steps: int = 4) -> Search:
    """A search over GRAPH, of which each node takes 10 s, a shortcut 1 s, and a step 1 s besides."""
    names = [name for name in GRAPH.nodes if name != "unet"]
    cost = CostModel(
        batch=1, run=0, step=1, network=0, computed=dict.fromkeys(names, 10.0), bypassed=dict.fromkeys(names, 1.0)
    )
    found = [
        Evidence(ablation=Ablation(components=(n,), window=Window(start=w[0], stop=w[1]), action=a), damage=damage)
        for n, a, w, damage in evidence
    ]
    return Search(GRAPH, steps, found, cost)


DROP = Action(name="reuse", space="x0")


def test_harmless_steps_are_dropped() -> None:
    search = made(("unet", DROP, (1, 2), 0.0), ("unet", DROP, (3, 4), 0.5))
    cheapest, *_ = search.frontier()
    assert cheapest == Candidate(
        schedule=Schedule(steps=4, actions={1: {"unet": DROP}}), damage=0.0, seconds=search.full_seconds - 90
    )


def test_what_pays_more_for_its_damage_comes_first() -> None:
    search = made(("unet", DROP, (3, 4), 0.09), ("block.1", Action(name="bypass"), (1, 2), 0.0135))
    assert [list(candidate.schedule.actions) for candidate in search.frontier()] == [[3], [1, 3]]
    dear = made(("unet", DROP, (3, 4), 0.09), ("block.1", Action(name="bypass"), (1, 2), 0.006))
    assert [list(candidate.schedule.actions) for candidate in dear.frontier()] == [[1], [1, 3]]


def test_of_two_measurements_of_the_same_the_kinder_counts_in_search_and_neighbours() -> None:
    """A step lies in two windows, or a schedule is reached in two ways: neither order of the evidence matters."""
    bypass = Action(name="bypass")
    rows = (("block.1", bypass, (0, 4), 0.4), ("block.1", bypass, (2, 3), 0.01))
    for order in (rows, rows[::-1]):
        search = made(*order)
        first = search.neighbours(Schedule.empty(4))[0]
        assert (first.damage, list(first.schedule.actions)) == (0.01, [2])
        assert all(c.damage == pytest.approx(least_damage(c.schedule, search._evidence)) for c in search.frontier())


def test_nothing_is_proposed_where_nothing_saves_time() -> None:
    assert made().frontier() == []
    assert made().neighbours(Schedule.empty(4)) == []


def test_a_component_is_read_only_from_a_step_that_computed_it() -> None:
    """Bypassed for nothing everywhere and reused for nothing at the end: both at once could not be carried out."""
    bypass, reuse = Action(name="bypass"), Action(name="reuse")
    search = made(("block.3", bypass, (0, 4), 0.0), ("block.3", reuse, (3, 4), 0.0))
    frontier = search.frontier()
    assert frontier
    for candidate in frontier:
        resolve(GRAPH, candidate.schedule)
    assert min(c.seconds for c in frontier) <= search.full_seconds - 36
