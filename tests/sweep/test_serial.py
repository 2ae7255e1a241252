"""The serial executor shares the driver's model and runs where it can."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from compute.models.loading import load_model
from compute.models.model import Model
from compute.sweep.worker import worker
from tests.sweep.run_sweep import sweep
from tests.sweep.small_config import CONFIG, write_config

ONE_ABLATION: dict[str, Any] = {
    **CONFIG, "components": ["skip:conv_in"], "windows": [[3, 4]], "actions": ["zero"], "metrics": ["mse"]
}  # fmt: skip


@pytest.fixture
def loaded_by_worker(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The dtypes of the models that workers load, and an error for every schedule that they resolve."""
    dtypes: list[str] = []

    def load(*arguments: Any, **options: Any) -> Model:
        dtypes.append(str(options["dtype"]))
        return load_model(*arguments, **options)

    def no_runs(*_: object) -> None:
        raise AssertionError("the worker resolves schedules that the plan has resolved")

    monkeypatch.setattr(worker, "load_model", load)
    monkeypatch.setattr(worker, "Runs", no_runs)
    return dtypes


def test_the_loaded_model_is_used(tiny_model: Path, tmp_path: Path, loaded_by_worker: list[str]) -> None:
    sweep(write_config(tmp_path / "config.yaml", tiny_model, **ONE_ABLATION), tmp_path / "store")
    assert loaded_by_worker == []


def test_a_model_of_another_dtype_is_loaded(tiny_model: Path, tmp_path: Path, loaded_by_worker: list[str]) -> None:
    fields = {**ONE_ABLATION, "dtype": "bfloat16"}
    sweep(write_config(tmp_path / "config.yaml", tiny_model, **fields), tmp_path / "store")
    assert loaded_by_worker == ["torch.bfloat16"]
