"""The workbench: drafts as text, their predicted cost and damage, conflicts, and the file that is taken along."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.analysis.impact.ablation_impact import impact_of
from compute.analysis.impact.predicted_damage import predicted_damage
from compute.policy.graph_document import write_graph
from compute.policy.liveness import resolve
from compute.policy.methods.registry import METHODS
from compute.policy.schedule import Schedule
from compute.policy.skip_policy import SkipPolicy
from dashboard.data import draft as drafts
from dashboard.data.draft import NoDraft, draft_of, draft_policy, draft_text, schedule_of_ablations, with_action
from dashboard.views.workbench.forecast import cost_facts
from store.folder.documents import write_document
from store.records import Action
from store.sweep_store import SweepStore
from tests.dashboard.opened_page import OpenPage, line
from tests.dashboard.stores import ABLATED, ABLATIONS, SETTINGS, STEPS
from tests.dashboard.test_network_map import UNET_LIKE
from tests.policy.policies import policy_of, schedules

BYPASS = Action(name="bypass")
NAMES = UNET_LIKE.names


@given(schedules())
@settings(max_examples=60, deadline=None)
def test_a_draft_comes_back_from_its_text(schedule: Schedule) -> None:
    text = draft_text(schedule)
    assert re.fullmatch(r"[A-Za-z0-9_-]*", text)
    if len(text) <= 6000:
        assert draft_of(text, schedule.steps) == schedule


@given(st.text(max_size=60) | st.from_regex(r"[A-Za-z0-9_-]{1,60}", fullmatch=True))
@settings(max_examples=80, deadline=None)
def test_any_other_text_is_refused_or_a_draft(text: str) -> None:
    with suppress(NoDraft):
        assert draft_of(text, 6).steps == 6


@pytest.mark.parametrize(
    "text",
    [
        "9" * 9000,
        "\x00\ud7ff",
        "<script>",
        draft_text(policy_of(Schedule(steps=9, actions={8: {"a": BYPASS}})).schedule),
    ],
)
def test_hostile_and_foreign_drafts_are_refused(text: str) -> None:
    with pytest.raises(NoDraft):
        draft_of(text, 6)


@given(st.lists(st.sampled_from(ABLATIONS), max_size=6, unique=True))
@settings(max_examples=30, deadline=None)
def test_the_ablations_alone_predict_their_own_sum(units: list[Any]) -> None:
    impact = _impact()
    ablations = [unit.intervention for unit in units]
    schedule = schedule_of_ablations(ablations, STEPS)
    resolved = resolve(UNET_LIKE, schedule)
    alive = all(a.components[0] not in plan.dead for a in ablations for plan in resolved.steps)
    predicted = predicted_damage(impact, resolved)
    expected = sum(a.effect.mean for a in impact.ablations if a.ablation in ablations)
    assert not predicted.unmeasured
    if alive:
        assert predicted.damage == pytest.approx(expected)
        assert predicted.measured == sum(a.window.stop - a.window.start for a in ablations)


def test_what_was_not_tried_is_said() -> None:
    schedule = with_action(Schedule.empty(STEPS), {NAMES[1]: Action(name="reuse")}, [2, 4])
    predicted = predicted_damage(_impact(), resolve(UNET_LIKE, schedule))
    assert (predicted.damage, predicted.measured, dict(predicted.unmeasured)) == (0.0, 0, {NAMES[1]: 2})


_KEPT: list[Any] = []


def _impact() -> Any:
    if not _KEPT:
        import tempfile

        from tests.dashboard.stores import make_store

        with tempfile.TemporaryDirectory() as folder:
            _KEPT.append(impact_of(make_store(Path(folder) / "sweep")))
    return _KEPT[0]


def test_an_action_is_taken_back() -> None:
    full = Schedule.empty(STEPS)
    some = with_action(full, {NAMES[1]: BYPASS}, range(2, 5))
    assert [step for step in range(STEPS) if some.at(step)] == [2, 3, 4]
    assert with_action(some, {NAMES[1]: Action(name="compute")}, range(STEPS)) == full


def test_cost_counts_what_does_not_run() -> None:
    dropped = Schedule(steps=4, actions={2: {"unet": Action(name="reuse")}})
    facts = dict(cost_facts(resolve(UNET_LIKE, dropped)))
    assert facts["Arithmetic"].startswith("75.0% of full compute") and facts["Speed"].startswith("1.33 times")
    assert facts["Steps"] == "3 whole, 0 in part, 1 dropped"


@pytest.fixture
def root(sweep: SweepStore) -> Path:
    """A finished sweep with a component graph and a policy for its own model."""
    write_graph(sweep.root, UNET_LIKE)
    policy = policy_of(Schedule(steps=STEPS, actions={4: {"unet": Action(name="reuse")}}), name="stored")
    model = policy.model.model_copy(update={"weights": SETTINGS["model"], "stage": "base"})
    own = policy.model_copy(update={"model": model})
    write_document(sweep.root, "policies", "stored.json", own.dumps().encode())
    return sweep.root


def test_a_draft_is_shown_counted_and_taken_along(open_page: OpenPage, root: Path) -> None:
    draft = with_action(Schedule.empty(STEPS), {ABLATED[1][0]: BYPASS}, range(3, 6))
    app = open_page("workbench", root, draft=draft_text(draft))
    assert not app.exception
    shown = line(app)
    assert "of full compute" in shown and "Predicted: the sum" in shown and "by mean squared error" in shown
    assert "skipscope validate draft.json" in shown
    assert "Download policy draft\\.json" in [button.label for button in app.get("download_button")]


def test_the_file_is_a_policy_for_the_same_model(root: Path, tmp_path: Path) -> None:
    template = SkipPolicy.load(root / "policies" / "stored.json")
    schedule = with_action(Schedule.empty(STEPS), {ABLATED[1][0]: BYPASS}, [5])
    (tmp_path / "draft.json").write_text(draft_policy(template, schedule, "my draft").dumps())
    loaded = SkipPolicy.load(tmp_path / "draft.json")
    assert (loaded.model, loaded.sampler, loaded.guidance) == (template.model, template.sampler, template.guidance)
    assert loaded.schedule == schedule and loaded.validation is None and loaded.prediction is None


def test_a_conflict_is_one_line(open_page: OpenPage, root: Path) -> None:
    draft = with_action(Schedule.empty(STEPS), {NAMES[1]: Action(name="reuse")}, [0])
    app = open_page("workbench", root, draft=draft_text(draft))
    assert not app.exception
    shown = line(app)
    assert "This draft cannot run" in shown and "no step before it computes" in shown
    assert "skipscope validate" not in shown


def test_starting_from_a_policy_and_from_every_method(open_page: OpenPage, root: Path) -> None:
    app = open_page("workbench", root)
    assert "Everything is computed" in line(app)
    app.selectbox(key="choice start").select("policy-stored").run()
    _press(app, "Start anew")
    assert "1 dropped" in line(app) and app.query_params["draft"]
    for key in (key for key, method in METHODS.items() if not method.needs):
        app.selectbox(key="choice start").select(f"method-{key}").run()
        _press(app, "Start anew")
        assert not app.exception
        assert METHODS[key].source in line(app).replace("\\", "")


def test_ticks_steps_and_an_action_change_the_draft(open_page: OpenPage, root: Path) -> None:
    app = open_page("workbench", root)
    app.multiselect(key="workbench components").set_value([ABLATED[0][0], ABLATED[2][0]]).run()
    app.slider(key="workbench steps").set_value((1, 4)).run()
    _press(app, "Apply")
    assert not app.exception
    draft = draft_of(
        app.query_params["draft"][0] if isinstance(app.query_params["draft"], list) else app.query_params["draft"],
        STEPS,
    )
    assert {step: {name: str(action) for name, action in draft.at(step).items()} for step in (0, 1, 4, 5)} == {
        0: {},
        1: {ABLATED[0][0]: "bypass", ABLATED[2][0]: "zero"},
        4: {ABLATED[0][0]: "bypass", ABLATED[2][0]: "zero"},
        5: {},
    }


def test_a_draft_that_is_too_long_for_an_address_is_kept(
    open_page: OpenPage, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafts, "TEXT_LIMIT", 10)
    app = open_page("workbench", root)
    app.selectbox(key="choice start").select("policy-stored").run()
    _press(app, "Start anew")
    assert "1 dropped" in line(app) and "draft" not in app.query_params
    app.run()
    assert "1 dropped" in line(app)


def test_what_can_rest_goes_to_the_workbench(open_page: OpenPage, root: Path) -> None:
    app = open_page("impact", root, rest_from="0", rest_below="0.1")
    assert "to workbench" not in [button.key for button in app.button]  # nothing passes
    text = draft_text(schedule_of_ablations([ABLATIONS[0].intervention], STEPS))  # type: ignore[list-item]
    shown = line(open_page("workbench", root, draft=text))
    assert "3 whole, 3 in part" in shown


@pytest.mark.parametrize("text", ["nan", "<script>", "9" * 9000])
def test_hostile_addresses_are_ignored(open_page: OpenPage, root: Path, text: str) -> None:
    app = open_page("workbench", root, draft=text, start=text, network_unfold=text)
    assert not app.exception and "Shown instead: full compute" in line(app)


def _press(app: Any, label: str) -> None:
    next(button for button in app.button if button.label == label).click().run()
