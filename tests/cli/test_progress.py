"""Progress without a terminal: a line now and then, with the rate and the time left."""

from __future__ import annotations

import pytest

from compute import progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_line_every_fifteen_seconds(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with progress.bar("sweep", 12, done=2) as bar:
        clock[0] += 60  # loading
        for _ in range(10):
            bar.advance("1 failed")
            clock[0] += 4
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.splitlines() == [
        "sweep: 3/12 units, 1 failed",
        "sweep: 7/12 units, 4.0 s/unit, 0:20 left, 1 failed",
        "sweep: 11/12 units, 4.0 s/unit, 0:04 left, 1 failed",
        "sweep: 12/12 units, 4.0 s/unit, 0:00 left, 1 failed",
    ]


def test_items_that_are_done_again_are_not_counted_twice(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with progress.bar("sweep", 4, done=3) as bar:
        bar.retreat()
        for _ in range(2):
            bar.advance()
            clock[0] += 1
    assert capsys.readouterr().err == "sweep: 4/4 units, 1.0 units/s, 0:00 left\n"


def test_nothing_is_printed_without_progress(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.bar("sweep", 3, done=3):
        pass
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("speed", "text"), [(None, ""), (0.0, ""), (2.04, "2.0 units/s"), (0.25, "4.0 s/unit")])
def test_rates(speed: float | None, text: str) -> None:
    assert progress.rate(speed, "unit") == text
