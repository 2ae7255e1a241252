"""The loss of a diffusion model with a learned range of sigma (Nichol & Dhariwal 2021, arXiv 2102.09672)."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

VLB_WEIGHT = 1e-3
MIN_SNR_GAMMA = 5.0  # Hang et al. 2023, arXiv 2303.09556
# The noisiest steps decide colours and places, yet there the error of a whole picture's mean hardly shows in a mean
# over pixels. So means over squares of these sides count, too (cf. the multiscale loss of Hoogeboom et al. 2023, arXiv
# 2301.11093), each scaled so that an error without structure counts the same at every scale.
COARSE_SIDES = (8, 32)
COARSE_WEIGHT = 0.05


class Schedule:
    """What the training loss needs of a noise schedule, as tensors over timesteps on the device of `betas`."""

    def __init__(self, betas: Float[Tensor, "T"]) -> None:
        betas = betas.double()
        alpha_bar = torch.cumprod(1 - betas, 0)
        before = torch.cat([torch.ones_like(alpha_bar[:1]), alpha_bar[:-1]])
        posterior = betas * (1 - before) / (1 - alpha_bar)
        self.alpha_bar = alpha_bar.float()
        self.log_beta = betas.log().float()
        self.log_posterior = posterior.clamp_min(posterior[1]).log().float()
        self.eps_to_mean = (betas / ((1 - alpha_bar) * (1 - betas)).sqrt()).float()
        snr = alpha_bar / (1 - alpha_bar)
        self.weight = (snr.clamp_max(MIN_SNR_GAMMA) / snr).float()
        # Only where the picture is nearly all noise: later the mean of the noise cannot be known.
        self.coarse_weight = (COARSE_WEIGHT * (1 - alpha_bar) ** 4).float()

    def noised(self, x_0: Tensor, eps: Tensor, t: Int[Tensor, "B"]) -> Tensor:
        """`x_t` of equation 4 of DDPM (arXiv 2006.11239)."""
        alpha_bar = self.alpha_bar[t][:, None, None, None]
        return alpha_bar.sqrt() * x_0 + (1 - alpha_bar).sqrt() * eps

    def loss(
        self, output: Float[Tensor, "B 6 H W"], eps: Float[Tensor, "B 3 H W"], t: Int[Tensor, "B"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Loss to minimise, and the plain noise MSE.

        The loss is the min-SNR weighted noise MSE, plus that of coarse means, plus the variational term for sigma.
        """
        predicted, fraction = output.float().chunk(2, dim=1)
        error = predicted - eps
        squared = error.square().flatten(1).mean(1)  # (B,)
        loss = (self.weight[t] * squared + self.coarse_weight[t] * coarse_error(error)).mean()
        return loss + VLB_WEIGHT * self._vlb(error.detach(), fraction, t), squared.mean().detach()

    def _vlb(self, eps_error: Tensor, fraction: Tensor, t: Int[Tensor, "B"]) -> Tensor:
        """KL of the predicted from the true posterior in bits, summed over T: only sigma gets a gradient."""
        low, high, scale = (v[t][:, None, None, None] for v in (self.log_posterior, self.log_beta, self.eps_to_mean))
        log_variance = low + (fraction + 1) / 2 * (high - low)
        kl = log_variance - low + torch.exp(low - log_variance) - 1
        kl = kl + (scale * eps_error).square() * torch.exp(-log_variance)
        return 0.5 * kl.mean() / math.log(2) * len(self.alpha_bar)


def coarse_error(error: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B"]:
    """Mean square of the error's means over squares, summed over their sides."""
    means = [side * F.avg_pool2d(error, side) for side in COARSE_SIDES]
    return torch.stack([mean.square().flatten(1).mean(1) for mean in means]).sum(0)
