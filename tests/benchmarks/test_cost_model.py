"""The benchmark of the cost model: its random policies depend on the seed alone, and its report is complete."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.cost_model import random_schedule, report
from compute.models.loading import load_model
from compute.policy.graph import ComponentGraph
from tests.sweep.conftest import tiny_model  # noqa: F401  (a fixture)


@pytest.fixture(scope="module")
def graph(tiny_model: Path) -> ComponentGraph:  # noqa: F811
    return load_model(str(tiny_model)).graph


def test_the_same_seed_gives_the_same_policies(graph: ComponentGraph) -> None:
    first, again, other = (
        [random_schedule(graph, 8, rng).schedule for _ in range(6)] for rng in map(np.random.default_rng, (0, 0, 1))
    )
    assert first == again != other
    assert len({schedule.model_dump_json() for schedule in first}) == 6


def test_the_policies_use_every_kind_of_action(graph: ComponentGraph) -> None:
    rng = np.random.default_rng(0)
    entries = [entry for _ in range(20) for entry in random_schedule(graph, 8, rng).schedule.entries()]
    assert {(name == "unet", action.name) for _, name, action in entries} == {
        (True, "reuse"),
        (False, "reuse"),
        (False, "bypass"),
    }
    assert min(step for step, _, _ in entries) == 2, "two steps are computed first, for later ones to read"


def test_a_report_holds_the_times_of_each_policy_and_the_conditions() -> None:
    result = json.loads(json.dumps(report(policies=2, threads=1, batch=1, steps=4)))
    assert (result["policies"], result["batch"], result["threads"], result["dtype"]) == (2, 1, 1, "float32")
    assert len(result["rows"]) == 2
    for row in result["rows"]:
        assert row["predicted"] > 0 and row["measured"] > 0
        assert row["error"] == pytest.approx(abs(row["predicted"] / row["measured"] - 1))
    assert result["median_error"] == pytest.approx(np.median([row["error"] for row in result["rows"]]))
    assert result["provenance"]["torch"]
