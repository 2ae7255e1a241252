"""The Policies page: its files read without trust, its charts and words, and the page itself."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from compute.policy.liveness import resolve
from compute.statistics.estimate import Estimate
from dashboard.data.policy_files import FILE_LIMIT, budgets, one_line, policy_files, read_policy, within
from dashboard.data.validation_pictures import read_comparison
from dashboard.pages.policies.frontier_chart import frontier_chart, frontier_rows
from dashboard.pages.policies.policy_map import DEAD, cost_share, map_of, network_order
from dashboard.pages.policies.policy_map_chart import policy_map
from dashboard.pages.policies.quality_axes import TIMES, Quality, qualities
from dashboard.pages.policies.validation_report import policy_rows, run_rows, sentences
from dashboard.theme.palette import DARK, LIGHT
from store.actions import ACTIONS
from store.errors import StoreError
from store.folder.documents import DOCUMENT_LIMIT, document_path, write_document
from tests.analysis.synthetic_sweeps import made_sweep
from tests.dashboard.measured_policies import COMPONENT, STEPS, file_of, near, png, policy, put, run, validation
from tests.dashboard.page_text import markup, text
from tests.policy.graphs import chain

FILES = (
    file_of("gentle", validation(1.2, 0.001)),
    file_of("middle", validation(1.5, 0.01)),
    file_of("hasty", validation(2.5, 0.2, 0.7)),
)
FIDELITY, DAMAGE = Quality(sort="fidelity", name="all"), Quality(sort="damage", name="mse")
SCRIPT = (
    "from dashboard.widgets.page_frame import page\nfrom dashboard.pages.policies.page import show\n"
    "page('Policies', 'What.', show)\n"
)
HOSTILE = {
    "not-json": b'{"format": "skipscope-policy", ',
    "nan": b'{"format": "skipscope-policy", "guidance": NaN}',
    "nested": b"[" * 100_000,
    "not-text": b"\xff\xfe\x00",
    "wrong": b'{"format": "other"}',
    "newer": b'{"format": "skipscope-policy", "version": 99}',
    "control": b'{"format": "skipscope-policy", "version": 1, "\\u001b[31mred\\u0007<script>": 1}',
    "huge": b" " * (DOCUMENT_LIMIT + 1),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small sweep without policies."""
    return made_sweep(tmp_path / "sweep", switched=()).store.root


