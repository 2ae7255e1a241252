"""SIGTERM and SIGHUP stop a command as Ctrl-C does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from store.stop_signals import StopSignals, stop_signals
from store.sweep_store import SweepStore

ROOT = Path(__file__).parents[2]
GOES_ON = "what is done stays, and the same command goes on from there"


def run_command(body: str, *numbers: signal.Signals, nohup: bool = False) -> subprocess.CompletedProcess[str]:
    """Run a command with this body, and send it the signals half a second apart after it has printed a line."""
    code = (
        "import sys, time, typer; from store.exit_status import exit_process, run_app; app = typer.Typer()\n"
        f"@app.command()\ndef command():\n{body}\nexit_process(run_app(app, []))"
    )
    ignoring = (lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)) if nohup else None  # type: ignore[return-value]
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        preexec_fn=ignoring,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        for number in numbers:
            process.send_signal(number)
            time.sleep(0.5)
        output, errors = process.communicate(timeout=60)
    return subprocess.CompletedProcess([], process.returncode, output, errors)


@pytest.mark.parametrize(
    ("number", "status", "what"),
    [
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 143, "stopped by SIGTERM"),
        (signal.SIGHUP, 129, "stopped by SIGHUP"),
    ],
)
def test_one_line_and_a_status(number: signal.Signals, status: int, what: str) -> None:
    ended = run_command(" print('started', flush=True)\n time.sleep(60)", number)
    assert (ended.returncode, ended.stdout, ended.stderr) == (status, "", f"skipscope: {what}; {GOES_ON}\n")


def test_the_first_signal_counts_and_the_second_hurries() -> None:
    """The second interrupts what the command waits for on its way out."""
    body = (
        " try:\n  print('started', flush=True)\n  time.sleep(60)\n"
        " finally:\n  print('leaving', flush=True)\n  time.sleep(60)"
    )
    ended = run_command(body, signal.SIGTERM, signal.SIGINT)
    assert (ended.returncode, ended.stdout) == (143, "leaving\n")
    assert ended.stderr == f"skipscope: stopped by SIGTERM; {GOES_ON}\n"


def test_an_error_after_a_signal_is_the_signals() -> None:
    body = " try:\n  print('started', flush=True)\n  time.sleep(60)\n finally:\n  raise ValueError('lost workers')"
    ended = run_command(body, signal.SIGTERM)
    assert (ended.returncode, ended.stderr) == (143, f"skipscope: stopped by SIGTERM; {GOES_ON}\n")


def test_an_ignored_signal_stays_ignored() -> None:
    """As under nohup."""
    body = " print('started', flush=True)\n time.sleep(1.5)\n print('finished')"
    ended = run_command(body, signal.SIGHUP, nohup=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "finished\n", "")


def test_a_process_that_threads_keep_ends_after_a_signal() -> None:
    body = (
        " import threading\n threading.Thread(target=time.sleep, args=(60,)).start()\n"
        " print('started', flush=True)\n time.sleep(60)"
    )
    began = time.monotonic()
    assert run_command(body, signal.SIGTERM).returncode == 143
    assert time.monotonic() - began < 30


def test_deferred_work_is_finished_first() -> None:
    signals, done = StopSignals(), []
    with pytest.raises(KeyboardInterrupt), signals.handled(), signals.deferred():
        os.kill(os.getpid(), signal.SIGTERM)
        done.append("finished")
    assert done == ["finished"]


def test_handlers_are_restored() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with stop_signals.handled():
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_a_lease_is_given_back_whole(store: SweepStore) -> None:
    """A signal while the driver gives its lease back, as an impatient user sends it."""
    with pytest.raises(KeyboardInterrupt), stop_signals.handled(), store.drive("a test") as lease:
        give_back = lease._record_end

        def record_end(reason: str) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)
            give_back(reason)

        lease._record_end = record_end  # type: ignore[method-assign]
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    assert (store.driver().state, store.driver().reason) == ("stopped", "interrupted")
    with store.drive("the next"):
        pass
