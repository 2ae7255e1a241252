"""The analyses page: what it shows, and what it says where a sweep lacks something."""

from __future__ import annotations

from pathlib import Path

from store.sweep_store import SweepStore
from tests.dashboard.opened_page import OpenPage, charts, line
from tests.dashboard.stores import CONDITIONS, make_store

HEADINGS = (
    "How alike the steps are",
    "Where the trajectory bends",
    "The spectrum of the predicted picture",
    "Which prompts are fragile",
)


def test_each_analysis_has_its_sentence(open_page: OpenPage, sweep: SweepStore) -> None:
    for state, name in (("pred_x0", "predictions"), ("x_t", "states")):
        app = open_page("analyses", sweep.root, state=state)
        assert not app.exception
        shown = line(app)
        assert all(heading in shown for heading in HEADINGS)
        assert f"None of the {name} before step" in shown  # random states are not alike
        assert f"The path of the {name} is" in shown
        assert "cycles a side at step 0" in shown
        assert "is the most fragile of 3 conditions" in shown
        assert ("adds noise at every step" in shown) == (state == "x_t")


def test_a_sweep_that_kept_final_pictures_only_says_so(open_page: OpenPage, tmp_path: Path) -> None:
    app = open_page("analyses", make_store(tmp_path / "final", keep=False).root)
    assert not app.exception
    assert "The predictions cannot be analysed" in line(app)
    assert "keep: {pred_x0: all}" in line(app)
    assert len(charts(app)) == 1


def test_missing_distances_are_named(open_page: OpenPage, sweep: SweepStore) -> None:
    shown = line(open_page("analyses", sweep.root))
    assert "Both numbers are known of 0 ablations of these steps" in shown


def test_a_metric_that_is_no_damage_is_not_correlated(open_page: OpenPage, sweep: SweepStore) -> None:
    app = open_page("analyses", sweep.root, metric="fidelity_all")
    assert not app.exception
    assert "Choose a metric that is a damage" in line(app)


def test_the_tables_hold_every_number(open_page: OpenPage, sweep: SweepStore) -> None:
    frames = [frame.value for frame in open_page("analyses", sweep.root).dataframe]
    similarity = next(frame for frame in frames if "Step" in frame.columns)
    assert similarity.shape == (6, 7)
    prompts = next(frame for frame in frames if "Prompt" in frame.columns)
    assert sorted(prompts["Prompt"]) == sorted(condition.prompt for condition in CONDITIONS)
    assert list(prompts["Mean"]) == sorted(prompts["Mean"], reverse=True)


def test_a_sweep_without_an_ablation_says_so(open_page: OpenPage, tmp_path: Path) -> None:
    app = open_page("analyses", make_store(tmp_path / "begun", done=1).root)
    assert not app.exception
    assert "No damage yet" in line(app)
    assert len(charts(app)) == 3
