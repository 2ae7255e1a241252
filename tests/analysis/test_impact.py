"""Impact by every sort of metric, from tables of chosen numbers, against slow references."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.analysis.impact.ablation_impact import (
    Impact,
    NoImpact,
    impact_of,
    impact_of_table,
    metrics_with_impact,
)
from compute.analysis.impact.component_kinds import kind_of
from compute.analysis.impact.group_curves import by_kind, by_level, mean_change, mean_impact
from compute.analysis.report.terminal import describe_impact
from compute.statistics.estimate import mean_of, ratio_of
from store.errors import StoreError
from store.folder.header import SweepHeader
from store.index.table import make_table
from store.records import Ablation, Action, Reseed, Window
from store.sweep_store import SweepStore
from tests.analysis.synthetic_sweeps import Numbers, ablation, conditions, impact_with, row_of, table_of, unit_of

SHARES = st.lists(st.floats(0, 1), min_size=4, max_size=4)
POSITIVE = st.lists(st.floats(0.01, 1), min_size=4, max_size=4)
ONE = ablation("down_blocks.0.resnets.0")


def impact_by(metric: str, baseline: Sequence[float], reseed: Sequence[float], own: Sequence[float]) -> Impact:
    """The impact of one ablation whose numbers are these; the null ablation repeats the baseline."""
    same = {"mse": 0.0, "ssim": 1.0, "psnr": 100.0}
    null = {metric: [same[metric]] * len(own) if metric in same else list(baseline)}
    unpaired = {} if metric in same else {metric: baseline}
    return impact_of_table(table_of(unpaired, {metric: reseed}, {ONE: {metric: own}}, null), metric)


@settings(deadline=None)
@given(POSITIVE, SHARES)
def test_damage_of_a_distance_is_its_ratio_to_another_seeds(reseed: list[float], own: list[float]) -> None:
    found = impact_by("mse", [], reseed, own)
    assert found.scale == "damage" and found.higher_is_worse
    assert found.ablations[0].effect == ratio_of(np.array(own), np.array(reseed))
    assert found.null is not None and found.null.mean == found.null.high == 0
    assert found.reseed == pytest.approx(np.mean(reseed))


@settings(deadline=None)
@given(POSITIVE, SHARES)
def test_damage_of_a_similarity_is_that_of_its_loss(reseed: list[float], own: list[float]) -> None:
    found = impact_by("ssim", [], [1 - it for it in reseed], [1 - it for it in own])
    expected = ratio_of(np.array(own), np.array(reseed)).mean
    assert found.scale == "damage" and found.higher_is_worse
    assert found.ablations[0].effect.mean == pytest.approx(expected, abs=1e-9)


@settings(deadline=None)
@given(SHARES, SHARES, SHARES)
def test_a_metric_of_single_pictures_gives_the_paired_difference(
    a: list[float], b: list[float], c: list[float]
) -> None:
    found = impact_by("fidelity_all", a, b, c)
    change = np.array(c) - np.array(a)
    assert found.scale == "difference" and not found.higher_is_worse
    assert found.ablations[0].effect == mean_of(change)
    assert found.ablations[0].values == tuple(change)
    assert found.null is not None and found.null.mean == 0
    assert found.reseed == pytest.approx((np.array(b) - np.array(a)).mean(), abs=1e-12)


def test_decibels_stay_what_they_are() -> None:
    found = impact_by("psnr", [], [10, 10, 10, 10], [30, 32, 34, 36])
    assert (found.scale, found.higher_is_worse) == ("value", False)
    assert found.ablations[0].effect.mean == 33 and found.null is not None and found.null.mean == 100


@settings(deadline=None)
@given(POSITIVE, SHARES)
def test_the_conditions_own_numbers_average_to_the_damage(reseed: list[float], own: list[float]) -> None:
    found = impact_by("mse", [], reseed, own).ablations[0]
    assert np.mean(np.array(found.values)) == pytest.approx(found.effect.mean, abs=1e-9)
    assert len(set(found.keys)) == 1 and found.conditions == 4


def two_batches() -> Impact:
    """Conditions 0, 1 and 2, 3 in batches; the second ablation is not done on the second batch."""
    rows = []
    for first in (0, 2):
        batch = conditions(4)[first : first + 2]
        own = unit_of("baseline", None, batch)
        mse = [0.1 + first, 0.2 + first]
        rows.append(row_of(own, {}))
        rows.append(row_of(unit_of("control", Reseed(offset=7), batch, own), {"mse": [0.5, 1.0]}))
        rows.append(row_of(unit_of("ablation", ONE, batch, own), {"mse": mse}))
        if first == 0:
            rows.append(
                row_of(unit_of("ablation", ablation("mid_block.resnets.0"), batch, own), {"mse": [0.3, math.nan]})
            )
    return impact_of_table(make_table(rows))


def test_batches_join_and_what_is_not_done_is_left_out() -> None:
    found = two_batches()
    assert [c.seed for c in found.conditions] == [0, 1, 2, 3]
    whole, part = found.ablations
    assert whole.effect == ratio_of(np.array([0.1, 0.2, 2.1, 2.2]), np.array([0.5, 1.0, 0.5, 1.0]))
    assert whole.keys[0] == whole.keys[1] != whole.keys[2] == whole.keys[3]
    assert part.values == (0.6, None, None, None) and part.conditions == 1
    assert part.effect.mean == part.effect.low == part.effect.high == pytest.approx(0.6)
    assert part.keys[0] is not None and part.keys[1:] == (None, None, None)


def many(values: Sequence[Sequence[float]], metric: str = "mse", reseed: Sequence[float] | None = None) -> Impact:
    """As many ablations as rows of numbers."""
    count = len(values[0])
    each: dict[Ablation, Numbers] = {ablation(f"b.{i}.resnets.0"): {metric: row} for i, row in enumerate(values)}
    return impact_of_table(table_of({}, {metric: reseed or [0.5] * count}, each, {metric: [0.0] * count}), metric)


def test_flags_need_more_conditions_than_a_handful() -> None:
    few, enough = many([[0.1] * 6] * 20), many([[0.1] * 9] * 19 + [[0.0] * 9])
    assert few.conditions_needed == enough.conditions_needed == 9
    assert not any(a.distinguishable for a in few.ablations)
    assert [a.distinguishable for a in enough.ablations] == [True] * 19 + [False]
    assert "6 conditions are too few to tell any of 20 ablations from doing nothing" in describe_impact(few)
    assert "19 of 20 ablations can be told from doing nothing" in describe_impact(enough)
    none = many([[0.0] * 9] * 20)
    assert "None of 20 ablations can be told from doing nothing" in describe_impact(none)


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_kinds_and_levels_average_their_ablations(data: st.DataObject) -> None:
    names = ("down_blocks.0.resnets.0", "down_blocks.1.resnets.0", "skip:conv_in", "unet")
    numbers = {name: data.draw(POSITIVE) for name in names}
    reseed = data.draw(POSITIVE)
    table = table_of({}, {"mse": reseed}, {ablation(name): {"mse": row} for name, row in numbers.items()})
    found = impact_of_table(table, levels={names[0]: 0, names[1]: 1, names[2]: 0})
    kinds = {curve.group: curve for curve in by_kind(found)}
    assert list(kinds) == ["resnet", "skip", "unet"]
    assert kinds["resnet"].counts == (2,) and kinds["resnet"].windows == (Window(start=0, stop=2),)
    expected = ratio_of((np.array(numbers[names[0]]) + np.array(numbers[names[1]])) / 2, np.array(reseed))
    assert kinds["resnet"].effect[0].mean == pytest.approx(expected.mean)
    assert kinds["resnet"].effect[0].high == pytest.approx(expected.high)
    levels = {curve.group: curve for curve in by_level(found)}
    assert list(levels) == ["0", "1"] and levels["0"].counts == (2,)
    every = np.mean([np.array(row) for row in numbers.values()], axis=0)
    assert mean_impact(found).mean == pytest.approx(ratio_of(every, np.array(reseed)).mean)


def test_a_change_is_paired_by_condition() -> None:
    """Conditions differ a lot, the two windows by the same 0.1 on each: the difference is certain."""
    spread = [0.1, 0.9, 2.0, 0.4]
    late = {"mse": spread}
    early = {"mse": [it + 0.1 for it in spread]}
    both: dict[Ablation, Numbers] = {ablation("unet", 0, 2): early, ablation("unet", 2, 4): late}
    found = impact_of_table(table_of({}, {"mse": [1, 1, 1, 1]}, both))
    parts = [found.only(windows=(window,)) for window in found.windows]
    change = mean_change(parts[0], parts[1])
    assert change.low == pytest.approx(0.1) and change.high == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("unet", "unet"),
        ("skip:down_blocks.0.resnets.1", "skip"),
        ("up_blocks.1.upsamplers.0", "upsampler"),
        ("mid_block.attentions.0", "attention"),
        ("down_blocks.0.resnets.0 + down_blocks.0.resnets.1", "resnet"),
        ("down_blocks.0.resnets.0 + unet", "several"),
    ],
)
def test_kinds_by_name(name: str, kind: str) -> None:
    assert kind_of(tuple(name.split(" + "))) == kind


def test_what_cannot_be_had_is_said() -> None:
    whole = table_of({"fidelity_all": [1, 1]}, {"mse": [1, 1]}, {ONE: {"mse": [0.1, 0.2]}})
    assert metrics_with_impact(whole) == ("mse",)
    with pytest.raises(NoImpact, match="'beauty' was not measured here; accepted: mse"):
        impact_of_table(whole, "beauty")
    with pytest.raises(NoImpact, match="accepted: mse"):
        impact_of_table(whole, "fidelity_all")
    batch = conditions(2)
    own = unit_of("baseline", None, batch)
    with pytest.raises(NoImpact, match="sweep: has no finished control or ablation yet"):
        impact_of_table(make_table([row_of(own, {})]), path="sweep")
    with pytest.raises(NoImpact, match="has no finished control yet"):
        impact_of_table(make_table([row_of(own, {}), row_of(unit_of("ablation", ONE, batch, own), {"mse": [1, 2]})]))
    with pytest.raises(NoImpact, match="accepted: none yet"):
        impact_of_table(table_of({}, {"mse": [1, 1]}, {}))
    with pytest.raises(NoImpact, match="has no finished ablation yet"):
        impact_of_table(table_of({}, {"mse": [1, 1]}, {}, {"mse": [0, 0]}))


def test_a_damaged_graph_in_a_store_is_said(tmp_path: Path) -> None:
    root = tmp_path / "sweep"
    store = SweepStore.create(root, SweepHeader())
    (root / "reports" / "graph.json").write_text('{"components": 3}')
    with pytest.raises(StoreError, match=r"reports/graph.json: is no component graph"):
        impact_of(store)


STEPS = (Window(start=2, stop=4), Window(start=0, stop=2))
SOME = [(f"block.{i}", window, i / 10 + window.start) for window in STEPS for i in range(6)]


def test_windows_in_order_and_the_most_harmful_first() -> None:
    found = impact_with(*SOME)
    assert [str(window) for window in found.windows] == ["0-1", "2-3"]
    assert [a.ablation.components for a in found.in_window(found.windows[0])] == [
        (f"block.{i}",) for i in (5, 4, 3, 2, 1, 0)
    ]
    reversed_ = impact_with(*SOME, scale="difference")
    assert [a.ablation.components for a in reversed_.in_window(found.windows[0])] == [(f"block.{i}",) for i in range(6)]


def test_screening_stands_apart_from_elimination() -> None:
    short = Ablation(components=("unet",), window=Window(start=3, stop=4), action=Action(name="reuse", space="x0"))
    each: dict[Ablation, Numbers] = {ONE: {"mse": [0.1, 0.1]}, short: {"mse": [0.3, 0.3]}}
    found = impact_of_table(table_of({}, {"mse": [1, 1]}, each, {"mse": [0, 0]}))
    assert found.main_windows == (ONE.window,) and len(found.windows) == 2
    assert tuple(map(str, found.actions)) == ("bypass", "reuse (x0)")
    lines = describe_impact(found).splitlines()
    assert "steps 0-1: mean damage 0.100" in lines
    assert (
        "  reuse (x0) for 1 step: 1 ablations, mean damage 0.300, worst unet in step 3: 0.300 [0.300, 0.300]" in lines
    )
