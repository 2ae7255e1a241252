"""Policies with made-up measurements, and files that are no policies."""

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
from store.folder.documents import DOCUMENT_LIMIT, write_document
from store.records import Action
from tests.policy.policies import policy_of

STEPS = 12
TILE = 4
COMPONENT = "down_blocks.0.resnets.0"
REUSE = Action(name="reuse", order=1, space="x0")
HOSTILE_FILES = {
    "not-json": b'{"format": "skipscope-policy", ',
    "nan": b'{"format": "skipscope-policy", "guidance": NaN}',
    "nested": b"[" * 100_000,
    "not-text": b"\xff\xfe\x00",
    "wrong": b'{"format": "other"}',
    "newer": b'{"format": "skipscope-policy", "version": 99}',
    "control": b'{"format": "skipscope-policy", "version": 1, "\\u001b[31mred\\u0007<script>": 1}',
    "huge": b" " * (DOCUMENT_LIMIT + 1),
}
"""Contents of files that are no policies, by their stems."""


def near(mean: float, width: float = 0.1) -> Estimate:
    """An estimate whose interval reaches the share `width` of its mean to both sides."""
    return Estimate(mean=mean, low=mean - width * abs(mean), high=mean + width * abs(mean))


def run_quality(name: Any, times_faster: float, share_right: float, **changes: Any) -> RunQuality:
    """The quality of a run with a speedup and a share of pictures whose whole prompt is right."""
    fields: dict[str, Any] = {
        "steps": 8 if name == "fewer_steps" else STEPS,
        "seconds_per_picture": 2 / times_faster,
        "speedup": near(times_faster, 0.02),
        "fidelity": {"all": near(share_right)},
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
            run_quality("full", 1.0, 0.92),
            run_quality("policy", speedup, fidelity, damage={"mse": near(damage, 0.2)}),
            run_quality("fewer_steps", speedup * 1.01, 0.88),
        ),
        "fidelity_difference": {"all": near(fidelity - 0.92, 2.0)},
    }
    return Validation(**(fields | changes))


def make_policy(name: str = "tested", validation: Validation | None = None) -> SkipPolicy:
    """A policy that drops every other step of the second half, and bypasses a block at step 2."""
    rows = {step: {"unet": REUSE} for step in range(STEPS // 2, STEPS, 2)}
    rows[2] = {COMPONENT: Action(name="bypass")}
    return policy_of(Schedule(steps=STEPS, actions=rows), name=name, validation=validation)


def policy_file(stem: str, validation: Validation | None) -> PolicyFile:
    """A policy's file as it is read from a store."""
    policy = make_policy(stem, validation)
    return PolicyFile(stem=stem, data=policy.dumps().encode(), policy=policy)


def write_policy(root: Path, stem: str, validation: Validation | None) -> None:
    """Write a policy into a store."""
    write_document(root, "policies", f"{stem}.json", make_policy(stem, validation).dumps().encode())


def tile_png(run_count: int, prompts: list[str], **changes: Any) -> bytes:
    """A PNG of tiles whose colour is (row, column, 7); `changes` replace what its text says of it."""
    pixels = np.zeros((run_count * TILE, len(prompts) * TILE, 3), dtype=np.uint8)
    for row in range(run_count):
        for column in range(len(prompts)):
            pixels[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE] = (row, column, 7)
    description = {
        "tile": [TILE, TILE],
        "rows": ["full", "policy", "fewer_steps"][:run_count],
        "conditions": [{"prompt": prompt, "seed": seed} for seed, prompt in enumerate(prompts)],
    }
    info, file = PngInfo(), io.BytesIO()
    info.add_text("skipscope", json.dumps(description | changes))
    Image.fromarray(pixels).save(file, format="PNG", pnginfo=info)
    return file.getvalue()
