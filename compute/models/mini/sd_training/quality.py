"""How good an sd-mini is: the autoencoder's reconstructions, and the pipeline's prompt fidelity."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from jaxtyping import Float
from torch import Tensor

from compute.metrics.judge import ASPECTS
from compute.metrics.pixel import haarpsi, psnr
from compute.models.mini.judge.scene_fidelity import fidelity
from compute.models.mini.judge.scene_judge import SceneJudge
from compute.models.mini.scenes.render import render_batch
from compute.models.mini.scenes.scene import Split, captions, random_scene
from compute.models.mini.sd_mini import PICTURE_SIDE
from compute.statistics.proportion import Proportion

_BATCH = 50
_FIRST_SEED = 1_000_000  # sweeps and demos use small seeds


@dataclass(frozen=True, kw_only=True)
class ReconstructionQuality:
    """How near the reconstructions of fresh scenes are to them."""

    haarpsi: float
    """The mean HaarPSI between a picture and its reconstruction, in [0, 1]."""
    psnr: float
    """The mean PSNR, in dB."""
    judged: Proportion
    """The reconstructions in which the scene judge sees the whole scene."""

    def as_json(self) -> dict[str, Any]:
        """Return the record as a JSON object."""
        return asdict(self)


@torch.inference_mode()
def reconstruction_quality(autoencoder: AutoencoderKL, *, count: int, seed: int = 1) -> ReconstructionQuality:
    """Compare `count` fresh scenes, half of them held out, with their reconstructions, rounded to 8 bits."""
    rng = np.random.default_rng([seed, 15])
    scenes = [random_scene(rng, "held-out" if i % 2 else "train") for i in range(count)]
    judge = SceneJudge.load()
    similarities: list[Tensor] = []
    ratios: list[Tensor] = []
    judged: list[float] = []
    for start in range(0, count, _BATCH):
        batch = scenes[start : start + _BATCH]
        pictures = torch.from_numpy(render_batch(batch, rng, PICTURE_SIDE))
        latents = autoencoder.encode(pictures.to(autoencoder.device, autoencoder.dtype)).latent_dist.mode()
        decoded = _in_8_bits(autoencoder.decode(latents).sample)
        similarities.append(haarpsi(decoded, pictures))
        ratios.append(psnr(decoded, pictures))
        judged += [fidelity(detected, scene).all for detected, scene in zip(judge.detect(decoded), batch, strict=True)]
    return ReconstructionQuality(
        haarpsi=torch.cat(similarities).mean().item(),
        psnr=torch.cat(ratios).mean().item(),
        judged=Proportion.of(judged),
    )


def _in_8_bits(pictures: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 H W"]:
    """Return pictures in [-1, 1] as a PNG would hold them."""
    return ((pictures.float().cpu() + 1) * 127.5).round().clamp(0, 255) / 127.5 - 1


def sampled_pictures(
    pipe: StableDiffusionPipeline, prompts: list[str], *, steps: int, guidance: float
) -> Iterator[Float[Tensor, "B 3 64 64"]]:
    """Yield pictures of prompts in [-1, 1], in batches, by the pipeline's own call; each prompt has its own seed."""
    for start in range(0, len(prompts), _BATCH):
        batch = prompts[start : start + _BATCH]
        generators = [torch.Generator().manual_seed(_FIRST_SEED + start + i) for i in range(len(batch))]
        pictures = pipe(
            batch, num_inference_steps=steps, guidance_scale=guidance, generator=generators, output_type="pt"
        ).images
        yield pictures.float().cpu() * 2 - 1


def prompt_fidelity(
    pipe: StableDiffusionPipeline, split: Split, *, count: int, steps: int = 25, guidance: float = 3.0
) -> dict[str, Proportion]:
    """Return the shares of a split's first `count` captions whose picture is right, by aspect, as the judge sees it."""
    judge, prompts = SceneJudge.load(), captions(split, count, seed=1)
    shares: dict[str, list[float]] = {aspect: [] for aspect in ASPECTS}
    for start, pictures in zip(
        range(0, count, _BATCH), sampled_pictures(pipe, prompts, steps=steps, guidance=guidance), strict=True
    ):
        for aspect, values in judge.fidelity(pictures, prompts[start : start + _BATCH]).items():
            shares[aspect] += values.tolist()
    return {aspect: Proportion.of(values) for aspect, values in shares.items()}
