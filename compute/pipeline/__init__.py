"""Follows diffusers pipelines through their runs: schedulers, noise of seed and step, replay, and policies."""

from compute import torchvision_ops as torchvision_ops  # before diffusers is imported
from compute.pipeline import methods
from compute.pipeline.applied import applied
from compute.pipeline.follow import RunFollower, following
from compute.pipeline.followed_step import Replay, Step
from compute.pipeline.noise import initial_noise, step_generators
from compute.pipeline.schedulers import make_scheduler

__all__ = [
    "Replay",
    "RunFollower",
    "Step",
    "applied",
    "following",
    "initial_noise",
    "make_scheduler",
    "methods",
    "step_generators",
]
