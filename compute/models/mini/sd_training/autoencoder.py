"""The first stage: the autoencoder, on rendered scenes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from diffusers import AutoencoderKL
from jaxtyping import Float
from torch import Tensor, nn

from compute.models.mini.scenes.render import render_batch
from compute.models.mini.scenes.scene import random_scene
from compute.models.mini.sd_mini import LATENT_SHAPE, PICTURE_SIDE, Layout, build_autoencoder
from compute.models.mini.sd_training.optimisation import Optimisation, Pace

# The weight of the latents' divergence from a normal distribution. Ten times more left two of four channels noisy.
_DIVERGENCE_WEIGHT = 2e-5
_EDGE_WEIGHT = 1.0


@dataclass(frozen=True, kw_only=True)
class AutoencoderRecipe:
    """The settings that determine the autoencoder's weights."""

    pace: Pace = field(default_factory=lambda: Pace(iterations=9000, batch=16, learning_rate=1.5e-3))
    single_share: float = 0.2
    """The share of scenes with a single object."""
    seed: int = 0


def reconstruction_loss(pictures: Float[Tensor, "B 3 H W"], decoded: Float[Tensor, "B 3 H W"]) -> Float[Tensor, ""]:
    """Return the mean absolute error, and that of the differences of neighbouring pixels, which blur would change."""
    error = decoded.float() - pictures
    across, down = error.diff(dim=3), error.diff(dim=2)
    return error.abs().mean() + _EDGE_WEIGHT * (across.abs().mean() + down.abs().mean())


class AutoencoderTraining:
    """The training of the autoencoder. A batch depends on the seed and the iteration alone."""

    def __init__(self, recipe: AutoencoderRecipe, layout: Layout, device: torch.device) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.layout, self.device = recipe, layout, device
        self.autoencoder = build_autoencoder(layout).to(device).train()
        self.optimisation = Optimisation(nn.ModuleDict({"autoencoder": self.autoencoder}), recipe.pace)

    def step(self) -> float:
        """Run one iteration, and return its loss."""
        r = self.recipe
        rng = np.random.default_rng([r.seed, 10, self.optimisation.iteration])
        scenes = [random_scene(rng, "train", single_share=r.single_share) for _ in range(r.pace.batch)]
        pictures = torch.from_numpy(render_batch(scenes, rng, PICTURE_SIDE)).to(self.device)
        noise = torch.from_numpy(rng.standard_normal((len(scenes), *LATENT_SHAPE), dtype=np.float32)).to(self.device)
        return self.optimisation.step(lambda rows: self._loss(pictures[rows], noise[rows]))

    def _loss(self, pictures: Float[Tensor, "B 3 H W"], noise: Float[Tensor, "B 4 h w"]) -> Float[Tensor, ""]:
        # Without its cache, which the threads would share.
        with torch.autocast(self.device.type, torch.bfloat16, cache_enabled=False):
            moments = self.autoencoder.quant_conv(self.autoencoder.encoder(pictures))
        mean, log_variance = moments.float().chunk(2, dim=1)
        log_variance = log_variance.clamp(-30, 20)
        latents = mean + (0.5 * log_variance).exp() * noise
        with torch.autocast(self.device.type, torch.bfloat16, cache_enabled=False):
            decoded = self.autoencoder.decode(latents).sample
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
        return reconstruction_loss(pictures, decoded) + _DIVERGENCE_WEIGHT * divergence

    def averaged(self) -> AutoencoderKL:
        """Return a new autoencoder with the averaged weights, in float32, for inference."""
        autoencoder = build_autoencoder(self.layout)
        self.optimisation.load_average("autoencoder", autoencoder)
        return autoencoder.to(self.device).eval().requires_grad_(False)
