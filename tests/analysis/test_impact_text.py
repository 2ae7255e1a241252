"""Impact as a JSON document and as text for a terminal."""

from __future__ import annotations

import json

import pytest

from compute.analysis.report.terminal import describe_impact
from tests.analysis.synthetic_sweeps import impact_with
from tests.analysis.test_impact import SOME, impact_by, many, two_batches


def test_json_has_no_nan() -> None:
    document = json.loads(json.dumps(two_batches().as_json(), allow_nan=False))
    assert document["null"] is None and document["scale"] == "damage"
    assert document["ablations"][0]["window"] == [0, 2]
    assert document["ablations"][1]["values"] == [pytest.approx(0.6), None, None, None]


def test_the_text_names_both_ends_of_each_window() -> None:
    lines = describe_impact(impact_with(*SOME)).splitlines()
    first = lines.index("steps 0-1: mean damage 0.250")
    assert lines[first + 1] == "  matter most" and "block.5" in lines[first + 2]
    least = lines.index("  matter least", first)
    assert "block.0" in lines[least + 1]


def test_the_text_of_other_scales() -> None:
    assert "ablated minus baseline: below 0 is worse" in describe_impact(
        impact_by("fidelity_all", [1, 1], [1, 0], [1, 0])
    )
    assert "psnr against the baseline over 2 conditions: lower is worse" in describe_impact(
        impact_by("psnr", [], [10, 10], [30, 20])
    )
    equal = many([[0.0, 0.0], [0.0, 0.0]])
    assert "  the same for all 2 ablations" in describe_impact(equal).splitlines()
