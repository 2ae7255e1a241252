"""The dependency rule and what our code never does: read from its syntax, and seen in fresh processes."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("store", "compute", "dashboard", "skipscope")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TEXT = (".py", ".md", ".toml", ".txt", ".yaml", ".yml", ".json", ".cfg", "")
NOT_OURS = {".git", ".venv", "runs", "build", "dist", "__pycache__"}

# What each part may not import, directly.
FORBIDDEN = {
    "skipscope": {"torch", "ray", "streamlit", "diffusers", "h5py", "numpy", "pydantic"},
    "store": {"skipscope", "compute", "dashboard", "torch", "ray", "streamlit", "diffusers"},
    "compute": {"skipscope", "dashboard", "h5py", "streamlit"},
    "compute/policy": {"torch", "ray", "diffusers", "torchvision"},
    "compute/analysis": {"torch", "ray", "diffusers", "torchvision"},
    "dashboard": {"skipscope", "torch", "ray", "diffusers", "torchvision", "h5py"},
}
ONLY_IN = {"ray": ("compute/sweep/executors/ray_",), "h5py": ("store/",), "streamlit": ("dashboard/",)}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(node: ast.AST, own_package: str = "") -> Iterator[str]:
    """Dotted names of the modules that a syntax tree imports, wherever in it; TYPE_CHECKING blocks apart."""
    children = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield own_package if node.level else node.module or ""
    elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        children = list(node.orelse)
    for child in children:
        yield from imports(child, own_package)


def imported_packages(path: Path) -> set[str]:
    own = name_of(path).split("/")[0]
    return {name.split(".")[0] for name in imports(ast.parse(path.read_text()), own)}


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_the_reading_of_imports() -> None:
    source = (
        "import a.b\nfrom c import d\nif TYPE_CHECKING:\n    import e\nelse:\n    import f\ndef g():\n    import h.i"
    )
    assert set(imports(ast.parse(source))) == {"a.b", "c", "f", "h.i"}


def test_there_is_code_to_look_at() -> None:
    assert {name_of(path).split("/")[0] for path in MODULES} == set(PACKAGES)


@pytest.mark.parametrize("part", FORBIDDEN)
def test_no_forbidden_import(part: str) -> None:
    bad = {
        name_of(path): sorted(found)
        for path in (ROOT / part).rglob("*.py")
        if (found := imported_packages(path) & FORBIDDEN[part])
    }
    assert not bad


@pytest.mark.parametrize("package", ONLY_IN)
def test_imported_in_one_place_only(package: str) -> None:
    bad = [name_of(path) for path in MODULES if package in imported_packages(path)]
    assert [name for name in bad if not name.startswith(ONLY_IN[package])] == []


def test_what_the_dashboard_uses_needs_no_torch() -> None:
    """With everything below it, imported: a fresh process holds neither torch nor ray afterwards."""
    parts = ("store", "compute/policy", "compute/analysis", "dashboard")
    found = [path.relative_to(ROOT) for part in parts for path in (ROOT / part).rglob("*.py")]
    names = [".".join(path.with_suffix("").parts) for path in found if path.stem not in ("__main__", "script")]
    code = f"""
import importlib, sys
for name in {sorted(name.removesuffix(".__init__") for name in names)!r}:
    importlib.import_module(name)
    bad = {{"torch", "ray", "diffusers", "torchvision"}} & set(sys.modules)
    assert not bad, f"{{name}} imports {{bad}}"
"""
    process = run_python(code)
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("compute", "--help"),
        ("compute", "sweep", "--help"),
        ("compute", "bad"),
        ("store", "--help"),
        ("skipscope", "--help"),
        ("skipscope", "dashboard", "--help"),
        ("skipscope", "store", "--help"),
        ("skipscope", "bad"),
    ],
)
def test_the_command_line_answers_without_torch(arguments: tuple[str, ...]) -> None:
    code = f"""
import runpy, sys
sys.argv = {list(arguments)!r}
status = 0
try:
    runpy.run_module({arguments[0]!r}, run_name="__main__", alter_sys=True)
except SystemExit as end:
    status = end.code
bad = {{"torch", "ray", "diffusers"}} & set(sys.modules)
assert not bad, bad
assert status == {2 if "bad" in arguments else 0}, status
"""
    process = run_python(code)
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_read_is_executed(path: Path) -> None:
    assert not {"pickle", "cloudpickle", "dill", "marshal", "shelve"} & imported_packages(path)
    for called, node in calls(path):
        assert called not in ("eval", "exec", "os.system"), f"{called} in line {node.lineno}"
        keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        if called == "torch.load":
            assert keywords.get("weights_only") == "True", f"torch.load in line {node.lineno}"
        if called in ("np.load", "numpy.load"):
            assert keywords.get("allow_pickle", "False") == "False", f"{called} in line {node.lineno}"
        if called == "yaml.load":
            raise AssertionError(f"yaml.load in line {node.lineno}: safe_load is meant")
        assert keywords.get("shell", "False") == "False", f"a shell in line {node.lineno}"


def our_texts() -> Iterator[Path]:
    for path in ROOT.rglob("*"):
        ours = not NOT_OURS & set(path.relative_to(ROOT).parts) and not path.match("*.egg-info/*")
        if ours and path.is_file() and path.suffix in TEXT and path.stat().st_size < 2**20:
            hidden = any(part.startswith(".") for part in path.relative_to(ROOT).parts[:-1])
            if not hidden or ".ci" in path.parts:
                yield path


def test_no_file_names_the_machine_it_was_written_on() -> None:
    """Folders of one machine; addresses of package indexes, which belong into a user's own configuration."""
    machine = re.compile(
        r"(?<![\w.])/(work|root|home/\w+|Users)/|index-url|find-links|trusted-host|" + re.escape(f"{ROOT}/")
    )
    bad = []
    for path in our_texts():
        if path.resolve() == Path(__file__).resolve():
            continue
        bad += [(name_of(path), found.group()) for found in machine.finditer(path.read_text(errors="ignore"))]
    assert not bad


def test_no_file_is_long() -> None:
    files = [path for folder in (*PACKAGES, "benchmarks", "tests", "docs") for path in (ROOT / folder).rglob("*.py")]
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in files}
    assert {name: length for name, length in lengths.items() if length > 250} == {}
