"""The latents of many rendered scenes, made once: so the UNet's training does not run the autoencoder.

They lie in a folder, in files of a chunk of scenes each. A chunk depends on the settings, its number and the
autoencoder alone, and an interrupted run goes on after the last whole file.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor

from compute.models.file_modes import apply_umask
from compute.models.mini.scenes.render import render_batch
from compute.models.mini.scenes.scene import Scene, random_scene
from compute.models.mini.sd_mini import PICTURE_SIDE

_BATCH = 32
_THREADS = 2


@dataclass(frozen=True, kw_only=True)
class PoolSettings:
    """Which scenes there are latents of."""

    chunks: int = 24
    chunk: int = 2048
    """Scenes in a chunk."""
    single_share: float = 0.2
    """The share of scenes with a single object."""
    seed: int = 0

    def scenes(self, number: int) -> list[Scene]:
        """Return the scenes of a chunk, all of the training split."""
        rng = np.random.default_rng([self.seed, 11, number])
        return [random_scene(rng, "train", single_share=self.single_share) for _ in range(self.chunk)]


def encode_chunk(autoencoder: AutoencoderKL, settings: PoolSettings, number: int) -> Float[Tensor, "B 4 16 16"]:
    """Return the mean latents of pictures of a chunk's scenes, scaled as the UNet sees them, in half precision."""
    scenes, rng = settings.scenes(number), np.random.default_rng([settings.seed, 12, number])
    batches = [
        torch.from_numpy(render_batch(scenes[start : start + _BATCH], rng, PICTURE_SIDE))
        for start in range(0, len(scenes), _BATCH)
    ]
    # Faster than several threads within every operation, for the reason that the training has (see `Optimisation`).
    with ThreadPoolExecutor(_THREADS, initializer=torch.set_num_threads, initargs=(1,)) as threads:
        latents = torch.cat(list(threads.map(lambda pictures: _encode(autoencoder, pictures), batches)))
    return (latents * autoencoder.config.scaling_factor).half().contiguous()


@torch.inference_mode()
def _encode(autoencoder: AutoencoderKL, pictures: Float[Tensor, "B 3 64 64"]) -> Float[Tensor, "B 4 16 16"]:
    latents: Tensor = autoencoder.encode(pictures.to(autoencoder.device)).latent_dist.mode().cpu()
    return latents


def write_latents(folder: Path, autoencoder: AutoencoderKL, settings: PoolSettings) -> Iterator[int]:
    """Write the chunks that the folder lacks, and yield the number of each after it is written."""
    folder.mkdir(exist_ok=True)
    for number in range(settings.chunks):
        path = _file(folder, number)
        if not path.exists():
            temporary = path.with_suffix(".new")
            save_file({"latents": encode_chunk(autoencoder, settings, number)}, temporary)
            apply_umask(temporary)
            temporary.replace(path)
            yield number


class LatentPool:
    """All latents of a folder in memory, with their scenes."""

    def __init__(self, folder: Path, settings: PoolSettings) -> None:
        chunks = range(settings.chunks)
        self.latents = torch.cat([load_file(_file(folder, number))["latents"] for number in chunks])
        self.scenes = [scene for number in chunks for scene in settings.scenes(number)]

    def batch(self, rng: np.random.Generator, count: int) -> tuple[Float[Tensor, "B 4 16 16"], list[Scene]]:
        """Return random latents, float32, and their scenes."""
        rows = rng.integers(len(self.scenes), size=count)
        return self.latents[torch.from_numpy(rows)].float(), [self.scenes[row] for row in rows]


def _file(folder: Path, number: int) -> Path:
    return folder / f"{number:04}.safetensors"
