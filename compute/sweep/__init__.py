"""Sweeps: a plan of units, the worker that executes one, executors that spread them, and the run that records them."""

from compute import torchvision_ops as torchvision_ops  # before diffusers is imported
