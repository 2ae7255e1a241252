"""A tiny UNet and its graph, made once."""

from __future__ import annotations

from typing import Any

import pytest

from compute.policy.graph import ComponentGraph
from compute.unet import read_graph
from tests.unet.tiny import TOKENS, make_unet


@pytest.fixture(scope="session")
def unet() -> Any:
    return make_unet()


@pytest.fixture(scope="session")
def graph(unet: Any) -> ComponentGraph:
    return read_graph(unet, sequence_length=TOKENS)
