"""Reads a diffusers UNet's component graph and carries actions out on its modules."""

from compute.unet.blocks import UnsupportedUNet
from compute.unet.cache import ActingError
from compute.unet.execution import Acts, acting
from compute.unet.graph_reader import read_graph
from compute.unet.weights_digest import WeightsError, parameter_digest, parameter_digests

__all__ = [
    "ActingError",
    "Acts",
    "UnsupportedUNet",
    "WeightsError",
    "acting",
    "parameter_digest",
    "parameter_digests",
    "read_graph",
]
