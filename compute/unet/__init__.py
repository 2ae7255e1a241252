"""Reads a diffusers UNet's component graph, and executes actions on its modules."""

from compute.unet.blocks import UnsupportedUNet
from compute.unet.graph_reader import read_graph, read_graph_of_call
