"""The loss of a diffusion model with a learned range of sigma (Nichol & Dhariwal 2021, arXiv 2102.09672)."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

VLB_WEIGHT = 1e-3
MIN_SNR_GAMMA = 5.0  # Hang et al. 2023, arXiv 2303.09556


class Schedule:
    """What the training loss needs of a noise schedule, as tensors over timesteps."""

    def __init__(self, betas: Float[Tensor, "T"]) -> None:
        betas = betas.double()
        alpha_bar = torch.cumprod(1 - betas, 0)
        before = torch.cat([torch.ones(1, dtype=torch.double), alpha_bar[:-1]])
        posterior = betas * (1 - before) / (1 - alpha_bar)
        self.alpha_bar = alpha_bar.float()
        self.log_beta = betas.log().float()
        self.log_posterior = posterior.clamp_min(posterior[1]).log().float()
        self.eps_to_mean = (betas / ((1 - alpha_bar) * (1 - betas)).sqrt()).float()
        snr = alpha_bar / (1 - alpha_bar)
        self.weight = (snr.clamp_max(MIN_SNR_GAMMA) / snr).float()

    def noised(self, x_0: Tensor, eps: Tensor, t: Int[Tensor, "B"]) -> Tensor:
        """`x_t` of equation 4 of DDPM (arXiv 2006.11239)."""
        alpha_bar = self.alpha_bar[t][:, None, None, None]
        return alpha_bar.sqrt() * x_0 + (1 - alpha_bar).sqrt() * eps

    def loss(
        self, output: Float[Tensor, "B 6 H W"], eps: Float[Tensor, "B 3 H W"], t: Int[Tensor, "B"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Loss to minimise (min-SNR weighted noise MSE plus the variational term for sigma), and the plain noise MSE."""
        predicted, fraction = output.float().chunk(2, dim=1)
        squared = (predicted - eps).square().flatten(1).mean(1)  # (B,)
        loss = (self.weight[t] * squared).mean() + VLB_WEIGHT * self._vlb(predicted.detach() - eps, fraction, t)
        return loss, squared.mean().detach()

    def _vlb(self, eps_error: Tensor, fraction: Tensor, t: Int[Tensor, "B"]) -> Tensor:
        """KL of the predicted from the true posterior in bits, summed over T: only sigma gets a gradient."""
        low, high, scale = (
            v[t][:, None, None, None] for v in (self.log_posterior, self.log_beta, self.eps_to_mean)
        )
        log_variance = low + (fraction + 1) / 2 * (high - low)
        kl = log_variance - low + torch.exp(low - log_variance) - 1
        kl = kl + (scale * eps_error).square() * torch.exp(-log_variance)
        return 0.5 * kl.mean() / math.log(2) * len(self.alpha_bar)
