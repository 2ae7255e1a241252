"""Whether a sampler adds noise at its steps, and so which runs can be compared picture by picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from store.sampler import SamplerSettings

_NOISY = ("DDPM", "Ancestral", "SDE", "SASolver", "LCM", "TCD", "KarrasVe", "RePaint")


def adds_noise(sampler: SamplerSettings, call: Mapping[str, Any]) -> bool:
    """Return whether a run adds noise after its initial one: then other steps follow other noise.

    `call` holds the further arguments of the pipeline's call, of which `eta` makes DDIM add noise.
    """
    if sampler.name in ("ddpm", "ddim"):
        return sampler.name == "ddpm" or sampler.eta > 0
    if any(word in sampler.name for word in _NOISY):
        return True
    algorithm = str(sampler.options.get("algorithm_type", ""))
    return algorithm.startswith("sde") or bool(call.get("eta"))
