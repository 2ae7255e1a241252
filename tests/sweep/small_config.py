"""A small sweep's configuration: 3 conditions in 2 batches, 4 steps, 12 ablations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

STEPS = 4
CONFIG: dict[str, Any] = {
    "sampler": {"name": "ddpm", "steps": STEPS},
    "prompts": [
        "a cat on a blue background",
        "a rocket above an apple on a gray background",
        "a key on a red background",
    ],
    "seeds": [3],
    "conditions_per_unit": 2,
    "components": ["mid_block.*", "skip:conv_in", "unet"],
    "windows": {"count": 2},
    "actions": ["bypass", "zero", {"name": "reuse", "components": ["unet"]}],
    "metrics": ["mse", "rel_l2", "fidelity_all"],
    "threads_per_worker": 1,
}
LONG: dict[str, Any] = {"sampler": {"name": "ddpm", "steps": 40}, "conditions_per_unit": 1}
"""Changes with which the sweep takes its workers many seconds, so that what is done to it meanwhile meets a sweep."""
LASTING: dict[str, Any] = {"sampler": {"name": "ddpm", "steps": 100}, "seeds": list(range(40))}
"""Changes with which it outlasts a test, and has to be stopped."""
CAPTION = CONFIG["prompts"][-1]
"""One of the sweep's prompts."""
WITHOUT_SWITCHES: dict[str, Any] = {**CONFIG, "components": ["unet"], "windows": [[2, 4]], "actions": ["reuse"]}
"""A sweep with a single ablation."""
SWITCHES: dict[str, Any] = {
    **WITHOUT_SWITCHES,
    "prompt_switch": [3, 1],
    "screen": [{"name": "reuse", "space": "x0", "components": ["unet"], "lengths": [1, 3]}],
}
"""The same with prompt switches and screening."""


def write_config(path: Path, tiny_model: Path, **fields: Any) -> Path:
    """Write a configuration file, for the tiny model unless `fields` name another, and return its path."""
    path.write_text(yaml.safe_dump({"model": str(tiny_model), **fields}))
    return path
