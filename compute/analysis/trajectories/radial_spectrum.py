"""How the variation of a picture is distributed over spatial frequencies, at each step."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from jaxtyping import Float

Floats = npt.NDArray[np.float64]


def radial_spectrum(values: Float[np.ndarray, "conditions steps C H W"]) -> Float[np.ndarray, "steps frequencies"]:
    """Return the power in each ring of frequencies: column k holds those nearest to k cycles a (shorter) side.

    The power of a picture is its mean square over pixels and channels, which its rings add up to (Parseval); the mean
    over conditions. Column 0 is the picture's mean. The last columns are the corners beyond the Nyquist frequency.
    """
    height, width = values.shape[-2:]
    rings = _rings(height, width)
    spectrum = np.zeros((values.shape[1], int(rings.max()) + 1))
    for trajectory in values:
        pictures = np.asarray(trajectory, dtype=np.float64)
        powers = np.square(np.abs(np.fft.fft2(pictures) / (height * width))).mean(1)  # (steps, H, W)
        for step, power in enumerate(powers):
            spectrum[step] += np.bincount(rings.reshape(-1), power.reshape(-1), minlength=spectrum.shape[1])
    return spectrum / len(values)


def half_power_frequency(spectrum: Float[np.ndarray, " frequencies"]) -> float:
    """Return the frequency, in cycles a side, below which half of the power lies, the picture's mean apart.

    It is interpolated within a ring, which reaches half a cycle to both sides. NaN for a picture of one colour.
    """
    power = spectrum[1:]
    total = power.sum()
    if total <= 0:
        return float("nan")
    reached = np.concatenate([[0.0], np.cumsum(power) / total])
    return float(np.interp(0.5, reached, np.arange(len(reached)) + 0.5))


def _rings(height: int, width: int) -> npt.NDArray[np.int64]:
    """The ring of each coefficient of a transform."""
    side = min(height, width)
    down, across = (side * np.fft.fftfreq(length) for length in (height, width))
    return np.rint(np.hypot(down[:, None], across)).astype(np.int64)
