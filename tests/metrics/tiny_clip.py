"""A CLIPModel with tiny encoders of random weights, and its processor, saved as transformers saves them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

import compute.torchvision_ops  # noqa: F401  (transformers' image processors import torchvision)
from tests.pipeline.tiny_pipelines import randomised, tokenizer

from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor  # isort: skip

SIDE = 32
CONTEXT = 8


def clip_parts(**options: Any) -> tuple[Any, Any]:
    """Return a CLIPModel that reads SIDE pixels, and a CLIPProcessor with other settings of its image processor."""
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {"vocab_size": len(tokenizer()), "max_position_embeddings": CONTEXT, "bos_token_id": 0, "eos_token_id": 1}
    config = CLIPConfig(
        text_config=sizes | text, vision_config=sizes | {"image_size": SIDE, "patch_size": 8}, projection_dim=12
    )
    settings = {"size": {"shortest_edge": SIDE}, "crop_size": {"height": SIDE, "width": SIDE}} | options
    processor = CLIPProcessor(image_processor=CLIPImageProcessor(**settings), tokenizer=tokenizer())
    return _varied(randomised(CLIPModel(config), 9)), processor


def _varied(network: Any) -> Any:
    """Scale what is random up: the features of different pictures would otherwise be nearly the same."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "norm" not in name:
                parameter.mul_(4)
    return network


def save_clip(folder: Path, **options: Any) -> Path:
    """Save a model with its processor into a folder, and return the folder."""
    network, processor = clip_parts(**options)
    network.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
