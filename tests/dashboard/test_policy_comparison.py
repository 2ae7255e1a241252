"""How policies are compared: budgets, the frontier, a policy's map, its validation in sentences and tables."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import skipscope
from compute.policy.liveness import resolve
from compute.policy.rules import rules_of
from compute.policy.schedule import Schedule
from compute.statistics.estimate import Estimate
from dashboard.charts.policy_map import DEAD, cost_share, map_policy, network_order
from dashboard.charts.policy_map_chart import policy_map_chart
from dashboard.data.policy_budget import budget_options, choose_within, damage_metrics, policy_runs
from dashboard.theme.palette import DARK, LIGHT
from dashboard.views.policies.frontier_chart import frontier_chart, frontier_rows
from dashboard.views.policies.policy_details import in_python
from dashboard.views.policies.quality_axes import (
    SECONDS,
    SPEEDUP,
    TIME_AXES,
    QualityAxis,
    TimeAxis,
    measured_qualities,
)
from dashboard.views.policies.validation_sentences import validation_sentences
from dashboard.views.policies.validation_tables import policy_rows, run_rows
from store.actions import ACTIONS
from store.records import Action
from tests.dashboard.validated_policies import (
    COMPONENT,
    STEPS,
    make_policy,
    near,
    policy_file,
    run_quality,
    validation,
)
from tests.policy.graphs import chain

FILES = (
    policy_file("gentle", validation(1.2, 0.001)),
    policy_file("middle", validation(1.5, 0.01)),
    policy_file("hasty", validation(2.5, 0.2, 0.7)),
)
FIDELITY, DAMAGE = QualityAxis(measure="fidelity", name="all"), QualityAxis(measure="damage", name="mse")


@given(st.lists(st.floats(1e-5, 10), min_size=1, max_size=6), st.floats(0, 20))
@settings(max_examples=60, deadline=None)
def test_a_budget_chooses_the_fastest_within_it(damages: list[float], budget: float) -> None:
    speedups = [1 + (7 * number) % 5 for number in range(len(damages))]
    files = [
        policy_file(f"p{number}", validation(speedup, damage))
        for number, (speedup, damage) in enumerate(zip(speedups, damages, strict=True))
    ]
    choice = choose_within(files, "mse", budget)
    allowed = [speedup for speedup, damage in zip(speedups, damages, strict=True) if damage <= budget]
    if choice.recommended is None:
        assert not allowed
    else:
        assert choice.recommended.policy is not None and choice.recommended.policy.validation is not None
        assert choice.recommended.policy.validation.policy.speedup.mean == max(allowed)
    assert choice.nearest is not None
    assert int(choice.nearest.stem[1:]) == damages.index(min(damages))


def test_budgets_reach_from_none_allowed_to_all_allowed() -> None:
    options = budget_options(FILES, "mse")
    assert options == sorted(set(options)) and len(options) < 40
    assert choose_within(FILES, "mse", options[0]).recommended is None
    assert choose_within(FILES, "mse", options[-1]).recommended is FILES[2]
    assert 0.0123 in budget_options(FILES, "mse", "0.0123")
    for in_address in ("nan", "inf", "-1", "1e9", "x" * 1000, "0.01230", None):
        assert budget_options(FILES, "mse", in_address) == options
    assert budget_options(FILES, "ssim") == [] and budget_options((), "mse") == []


@pytest.mark.parametrize("time", TIME_AXES, ids=lambda axis: axis.token)
@pytest.mark.parametrize("quality", [FIDELITY, DAMAGE, QualityAxis(measure="kid")], ids=lambda axis: axis.token)
def test_every_run_is_shown_with_its_intervals(time: TimeAxis, quality: QualityAxis) -> None:
    rows = frontier_rows(FILES, time, quality, "middle")
    runs = ["Full compute", "Policy"] + ([] if quality is DAMAGE else ["Full compute, fewer steps"])
    assert {(row["stem"], row["run"]) for row in rows} == {(file.stem, run) for file in FILES for run in runs}
    assert all(row["low"] <= row["value"] <= row["high"] for row in rows)
    assert all((row["time_low"] is None) == (time is SECONDS) for row in rows)
    assert {row["stem"] for row in rows if row["chosen"]} == {"middle"}
    spec = frontier_chart(FILES, time, quality, "middle", LIGHT).to_dict()
    marks = [layer["mark"]["type"] for layer in spec["layer"]]
    rivals = quality is DAMAGE  # fewer steps, which have no damage, are lines at their times
    assert marks.count("rule") == (1 if time is SECONDS else 2) + rivals and "point" in marks
    shapes = next(layer["encoding"]["shape"] for layer in spec["layer"] if "shape" in layer["encoding"])
    assert len(set(shapes["scale"]["range"])) == len(runs)


def test_fewer_steps_never_have_a_damage() -> None:
    rows = frontier_rows(FILES, SPEEDUP, DAMAGE, "")
    assert "Full compute, fewer steps" not in {row["run"] for row in rows}
    assert {row["value"] for row in rows if row["run"] == "Full compute"} == {0.0}


def test_quality_axes_are_those_that_were_measured() -> None:
    runs = policy_runs(FILES)
    assert [axis.token for axis in measured_qualities(runs, damage_metrics(runs))] == [
        "fidelity_all",
        "damage_mse",
        "kid",
    ]
    unmeasured = [run_quality(name, 1, 1, fidelity={}, kid=None) for name in ("full", "policy")]
    runs = policy_runs([policy_file("unmeasured", validation(runs=tuple(unmeasured)))])
    assert measured_qualities(runs, damage_metrics(runs)) == []


def test_the_map_shows_what_runs() -> None:
    graph = chain(COMPONENT, "mid_block.resnets.0")
    resolved = resolve(graph, make_policy().schedule)
    policy_map = map_policy(make_policy(), network_order(resolved, ()), resolved)
    assert policy_map.components == ("unet", COMPONENT, "mid_block.resnets.0")
    states = {
        (span.component, step): span.state
        for span in policy_map.spans
        for step in range(span.window.start, span.window.stop)
    }
    assert len(states) == 3 * STEPS
    dropped = range(STEPS // 2, STEPS, 2)
    for step in range(STEPS):
        assert states["unet", step] == (ACTIONS["reuse"].state if step in dropped else ACTIONS["compute"].state)
        assert states["mid_block.resnets.0", step] == (DEAD if step in dropped else ACTIONS["compute"].state)
    assert states[COMPONENT, 2] == ACTIONS["bypass"].state
    assert cost_share(resolved) == pytest.approx(resolved.total_flops / (graph.total_flops * STEPS))
    spec = policy_map_chart(policy_map, STEPS, DARK).to_dict()
    assert [layer["mark"]["type"] for layer in spec["layer"]] == ["bar"]


def test_guidance_is_mapped_beside_the_whole_network() -> None:
    graph = chain("mid_block.resnets.0")
    rows = {
        1: {"guidance": Action(name="reuse")},
        2: {"unet": Action(name="reuse")},
        3: {"guidance": Action(name="bypass")},
    }
    schedule = Schedule(steps=STEPS, actions=rows)
    made = make_policy().model_copy(update={"rules": rules_of(schedule)})
    resolved = resolve(graph, schedule)
    policy_map = map_policy(made, network_order(resolved, ()), resolved)
    assert policy_map.components == ("unet", "guidance", "mid_block.resnets.0")
    states = [span.state for span in policy_map.spans if span.component == "guidance"]
    own = [ACTIONS[name].state for name in ("compute", "reuse")] + [DEAD, ACTIONS["bypass"].state]
    assert states == [*own, ACTIONS["compute"].state]
    assert cost_share(resolved) == pytest.approx((STEPS - 3 + 2 * 0.5) / STEPS)


def test_without_a_graph_only_rules_are_mapped() -> None:
    policy_map = map_policy(make_policy(), [], None)
    assert policy_map.components == ("unet", COMPONENT)
    assert DEAD not in {span.state for span in policy_map.spans}


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (1.01, 1.2, "faster than full compute beyond doubt"),
        (0.95, 1.3, "not faster than full compute beyond doubt"),
        (0.8, 0.9, "slower"),
    ],
)
def test_the_speedup_has_its_verdict(low: float, high: float, verdict: str) -> None:
    speedup = Estimate(mean=(low + high) / 2, low=low, high=high)
    runs = (run_quality("full", 1, 0.9), run_quality("policy", 1, 0.9, speedup=speedup))
    sentences = validation_sentences(validation(runs=runs))
    assert verdict in sentences[0] and f"{low:.2f}, {high:.2f}" in sentences[0]
    assert "Damage was not measured" in sentences[1]
    assert any("Fewer steps of full compute were not measured" in sentence for sentence in sentences)


@pytest.mark.parametrize(
    ("difference", "verdict"),
    [
        (near(-0.05), "worse beyond doubt"),
        (near(0.05), "better beyond doubt"),
        (near(0.01, 3), "no significant difference"),
    ],
)
def test_the_paired_difference_has_its_verdict(difference: Estimate, verdict: str) -> None:
    text = " ".join(validation_sentences(validation(fidelity_difference={"all": difference})))
    assert verdict in text and f"{100 * difference.mean:.1f} [{100 * difference.low:.1f}, " in text


def test_tables_hold_every_run_and_policy() -> None:
    rows = {row["Quantity"]: row for row in run_rows(validation())}
    assert rows["Damage by mean squared error"]["Full compute, fewer steps"] == "none: other noise"
    assert rows["Speedup"]["Policy"].startswith("1.50x [1.47")
    assert [row["Policy"] for row in policy_rows(FILES, "mse")] == ["hasty", "middle", "gentle"]


def test_pictures_that_do_not_vary_have_no_interval_without_width() -> None:
    flat = Estimate(mean=1, low=1, high=1)
    runs = tuple(run_quality(name, 1.5, 1, fidelity={"all": flat}) for name in ("full", "policy", "fewer_steps"))
    none = Estimate(mean=0, low=0, high=0)
    same = validation(conditions=32, runs=runs, fidelity_difference={"all": none})
    said = " ".join(validation_sentences(same))
    assert "of 32, none differs; among other pictures up to 9% may be unlike these (95%)" in said
    assert "[0.0, 0.0]" not in said and "[100.0%, 100.0%]" not in said
    texts = [text for row in run_rows(same) for text in row.values()]
    assert "100.0% [91.1%, 100.0%]" in texts and "100.0% [100.0%, 100.0%]" not in texts
    rows = frontier_rows([policy_file("same", same)], SPEEDUP, FIDELITY, "")
    assert all(row["low"] < row["high"] for row in rows)


def test_the_program_on_the_page_defines_what_it_uses() -> None:
    tree = ast.parse(in_python(make_policy(), "a policy.json"))
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    defined = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert all(alias.name in skipscope.__all__ for node in imports for alias in node.names)
    defined |= {alias.name for node in imports for alias in node.names}
    assert {node.id for node in names if isinstance(node.ctx, ast.Load)} <= defined
