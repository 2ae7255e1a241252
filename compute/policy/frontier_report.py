"""The result of a search for what to run in a given time: every candidate, and the choice for each budget.

It is plain data, written and read without torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from compute.config.plain_text import Name, Text
from compute.policy.report_file import ReportFile
from compute.statistics.estimate import Estimate
from store.errors import SkipscopeError
from store.records import Record

BudgetUnit = Literal["evaluations", "seconds"]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class FrontierError(SkipscopeError):
    """A file that holds no result of a search for a frontier."""


class FrontierCandidate(Record):
    """A policy that was run: what a picture costs, and its loss on the first `conditions` of the search's.

    `evaluations` are FLOPs divided by those of a full step, `seconds` are by the cost model. `plain` is full compute
    with the solver's own spacing.
    """

    label: Text
    plain: bool
    evaluations: Positive
    seconds: Positive
    loss: Estimate
    conditions: Count
    policy: Digest


class FrontierChoice(Record):
    """What to run within a budget: the candidate of least loss, beside the best full compute within it.

    `difference` is the loss of the chosen one minus that of full compute, paired by condition; None where full compute
    is chosen, or where none fits into the budget. `file` is the name of the policy's file.
    """

    budget: Positive
    chosen: Text
    file: Name | None = None
    plain: Text | None = None
    difference: Estimate | None = None

    @property
    def gains(self) -> bool:
        """Whether the chosen policy is better than full compute beyond doubt, on the search's own conditions."""
        return self.difference is not None and self.difference.high < 0


class FrontierReport(ReportFile):
    """A search's result. `loss` names what was minimised, `spent` counts the network's evaluations of one picture.

    The losses are on the conditions that the search used: the chosen ones are likely to be a little worse on others.
    """

    _whole, _document = "frontier", "docs/policies.md"
    _accepted = "is no frontier; a file that `skipscope recommend --evaluations` wrote is"
    _refused = FrontierError
    format: Literal["skipscope-frontier"] = "skipscope-frontier"
    version: Literal[1] = 1
    model: Name
    weights: Digest
    guidance: Annotated[float, Field(ge=0)]
    loss: Name
    unit: BudgetUnit
    conditions: Count
    spent: Positive
    candidates: tuple[FrontierCandidate, ...]
    choices: tuple[FrontierChoice, ...]
    provenance: Mapping[Name, Text] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _labels_are_known(self) -> Self:
        labels = {candidate.label for candidate in self.candidates}
        for choice in self.choices:
            if choice.chosen not in labels or (choice.plain is not None and choice.plain not in labels):
                raise ValueError(f"choices: {choice.chosen!r} or what it is compared with is not among candidates")
        return self

    def candidate(self, label: str) -> FrontierCandidate:
        """Return the candidate of a label. Raises KeyError."""
        found = {candidate.label: candidate for candidate in self.candidates}
        return found[label]
