"""Two sweeps' impact side by side."""

from __future__ import annotations

import pytest

from compute.analysis.impact.comparison import compare_impacts
from store.records import Window
from tests.analysis.synthetic_sweeps import impact_with

EARLY, LATE = Window(start=0, stop=2), Window(start=2, stop=4)
FIRST = impact_with(("a.resnets.0", EARLY, 0.5), ("a.resnets.0", LATE, 0.1), ("b.resnets.0", EARLY, 0.2))
SECOND = impact_with(("b.resnets.0", EARLY, 0.21), ("a.resnets.0", EARLY, 0.1), ("c.resnets.0", EARLY, 0.3))


def test_the_same_ablations_are_paired_and_the_others_named() -> None:
    found = compare_impacts(FIRST, SECOND, same_steps=True)
    assert [pair.ablation.components for pair in found.pairs] == [("a.resnets.0",), ("b.resnets.0",)]
    assert [pair.difference for pair in found.pairs] == pytest.approx([-0.4, 0.01])
    assert [pair.apart for pair in found.pairs] == [True, False]
    assert [(a.components[0], a.window) for a in found.only_first] == [("a.resnets.0", LATE)]
    assert [(a.components[0], a.window) for a in found.only_second] == [("c.resnets.0", EARLY)]


def test_a_comparison_the_other_way_round_has_the_opposite_differences() -> None:
    there, back = (compare_impacts(*pair, same_steps=True) for pair in ((FIRST, SECOND), (SECOND, FIRST)))
    assert {p.ablation: p.difference for p in there.pairs} == {p.ablation: -p.difference for p in back.pairs}
    assert (there.only_first, there.only_second) == (back.only_second, back.only_first)


def test_windows_of_runs_of_other_lengths_are_not_the_same() -> None:
    found = compare_impacts(FIRST, SECOND, same_steps=False)
    assert found.pairs == () and len(found.only_first) == len(found.only_second) == 3


def test_another_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="do not compare"):
        compare_impacts(FIRST, impact_with(("a.resnets.0", EARLY, 0.5), scale="difference"), same_steps=True)
