"""`~` is the home folder in every path of every command, and in Python."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.models import CommandInfo

from skipscope.cli import app as skipscope_app
from store.errors import NotASweep
from store.exit_status import run_app
from store.paths import expand_paths, expanded
from store.sweep_store import SweepStore


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


def commands_of(app: typer.Typer) -> Iterator[CommandInfo]:
    """The commands of an app and of its groups."""
    yield from app.registered_commands
    for group in app.registered_groups:
        assert group.typer_instance is not None
        yield from commands_of(group.typer_instance)


def test_every_command_is_wrapped_once() -> None:
    for _ in range(2):
        expand_paths(skipscope_app)
    commands = list(commands_of(skipscope_app))
    assert len(commands) > 15
    for command in commands:
        assert command.callback is not None
        assert not hasattr(command.callback.__wrapped__, "__wrapped__"), command.callback


def test_options_and_lists(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app = typer.Typer()

    @app.command()
    def command(files: list[Path], store: Path, prompt: str) -> None:
        typer.echo(f"{files} {store} {prompt}")

    assert run_app(app, ["~/a", "b", "~/c", "~ tilde"]) == 0
    assert capsys.readouterr().out == f"{[tmp_path / 'a', Path('b')]} {tmp_path / 'c'} ~ tilde\n"


def test_in_python(tmp_path: Path) -> None:
    assert expanded("~/x") == tmp_path / "x" and expanded("~nobody-of-this-name/x") == Path("~nobody-of-this-name/x")
    with pytest.raises(NotASweep, match=str(tmp_path)):
        SweepStore.open("~/nowhere")
