"""How alike the states of any two steps are: the cosine of the angle between them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from jaxtyping import Float

Floats = npt.NDArray[np.float64]
ALIKE = 0.99
"""The cosine from which on two states count as alike."""
_LEAST = 1e-12


def step_similarity(values: Float[np.ndarray, "conditions steps C H W"]) -> Float[np.ndarray, "steps steps"]:
    """Return the cosine between the states of each pair of steps, -1 to 1, its mean over conditions."""
    flat = np.asarray(values, dtype=np.float64).reshape(*values.shape[:2], -1)
    lengths = np.linalg.norm(flat, axis=2, keepdims=True)
    units = flat / np.maximum(lengths, _LEAST)
    cosines: Floats = np.einsum("csd,ctd->st", units, units) / len(units)
    return cosines


def alike_from(similarity: Float[np.ndarray, "steps steps"], least: float = ALIKE) -> int:
    """Return the first position from which on every state is alike to the last one; the last position if none is."""
    different = np.flatnonzero(similarity[-1] < least)
    return int(different[-1]) + 1 if len(different) else 0
