"""Reads a diffusers UNet's component graph and carries actions out on its modules."""

from compute.unet.acting import Acts, acting
from compute.unet.blocks import UnsupportedUNet
from compute.unet.cache import ActingError
from compute.unet.read import read_graph

__all__ = ["ActingError", "Acts", "UnsupportedUNet", "acting", "read_graph"]
