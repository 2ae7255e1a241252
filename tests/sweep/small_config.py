"""A small sweep's settings: 3 conditions in 2 batches, 4 steps."""

from __future__ import annotations

from typing import Any

CONFIG: dict[str, Any] = {
    "sampler": {"name": "ddpm", "steps": 4},
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
