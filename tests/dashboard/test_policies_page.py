"""The policies page: the recommended policy, budgets, links, and files that cannot be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from store.folder.documents import document_path, write_document
from tests.analysis.synthetic_sweeps import made_sweep
from tests.dashboard.opened_page import OpenPage, line, markup
from tests.dashboard.validated_policies import HOSTILE_FILES, tile_png, validation, write_policy


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small sweep without policies."""
    return made_sweep(tmp_path / "sweep", switched=()).store.root


def test_without_policies_it_shows_how_to_get_one(open_page: OpenPage, root: Path) -> None:
    app = open_page("policies", root)
    assert not app.exception
    assert "No policies yet" in line(app) and "skipscope recommend" in line(app)


def test_the_recommended_policy_and_everything_about_it(open_page: OpenPage, root: Path) -> None:
    write_document(root, "policies", "middle.png", tile_png(3, ["a <b>cat</b> $x$ `y`"]))
    for stem, speedup, damage in (("gentle", 1.2, 0.001), ("middle", 1.5, 0.009), ("hasty", 2.5, 0.2)):
        write_policy(root, stem, validation(speedup, damage))
    write_policy(root, "waiting", None)
    for stem, data in HOSTILE_FILES.items():
        document_path(root, "policies", f"{stem}.json").write_bytes(data)
    app = open_page("policies", root)
    assert not app.exception
    shown = line(app)
    assert "Recommended: middle" in shown and "faster than full compute beyond doubt" in shown
    assert "a &lt;b&gt;cat&lt;/b&gt; $x$ `y`" in markup(app) and "<b>cat" not in markup(app)
    assert "skipscope validate" in shown and "waiting.json" in shown
    assert "no component graph" in shown and "<script>" not in markup(app)
    assert all(f"{stem}.json" in shown for stem in HOSTILE_FILES)
    assert 'SkipPolicy.load("middle.json")' in shown and "--policy middle.json" in shown


@pytest.mark.parametrize("policy", ["hasty", "gentle"])
def test_a_link_names_the_policy(open_page: OpenPage, root: Path, policy: str) -> None:
    write_policy(root, "gentle", validation(1.2, 0.001))
    write_policy(root, "hasty", validation(2.5, 0.2))
    app = open_page("policies", root, policy=policy, quality="damage_mse")
    assert not app.exception
    assert f'SkipPolicy.load("{policy}.json")' in line(app) and "uses other noise" in line(app)


def test_a_moved_budget_recommends_again(open_page: OpenPage, root: Path) -> None:
    write_policy(root, "gentle", validation(1.2, 0.001))
    write_policy(root, "hasty", validation(2.5, 0.2))
    app = open_page("policies", root, policy="hasty")
    assert "hasty was chosen; the budget recommends gentle" in line(app)
    labels = [button.label for button in app.get("download_button")]
    assert [label for label in labels if label.startswith("Download policy")] == ["Download policy hasty\\.json"]
    app.select_slider(key="choice budget").set_value("0.0015").run()
    assert "Recommended: gentle" in line(app) and "policy" not in app.query_params
    app.selectbox(key="choice policy").select("hasty").run()
    assert "Chosen: hasty" in line(app)
    app.button[0].click().run()
    assert "Recommended: gentle" in line(app)


def test_a_budget_that_nothing_satisfies(open_page: OpenPage, root: Path) -> None:
    write_policy(root, "hasty", validation(2.5, 0.2))
    app = open_page("policies", root, budget="0.01")
    assert not app.exception
    assert "No policy is within this budget" in line(app) and "0.2: hasty" in line(app)
    assert "SkipPolicy.load" not in line(app)


@pytest.mark.parametrize("text", ["nan", "-3", "<script>", "9" * 5000])
def test_hostile_addresses_are_ignored(open_page: OpenPage, root: Path, text: str) -> None:
    write_policy(root, "gentle", validation(1.2, 0.001))
    app = open_page("policies", root, **dict.fromkeys(("policy", "budget", "quality", "time"), text))
    assert not app.exception and "Recommended: gentle" in line(app)


def test_pictures_that_cannot_be_read_leave_the_rest(open_page: OpenPage, root: Path) -> None:
    write_policy(root, "gentle", validation(1.2, 0.001))
    write_document(root, "policies", "gentle.png", b"no picture")
    write_document(root, "reports", "graph.json", json.dumps({"no": "graph"}).encode())
    app = open_page("policies", root)
    assert not app.exception
    shown = line(app)
    assert "The pictures cannot be shown" in shown and "is no component graph" in shown
    assert "Its validation" in shown
