"""The Fréchet distance to a reference in the reference's principal directions, with intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from compute.statistics.estimate import Estimate, Floats, bootstrap_weights, interval

DIRECTIONS = 32
_LEAST_ROWS = 2


@dataclass(frozen=True, kw_only=True)
class FrechetReference:
    """The normal distribution fitted to reference features, in their `directions` of greatest variance.

    There the reference has mean 0 and a diagonal covariance, `variances`. In few directions the distance (Heusel et
    al., arXiv 1706.08500) is estimated with little bias from few rows; it still falls with their number, so that values
    compare at equal numbers alone.
    """

    origin: Float[np.ndarray, " D"]
    directions: Float[np.ndarray, "D K"]
    variances: Float[np.ndarray, " K"]

    @staticmethod
    def of(features: Float[np.ndarray, "N D"], directions: int = DIRECTIONS) -> FrechetReference:
        """Return the reference of features, in at most `directions`. Raises ValueError for fewer than two rows."""
        if len(features) < _LEAST_ROWS:
            raise ValueError("a reference needs at least two rows")
        rows = features.astype(np.float64)
        origin = rows.mean(0)
        _, scales, axes = np.linalg.svd((rows - origin) / np.sqrt(len(rows) - 1), full_matrices=False)
        return FrechetReference(origin=origin, directions=axes[:directions].T, variances=scales[:directions] ** 2)

    def distance(self, features: Float[np.ndarray, "N D"]) -> float:
        """Return the distance of two rows or more, 0 or more."""
        return float(self._distances(features, np.full((1, len(features)), 1 / len(features)))[0])

    def estimate(self, features: Float[np.ndarray, "N D"], *, seed: int = 0) -> Estimate:
        """Return the distance with a bootstrap interval over rows; the reference is taken as it is.

        Samples with replacement repeat rows, which biases the distance upwards as having fewer rows would. The interval
        is moved back by the mean of that bias.
        """
        samples = self._distances(features, bootstrap_weights(len(features), seed))
        return _centred(self.distance(features), samples, least=0.0)

    def difference(
        self, features: Float[np.ndarray, "N D"], other: Float[np.ndarray, "N D"], *, seed: int = 0
    ) -> Estimate:
        """Return the distance of `features` minus that of `other`, whose rows belong to the same conditions."""
        weights = bootstrap_weights(len(features), seed)
        samples = self._distances(features, weights) - self._distances(other, weights)
        return _centred(self.distance(features) - self.distance(other), samples)

    def _distances(
        self, features: Float[np.ndarray, "N D"], weights: Float[np.ndarray, "samples N"]
    ) -> Float[np.ndarray, " samples"]:
        """Return the distance of the rows under each sample's weights, which sum to 1."""
        rows = (features.astype(np.float64) - self.origin) @ self.directions  # (N, K)
        count, size = rows.shape
        means = weights @ rows  # (samples, K)
        squares = (weights @ (rows[:, :, None] * rows[:, None, :]).reshape(count, -1)).reshape(-1, size, size)
        covariances = (squares - means[:, :, None] * means[:, None, :]) * (count / (count - 1))
        # The reference's covariance is diagonal, so its root is, too: tr (C V)^(1/2) = tr (V^(1/2) C V^(1/2))^(1/2).
        roots = np.sqrt(self.variances)
        across = np.linalg.eigvalsh(roots[:, None] * covariances * roots).clip(0)
        traces = np.trace(covariances, axis1=1, axis2=2) + self.variances.sum()
        distances: Floats = np.square(means).sum(1) + traces - 2 * np.sqrt(across).sum(1)
        return distances.clip(0)


def _centred(value: float, samples: Float[np.ndarray, " samples"], *, least: float = -np.inf) -> Estimate:
    """Return a value with the interval of its samples, moved by the mean by which they exceed it."""
    low, high = interval(samples - (samples.mean() - value))
    return Estimate(mean=value, low=max(least, low), high=high)
