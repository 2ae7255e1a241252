"""`import skipscope`: complete, lazy, documented, and helpful where a dependency is missing."""

from __future__ import annotations

import ast
import json
import pkgutil
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

import skipscope
from tests.test_architecture import ROOT, run_python

INIT = Path(skipscope.__file__)
PAGE = (ROOT / "docs" / "python-api.md").read_text()
READ_ONLY = ["SkipPolicy", "SkipscopeError", "SweepConfig", "SweepReader", "load_config"]
HEAVY = {"torch", "diffusers", "ray", "streamlit"}


def modules_after(code: str) -> set[str]:
    """The top-level modules that a fresh process has imported after running `code`."""
    process = run_python(f"import json, sys\n{code}\nprint(json.dumps(sorted(n.split('.')[0] for n in sys.modules)))")
    assert process.returncode == 0, process.stderr
    return set(json.loads(process.stdout))


def type_checking_imports() -> dict[str, str]:
    """Name -> module, of the imports that only type checkers see."""
    (block,) = (node for node in ast.parse(INIT.read_text()).body if isinstance(node, ast.If))
    assert ast.unparse(block.test) == "TYPE_CHECKING"
    return {
        alias.name: node.module or "" for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }


def test_the_package_says_the_same_three_times() -> None:
    assert sorted(skipscope.__all__) == sorted(skipscope._MODULES)
    assert type_checking_imports() == skipscope._MODULES
    assert set(skipscope.__all__) <= set(dir(skipscope))


@pytest.mark.parametrize("name", skipscope.__all__)
def test_a_name_is_what_its_module_defines(name: str) -> None:
    value = getattr(skipscope, name)
    assert getattr(value, "__module__", value.__name__.rpartition(".")[0]) == skipscope._MODULES[name]
    assert value.__doc__
    assert vars(skipscope)[name] is value  # the second use costs nothing


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'skipscope' has no attribute 'sweeep'"):
        _ = skipscope.sweeep  # type: ignore[attr-defined]


def test_the_import_loads_nothing() -> None:
    assert not modules_after("import skipscope") & {"numpy", "pydantic", "h5py", "compute", "store"}


def test_the_import_takes_no_time() -> None:
    """Below 0.3 s on any machine: it is a few milliseconds."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], cwd=ROOT, check=True)
    middle = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import skipscope"], cwd=ROOT, check=True)
    assert (time.perf_counter() - middle) - (middle - began) < 0.3


@pytest.mark.parametrize("name", READ_ONLY)
def test_what_only_reads_files_loads_no_torch(name: str) -> None:
    assert not modules_after(f"from skipscope import {name}") & HEAVY


def test_applying_a_policy_loads_torch_and_nothing_for_sweeps() -> None:
    assert modules_after("from skipscope import applied") & HEAVY == {"torch", "diffusers"}


@pytest.mark.parametrize("package", ["skipscope", "compute", "store", "dashboard"])
def test_the_packages_are_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()


@pytest.mark.parametrize("name", skipscope.__all__)
def test_a_name_is_documented(name: str) -> None:
    assert re.search(rf"^::: skipscope\.{name}$", PAGE, re.MULTILINE)
    assert re.search(rf"^\|.*`{name}`.*\|$", PAGE, re.MULTILINE), "the table of what a name needs"


@pytest.mark.parametrize("identifier", re.findall(r"^::: (\S+)$", PAGE, re.MULTILINE))
def test_what_is_documented_exists(identifier: str) -> None:
    assert pkgutil.resolve_name(identifier).__doc__


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [("applied", "torch", "apply"), ("sweep", "torch", "sweep"), ("load_model", "diffusers", "apply")],
)
def test_a_missing_dependency_is_an_import_error_that_helps(name: str, module: str, extra: str) -> None:
    process = run_python(f"import sys\nsys.modules[{module!r}] = None\nfrom skipscope import {name}")
    last = process.stderr.splitlines()[-1]
    assert last.startswith(f"ImportError: skipscope.{name}: {module} is not installed: pip install ")
    assert f'"skipscope[{extra}]"' in last


SNIPPETS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "dashboard" / "views" / "policies" / "policy_details.py"]
)


@pytest.mark.parametrize("path", SNIPPETS, ids=lambda path: path.name)
def test_snippets_for_users_import_public_names(path: Path) -> None:
    snippets = re.findall(r"^```python\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)
    snippets += re.findall(r'^_IN_PYTHON = """\\\n(.*?)^"""', path.read_text(), re.MULTILINE | re.DOTALL)
    for node in ast.walk(ast.parse("\n".join(snippets))):
        if isinstance(node, ast.ImportFrom):
            assert node.module == "skipscope"
            assert {alias.name for alias in node.names} <= set(skipscope.__all__)


def test_there_are_snippets() -> None:
    assert sum(path.read_text().count("from skipscope import") for path in SNIPPETS) >= 5
