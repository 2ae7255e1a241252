"""What a user can say to the tool is documented, what documents link to is there, and the folder map is complete."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
from pathlib import Path

import pytest
import typer
from typer.core import TyperCommand, TyperGroup

from compute.cli.main import app as compute_app
from compute.config.bench_schema import BenchConfig
from compute.config.loading import load_config, load_record
from compute.config.schema import SweepConfig
from skipscope.cli import app as skipscope_app
from store.cli import app as store_app

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
REFERENCE = "\n".join(
    path.read_text() for path in DOCUMENTS if path.name == "README.md" or path.parent != ROOT
)  # what a user reads; a change log does not document
COMMANDS = {
    name: typer.main.get_command(app)
    for name, app in {"compute": compute_app, "store": store_app, "skipscope": skipscope_app}.items()
}
PACKAGES = ("skipscope", "compute", "store", "dashboard", "benchmarks")
CODE = {path.parent for package in PACKAGES for path in (ROOT / package).rglob("*.py")}


def commands() -> list[tuple[str, str, TyperCommand]]:
    return [
        (package, name, command)
        for package, group in COMMANDS.items()
        if isinstance(group, TyperGroup)
        for name, command in group.commands.items()
    ]


def anchors(text: str) -> set[str]:
    """The fragments that a Markdown file's headings can be linked by, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(path: Path) -> list[str]:
    """Targets of a document's links and pictures that are not on the web; code apart."""
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"`[^`\n]*`", "", text)
    found = re.findall(r"\]\(\s*<?([^)>\s]+)", text) + re.findall(r'(?:src|href)="([^"]+)"', text)
    return [target for target in found if not re.match(r"[a-z]+:", target)]


def test_there_are_commands() -> None:
    assert {(package, name) for package, name, _ in commands()} >= {("compute", "sweep"), ("store", "verify")}


@pytest.mark.parametrize("command", commands(), ids=lambda c: f"{c[0]} {c[1]}")
def test_every_command_is_documented(command: tuple[str, str, TyperCommand]) -> None:
    package, name, _ = command
    short = "skipscope store" if package == "store" else "skipscope"
    assert re.search(rf"(python -m {package}|{short}) ([^\n]*; )?(\S+\|)*{re.escape(name)}\b", REFERENCE)


@pytest.mark.parametrize("command", commands(), ids=lambda c: f"{c[0]} {c[1]}")
def test_every_command_and_option_has_a_help(command: tuple[str, str, TyperCommand]) -> None:
    _, _, found = command
    assert found.help
    assert [p.name for p in found.params if not p.name or len(p.name) < 2] == []


@pytest.mark.parametrize("setting", SweepConfig.model_fields)
def test_every_setting_is_documented(setting: str) -> None:
    reference = (ROOT / "docs" / "configuration.md").read_text()
    assert re.search(rf"`{setting}`|^{setting}:", reference, re.MULTILINE)


@pytest.mark.parametrize("path", sorted(ROOT.glob("configs/*.yaml")), ids=lambda p: p.name)
def test_every_example_is_a_configuration(path: Path) -> None:
    if path.name.startswith("bench"):
        assert load_record(path, BenchConfig).solvers
    else:
        assert load_config(path).actions


@pytest.mark.parametrize("setting", BenchConfig.model_fields)
def test_every_setting_of_the_bench_is_documented(setting: str) -> None:
    reference = (ROOT / "docs" / "bench.md").read_text()
    assert re.search(rf"`{setting}`|^{setting}:", reference, re.MULTILINE)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_links_resolve(path: Path) -> None:
    broken = []
    for link in links(path):
        name, _, fragment = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists() or (fragment and fragment not in anchors(target.read_text())):
            broken.append(link)
    assert not broken


@pytest.mark.parametrize("folder", sorted(CODE), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_folder_with_code_is_on_the_map(folder: Path) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    assert re.search(rf"^{re.escape(folder.relative_to(ROOT).as_posix())}/ +\S", text, re.MULTILINE)


def test_every_make_target_has_a_help_line() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony
    told = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert {line.split()[1] for line in told.splitlines()} == set(phony.group(1).split())


def test_the_files_that_a_change_touches_exist() -> None:
    """The table of CONTRIBUTING that says where something new is added."""
    table = (ROOT / "CONTRIBUTING.md").read_text().split("## To add something", 1)[1].split("\n## ", 1)[0]
    paths = re.findall(r"`((?:[\w.-]+/)*[\w.-]+)`", table)
    assert len(paths) > 15
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_glossary_holds_every_record() -> None:
    classes: set[str] = set()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "Record" for base in node.bases):
                    classes.add(node.name)
    glossary = (ROOT / "docs" / "glossary.md").read_text()
    public = {name for name in classes if not name.startswith("_")}
    assert len(public) > 20
    assert sorted(name for name in public if f"`{name}`" not in glossary) == []


def test_the_picture_of_the_architecture_is_drawn_from_this_code() -> None:
    spec = importlib.util.spec_from_file_location("draw_architecture", ROOT / "docs" / "draw_architecture.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PICTURE.read_text(encoding="utf-8") == module.picture(), "run `make architecture`"
