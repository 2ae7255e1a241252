"""A small bench of a tiny model with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from compute.config.bench_schema import BenchConfig
from compute.policy.bench_report import BenchReport
from compute.recommend.bench.bench import Bench
from tests.sweep.conftest import tiny_model  # noqa: F401  (a fixture)

SETTINGS: dict[str, Any] = {
    "batch": 3,
    "calibration": {"prompts": {"split": "held-out", "count": 5, "seed": 1}, "first_seed": 100},
    "held_out": {"prompts": {"split": "held-out", "count": 4, "seed": 1}, "first_seed": 900},
    "budgets": (2.0, 3.0),
    "speedups": (1.2,),
    "baseline": {"name": "ddpm", "steps": 3},
    "references": {"many": {"name": "ddim", "steps": 4}},
    "solvers": (
        {"group": "DDPM", "name": "ddpm", "steps": (2, 3)},
        {"group": "DDIM", "name": "ddim", "steps": (1, 2, 3), "reference": "many"},
    ),
    "methods": (
        {
            "group": "DeepCache",
            "method": "deepcache",
            "sampler": {"name": "ddim"},
            "steps": (3,),
            "parameters": {"interval": (2,), "branch": (0,)},
            "reference": "many",
        },
    ),
    "renderings": 2,
    "directions": 2,
    "timing": {"batch": 2, "rounds": 2},
}


def config_for(model: Path, **changes: Any) -> BenchConfig:
    """The small bench with changes."""
    return BenchConfig.model_validate({"model": str(model), **SETTINGS, **changes})


def bench_of(model: Path, out: Path, **changes: Any) -> Bench:
    """The small bench in a folder."""
    torch.set_num_threads(1)
    return Bench(config_for(model, **changes), folder=out.parent, out=out, device="cpu")


@pytest.fixture(scope="session")
def finished(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Bench, BenchReport]:  # noqa: F811
    """A finished bench and its report, for reading only."""
    bench = bench_of(tiny_model, tmp_path_factory.mktemp("bench") / "out")
    return bench, bench.run()
