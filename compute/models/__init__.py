"""Models as diffusers pipelines: GLIDE, and the bundled glide-mini."""

from compute import torchvision_ops as torchvision_ops  # before diffusers is imported
