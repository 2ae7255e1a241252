"""A recipe that trains a tiny sd-mini in a second."""

from __future__ import annotations

from dataclasses import replace

from compute.models.mini.sd_mini import Layout
from compute.models.mini.sd_training.autoencoder import AutoencoderRecipe
from compute.models.mini.sd_training.diffusion import DiffusionRecipe
from compute.models.mini.sd_training.latents import PoolSettings
from compute.models.mini.sd_training.optimisation import Pace
from compute.models.mini.sd_training.stages import SdRecipe

PACE = Pace(iterations=3, batch=2, learning_rate=1e-3, matrix_learning_rate=5e-3, warmup=2)
TINY = SdRecipe(
    autoencoder=AutoencoderRecipe(pace=PACE, decoder=PACE, window=16, whole_from=0.5),
    diffusion=DiffusionRecipe(text=replace(PACE, batch=4), pace=PACE, latents=PoolSettings(chunks=2, chunk=4)),
    fresh_autoencoder=True,
    layout=Layout(autoencoder_channels=(8, 8, 8), unet_channels=(32, 32, 32), unet_layers=1),
    least_haarpsi=-1,
    least_judged=0,
    quality_count=4,
    checkpoint_seconds=-1,
)
