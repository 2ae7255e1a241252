"""Commands whose standard streams are closed, full, gone or not in Unicode end without a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMAND = """
import sys, typer
from store.errors import SkipscopeError
from store.exit_status import run_app

app = typer.Typer()

@app.command()
def says(wrong: bool = False, asks: bool = False) -> None:
    if wrong:
        raise SkipscopeError("seed: “x” is refused")
    if asks:
        typer.echo(sys.stdin.isatty())
        raise SkipscopeError("nobody answers")
    typer.echo('{"prompt": "a café, “quoted” 😀"}')

sys.exit(run_app(app))
"""
# How the command is run, with `$COMMAND` its words, and its status. Pipes that nobody reads: test_exit_status.py.
CASES = {
    "output closed": ("$COMMAND >&-", 0),
    "error closed": ("$COMMAND --wrong 2>&-", 2),
    "input closed": ("$COMMAND --asks <&-", 2),
    "all closed": ("$COMMAND >&- 2>&- <&-", 0),
    "all closed, wrong": ("$COMMAND --wrong >&- 2>&- <&-", 2),
    "nobody reads errors": ("{ sleep 1; $COMMAND --wrong; } 2> >(true)", 2),
    "full": ("$COMMAND >/dev/full", 2),
    "errors full": ("$COMMAND --wrong 2>/dev/full", 2),
    "ascii": ("PYTHONIOENCODING=ascii $COMMAND", 0),
    "ascii, wrong": ("PYTHONIOENCODING=ascii $COMMAND --wrong", 2),
    "latin": ("PYTHONIOENCODING=latin-1 $COMMAND", 0),
    "C locale": ("LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 $COMMAND", 0),
}


def shell(line: str, tmp_path: Path) -> subprocess.CompletedProcess[bytes]:
    """Run a line with the command in `$COMMAND`."""
    script = tmp_path / "command.py"
    script.write_text(COMMAND, encoding="utf-8")
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    environment = {**buffered, "PYTHONPATH": str(ROOT), "COMMAND": f"{sys.executable} {script}"}
    return subprocess.run(["bash", "-c", line], env=environment, capture_output=True, check=False, timeout=60)


@pytest.mark.parametrize("case", CASES)
def test_no_traceback_and_the_right_status(tmp_path: Path, case: str) -> None:
    line, status = CASES[case]
    done = shell(line, tmp_path)
    assert done.returncode == status, done.stderr
    assert b"Traceback" not in done.stderr and b"Error" not in done.stderr and b"Exception" not in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_a_json_document_stays_the_same_in_every_encoding(tmp_path: Path, encoding: str) -> None:
    done = shell(f"PYTHONIOENCODING={encoding} $COMMAND", tmp_path)
    text = done.stdout.decode("utf-8" if encoding == "ascii" else encoding)  # typer writes UTF-8 where ASCII is set
    assert json.loads(text) == {"prompt": "a café, “quoted” 😀"}


def test_no_file_gets_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    code = "import sys, os, store.standard_streams as s; s.make_usable(); os._exit(open(sys.argv[1], 'w').fileno())"
    line = f'{sys.executable} -c "{code}" {tmp_path / "file"} <&- >&- 2>&-'
    assert shell(line, tmp_path).returncode > 2
