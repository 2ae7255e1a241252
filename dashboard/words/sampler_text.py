"""A sampler as a person reads it."""

from __future__ import annotations

from store.sampler import SamplerSettings

_NAMES = {"ddpm": "DDPM", "ddim": "DDIM"}


def sampler_text(sampler: SamplerSettings) -> str:
    """Return the sampler's name, its steps, how many were asked for where that is another number, and its spacing."""
    name = _NAMES.get(sampler.name, sampler.name.removesuffix("Scheduler"))
    asked = f" ({sampler.num_inference_steps} asked for)" if sampler.num_inference_steps else ""
    spacing = f", {sampler.spacing}" if sampler.spacing else ""
    return f"{name}, {sampler.steps} steps{asked}{spacing}"
