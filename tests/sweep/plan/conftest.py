"""The component graph of a tiny UNet."""

from __future__ import annotations

from typing import Any

import pytest

from compute.policy.graph import ComponentGraph
from compute.unet import read_graph


@pytest.fixture(scope="session")
def graph(tiny_unet: Any) -> ComponentGraph:
    return read_graph(tiny_unet, sequence_length=5)
