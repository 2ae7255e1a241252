"""Reads a diffusers UNet's component graph, and executes actions on its modules."""

from compute.unet.blocks import UnsupportedUNet
from compute.unet.cache import ExecutionError
from compute.unet.execution import Execution
from compute.unet.graph_reader import read_graph, read_graph_of_call
from compute.unet.hooks import executing
from compute.unet.weights_digest import WeightsError, parameter_digest, parameter_digests

__all__ = [
    "ExecutionError",
    "Execution",
    "UnsupportedUNet",
    "WeightsError",
    "executing",
    "parameter_digest",
    "parameter_digests",
    "read_graph",
    "read_graph_of_call",
]
