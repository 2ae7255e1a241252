"""The first stages: the autoencoder, then its decoder alone, on rendered scenes."""

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
_TRIES = 4  # random windows of a picture


@dataclass(frozen=True, kw_only=True)
class AutoencoderRecipe:
    """The settings that determine the autoencoder's weights."""

    pace: Pace = field(
        default_factory=lambda: Pace(
            iterations=10000, batch=8, learning_rate=1e-3, matrix_learning_rate=1e-2, decay_from=0.4
        )
    )
    """Of encoder and decoder."""
    decoder: Pace = field(
        default_factory=lambda: Pace(
            iterations=5800, batch=8, learning_rate=1e-3, matrix_learning_rate=1e-2, decay_from=0.2
        )
    )
    """Of the decoder alone, after that: it goes on learning details when the latents are good enough."""
    window: int = 32
    """The side of the windows of pictures that most of the training sees."""
    whole_from: float = 0.94
    """The share of the iterations after which it sees whole pictures."""
    single_share: float = 0.2
    """The share of scenes with a single object."""
    seed: int = 0


def reconstruction_loss(pictures: Float[Tensor, "B 3 H W"], decoded: Float[Tensor, "B 3 H W"]) -> Float[Tensor, ""]:
    """Return the mean absolute error, and that of the differences of neighbouring pixels, which blur would change."""
    error = decoded.float() - pictures
    across, down = error.diff(dim=3), error.diff(dim=2)
    return error.abs().mean() + _EDGE_WEIGHT * (across.abs().mean() + down.abs().mean())


def fullest_windows(
    pictures: Float[Tensor, "B 3 H W"], rng: np.random.Generator, side: int
) -> Float[Tensor, "B 3 {side} {side}"]:
    """Return of each picture the one with the most contrast of a few random windows: most of a scene is background."""
    height, width = pictures.shape[2:]
    chosen = []
    for picture in pictures:
        corners = zip(
            rng.integers(height - side + 1, size=_TRIES), rng.integers(width - side + 1, size=_TRIES), strict=True
        )
        windows = [picture[:, top : top + side, left : left + side] for top, left in corners]
        chosen.append(max(windows, key=lambda window: window.std().item()))
    return torch.stack(chosen)


class AutoencoderTraining:
    """The training of the autoencoder, or of its decoder. A batch depends on the seed and the iteration alone."""

    def __init__(
        self, recipe: AutoencoderRecipe, layout: Layout, device: torch.device, *, trained: AutoencoderKL | None = None
    ) -> None:
        """Begin with a new autoencoder, or go on with the decoder of one that is trained, whose encoder then stays."""
        torch.manual_seed(recipe.seed)
        self.recipe, self.layout, self.device = recipe, layout, device
        self.autoencoder = build_autoencoder(layout)
        self._stage, pace = (10, recipe.pace) if trained is None else (16, recipe.decoder)
        if trained is not None:
            self.autoencoder.load_state_dict(trained.state_dict())
            for part in (self.autoencoder.encoder, self.autoencoder.quant_conv):
                part.requires_grad_(False)
        self.optimisation = Optimisation(nn.ModuleDict({"autoencoder": self.autoencoder.to(device).train()}), pace)

    def step(self) -> float:
        """Run one iteration, and return its loss."""
        r, iteration, pace = self.recipe, self.optimisation.iteration, self.optimisation.pace
        rng = np.random.default_rng([r.seed, self._stage, iteration])
        scenes = [random_scene(rng, "train", single_share=r.single_share) for _ in range(pace.batch)]
        pictures = torch.from_numpy(render_batch(scenes, rng, PICTURE_SIDE))
        if iteration < r.whole_from * pace.iterations:
            pictures = fullest_windows(pictures, rng, r.window)
        side = pictures.shape[3] * LATENT_SHAPE[1] // PICTURE_SIDE
        noise = torch.from_numpy(rng.standard_normal((len(scenes), LATENT_SHAPE[0], side, side), dtype=np.float32))
        pictures, noise = pictures.to(self.device), noise.to(self.device)
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
