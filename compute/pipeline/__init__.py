"""Sampling: schedulers, noise that depends on seed and step alone, the sampling loop, and policies on pipelines."""

from compute import torchvision_ops as torchvision_ops  # before diffusers is imported
from compute.pipeline.applied import applied
from compute.pipeline.noise import initial_noise, step_generators
from compute.pipeline.sampling import Step, TextEncoding, sample
from compute.pipeline.schedulers import make_scheduler

__all__ = [
    "Step",
    "TextEncoding",
    "applied",
    "initial_noise",
    "make_scheduler",
    "sample",
    "step_generators",
]
