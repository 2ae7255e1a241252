"""The report on what following a pipeline costs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.following_overhead import main
from tests.sweep.conftest import tiny_model  # noqa: F401  (a fixture)


def test_the_report(tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    options = ["--model", str(tiny_model), "--steps", "3", "--rounds", "2", "--threads", "1"]
    main([*options, "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["milliseconds_per_plain_step"] > 0
    assert report["overhead"]["low"] <= report["overhead"]["median"] <= report["overhead"]["high"]
    main(options)
    assert "following adds" in capsys.readouterr().out
