"""Shortest paths: no sequence of moves is better at any exchange rate, by a search of all sequences."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from compute.policy.schedule import Schedule, ScheduleError, StepActions
from compute.policy.search.evidence import Evidence
from compute.policy.search.frontier import EXCHANGE_RATES, frontier
from compute.policy.search.search_space import SearchSpace
from store.records import Ablation, Action, Window
from tests.policy.cost_models import costs
from tests.policy.search.search_spaces import DROP, GRAPH
from tests.policy.search.summed_damage import row_of


@st.composite
def tiny_spaces(draw: st.DrawFn) -> SearchSpace:
    """4 or 5 steps; bypass of two blocks, reuse of a third component, and dropped steps; all of order 0."""
    steps = draw(st.integers(4, 5))
    damages = st.floats(0, 0.3)

    def evidence_of(name: str, action: Action, longest: int, count: int) -> list[Evidence]:
        evidence = []
        for _ in range(draw(st.integers(0, count))):
            start = draw(st.integers(1 if action.reads_cache else 0, steps - 1))
            window = Window(start=start, stop=min(steps, start + draw(st.integers(1, longest))))
            ablation = Ablation(components=(name,), window=window, action=action)
            evidence.append(Evidence(ablation=ablation, damage=draw(damages)))
        return evidence

    evidence = [
        *evidence_of("block.0", Action(name="bypass"), 3, 2),
        *evidence_of("block.3", Action(name="bypass"), 3, 1),
        *evidence_of("plain.2", Action(name="reuse"), 1, 3),
        *evidence_of("unet", DROP, 3, 4),
    ]
    return SearchSpace(GRAPH, steps, evidence, draw(costs(GRAPH)))


def sequences(
    space: SearchSpace, step: int = 0, state: str = "start"
) -> Iterator[tuple[dict[int, StepActions], float]]:
    """Every sequence of moves from a step on, with its damage, by exhaustion.

    A step is computed, with or without some components; or in part, if the last step that was not dropped was computed
    in full; or dropped with the steps after it, as many as were dropped when it was measured.
    """
    if step == space.steps:
        yield {}, 0.0
        return
    here = [item for item in space.evidence if step in item.ablation.window]
    eliminations = [item for item in here if item.ablation.action.name in ("bypass", "zero")]
    options: list[tuple[list[StepActions], float, str]] = []
    for count in range(len(eliminations) + 1):
        for chosen in combinations(eliminations, count):
            names = [item.ablation.components[0] for item in chosen]
            if len(set(names)) == len(names):
                row = {name: item.ablation.action for name, item in zip(names, chosen, strict=True)}
                damage = sum(item.damage / (item.ablation.window.stop - item.ablation.window.start) for item in chosen)
                options.append(([row], damage, "full"))
    for item in here:
        window = item.ablation.window
        if not item.ablation.action.reads_cache or window.start != step:
            continue
        row_at_each = [row_of(item.ablation)] * (window.stop - window.start)
        if item.ablation.components == ("unet",):
            if state in ("full", "partial"):
                options.append((row_at_each, item.damage, f"{state}, dropped"))
        elif window.stop == step + 1 and state.startswith("full"):
            options.append((row_at_each, item.damage, "partial"))
    for rows, damage, after in options:
        for rest, rest_damage in sequences(space, step + len(rows), after):
            yield dict(enumerate(rows, start=step)) | rest, damage + rest_damage


@settings(max_examples=15, deadline=None)
@given(tiny_spaces())
def test_no_sequence_of_moves_is_better_at_any_rate(space: SearchSpace) -> None:
    proposed = [(candidate.damage, candidate.seconds) for candidate in frontier(space)] + [(0.0, space.full_seconds)]
    possible = []
    for rows, damage in sequences(space):
        try:
            possible.append((damage, space.seconds(Schedule(steps=space.steps, actions=rows))))
        except ScheduleError:
            continue
    for rate in (rate / space.full_seconds for rate in EXCHANGE_RATES):
        least = min(damage + rate * seconds for damage, seconds in possible)
        assert min(damage + rate * seconds for damage, seconds in proposed) <= least + 1e-9
