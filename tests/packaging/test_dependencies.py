"""Ranges in pyproject.toml and pins in requirements*.txt agree, and a missing extra is named."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from store.extras import EXTRA_OF, how_to_install
from tests.test_architecture import MODULES, ROOT, imports, name_of, run_python

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
BUILD_TOOLS = {"setuptools"}
OURS = {"skipscope", "compute", "store", "dashboard", "benchmarks"}


def ranges(*lists: list[str]) -> dict[str, Requirement]:
    """Requirements by normalised name, our own extras apart."""
    found = [Requirement(line) for lines in lists for line in lines]
    return {canonicalize_name(one.name): one for one in found if one.name != "skipscope"}


def pins(file: str) -> dict[str, str]:
    """Name -> version of the lines `name==version`."""
    lines = re.findall(r"^([A-Za-z][\w.-]*)==([\w.+!]+)$", (ROOT / file).read_text(), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in lines}


DECLARED = ranges(PROJECT["dependencies"], *EXTRAS.values())
PINNED = pins("requirements.txt")


def installed_by(extra: str) -> set[str]:
    """Normalised names that an extra brings, through other extras of ours too."""
    ours = [one for one in map(Requirement, EXTRAS[extra]) if one.name == "skipscope"]
    return set(ranges(EXTRAS[extra])).union(*(installed_by(other) for one in ours for other in one.extras))


def test_every_range_has_a_pin_and_every_pin_a_range() -> None:
    assert PINNED.keys() - BUILD_TOOLS == DECLARED.keys()


@pytest.mark.parametrize("name", sorted(DECLARED))
def test_the_pin_lies_in_the_range(name: str) -> None:
    assert PINNED[name] in DECLARED[name].specifier


@pytest.mark.parametrize("name", sorted(DECLARED))
def test_a_range_is_open_below_the_pin_and_closed_above(name: str) -> None:
    assert {clause.operator for clause in DECLARED[name].specifier} == {">=", "<"}


@pytest.mark.parametrize("file", sorted(path.name for path in ROOT.glob("requirements*.txt")))
def test_every_requirement_is_pinned(file: str) -> None:
    lines = [line.partition(" #")[0].strip() for line in (ROOT / file).read_text().splitlines()]
    requirements = [line for line in lines if line and not line.startswith(("#", "-r "))]
    assert [line for line in requirements if not re.search(r"==|@[0-9a-f]{40}$", line)] == []


def test_the_build_tool_is_pinned_within_what_the_build_accepts() -> None:
    (needed,) = map(Requirement, tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"])
    assert PINNED[needed.name] in needed.specifier


def test_all_brings_every_extra() -> None:
    assert installed_by("all") == set().union(*map(installed_by, EXTRAS))


def distributions_imported() -> Iterator[tuple[Path, str, str]]:
    """(file, module, normalised distribution) of every import of something that is neither ours nor Python's."""
    known = packages_distributions()
    for path in MODULES:
        for name in {name.partition(".")[0] for name in imports(ast.parse(path.read_text()))}:
            if name and name not in OURS | sys.stdlib_module_names | {"__future__"}:
                yield path, name, canonicalize_name(known[name][0])


def test_every_import_is_declared() -> None:
    indirect = {"pydantic-core"}  # pydantic's own other half, of the version that it asks for
    undeclared = {
        (name_of(path), name)
        for path, name, distribution in distributions_imported()
        if distribution not in DECLARED.keys() | indirect
    }
    assert not undeclared


def test_the_table_of_extras_names_every_optional_module() -> None:
    known = packages_distributions()
    optional = DECLARED.keys() - ranges(PROJECT["dependencies"]).keys()
    assert {canonicalize_name(known[module][0]) for module in EXTRA_OF} == optional
    for module, extra in EXTRA_OF.items():
        assert canonicalize_name(known[module][0]) in ranges(EXTRAS[extra])


def test_a_module_of_no_extra_is_not_explained() -> None:
    assert how_to_install(ModuleNotFoundError("No module named 'nowhere'", name="nowhere")) is None
    assert how_to_install(ModuleNotFoundError("no name")) is None


WITHOUT = """
import sys
from importlib.machinery import PathFinder

class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {missing!r} else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Finder
sys.argv = ["skipscope", *{arguments!r}]
from skipscope.cli import main
main()
"""
"""Runs a command as where some modules are not installed."""


@pytest.mark.parametrize("command", ["status", "summary", "phases", "store ls", "store verify"])
def test_looking_at_a_store_needs_no_extra(command: str) -> None:
    arguments = [*command.split(), str(ROOT / "dashboard" / "example")]
    process = run_python(WITHOUT.format(missing=set(EXTRA_OF), arguments=arguments))
    assert (process.returncode, process.stderr) == (0, "")


def test_applying_a_policy_needs_its_own_extra_only(tmp_path: Path) -> None:
    others = {module for module, extra in EXTRA_OF.items() if extra != "apply"}
    policy = ROOT / "dashboard" / "example" / "policies" / "mse-damage-0.01.json"
    arguments = ["sample", "--policy", str(policy), "--prompt", "a cat", "-o", str(tmp_path / "cat.png")]
    process = run_python(WITHOUT.format(missing=others, arguments=arguments))
    assert (process.returncode, process.stderr) == (0, "")


@pytest.mark.parametrize(
    ("command", "module", "extra"),
    [
        (["sample", "--prompt", "a cat", "-o", "cat.png"], "torch", "apply"),
        (["sweep", str(ROOT / "configs/demo.yaml"), "--store", "new", "--dry-run"], "torch", "sweep"),
        (["fidelity"], "diffusers", "sweep"),
        (["dashboard"], "streamlit", "dashboard"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else value,
)
def test_a_command_says_which_extra_is_missing(command: list[str], module: str, extra: str) -> None:
    process = run_python(WITHOUT.format(missing={module}, arguments=command))
    assert (process.returncode, process.stdout) == (2, "")
    assert process.stderr.count("\n") == 1
    assert process.stderr.startswith(f"skipscope: {module} is not installed: pip install ")
    assert f'"skipscope[{extra}]"' in process.stderr
