"""Reads a diffusers UNet's component graph and carries actions out on its modules."""

from compute.unet.acting import Acts, acting
from compute.unet.applied import applied
from compute.unet.blocks import UnsupportedUNet
from compute.unet.cache import ActingError
from compute.unet.read import read_graph
from compute.unet.weights import WeightsError, parameter_digest, parameter_digests

__all__ = [
    "ActingError",
    "Acts",
    "UnsupportedUNet",
    "WeightsError",
    "acting",
    "applied",
    "parameter_digest",
    "parameter_digests",
    "read_graph",
]
