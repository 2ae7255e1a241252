"""run_app: lines on stderr and an exit status."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer

from store.errors import SkipscopeError, StoreFull
from store.exit_status import run_app

ROOT = Path(__file__).parents[2]


def app_with(outcome: BaseException | int | None) -> typer.Typer:
    """An app whose only command raises or returns something."""
    app = typer.Typer()

    @app.command()
    def command() -> int | None:
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    return app


@pytest.mark.parametrize(
    ("outcome", "status", "message"),
    [
        (None, 0, ""),
        (typer.Exit(1), 1, ""),
        (typer.Exit(0), 0, ""),
        (SkipscopeError("steps: 0 is refused\nseed: -1 is refused"), 2, "steps: 0 is refused\nseed: -1 is refused"),
        (StoreFull(ROOT, 5, 3), 2, f"{ROOT}: no space left: 5 bytes are needed, 3 are free; free some and run again"),
        (FileNotFoundError(2, "No such file or directory", "a.yaml"), 2, "a.yaml: No such file or directory"),
        (OSError("without a number"), 2, "without a number"),
        (KeyboardInterrupt(), 130, "interrupted; what is done stays, and the same command goes on from there"),
        (typer.Abort(), 130, "interrupted; what is done stays, and the same command goes on from there"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_status_and_message(
    outcome: BaseException | None, status: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app(app_with(outcome), []) == status
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "".join(f"skipscope: {line}\n" for line in message.splitlines()))


def test_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(app_with(None), ["--nothing"]) == 2
    assert capsys.readouterr().err == "skipscope: No such option: --nothing\n"


def test_a_bug_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        run_app(app_with(ZeroDivisionError("a bug")), [])


def test_a_closed_pipe_is_not_an_error() -> None:
    code = (
        "import sys, typer; from store.exit_status import run_app; app = typer.Typer()\n"
        "@app.command()\ndef command(): [print('x' * 1000) for _ in range(1000)]\n"
        "sys.exit(run_app(app, []))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert (process.wait(60), process.stderr.read()) == (1, "")
