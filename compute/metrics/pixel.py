"""Paired metrics that need no weights: relative L2, mean squared error, PSNR, SSIM and HaarPSI.

All are computed in float64 from pictures in [-1, 1], which SSIM and HaarPSI rescale to [0, 1].
"""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor

from compute.metrics.distance import relative_l2
from compute.metrics.metric import Family, Metric, paired
from store.metric import MetricInfo

PSNR_CAP = 100.0
"""The PSNR of identical pictures, in dB, which would be infinite. Different 8-bit pictures up to 226x226 are below."""

METRICS = (
    Metric(info=MetricInfo(name="rel_l2", direction="lower", low=0, label="relative L2 distance")),
    Metric(info=MetricInfo(name="mse", direction="lower", low=0, high=4, label="mean squared error")),
    Metric(info=MetricInfo(name="psnr", direction="higher", low=0, high=PSNR_CAP, label="PSNR (dB)")),
    Metric(info=MetricInfo(name="ssim", direction="higher", low=-1, high=1, label="SSIM"), smallest=3),
    Metric(info=MetricInfo(name="haarpsi", direction="higher", low=0, high=1, label="HaarPSI"), smallest=16),
)


def load() -> Family:
    """Return the family."""
    return paired({"rel_l2": relative_l2, "mse": mse, "psnr": psnr, "ssim": ssim, "haarpsi": haarpsi})


def mse(pictures: Float[Tensor, "B C H W"], baseline: Float[Tensor, "B C H W"]) -> Float[Tensor, " B"]:
    """Return the mean squared difference of each picture's pixels, 0 to 4."""
    return (pictures.double() - baseline.double()).square().flatten(1).mean(1)


def psnr(pictures: Float[Tensor, "B C H W"], baseline: Float[Tensor, "B C H W"]) -> Float[Tensor, " B"]:
    """Return the peak signal-to-noise ratio of each picture in dB, for a range of pixels of 2; at most PSNR_CAP."""
    least = 4 * 10 ** (-PSNR_CAP / 10)
    return 10 * (4 / mse(pictures, baseline).clamp(min=least)).log10()


def ssim(pictures: Float[Tensor, "B C H W"], baseline: Float[Tensor, "B C H W"]) -> Float[Tensor, " B"]:
    """Return the structural similarity (Wang et al. 2004; piq's) of each picture, in [-1, 1].

    The Gaussian window has a sigma of 1.5 and `ssim_window` pixels a side.
    """
    window = ssim_window(min(pictures.shape[-2:]))
    value: Tensor = piq_package().ssim(_unit(pictures), _unit(baseline), kernel_size=window, reduction="none")
    return value.clamp(-1, 1)


def ssim_window(side: int) -> int:
    """Return the side of SSIM's window for pictures with a shorter side of `side` pixels.

    It is 11 as published, but at most about half of `side`, and odd: 7 for 16 pixels, 3 for 8. A window as large as the
    picture would leave a single position to average over.
    """
    return max(3, min(11, (side // 2 - 1) | 1))


def haarpsi(pictures: Float[Tensor, "B C H W"], baseline: Float[Tensor, "B C H W"]) -> Float[Tensor, " B"]:
    """Return the Haar wavelet-based perceptual similarity (Reisenhofer et al. 2017; piq's) of each picture, in [0, 1].

    Pictures have at least 16 pixels a side. The value of two black pictures, for which the published quotient is 0 / 0,
    is 1.
    """
    value: Tensor = piq_package().haarpsi(_unit(pictures), _unit(baseline), reduction="none")
    return value.clamp(0, 1)


def _unit(pictures: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
    """Rescale pictures from [-1, 1] to [0, 1], in float64."""
    return ((pictures.double() + 1) / 2).clamp(0, 1)


def piq_package() -> Any:
    """Return the module piq, imported after torchvision's missing operators were declared."""
    import compute.torchvision_ops  # noqa: F401  (piq imports torchvision)
    import piq  # isort: skip

    return piq
