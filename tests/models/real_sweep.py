"""Sweeps a Stable Diffusion 1.5 of its real size, with random weights, in this process; prints a JSON document.

Usage: python -m tests.models.real_sweep FOLDER
The pictures mean nothing. They are 128x128, to keep it short.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch

import compute.torchvision_ops  # noqa: F401  (diffusers and transformers import torchvision)
from compute.config.schema import SweepConfig
from compute.sweep.launch import sweep
from store.care.verify import verify
from store.sweep_store import SweepStore
from tests.models.real_sizes import network, peak_memory
from tests.pipeline.tiny_pipelines import randomised, scheduler, tokenizer

from diffusers import AutoencoderKL, StableDiffusionPipeline  # isort: skip
from transformers import CLIPTextConfig, CLIPTextModel  # isort: skip

SIDE, STEPS = 128, 3


def save_pipeline(folder: Path) -> None:
    """Save a pipeline with the published sizes of UNet, autoencoder and text encoder, in half precision."""
    text = CLIPTextConfig(
        vocab_size=len(tokenizer()),
        hidden_size=768,
        intermediate_size=3072,
        num_hidden_layers=12,
        num_attention_heads=12,
        max_position_embeddings=8,
        bos_token_id=0,
        eos_token_id=1,
    )
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        latent_channels=4,
        sample_size=512,
    )
    pipe = StableDiffusionPipeline(
        vae=randomised(vae, 1),
        text_encoder=randomised(CLIPTextModel(text), 2),
        tokenizer=tokenizer(),
        unet=network("sd15", filled=True),
        scheduler=scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.unet.half()
    pipe.vae.half()
    pipe.save_pretrained(folder)


def figures(folder: Path) -> dict[str, Any]:
    """Save the pipeline, sweep one component of it, and return what it took."""
    document: dict[str, Any] = {}
    save_pipeline(folder / "model")
    document["GiB, saving"] = peak_memory()
    config = SweepConfig.model_validate(
        {
            "model": str(folder / "model"),
            "sampler": {"name": "DPMSolverMultistepScheduler", "num_inference_steps": STEPS},
            "call": {"height": SIDE, "width": SIDE},
            "guidance": 7.5,
            "prompts": ["a cat on grass"],
            "components": ["mid_block.attentions.0"],
            "windows": {"count": 1},
            "actions": ["bypass"],
            "conditions_per_unit": 1,
        }
    )
    for name in ("first", "again"):
        began = time.process_time()
        result = sweep(config, folder / "store", address="serial")
        document[name] = {
            "executed": result.executed,
            "failed": result.failed,
            "CPU seconds": round(time.process_time() - began, 1),
        }
    store = SweepStore.open(folder / "store")
    document["problems"] = [str(problem) for problem in verify(store)]
    for unit in store.header.plan:
        with store.read(unit.key) as reader:
            metric = (
                next(metric for metric in reader.metrics if metric.info.name == "rel_l2") if unit.baseline else None
            )
            distance = None if metric is None or metric.values is None else float(metric.values[0])
            document[str(unit.intervention or "baseline")] = {
                "seconds": round(reader.seconds, 1),
                "rel_l2": distance,
                "shape": list(reader.final.shape),
            }
    return document | {"GiB, all": peak_memory()}


if __name__ == "__main__":
    torch.manual_seed(0)
    print(json.dumps(figures(Path(sys.argv[1])), indent=1))
