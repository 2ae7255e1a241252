"""A tiny model, its sweep, a recommender for it and validations with it, each made once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from compute import progress
from compute.models.loading import load_model
from compute.models.model import Model
from compute.policy.schedule import Schedule
from compute.recommend.recommender import Recommender
from compute.recommend.validation import ValidationResult, validate
from store.records import Condition
from store.sweep_store import SweepStore
from tests.recommend.validations import DROP_TWO, evaluation_of, policy_for, validated
from tests.sweep.conftest import tiny_model  # noqa: F401  (a fixture)
from tests.sweep.run_sweep import sweep

STEPS = 5
PROMPTS = ["a cat on a blue background", "a rocket above an apple on a gray background"]
SETTINGS: dict[str, Any] = {
    "sampler": {"name": "ddpm", "steps": STEPS},
    "prompts": PROMPTS,
    "seeds": [3],
    "conditions_per_unit": 2,
    "components": ["mid_block.resnets.0", "up_blocks.*.upsamplers.0", "unet"],
    "windows": {"count": 2},
    "actions": ["bypass"],
    "screen": [
        {"name": "reuse", "space": "x0", "components": ["unet"], "lengths": [1, 2]},
        {"name": "reuse", "components": ["up_blocks.*.upsamplers.0"]},
    ],
    "prompt_switch": {"every": 1},
    "metrics": ["mse", "ssim", "psnr", "fidelity_all"],
    "threads_per_worker": 1,
}


@pytest.fixture(scope="session")
def finished_sweep(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> SweepStore:  # noqa: F811
    """A finished sweep with bypass and screened reuse, for reading only."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("recommend")
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump({"model": str(tiny_model), **SETTINGS}))
    return sweep(config, folder / "store")


@pytest.fixture(scope="session")
def recommender(finished_sweep: SweepStore) -> Recommender:
    return Recommender(finished_sweep, metric="mse", report=lambda _: None, device="cpu")


@pytest.fixture(scope="session")
def model(tiny_model: Path) -> Model:  # noqa: F811
    return load_model(str(tiny_model))


@pytest.fixture(scope="session")
def full_validation(model: Model) -> ValidationResult:
    """The validation of a policy that computes everything."""
    torch.set_num_threads(1)
    return validated(model, Schedule.empty(STEPS))


@pytest.fixture(scope="session")
def drop_validation(model: Model) -> ValidationResult:
    """The validation of a policy that drops two steps of five."""
    torch.set_num_threads(1)
    return validated(model, DROP_TWO, count=21, batch=8)


@pytest.fixture(scope="session")
def unjudged_validation(model: Model) -> ValidationResult:
    """The validation on a prompt that no judge reads, for a model without a judge."""
    evaluation = evaluation_of([Condition(prompt="cat blue", seed=0, guidance=3.0)])
    with (
        pytest.MonkeyPatch.context() as patch,
        progress.bar("validate", 1) as bar,
    ):
        patch.setattr("compute.recommend.validation.judge_for", lambda _: None)
        return validate(policy_for(model, DROP_TWO), model, evaluation, batch=2, bar=bar)
