"""From a sweep to a validated policy: components are timed, candidates run closed-loop, the best is validated."""

from compute import torchvision_ops as torchvision_ops  # before diffusers is imported
