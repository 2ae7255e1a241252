"""Samplers as people read them."""

from dashboard.words.sampler_text import sampler_text
from store.sampler import SamplerSettings


def test_samplers_as_text() -> None:
    assert sampler_text(SamplerSettings(name="ddpm", steps=25)) == "DDPM, 25 steps, linspace"
    heun = SamplerSettings(name="HeunDiscreteScheduler", steps=11, num_inference_steps=6)
    assert sampler_text(heun) == "HeunDiscrete, 11 steps (6 asked for)"
