"""Finds and loads models: diffusers pipelines in folders, GLIDE's and the bundled glide-mini and sd-mini."""

from compute import torchvision_ops as torchvision_ops  # before diffusers is imported
