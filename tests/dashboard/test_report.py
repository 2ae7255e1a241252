"""The report: one file that shows what the pages show, needs nothing else, and runs nothing."""

from __future__ import annotations

import base64
import io
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from dashboard.data.sweep import open_sweep
from dashboard.data.verdicts import headline_impact, verdicts_of
from dashboard.views.report.document import report_html, write_report
from dashboard.views.report.html_parts import picture_card, table_html, text_html
from dashboard.views.report.inline_svg import inline
from skipscope.cli import app
from store.records import Condition
from store.sweep_store import SweepStore
from tests.dashboard.opened_page import OpenPage, line
from tests.dashboard.stores import HOSTILE, PLAN, file_digests, make_store
from tests.dashboard.validated_policies import tile_png, validation, write_policy

_DOCUMENT_TAGS = """html head meta title style body main h1 h2 h3 h4 p ul li b small bdi dl div dt dd section article
figure figcaption img a table caption thead tbody tr th td pre"""
_SVG_TAGS = "svg g defs clippath lineargradient radialgradient stop path rect circle line text tspan image"
_TAGS = frozenset(f"{_DOCUMENT_TAGS} {_SVG_TAGS}".split())
_EMPTY_TAGS = ("meta", "img")


class Document(HTMLParser):
    """What a browser reads of a report: its tags with their attributes, in order, and its text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in _EMPTY_TAGS:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def attributes(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def assert_inert(document: Document) -> None:
    """Nothing runs, and nothing is loaded."""
    assert {tag for tag, _ in document.tags} <= _TAGS
    for tag, attributes in document.tags:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("href", "src", "xlink:href", "ns1:href", "style", "action", "formaction"):
            value = attributes.get(name, "data:")
            assert value.startswith("data:"), (tag, name)
            assert tag == "a" or value == "data:" or value.startswith("data:image/png;base64,")
    policy = next(m["content"] for m in document.attributes("meta") if "http-equiv" in m)
    assert "default-src 'none'" in policy and "script-src 'none'" in policy


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SweepStore:
    made = make_store(tmp_path_factory.mktemp("report") / "sweep")
    write_policy(made.root, "tested", validation())
    (made.root / "policies" / "tested.png").write_bytes(tile_png(3, ["a cat", HOSTILE]))
    return made


@pytest.fixture(scope="module")
def source(store: SweepStore) -> str:
    return report_html(open_sweep(store.root))


@pytest.fixture(scope="module")
def document(source: str) -> Document:
    return Document(source)


def test_nothing_in_it_runs_or_is_loaded(document: Document) -> None:
    assert document.open == []
    assert HOSTILE in document.text
    assert_inert(document)
    assert document.attributes("meta")[1]["http-equiv"] == "Content-Security-Policy"  # before all that it is for


def test_it_has_every_section_and_a_drawing_of_each_chart(document: Document) -> None:
    for heading in ("Findings", "Phases", "Impact", "Pictures", "Policies", "Provenance"):
        assert heading in document.words
    labels = [svg["aria-label"] for svg in document.attributes("svg")]
    assert len(labels) == len(set(labels)) == 7
    identifiers = [attributes["id"] for _, attributes in document.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))


def test_its_verdicts_are_those_of_the_overview(document: Document, store: SweepStore, open_page: OpenPage) -> None:
    sweep = open_sweep(store.root)
    verdicts = verdicts_of(sweep, headline_impact(sweep)[0])
    page = line(open_page("overview", store.root))
    assert len(verdicts) == 3
    for verdict in verdicts:
        for words in (verdict.question, verdict.answer, verdict.interval, verdict.details):
            assert words in document.text and words in page


def test_files_are_embedded_as_they_are(document: Document, store: SweepStore) -> None:
    files = {link["download"]: link["href"].partition("base64,")[2] for link in document.attributes("a")}
    assert set(files) >= {"tested.json", "sweep.yaml", "impact-mse.csv", "boundaries.csv", "policies.csv"}
    assert base64.b64decode(files["tested.json"]) == (store.root / "policies" / "tested.json").read_bytes()
    assert base64.b64decode(files["impact-mse.csv"]).decode().count("\n") == 1 + 6


def test_pictures_are_small(tmp_path: Path) -> None:
    import numpy as np

    from dashboard.views.report.picture_sections import _picture

    large = np.zeros((1024, 512, 3), np.uint8)
    (image,) = Document(_picture(large, "Baseline", "a cat")).attributes("img")
    with Image.open(io.BytesIO(base64.b64decode(image["src"].partition("base64,")[2]))) as read:
        assert read.size == (64, 128)


def test_the_same_store_gives_the_same_file(source: str, store: SweepStore, tmp_path: Path) -> None:
    elsewhere = tmp_path / "other" / "sweep"
    shutil.copytree(store.root, elsewhere)
    before = file_digests(elsewhere)
    write_report(elsewhere, tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text() == source
    assert str(tmp_path) not in source
    assert file_digests(elsewhere) == before


def test_a_sweep_without_a_finished_unit_says_so(tmp_path: Path) -> None:
    document = Document(report_html(open_sweep(make_store(tmp_path / "sweep", done=0).root)))
    assert_inert(document)
    assert f"0 of {len(PLAN)} planned units are done" in document.text
    assert "No ablation is finished so far." in document.text


def test_a_damaged_shard_is_named_where_it_would_be_shown(tmp_path: Path) -> None:
    store = make_store(tmp_path / "sweep")
    for shard in (store.root / "units").iterdir():
        shard.write_bytes(shard.read_bytes()[:-40])
    document = Document(report_html(open_sweep(store.root)))
    assert_inert(document)
    assert "is not what was written" in document.text


def test_the_command_writes_the_file_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("an earlier one")
    result = CliRunner().invoke(app, ["report", str(tmp_path / "nowhere"), "-o", str(path)])
    assert result.exit_code != 0
    assert "is not a sweep" in str(result.exception)
    assert path.read_text() == "an earlier one"
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


def test_prompts_of_any_length_and_direction_stay_inert(tmp_path: Path) -> None:
    prompts = ("\u202eevil\u202c </bdi><script>alert(1)</script>", "x" * 2000, "קוף ']]>&#x3c;script&#x3e;")
    conditions = tuple(Condition(prompt=prompt, seed=7, guidance=3.0) for prompt in prompts)
    plan = tuple(unit.model_copy(update={"conditions": conditions}) for unit in PLAN)
    document = Document(report_html(open_sweep(make_store(tmp_path / "sweep", plan=plan).root)))
    assert document.open == []
    assert_inert(document)
    assert all(prompt in document.words for prompt in prompts)


@pytest.mark.parametrize("text", ["\u202emoc.live\u202c", "שלום <b>", "x" * 2000, "\x00\x07&amp;</bdi><script>"])
def test_any_text_stays_a_text(text: str) -> None:
    for part in (text_html(text), table_html([{text: text}], text), picture_card([], text, text)):
        document = Document(part)
        assert document.open == []
        assert {tag for tag, _ in document.tags} <= _TAGS
        assert document.words.count(text) >= 1


def test_only_the_drawing_of_an_svg_is_kept() -> None:
    drawn = inline(
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" onload="a()" width="9">'
        '<defs><clipPath id="c"><rect width="9"/></clipPath></defs><script>a()</script><foreignObject/>'
        '<style>*{}</style><a xlink:href="javascript:a()"><path/></a>'
        '<g clip-path="url(#c)" onclick="a()" aria-label="x">'
        '<image xlink:href="http://x/y.png"/><image xlink:href="data:image/svg+xml;base64,AA"/>'
        '<image xlink:href="data:image/png;base64,AA"/></g></svg>',
        'It "shows"',
        3,
    )
    document = Document(drawn)
    assert [tag for tag, _ in document.tags] == ["svg", "defs", "clippath", "rect", "g", *3 * ["image"]]
    assert document.attributes("svg")[0]["aria-label"] == 'It "shows"'
    assert document.attributes("clippath") == [{"id": "chart3-0"}]
    assert document.attributes("g") == [{"clip-path": "url(#chart3-0)"}]
    assert "javascript" not in drawn and "http://x" not in drawn and "svg+xml" not in drawn
    assert drawn.count("data:image/png;base64,AA") == 1
