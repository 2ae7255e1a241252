"""The component graphs of networks, each read once."""

from __future__ import annotations

import weakref
from typing import Any

from torch import nn

from compute.policy.graph import ComponentGraph
from compute.unet.blocks import UnsupportedUNet, uncompiled
from compute.unet.graph_reader import read_graph

_graphs: weakref.WeakKeyDictionary[nn.Module, ComponentGraph] = weakref.WeakKeyDictionary()


def graph_of(unet: Any) -> ComponentGraph:
    """Return the component graph of a UNet, which is read once. Raises UnsupportedUNet."""
    network = uncompiled(unet)
    if network not in _graphs:
        if not hasattr(network, "down_blocks"):
            raise UnsupportedUNet(f"pipe: its unet is a {type(network).__name__}, which has no down_blocks")
        _graphs[network] = read_graph(network)
    return _graphs[network]
