"""GLIDE as a diffusers pipeline."""

from compute import torchvision_ops as torchvision_ops  # before diffusers is imported
from compute.models.glide.pipeline import GlidePipeline

__all__ = ["GlidePipeline"]
