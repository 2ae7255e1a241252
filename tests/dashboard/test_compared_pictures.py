"""Two runs compared: pairs where they differ most first, a blind test, budgets of damage and of seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.data.compared_pictures import Contender, PicturePair, picture_pairs
from dashboard.data.policy_budget import choose_in_time, choose_within, damage_by, seconds_of, seconds_options
from dashboard.theme.palette import LIGHT
from dashboard.views.policies.blind_test import answer_rows, questions, result_sentence
from dashboard.views.policies.budget import Budget, uneven_seconds
from dashboard.views.policies.frontier_chart import frontier_chart
from dashboard.views.policies.quality_axes import SECONDS, SPEEDUP, QualityAxis
from store.folder.documents import write_document
from tests.analysis.synthetic_sweeps import made_sweep
from tests.dashboard.opened_page import OpenPage, line, markup
from tests.dashboard.validated_policies import policy_file, run_quality, tile_png, validation, write_policy

FILES = (
    policy_file("gentle", validation(1.2, 0.001)),
    policy_file("middle", validation(1.5, 0.01)),
    policy_file("hasty", validation(2.5, 0.2)),
)
DAMAGE, FIDELITY = QualityAxis(measure="damage", name="mse"), QualityAxis(measure="fidelity", name="all")


def contender(label: str, values: dict[str, int], size: int = 2) -> Contender:
    """A run with pictures of one colour each, by prompt."""
    pictures = {(name, 0): np.full((size, size, 3), value, np.uint8) for name, value in values.items()}
    return Contender(token=label, label=label, pictures=pictures)


@given(*[st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 255), max_size=6)] * 2)
@settings(max_examples=60, deadline=None)
def test_pairs_are_those_that_both_have_most_different_first(one: dict[str, int], other: dict[str, int]) -> None:
    pairs = picture_pairs(contender("one", one), contender("other", other))
    assert {pair.prompt for pair in pairs} == one.keys() & other.keys()
    differences = [pair.difference for pair in pairs]
    assert differences == sorted(differences, reverse=True)
    assert all(p.difference == pytest.approx(abs(one[p.prompt] - other[p.prompt]) / 255) for p in pairs)
    assert not picture_pairs(contender("one", one), contender("other", other, size=3))


def pairs_of(differences: list[float]) -> list[PicturePair]:
    """Pairs with these differences."""
    tile = np.zeros((2, 2, 3), np.uint8)
    return [
        PicturePair(prompt=f"=p{place}", seed=place, left=tile, right=tile, difference=difference)
        for place, difference in enumerate(differences)
    ]


@given(st.lists(st.sampled_from([0.0, 0.1, 0.5]), max_size=12), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_a_blind_test_asks_every_differing_pair_once(differences: list[float], seed: int) -> None:
    pairs = pairs_of(differences)
    asked = questions(pairs, seed)
    assert sorted(q.pair.seed for q in asked) == [pair.seed for pair in pairs if pair.difference > 0]
    assert asked == questions(pairs, seed)


def test_answers_are_given_the_names_of_the_runs() -> None:
    asked = questions(pairs_of([0.5] * 40), seed=1)
    assert {question.swapped for question in asked} == {True, False}
    rows = answer_rows(asked, ["first"] * 39, "full", "policy")
    assert len(rows) == 39
    for question, row in zip(asked, rows, strict=False):
        assert row["Better"] == row["Shown first"] == ("policy" if question.swapped else "full")
    same = answer_rows(asked, ["same"] * 32, "full", "policy")
    assert "neither in 32" in result_sentence(same, "full", "policy") and "9%" in result_sentence(
        same, "full", "policy"
    )


@pytest.mark.parametrize("seconds", seconds_options(FILES))
def test_a_budget_of_seconds_chooses_the_least_harmful_within_it(seconds: float) -> None:
    choice = choose_in_time(FILES, "mse", seconds)
    allowed = [file for file in FILES if (seconds_of(file) or 0) <= seconds]
    expected = min(allowed, key=lambda file: damage_by(file, "mse") or 0, default=None)
    assert choice.recommended is expected and choice.nearest is FILES[2]


def test_budgets_of_seconds_reach_from_none_allowed_to_all_allowed() -> None:
    options = seconds_options(FILES)
    assert options == sorted(set(options)) and len(options) < 40 and seconds_options(()) == []
    assert choose_in_time(FILES, "mse", options[0]).recommended is None
    assert choose_in_time(FILES, "mse", options[-1]).recommended is FILES[0]
    assert choose_in_time(FILES, None, options[-1]).recommended is FILES[0]  # the slowest, for want of a damage


@pytest.mark.parametrize(
    ("kind", "limit", "time", "quality", "lines"),
    [
        ("damage", 0.01, SECONDS, DAMAGE, 1),
        ("damage", 0.01, SECONDS, FIDELITY, 0),
        ("seconds", 1.5, SECONDS, FIDELITY, 1),
        ("seconds", 1.5, SPEEDUP, DAMAGE, 1),
    ],
)
def test_the_budget_is_drawn_on_the_axis_that_has_it(kind, limit, time, quality, lines) -> None:  # type: ignore[no-untyped-def]
    budget = Budget(kind=kind, limit=limit, metric="mse", choice=choose_within(FILES, "mse", limit))
    spec = frontier_chart(FILES, time, quality, "middle", LIGHT, budget).to_dict()
    regions = [layer for layer in spec["layer"] if layer["mark"]["type"] == "rect"]
    assert len(regions) == lines
    for region in regions:
        (row,) = region["data"]["values"]
        expected = limit if time is SECONDS or kind == "damage" else 2 / limit
        assert row["limit"] == pytest.approx(expected)
        assert (row["better"] > row["limit"]) == (time is SPEEDUP and kind == "seconds")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A sweep with two validated policies that have pictures of the same prompts."""
    store = made_sweep(tmp_path / "sweep", switched=()).store.root
    for stem, damage in (("gentle", 0.001), ("hasty", 0.2)):
        write_policy(store, stem, validation(1.2 + damage, damage))
        write_document(store, "policies", f"{stem}.png", tile_png(3, ["a <b>cat</b>", "=1+1"]))
    return store


