"""Policies of earlier releases: each bundled one loads, resolves on glide-mini and is written again byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from compute.policy.graph import ComponentGraph
from compute.policy.graph_document import read_stored_graph
from compute.policy.liveness import resolve
from compute.policy.skip_policy import SkipPolicy

EXAMPLE = Path(__file__).parents[2] / "dashboard" / "example"
POLICIES = sorted((EXAMPLE / "policies").glob("*.json"))
DIGESTS = {
    "mse-damage-0.01": "7455b9211edf49f9504ddf4600ee436c9c85791f270960f3c91b8a0c6c6e25c9",
    "mse-damage-0.03": "47117f82ba01a6dd9c499dd92cfa0dcdc39f8f03823c9a10e487f1bcf7b28c7e",
}
"""What each policy does, as the release that wrote it computed it."""


@pytest.fixture(scope="module")
def graph() -> ComponentGraph:
    """glide-mini's graph, as the example sweep stored it."""
    stored = read_stored_graph(EXAMPLE)
    assert stored is not None
    return stored


def test_there_are_bundled_policies() -> None:
    assert {path.stem for path in POLICIES} == DIGESTS.keys()


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_a_bundled_policy_is_read_resolved_and_written_unchanged(path: Path, graph: ComponentGraph) -> None:
    policy = SkipPolicy.load(path)
    assert policy.dumps().encode() == path.read_bytes()
    assert policy.digest == DIGESTS[path.stem]
    assert policy.validation is not None and policy.prediction is not None
    resolved = resolve(graph, policy.schedule)
    assert resolved.total_flops < policy.sampler.steps * graph.total_flops
