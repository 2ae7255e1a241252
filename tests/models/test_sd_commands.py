"""The commands that train and measure sd-mini: what they write, and how a signal ends them."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from PIL import Image

from compute.models.mini.sd_training import commands, stages
from compute.models.mini.sd_training.commands import quality_of, train_sd_mini
from tests.models.tiny_sd_recipe import TINY


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "SdRecipe", lambda: TINY)
    monkeypatch.setattr(commands, "_LOG_EVERY", 1)
    monkeypatch.setattr(commands, "_LOOK_COUNT", 2)
    monkeypatch.setattr(commands, "_SHEET_COUNT", 2)


def test_a_training_writes_a_log_samples_and_the_pipeline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train_sd_mini(tmp_path, iterations=2, fresh_autoencoder=True)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    expected = [("autoencoder", 3), ("decoder", 3), ("text", 3), ("diffusion", 2)]
    assert [(line["stage"], line["iteration"]) for line in lines] == [
        (stage, i + 1) for stage, count in expected for i in range(count)
    ]
    with Image.open(tmp_path / "samples-end.png") as sheet:
        assert sheet.width > 64
    shares = json.loads((tmp_path / "samples-end.json").read_text())
    assert shares.keys() == {"train", "held-out"} and 0 <= shares["train"]["all"] <= 1
    assert "pipeline: trained" in capsys.readouterr().out
    quality = quality_of(tmp_path / "pipeline", count=2, steps=1, guidance=1.0)
    assert quality["held-out"]["all"]["count"] == quality["reconstructions"]["judged"]["count"] == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_training_with_a_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """It comes in the second iteration of the autoencoder, of three; three of its decoder follow."""
    step, before, steps = stages.AutoencoderTraining.step, signal.getsignal(number), []

    def step_and_kill(training: stages.AutoencoderTraining) -> float:
        steps.append(None)
        if len(steps) == 2:
            os.kill(os.getpid(), number)
        return step(training)

    monkeypatch.setattr(stages.AutoencoderTraining, "step", step_and_kill)
    train_sd_mini(tmp_path, fresh_autoencoder=True)
    assert torch.load(tmp_path / "autoencoder.pt", weights_only=True)["iteration"] == len(steps) == 2
    assert "stopped; the same command resumes" in capsys.readouterr().out
    assert signal.getsignal(number) == before
    train_sd_mini(tmp_path)
    assert len(steps) == 3 + 3