def test_two_policies_are_compared_by_a_wipe_and_blind(open_page: OpenPage, root: Path) -> None:
    app = open_page("policies", root, compare_left="policy-gentle", compare_right="full")
    assert not app.exception
    shown = line(app)
    assert "Two compared, picture by picture" in shown and "<b>cat" not in markup(app)
    app = open_page("policies", root, compare_how="blind", compare_left="policy-gentle", compare_right="full")
    assert not app.exception and "1 of 2. Which is better?" in line(app)
    app.button(key="blind first").click().run()
    assert "2 of 2. Which is better?" in line(app)
    assert "Download 1 answer as CSV" in [button.label for button in app.get("download_button")]
    app.button(key="blind same").click().run()
    assert "Of 2 pairs" in line(app) and "neither in 1" in line(app)


def test_seconds_of_unlike_machines_are_not_compared_in_silence() -> None:
    assert uneven_seconds(FILES) == ""
    slow = run_quality("full", 1.0, 0.9, seconds_per_picture=3.0)
    other = policy_file("slow", validation(1.5, runs=(slow, run_quality("policy", 1.5, 0.9))))
    assert "from 2 to 3 seconds" in uneven_seconds([*FILES, other])


def test_a_budget_of_seconds_recommends_the_least_harmful(open_page: OpenPage, root: Path) -> None:
    app = open_page("policies", root, budget_in="seconds", budget_seconds="5")
    assert not app.exception
    assert "Recommended: gentle" in line(app) and "within 5 seconds a picture" in line(app)
    app = open_page("policies", root, budget_in="seconds", budget_seconds="0.001")
    assert "No policy is within this budget" in line(app)


@pytest.mark.parametrize("text", ["nan", "-3", "<script>", "9" * 5000])
def test_hostile_addresses_are_ignored(open_page: OpenPage, root: Path, text: str) -> None:
    names = ("budget_in", "budget_seconds", "compare_left", "compare_right", "compare_how", "compare_picture")
    app = open_page("policies", root, **dict.fromkeys(names, text))
    assert not app.exception and "Recommended: gentle" in line(app)
