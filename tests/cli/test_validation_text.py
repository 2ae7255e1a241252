"""The text of `validate`: one line for each run, damage by metric, and a document of the same."""

from __future__ import annotations

import json

from compute.cli.validation_text import validation_document, validation_lines
from compute.recommend.validation import ValidationResult
from tests.recommend.conftest import drop_validation, model, unjudged_validation  # noqa: F401  (fixtures)
from tests.sweep.conftest import tiny_model  # noqa: F401  (a fixture)


def test_the_lines_name_all_runs(drop_validation: ValidationResult) -> None:  # noqa: F811
    lines = validation_lines(drop_validation.policy)
    assert lines[0].startswith("tested: 21 conditions (some; seeds 40 on), float32, batch 8, ")
    assert [line.split()[0] for line in lines[2:5]] == ["full", "policy", "fewer"]
    assert sum("damage by" in line for line in lines) == 3
    assert len(lines[-1]) < 100 and "policy - full" in lines[-1]


def test_the_lines_name_a_missing_judge(unjudged_validation: ValidationResult) -> None:  # noqa: F811
    assert sum("no judge" in line for line in validation_lines(unjudged_validation.policy)) == 3


def test_the_document_is_json(drop_validation: ValidationResult) -> None:  # noqa: F811
    document = json.loads(json.dumps(validation_document(drop_validation.policy)))
    assert document["policy"] == "tested"
    assert document["digest"] == drop_validation.policy.digest
