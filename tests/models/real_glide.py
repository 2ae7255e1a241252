"""A GLIDE of its real size with random weights, on the CPU: its conversion, and a small sweep; prints JSON documents.

Usage: python -m tests.models.real_glide checkpoint|float32|float16|sweep FOLDER
Each command runs in a process of its own, so that its peak memory is its own. The pictures mean nothing.
"""

from __future__ import annotations

import json
import sys
import time
from itertools import islice, product
from pathlib import Path
from typing import Any

import torch

import compute.torchvision_ops  # noqa: F401  (diffusers imports torchvision)
from compute.config.schema import SweepConfig
from compute.models.glide.convert.commands import convert_glide
from compute.models.glide.convert.layout import GlideSizes, TextSizes, entries
from compute.models.glide.convert.vocabulary import byte_characters
from compute.models.glide.unet import UNetSizes
from compute.sweep.launch import sweep
from store.care.verify import verify
from store.sweep_store import SweepStore
from tests.models.glide_checkpoints import state
from tests.models.real_sizes import peak_memory

STEPS = 2
TOKENS = 50_257
BASE = GlideSizes(
    unet=UNetSizes(
        side=64, channels=(192, 384, 576, 768), attention=(False, True, True, True), layers=3, text_width=512,
        time_width=768,
    ),
    text=TextSizes(vocabulary=TOKENS, length=128, width=512, layers=16, heads=8, pooled=768),
)  # fmt: skip
"""The sizes of OpenAI's base checkpoint."""


def write_checkpoint(folder: Path) -> dict[str, Any]:
    """Write a checkpoint in single precision, and merges that make as many tokens as GPT-2's."""
    torch.save(state(BASE), folder / "base.pt")
    pairs = islice(product(byte_characters(), repeat=2), TOKENS - 257)
    (folder / "vocab.bpe").write_text("\n".join(" ".join(pair) for pair in pairs), encoding="utf-8")
    parameters = sum(torch.Size(entry.shape).numel() for entry in entries(BASE))
    return {"parameters": parameters, "GiB, checkpoint": gibibytes(folder / "base.pt")}


def convert(folder: Path, dtype: str) -> dict[str, Any]:
    """Convert the checkpoint."""
    before, began = peak_memory(), time.process_time()
    out = folder / dtype
    convert_glide({"--base": str(folder / "base.pt")}, out, merges=folder / "vocab.bpe", dtype=dtype)
    return {
        "CPU seconds": round(time.process_time() - began, 1),
        "GiB, before": before,
        "GiB, peak": peak_memory(),
        "GiB, result": gibibytes(out),
    }


def gibibytes(path: Path) -> float:
    """Return the size of a file or of all in a folder."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return round(sum(file.stat().st_size for file in files) / 2**30, 3)


def sweep_base(folder: Path) -> dict[str, Any]:
    """Sweep one component of the base stage in one window, with its controls."""
    config = SweepConfig.model_validate(
        {
            "model": str(folder / "float32" / "base"),
            "sampler": {"name": "ddpm", "steps": STEPS},
            "guidance": 3.0,
            "prompts": ["a corgi"],
            "components": ["mid_block.attentions.0"],
            "windows": {"count": 1},
            "actions": ["bypass"],
            "conditions_per_unit": 1,
        }
    )
    began = time.process_time()
    result = sweep(config, folder / "store", address="serial")
    document: dict[str, Any] = {"executed": result.executed, "failed": result.failed}
    document["CPU seconds"] = round(time.process_time() - began, 1)
    store = SweepStore.open(folder / "store")
    document["problems"] = [str(problem) for problem in verify(store)]
    for unit in store.header.plan:
        with store.read(unit.key) as reader:
            found = next((metric for metric in reader.metrics if metric.info.name == "rel_l2"), None)
            distance = None if unit.baseline is None or found is None or found.values is None else found.values[0]
            document[str(unit.intervention or "baseline")] = {
                "seconds": round(reader.seconds, 1),
                "rel_l2": None if distance is None else float(distance),
                "shape": list(reader.final.shape),
            }
    return document | {"GiB, all": peak_memory()}


if __name__ == "__main__":
    command, place = sys.argv[1], Path(sys.argv[2])
    commands = {
        "checkpoint": lambda: write_checkpoint(place),
        "float32": lambda: convert(place, "float32"),
        "float16": lambda: convert(place, "float16"),
        "sweep": lambda: sweep_base(place),
    }
    print(json.dumps(commands[command](), indent=1))
