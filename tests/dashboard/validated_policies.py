"""Policies with made-up measurements, and a store that holds them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from compute.policy.quality import RunQuality, Validation
from compute.policy.schedule import Schedule
from compute.policy.skip_policy import SkipPolicy
from compute.statistics.estimate import Estimate
from dashboard.data.policy_files import PolicyFile
from store.folder.documents import write_document
from store.records import Action
from tests.policy.policies import policy_of

STEPS = 12
TILE = 4
COMPONENT = "down_blocks.0.resnets.0"
REUSE = Action(name="reuse", order=1, space="x0")


def near(mean: float, width: float = 0.1) -> Estimate:
    """An estimate with an interval about its mean."""
    return Estimate(mean=mean, low=mean - width * abs(mean), high=mean + width * abs(mean))


def run(name: Any, times: float, share: float, **changes: Any) -> RunQuality:
    """A run of so many times full compute's speed, of whose pictures a share is right."""
    fields: dict[str, Any] = {
        "steps": 8 if name == "fewer_steps" else STEPS,
        "seconds_per_picture": 2 / times,
        "speedup": near(times, 0.02),
        "fidelity": {"all": near(share)},
        "kid": near(0.01),
    }
    return RunQuality(name=name, **(fields | changes))


def validation(speedup: float = 1.5, damage: float = 0.01, fidelity: float = 0.9, **changes: Any) -> Validation:
    """A validation with all three runs."""
    fields: dict[str, Any] = {
        "prompts": "held-out",
        "seeds": "0",
        "conditions": 8,
        "batch": 8,
        "rounds": 3,
        "dtype": "float32",
        "device": "a processor",
        "threads": 1,
        "runs": (
            run("full", 1.0, 0.92),
            run("policy", speedup, fidelity, damage={"mse": near(damage, 0.2)}),
            run("fewer_steps", speedup * 1.01, 0.88),
        ),
        "fidelity_difference": {"all": near(fidelity - 0.92, 2.0)},
    }
    return Validation(**(fields | changes))


def policy(name: str = "tested", found: Validation | None = None) -> SkipPolicy:
    """A policy that drops every other step of the second half and bypasses a block before."""
    rows = {step: {"unet": REUSE} for step in range(STEPS // 2, STEPS, 2)}
    rows[2] = {COMPONENT: Action(name="bypass")}
    return policy_of(Schedule(steps=STEPS, actions=rows), name=name, validation=found)


def file_of(stem: str, found: Validation | None) -> PolicyFile:
    """A file of a policy as it would be read."""
    made = policy(stem, found)
    return PolicyFile(stem=stem, data=made.dumps().encode(), policy=made)


def put(root: Path, stem: str, found: Validation | None) -> bytes:
    """Write a policy into a store; returns the file's bytes."""
    data = policy(stem, found).dumps().encode()
    write_document(root, "policies", f"{stem}.json", data)
    return data


def png(count: int, prompts: list[str], **said: Any) -> bytes:
    """A grid of tiles, each of one colour: red counts rows, green columns; `said` overrides what it says of itself."""
    pixels = np.zeros((count * TILE, len(prompts) * TILE, 3), dtype=np.uint8)
    for row in range(count):
        for column in range(len(prompts)):
            pixels[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE] = (row, column, 7)
    true = {
        "tile": [TILE, TILE],
        "rows": ["full", "policy", "fewer_steps"][:count],
        "conditions": [{"prompt": prompt, "seed": seed} for seed, prompt in enumerate(prompts)],
    }
    info, file = PngInfo(), io.BytesIO()
    info.add_text("skipscope", json.dumps(true | said))
    Image.fromarray(pixels).save(file, format="PNG", pnginfo=info)
    return file.getvalue()
