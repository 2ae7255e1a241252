"""Sampling: schedulers, noise that depends on seed and step alone, and the loop as a generator of steps."""

from compute.diffusion.noise import initial_noise, step_generators
from compute.diffusion.sample import Step, TextEncoding, sample
from compute.diffusion.samplers import SamplerConfig, make_scheduler

__all__ = ["SamplerConfig", "Step", "TextEncoding", "initial_noise", "make_scheduler", "sample", "step_generators"]
