"""Observed change beside causal damage, and the fragile prompts, on chosen numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr

from compute.analysis.impact.ablation_impact import Impact
from compute.analysis.impact.fragile_prompts import prompt_matrix
from compute.analysis.impact.observed_change import NoObservedChange, observed_change, ranks, spearman
from compute.analysis.report.analysis_sentences import observed_change_sentence, prompts_sentence
from store.records import Window
from store.sweep_reader import SweepReader
from tests.analysis.synthetic_sweeps import impact_with

EARLY, LATE = Window(start=0, stop=2), Window(start=2, stop=4)


class Units(SweepReader):
    """Units whose predictions move by chosen distances in the first step, each over the impact's conditions."""

    def __init__(self, impact: Impact, moves: Sequence[Any]) -> None:
        self.moves = {ablation.keys[0]: move for ablation, move in zip(impact.ablations, moves, strict=True)}
        units = {key: SimpleNamespace(conditions=impact.conditions) for key in self.moves}
        self.store: Any = SimpleNamespace(header=SimpleNamespace(units=units))

    @contextmanager
    def unit(self, key: str) -> Iterator[Any]:
        move = self.moves[key]
        rows = {} if move is None else {"pred_x0_rel_l2": np.array([[9.0] * 3, np.broadcast_to(move, 3)], np.float32)}
        yield SimpleNamespace(distances=rows, start=-1)  # the row of step 0 is the second


def with_keys(impact: Impact) -> Impact:
    return replace(
        impact,
        ablations=tuple(
            replace(ablation, keys=(f"{place:064d}",) * len(ablation.keys))
            for place, ablation in enumerate(impact.ablations)
        ),
    )


def of_window(damages: Sequence[float]) -> Impact:
    return with_keys(impact_with(*((f"down_blocks.{i}.resnets.0", EARLY, d) for i, d in enumerate(damages))))


def test_numbers_in_the_same_order_correlate_wholly() -> None:
    impact = of_window([0.1, 0.2, 0.4, 0.8])
    found = observed_change(Units(impact, [1, 2, 3, 4]), impact, EARLY)
    assert found.spearman == 1 and found.correlation is not None and found.correlation.flat
    assert found.observed == (1, 2, 3, 4) and found.causal == pytest.approx((0.1, 0.2, 0.4, 0.8))
    assert found.rank_gaps == (0, 0, 0, 0) and found.conditions == 3
    assert "no component disagrees" in observed_change_sentence(found)


def test_a_disagreement_is_named_on_its_own_side() -> None:
    impact = of_window([0.1, 0.2, 0.3, 0.4, 0.0, 0.9])
    found = observed_change(Units(impact, [2, 3, 4, 5, 9, 1]), impact, EARLY)
    assert found.spearman < 0
    sentence = observed_change_sentence(found)
    assert "down_blocks.4.resnets.0 change the prediction much and the picture little" in sentence
    assert "down_blocks.5.resnets.0 change the prediction little and the picture much" in sentence


def test_neighbours_that_change_places_are_no_disagreement() -> None:
    impact = of_window([0.1, 0.2, 0.3, 0.4])
    found = observed_change(Units(impact, [2, 1, 3, 4]), impact, EARLY)
    assert found.spearman == pytest.approx(0.8)
    assert "no component disagrees" in observed_change_sentence(found)


def test_an_ablation_without_distances_is_left_out() -> None:
    impact = of_window([0.1, 0.2, 0.3, 0.4, 0.5])
    found = observed_change(Units(impact, [1, None, 2, 3, 4]), impact, EARLY)
    assert len(found.ablations) == 4
    with pytest.raises(NoObservedChange, match="known of 3 ablations"):
        observed_change(Units(impact, [1, None, None, 3, 4]), impact, EARLY)
    with pytest.raises(NoObservedChange, match="known of 0 ablations"):
        observed_change(Units(impact, [1, 2, 3, 4, 5]), impact, LATE)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=20))
def test_ranks_and_correlation_are_those_of_scipy(pairs: list[tuple[int, int]]) -> None:
    one, other = ([float(pair[side]) for pair in pairs] for side in (0, 1))
    assert ranks(one).tolist() == rankdata(one).tolist()
    expected = 0.0 if len(set(one)) == 1 or len(set(other)) == 1 else float(spearmanr(one, other).statistic)
    assert spearman(one, other) == pytest.approx(expected)


def test_the_fragile_prompt_comes_first() -> None:
    impact = impact_with(("a.resnets.0", EARLY, 0.0), ("b.resnets.0", EARLY, 0.0), ("a.resnets.0", LATE, 0.0))
    values = [(0.1, 0.5, 0.2), (0.3, 0.9, 0.2), (0.0, 0.1, 0.3)]
    ablations = tuple(replace(a, values=own) for a, own in zip(impact.ablations, values, strict=True))
    found = prompt_matrix(replace(impact, ablations=ablations))
    assert [condition.prompt for condition in found.conditions] == ["a cat 1", "a cat 2", "a cat 0"]
    assert found.windows == (EARLY, LATE)
    assert found.values == pytest.approx(np.array([[0.7, 0.1], [0.2, 0.3], [0.2, 0.0]]))
    assert found.means == pytest.approx([0.4, 0.25, 0.1])
    sentence = prompts_sentence(found, "damage")
    assert "“a cat 1” (seed 1) is the most fragile of 3" in sentence and "most of it in steps 0-1" in sentence
    assert "“a cat 0” (seed 0) is the least with 0.100" in sentence


def test_an_ablation_of_some_conditions_does_not_make_them_fragile() -> None:
    impact = impact_with(("a.resnets.0", EARLY, 0.0), ("b.resnets.0", EARLY, 0.0))
    values = [(0.1, 0.2, 0.3), (None, 9.0, None)]
    ablations = tuple(replace(a, values=own) for a, own in zip(impact.ablations, values, strict=True))
    found = prompt_matrix(replace(impact, ablations=ablations))
    assert found.means == pytest.approx([0.3, 0.2, 0.1])
