"""diffusers pipelines with tiny networks of random weights: Stable Diffusion's family and an unconditional one.

diffusers initialises some layers with zeros, which would hide faults, so every parameter is drawn at random.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

import compute.torchvision_ops  # noqa: F401  (diffusers and transformers import torchvision)

from diffusers import (  # isort: skip
    AutoencoderKL,
    ControlNetModel,
    DDIMScheduler,
    DDPMPipeline,
    StableDiffusionControlNetPipeline,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
    UNet2DModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer  # isort: skip

WIDTH = 16
PICTURE = 16
LATENT = 8
WORDS = ("a", "cat", "dog", "on", "grass")
TRAINED = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "clip_sample": False}


def randomised(module: Any, seed: int) -> Any:
    """Return the module with every parameter random and small, norms near the identity."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            centre = 1.0 if "norm" in name and name.endswith("weight") else 0.0
            parameter.copy_(centre + 0.08 * torch.randn(parameter.shape, generator=generator))
    return module.eval()


def unet(in_channels: int = 4, **options: Any) -> Any:
    """Return a UNet of Stable Diffusion's layout with two levels."""
    settings: dict[str, Any] = {
        "sample_size": LATENT,
        "in_channels": in_channels,
        "out_channels": 4,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "block_out_channels": (8, 16),
        "layers_per_block": 1,
        "norm_num_groups": 4,
        "attention_head_dim": 2,
        "cross_attention_dim": WIDTH,
    }
    return randomised(UNet2DConditionModel(**(settings | options)), 1)


@cache
def vae() -> Any:
    """Return an autoencoder that halves height and width."""
    return randomised(
        AutoencoderKL(
            down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
            up_block_types=("UpDecoderBlock2D", "UpDecoderBlock2D"),
            block_out_channels=(8, 8),
            norm_num_groups=4,
            latent_channels=4,
            sample_size=PICTURE,
        ),
        2,
    )


@cache
def tokenizer() -> Any:
    """Return a tokenizer that knows WORDS."""
    letters = sorted({letter for word in WORDS for letter in word})
    endings = [word[start:] + "</w>" for word in WORDS for start in range(len(word))]
    tokens = ["<|startoftext|>", "<|endoftext|>", *letters, *dict.fromkeys(endings)]
    merges = [(e[0], e[1:]) for word in WORDS for e in (word[s:] + "</w>" for s in reversed(range(len(word) - 1)))]
    return CLIPTokenizer(
        vocab={token: number for number, token in enumerate(dict.fromkeys(tokens))},
        merges=list(dict.fromkeys(merges)),
        model_max_length=8,
    )


def _text_config(**options: Any) -> Any:
    sizes = {"hidden_size": WIDTH, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    return CLIPTextConfig(
        **sizes, vocab_size=len(tokenizer()), max_position_embeddings=8, bos_token_id=0, eos_token_id=1, **options
    )


@cache
def text_encoder() -> Any:
    """Return a text encoder of one layer."""
    return randomised(CLIPTextModel(_text_config()), 3)


def scheduler(kind: Any = DDIMScheduler, **options: Any) -> Any:
    """Return a scheduler with the noise schedule that Stable Diffusion was trained with."""
    return kind.from_config(TRAINED | {"timestep_spacing": "leading", "steps_offset": 1} | options)


def stable_diffusion(kind: Any = StableDiffusionPipeline, network: Any = None, **parts: Any) -> Any:
    """Return a pipeline of Stable Diffusion's parts."""
    pipe = kind(
        vae=vae(),
        text_encoder=text_encoder(),
        tokenizer=tokenizer(),
        unet=unet() if network is None else network,
        scheduler=parts.pop("scheduler", None) or scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
        **parts,
    )
    return _quiet(pipe)


def xl() -> Any:
    """Return a pipeline of Stable Diffusion XL's parts: two text encoders, time ids."""
    network = unet(
        addition_embed_type="text_time",
        addition_time_embed_dim=2,
        projection_class_embeddings_input_dim=WIDTH + 12,
        cross_attention_dim=2 * WIDTH,
    )
    second = randomised(CLIPTextModelWithProjection(_text_config(projection_dim=WIDTH)), 4)
    pipe = StableDiffusionXLPipeline(
        vae=vae(),
        text_encoder=text_encoder(),
        text_encoder_2=second,
        tokenizer=tokenizer(),
        tokenizer_2=tokenizer(),
        unet=network,
        scheduler=scheduler(),
        add_watermarker=False,
    )
    return _quiet(pipe)


def unconditional() -> Any:
    """Return a pipeline without text."""
    network = UNet2DModel(
        sample_size=LATENT,
        block_out_channels=(8, 16),
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        norm_num_groups=4,
        attention_head_dim=4,
    )
    return _quiet(DDPMPipeline(unet=randomised(network, 5), scheduler=scheduler()))


def _quiet(pipe: Any) -> Any:
    pipe.set_progress_bar_config(disable=True)
    return pipe


def picture(seed: int = 0) -> Image.Image:
    """Return a picture of random colours."""
    values = torch.randint(0, 256, (PICTURE, PICTURE, 3), generator=torch.Generator().manual_seed(seed))
    return Image.fromarray(values.to(torch.uint8).numpy())


def call(pipe: Any, prompts: tuple[str, ...] = ("a cat", "a dog on grass"), seed: int = 0, **options: Any) -> Tensor:
    """Return the pictures (B, H, W, 3) of a call of the pipeline, with the arguments that its class needs."""
    arguments: dict[str, Any] = {"num_inference_steps": 5, "output_type": "np"}
    arguments["generator"] = [torch.Generator().manual_seed(seed + row) for row in range(len(prompts))]
    if isinstance(pipe, DDPMPipeline):
        arguments["batch_size"] = len(prompts)
    elif "prompt_embeds" not in options:
        arguments["prompt"] = list(prompts)
    if isinstance(pipe, StableDiffusionPipeline | StableDiffusionXLPipeline):
        arguments |= {"height": PICTURE, "width": PICTURE}
    if isinstance(pipe, StableDiffusionImg2ImgPipeline | StableDiffusionInpaintPipeline):
        arguments["image"] = [picture(row) for row in range(len(prompts))]
    if isinstance(pipe, StableDiffusionInpaintPipeline):
        mask = Image.new("L", (PICTURE, PICTURE))
        mask.paste(255, (0, 0, PICTURE // 2, PICTURE))
        arguments |= {"mask_image": [mask] * len(prompts), "height": PICTURE, "width": PICTURE}
    if isinstance(pipe, StableDiffusionControlNetPipeline):
        arguments["image"] = [picture(row) for row in range(len(prompts))]
    result = pipe(**(arguments | options))
    return torch.from_numpy(result.images)


def controlnet() -> Any:
    """Return a Stable Diffusion pipeline with a ControlNet."""
    network = unet()
    control = ControlNetModel.from_unet(network, conditioning_embedding_out_channels=(8, 16))
    return stable_diffusion(StableDiffusionControlNetPipeline, network, controlnet=randomised(control, 6))


def modules(pipe: Any) -> list[nn.Module]:
    """Return the networks of a pipeline."""
    return [part for part in pipe.components.values() if isinstance(part, nn.Module)]


PIPELINES = {
    "text to image": stable_diffusion,
    "image to image": lambda: stable_diffusion(StableDiffusionImg2ImgPipeline),
    "inpainting": lambda: stable_diffusion(StableDiffusionInpaintPipeline, unet(9)),
    "ControlNet": controlnet,
    "XL": xl,
    "unconditional": unconditional,
}