@pytest.fixture
def page(root: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The page on that sweep; not run yet."""
    monkeypatch.setattr(sys, "argv", ["app.py", "--store", str(root)])
    return AppTest.from_string(SCRIPT, default_timeout=60)


def shown(page: AppTest) -> str:
    """The words of a page on one line."""
    return " ".join(text(page).replace("\\", "").split())


# Files


def test_every_hostile_file_gets_one_line_and_spoils_nothing(root: Path) -> None:
    put(root, "fine", validation())
    for stem, data in HOSTILE.items():
        document_path(root, "policies", f"{stem}.json").write_bytes(data)
    document_path(root, "policies", "link.json").symlink_to("/etc/passwd")
    files = {file.stem: file for file in policy_files(root)}
    assert files.keys() == {*HOSTILE, "fine"}
    assert files.pop("fine").validated
    for file in files.values():
        assert file.policy is None and not file.validated
        assert file.problem.isprintable() and 0 < len(file.problem) <= 400


@given(st.text(max_size=900))
def test_an_error_becomes_one_line_that_can_be_shown(words: str) -> None:
    line = one_line(StoreError(words))
    assert line.isprintable() and len(line) <= 400 and line == line.strip()
    assert one_line(StoreError("a\x1b[31m\u202eb\nc\nd")) == "a [31m b (and 2 more)"


@given(st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
def test_no_bytes_make_the_reading_fail(data: bytes) -> None:
    assert read_policy("any.json", data).stem == "any"


def test_no_more_files_than_a_page_can_show(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert FILE_LIMIT >= 100
    monkeypatch.setattr("dashboard.data.policy_files.FILE_LIMIT", 2)
    for number in range(3):
        put(root, f"p{number}", None)
    assert [file.stem for file in policy_files(root)] == ["p0", "p1"]


def test_pictures_are_cut_where_they_say() -> None:
    found = read_comparison(png(3, ["a cat", "a dog"]), "p.png")
    assert list(found.rows) == ["full", "policy", "fewer_steps"]
    assert found.conditions == (("a cat", 0), ("a dog", 1))
    for row, tiles in enumerate(found.rows.values()):
        for column, tile in enumerate(tiles):
            assert tile.shape == (4, 4, 3) and (tile == (row, column, 7)).all()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"no picture", "is no PNG"),
        (png(2, ["a cat"])[:60], "p.png: "),
        (png(2, ["a cat"], rows=["full"]), "is 4 x 8 pixels, but 1 x 1 tiles"),
        (png(2, ["a cat"], rows=["full", "full"]), "rows: a run appears twice"),
        (png(2, ["a cat"], rows=["full", "../../etc"]), "rows"),
        (png(2, ["a cat"], tile=[0, 4]), "tile"),
    ],
)
def test_pictures_that_are_not_what_they_say(data: bytes, message: str) -> None:
    with pytest.raises(StoreError, match=message) as caught:
        read_comparison(data, "p.png")
    assert "\n" not in str(caught.value)


def test_a_picture_of_too_many_pixels_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.data.validation_pictures._PIXEL_LIMIT", 31)
    with pytest.raises(StoreError, match="4 x 8 pixels are more than the 31"):
        read_comparison(png(2, ["a cat"]), "p.png")


# Budget


@given(st.lists(st.floats(1e-5, 10), min_size=1, max_size=6), st.floats(0, 20))
@settings(max_examples=60, deadline=None)
def test_a_budget_gets_the_fastest_within_it(damages: list[float], budget: float) -> None:
    files = tuple(
        file_of(f"p{number}", validation(1 + (7 * number) % 5, damage)) for number, damage in enumerate(damages)
    )
    choice = within(files, "mse", budget)
    speeds = [1 + (7 * number) % 5 for number, damage in enumerate(damages) if damage <= budget]
    if choice.fastest is None:
        assert not speeds
    else:
        assert choice.fastest.policy is not None and choice.fastest.policy.validation is not None
        assert choice.fastest.policy.validation.policy.speedup.mean == max(speeds)
    assert choice.least is not None and int(choice.least.stem[1:]) == damages.index(min(damages))


def test_budgets_reach_from_nothing_to_everything() -> None:
    options = budgets(FILES, "mse")
    assert options == sorted(set(options)) and len(options) < 40
    assert within(FILES, "mse", options[0]).fastest is None
    assert within(FILES, "mse", options[-1]).fastest is FILES[2]
    assert 0.0123 in budgets(FILES, "mse", "0.0123")
    for asked in ("nan", "inf", "-1", "1e9", "x" * 1000, "0.01230", None):
        assert budgets(FILES, "mse", asked) == options
    assert budgets(FILES, "ssim") == [] and budgets((), "mse") == []


# Charts


@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize("quality", [FIDELITY, DAMAGE, Quality(sort="kid")])
def test_every_policy_is_drawn_with_its_intervals(time, quality) -> None:  # type: ignore[no-untyped-def]
    rows = frontier_rows(FILES, time, quality, "middle")
    drawn = {(row["stem"], row["run"]) for row in rows}
    runs = ["Full compute", "Policy"] + ([] if quality is DAMAGE else ["Full compute, fewer steps"])
    assert drawn == {(file.stem, run) for file in FILES for run in runs}
    assert all(row["low"] <= row["value"] <= row["high"] for row in rows)
    assert all((row["time_low"] is None) == (time.token == "seconds") for row in rows)
    assert {row["stem"] for row in rows if row["chosen"]} == {"middle"}
    spec = frontier_chart(FILES, time, quality, "middle", LIGHT).to_dict()
    marks = [layer["mark"]["type"] for layer in spec["layer"]]
    assert marks.count("rule") == (1 if time.token == "seconds" else 2) and "point" in marks
    shapes = next(layer["encoding"]["shape"] for layer in spec["layer"] if "shape" in layer["encoding"])
    assert len(set(shapes["scale"]["range"])) == len(runs)


def test_fewer_steps_are_never_given_a_damage() -> None:
    assert "Full compute, fewer steps" not in {row["run"] for row in frontier_rows(FILES, TIMES[0], DAMAGE, "")}
    full = [row for row in frontier_rows(FILES, TIMES[0], DAMAGE, "") if row["run"] == "Full compute"]
    assert {row["value"] for row in full} == {0.0}


def test_qualities_are_those_that_were_measured() -> None:
    assert [quality.token for quality in qualities(FILES)] == ["fidelity_all", "damage_mse", "kid"]
    bare = validation(runs=(run("full", 1, 1, fidelity={}, kid=None), run("policy", 1, 1, fidelity={}, kid=None)))
    assert qualities([file_of("bare", bare)]) == []


def test_the_map_says_what_runs() -> None:
    graph = chain(COMPONENT, "mid_block.resnets.0")
    resolved = resolve(graph, policy().schedule)
    found = map_of(policy(), network_order(resolved, ()), resolved)
    assert found.rows == ("unet", COMPONENT, "mid_block.resnets.0")
    states = {(span.component, step): span.state for span in found.spans for step in range(span.start, span.stop)}
    assert len(states) == 3 * STEPS
    dropped = range(STEPS // 2, STEPS, 2)
    for step in range(STEPS):
        assert states["unet", step] == (ACTIONS["reuse"].state if step in dropped else ACTIONS["compute"].state)
        assert states["mid_block.resnets.0", step] == (DEAD if step in dropped else ACTIONS["compute"].state)
    assert states[COMPONENT, 2] == ACTIONS["bypass"].state
    assert cost_share(resolved) == pytest.approx(resolved.total_flops / (graph.total_flops * STEPS))
    spec = policy_map(found.spans, found.rows, STEPS, DARK).to_dict()
    assert [layer["mark"]["type"] for layer in spec["layer"]] == ["bar", "rule"]


def test_without_a_graph_only_rules_are_mapped() -> None:
    found = map_of(policy(), [], None)
    assert found.rows == ("unet", COMPONENT)
    assert DEAD not in {span.state for span in found.spans}


# Words


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (1.01, 1.2, "faster than full compute beyond doubt"),
        (0.95, 1.3, "not faster than full compute beyond doubt"),
        (0.8, 0.9, "slower"),
    ],
)
def test_whether_it_is_faster_is_said_plainly(low: float, high: float, words: str) -> None:
    speed = Estimate(mean=(low + high) / 2, low=low, high=high)
    runs = (run("full", 1, 0.9), run("policy", 1, 0.9, speedup=speed))
    said = sentences(policy("p", validation(runs=runs)))
    assert words in said[0] and f"{low:.2f}, {high:.2f}" in said[0]
    assert "Damage was not measured" in said[1]
    assert any("Fewer steps of full compute were not measured" in sentence for sentence in said)


@pytest.mark.parametrize(
    ("difference", "words"),
    [(near(-0.05), "worse beyond doubt"), (near(0.05), "better beyond doubt"), (near(0.01, 3), "no difference")],
)
def test_the_paired_difference_has_its_verdict(difference: Estimate, words: str) -> None:
    said = " ".join(sentences(policy("p", validation(fidelity_difference={"all": difference}))))
    assert words in said and f"{100 * difference.mean:.1f} [{100 * difference.low:.1f}, " in said


def test_tables_hold_every_run_and_policy() -> None:
    found = validation()
    rows = {row["Quantity"]: row for row in run_rows(found)}
    assert rows["Damage by mean squared error"]["Full compute, fewer steps"] == "none: other noise"
    assert rows["Speedup"]["Policy"].startswith("1.50x [1.47")
    assert [row["Policy"] for row in policy_rows(FILES, "mse")] == ["hasty", "middle", "gentle"]


# The page


def test_without_policies_it_says_how_to_get_one(page: AppTest) -> None:
    page.run()
    assert not page.exception
    assert "No policies yet" in shown(page) and "compute recommend" in shown(page)


def test_the_recommended_policy_and_everything_about_it(page: AppTest, root: Path) -> None:
    write_document(root, "policies", "middle.png", png(3, ["a <b>cat</b> $x$ `y`"]))
    for stem, speed, damage in (("gentle", 1.2, 0.001), ("middle", 1.5, 0.009), ("hasty", 2.5, 0.2)):
        put(root, stem, validation(speed, damage))
    put(root, "waiting", None)
    for stem, data in HOSTILE.items():
        document_path(root, "policies", f"{stem}.json").write_bytes(data)
    page.run()
    assert not page.exception
    said = shown(page)
    assert "Recommended: middle" in said and "faster than full compute beyond doubt" in said
    assert "a &lt;b&gt;cat&lt;/b&gt; $x$ `y`" in markup(page) and "<b>cat" not in markup(page)
    assert "compute validate" in said and "waiting.json" in said
    assert "no component graph" in said and "<script>" not in markup(page)
    assert all(f"{stem}.json" in said for stem in HOSTILE)
    assert 'SkipPolicy.load("middle.json")' in said and "--policy middle.json" in said


@pytest.mark.parametrize("policy", ["hasty", "gentle"])
def test_a_link_names_the_policy(page: AppTest, root: Path, policy: str) -> None:
    put(root, "gentle", validation(1.2, 0.001))
    put(root, "hasty", validation(2.5, 0.2))
    page.query_params["policy"] = policy
    page.query_params["quality"] = "damage_mse"
    page.run()
    assert not page.exception
    assert f'SkipPolicy.load("{policy}.json")' in shown(page) and "follows other noise" in shown(page)


def test_a_budget_that_nothing_satisfies(page: AppTest, root: Path) -> None:
    put(root, "hasty", validation(2.5, 0.2))
    page.query_params["budget"] = "0.01"
    page.run()
    assert not page.exception
    assert "No policy is within this budget" in shown(page) and "0.2: hasty" in shown(page)
    assert "SkipPolicy.load" not in shown(page)


@pytest.mark.parametrize("text", ["nan", "-3", "<script>", "9" * 5000])
def test_hostile_addresses_are_ignored(page: AppTest, root: Path, text: str) -> None:
    put(root, "gentle", validation(1.2, 0.001))
    for name in ("policy", "budget", "quality", "time"):
        page.query_params[name] = text
    page.run()
    assert not page.exception and "Recommended: gentle" in shown(page)


def test_pictures_that_cannot_be_read_leave_the_rest(page: AppTest, root: Path) -> None:
    put(root, "gentle", validation(1.2, 0.001))
    write_document(root, "policies", "gentle.png", b"no picture")
    write_document(root, "reports", "graph.json", json.dumps({"no": "graph"}).encode())
    page.run()
    assert not page.exception
    said = shown(page)
    assert "The pictures cannot be shown" in said and "is no component graph" in said
    assert "Its validation" in said
