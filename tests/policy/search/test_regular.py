"""Regular candidates: every second or third step dropped, against a search of all of them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings

from compute.policy.liveness import resolve
from compute.policy.search.evidence import Evidence
from compute.policy.search.regular import regular_candidates
from compute.policy.search.search_space import SearchSpace
from tests.policy.search.search_spaces import search_spaces
from tests.policy.search.summed_damage import row_of


def least_regular(space: SearchSpace, single: Sequence[Evidence]) -> list[str]:
    """For each stride and number of dropped steps, as text: the number, and the least sum of damages."""
    damages: dict[int, float] = {}
    for item in single:
        if item.ablation.components == ("unet",):
            step = item.ablation.window.start
            damages[step] = min(damages.get(step, float("inf")), max(0.0, item.damage))
    least = []
    for stride in (2, 3):
        for count in range(1, space.steps + 1):
            runs = [[first + i * stride for i in range(count)] for first in range(space.steps)]
            sums = [sum(damages[step] for step in run) for run in runs if set(run) <= damages.keys()]
            least += [f"{count} {min(sums):.9f}"] if sums else []
    return least


@settings(max_examples=60, deadline=None)
@given(search_spaces())
def test_regular_candidates_drop_every_second_or_third_step(space: SearchSpace) -> None:
    candidates = regular_candidates(space)
    single = [item for item in space.evidence if item.ablation.window.stop == item.ablation.window.start + 1]
    for candidate in candidates:
        rows = candidate.schedule.actions
        assert candidate.seconds == space.cost.seconds(resolve(space.graph, candidate.schedule))
        assert all(list(row) == ["unet"] for row in rows.values())
        apart = {later - step for step, later in zip(rows, list(rows)[1:], strict=False)}
        assert len(apart) <= 1 and apart <= {2, 3}
        assert candidate.damage == pytest.approx(
            sum(
                min(
                    max(0.0, item.damage)
                    for item in single
                    if (step, row) == (item.ablation.window.start, row_of(item.ablation))
                )
                for step, row in rows.items()
            )
        )
    assert [c.seconds for c in candidates] == sorted((c.seconds for c in candidates), reverse=True)
    assert sorted(f"{len(c.schedule.actions)} {c.damage:.9f}" for c in candidates) == sorted(
        least_regular(space, single)
    )
    assert candidates or not [item for item in single if item.ablation.components == ("unet",)]
