"""The result of a search for what to run in a given time: every candidate, and the choice for each budget.

It is plain data, written and read without torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from compute.config.messages import error_lines
from compute.config.plain_text import Name, Text, printable
from compute.statistics.estimate import Estimate
from store.errors import SkipscopeError, StoreError
from store.folder.files import JSON_LIMIT, parse_json, read_file, save_file
from store.folder.own_digest import with_digest, without_digest
from store.paths import expanded
from store.records import Record, canonical_json

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


class FrontierReport(Record):
    """A search's result. `loss` names what was minimised, `spent` counts the network's evaluations of one picture.

    The losses are on the conditions that the search used: the chosen ones are likely to be a little worse on others.
    """

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

    def save(self, path: Path) -> None:
        """Write the report atomically, with a digest of its content. Raises StoreError."""
        save_file(expanded(path), (canonical_json(with_digest(self.model_dump(mode="json"))) + "\n").encode("ascii"))

    @classmethod
    def load(cls, path: Path) -> FrontierReport:
        """Read a report without trusting it. Raises FrontierError with a line for each mistake."""
        where = printable(path)
        try:
            document = parse_json(read_file(expanded(path), JSON_LIMIT), where)
            if not isinstance(document, dict) or document.get("format") != "skipscope-frontier":
                raise FrontierError(
                    f"{where}: is no frontier; a file that `skipscope recommend --evaluations` wrote is"
                )
            return cls.model_validate_json(canonical_json(without_digest(document)))
        except FileNotFoundError:
            raise FrontierError(f"{where}: there is no such file") from None
        except ValidationError as error:
            lines = error_lines(error, cls, whole="frontier", document="docs/policies.md")
            raise FrontierError("\n".join(f"{where}: {line}" for line in lines)) from None
        except (StoreError, ValueError) as error:
            raise FrontierError(str(error) if where in str(error) else f"{where}: {error}") from None
