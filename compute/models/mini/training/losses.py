"""The loss of a diffusion model with a learned range of sigma (Nichol & Dhariwal 2021, arXiv 2102.09672)."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

VLB_WEIGHT = 1e-3
MIN_SNR_GAMMA = 5.0  # Hang et al. 2023, arXiv 2303.09556
# The noisiest steps determine colours and positions, but there an error of the whole picture's mean hardly changes the
# mean over pixels. So the means over squares of these sides are part of the loss, too (cf. the multiscale loss of
# Hoogeboom et al. 2023, arXiv 2301.11093), each scaled so that white noise contributes the same at every scale.
COARSE_SIDES = (8, 32)
COARSE_WEIGHT = 0.05


class NoiseSchedule:
    """The quantities of a noise schedule that the training loss needs, as tensors over timesteps."""

    def __init__(self, betas: Float[Tensor, " T"]) -> None:
        betas = betas.double()
        alpha_bar = torch.cumprod(1 - betas, 0)
        previous = torch.cat([torch.ones_like(alpha_bar[:1]), alpha_bar[:-1]])
        posterior = betas * (1 - previous) / (1 - alpha_bar)
        self.alpha_bar = alpha_bar.float()
        self.log_beta = betas.log().float()
        self.log_posterior = posterior.clamp_min(posterior[1]).log().float()
        self.eps_to_mean = (betas / ((1 - alpha_bar) * (1 - betas)).sqrt()).float()
        snr = alpha_bar / (1 - alpha_bar)
        self.weight = (snr.clamp_max(MIN_SNR_GAMMA) / snr).float()
        # Only where the picture is nearly all noise: elsewhere the mean of the noise cannot be inferred.
        self.coarse_weight = (COARSE_WEIGHT * (1 - alpha_bar) ** 4).float()

    def add_noise(
        self, x_0: Float[Tensor, "B C H W"], eps: Float[Tensor, "B C H W"], t: Int[Tensor, " B"]
    ) -> Float[Tensor, "B C H W"]:
        """Return `x_t`, by equation 4 of DDPM (arXiv 2006.11239)."""
        alpha_bar = self.alpha_bar[t][:, None, None, None]
        return alpha_bar.sqrt() * x_0 + (1 - alpha_bar).sqrt() * eps

    def loss(
        self, output: Float[Tensor, "B 6 H W"], eps: Float[Tensor, "B 3 H W"], t: Int[Tensor, " B"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Return the loss to minimise, and the mean squared error of the predicted noise.

        The loss is the sum of the noise's squared error with min-SNR weights, that of its coarse means, and the
        variational term for sigma.
        """
        predicted, fraction = output.float().chunk(2, dim=1)
        error = predicted - eps
        squared = error.square().flatten(1).mean(1)  # (B,)
        loss = (self.weight[t] * squared + self.coarse_weight[t] * coarse_error(error)).mean()
        return loss + VLB_WEIGHT * self._variational_term(error.detach(), fraction, t), squared.mean().detach()

    def velocity_loss(
        self,
        output: Float[Tensor, "B 6 H W"],
        x_0: Float[Tensor, "B 3 H W"],
        eps: Float[Tensor, "B 3 H W"],
        t: Int[Tensor, " B"],
    ) -> Float[Tensor, ""]:
        """Return the loss of a model of the velocity.

        It is the sum of its squared error, that of its coarse means, and the variational term for sigma.

        The velocity is sqrt(alpha_bar) eps - sqrt(1 - alpha_bar) x_0 (Salimans & Ho 2022, arXiv 2202.00512).
        """
        alpha_bar = self.alpha_bar[t][:, None, None, None]
        predicted, fraction = output.float().chunk(2, dim=1)
        error = predicted - (alpha_bar.sqrt() * eps - (1 - alpha_bar).sqrt() * x_0)
        eps_error = alpha_bar.sqrt() * error.detach()
        loss = error.square().mean() + (self.coarse_weight[t] * coarse_error(error)).mean()
        return loss + VLB_WEIGHT * self._variational_term(eps_error, fraction, t)

    def _variational_term(
        self, eps_error: Float[Tensor, "B 3 H W"], fraction: Float[Tensor, "B 3 H W"], t: Int[Tensor, " B"]
    ) -> Float[Tensor, ""]:
        """Return the KL divergence of the predicted from the true posterior, in bits, summed over timesteps.

        `fraction` in [-1, 1] interpolates log sigma² between its bounds; it alone receives a gradient.
        """
        low, high, scale = (v[t][:, None, None, None] for v in (self.log_posterior, self.log_beta, self.eps_to_mean))
        log_variance = low + (fraction + 1) / 2 * (high - low)
        kl = log_variance - low + torch.exp(low - log_variance) - 1
        kl = kl + (scale * eps_error).square() * torch.exp(-log_variance)
        return 0.5 * kl.mean() / math.log(2) * len(self.alpha_bar)


def coarse_error(error: Float[Tensor, "B 3 H W"]) -> Float[Tensor, " B"]:
    """Return the mean square of the error's means over squares of each of COARSE_SIDES, scaled and summed."""
    means = [side * F.avg_pool2d(error, side) for side in COARSE_SIDES]
    return torch.stack([mean.square().flatten(1).mean(1) for mean in means]).sum(0)
