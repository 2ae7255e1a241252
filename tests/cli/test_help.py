"""Help: instant, and of every command."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli.fork_server import ForkServer


def test_help_imports_no_torch() -> None:
    program = "import sys; sys.argv = ['compute', '--help']\nfrom compute.cli.main import main\ntry: main()\n"
    program += (
        "except SystemExit as e: assert not e.code\nassert not {'torch', 'ray', 'diffusers'} & sys.modules.keys()"
    )
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    for command in ("sweep", "status", "measure", "summary", "sample", "fidelity", "train-mini", "train-sd-mini"):
        assert command in process.stdout


@pytest.mark.parametrize(
    "command", ["sweep", "status", "measure", "summary", "sample", "fidelity", "recommend", "validate"]
)
def test_each_command_has_help(commands: ForkServer, command: str) -> None:
    result = commands.run(command, "--help")
    assert (result.status, result.stderr) == (0, "")
    assert "Usage: " in result.stdout


def test_without_a_command_help_is_printed(commands: ForkServer) -> None:
    result = commands.run()
    assert result.status == 2
    assert "sweep" in result.stdout + result.stderr
