"""The tiny UNet, its graph and a schedule, made once per session."""

from __future__ import annotations

from typing import Any

import pytest

from compute.policy.graph import ComponentGraph
from compute.policy.liveness import ResolvedSchedule, resolve
from compute.policy.schedule import Schedule
from compute.unet import read_graph
from store.records import Action
from tests.unet.tiny import DEEP, TOKENS, make_unet


@pytest.fixture(scope="session")
def unet() -> Any:
    return make_unet()


@pytest.fixture(scope="session")
def graph(unet: Any) -> ComponentGraph:
    return read_graph(unet, sequence_length=TOKENS)


@pytest.fixture(scope="session")
def deepcache(graph: ComponentGraph) -> ResolvedSchedule:
    """DeepCache at steps 1 and 2 of 3: both reuse the output of DEEP."""
    reuse = {DEEP: Action(name="reuse")}
    return resolve(graph, Schedule(steps=3, actions={1: reuse, 2: reuse}))
