"""The result of a bench: every contestant's cost and quality, and the best of each group at each level.

It is plain data, written and read without torch. The calibration prompts choose, the held-out prompts report.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from compute.config.plain_text import Name, Text
from compute.policy.report_file import ReportFile
from compute.statistics.estimate import Estimate
from store.errors import SkipscopeError
from store.records import Record

Track = Literal["ODE", "SDE"]
Unit = Literal["evaluations", "seconds", "speedup"]
Criterion = Literal["fidelity", "frechet", "distance", "damage"]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
HIGHER_IS_BETTER: tuple[Criterion, ...] = ("fidelity",)


class BenchError(SkipscopeError):
    """A bench's file or folder that cannot be used."""


class BenchQuality(Record):
    """The quality of the pictures of one run on one set of prompts.

    `fidelity` is the share of pictures that match their prompt, by aspect, and `frechet` the Fréchet distance to real
    scenes in the judge's features; both need a judge. `damage` is the distance to the pictures of full compute by the
    same sampler with the same noise, for policies with rules; `distance` that to the many-step run from the same
    initial noise. Both are divided by the distance between two seeds of the baseline. `tail` holds their 95th
    percentiles over pictures.
    """

    seconds: Positive
    fidelity: Mapping[Name, Estimate] = Field(default_factory=dict)
    frechet: Estimate | None = None
    damage: Estimate | None = None
    distance: Estimate | None = None
    tail: Mapping[Criterion, float] = Field(default_factory=dict)

    def value(self, criterion: Criterion) -> float | None:
        """Return the mean by which runs are chosen; None where it was not measured."""
        measured = self.fidelity.get("all") if criterion == "fidelity" else getattr(self, criterion)
        return None if measured is None else measured.mean


class BenchEntry(Record):
    """A contestant: a policy, what it costs and how good its pictures are.

    `evaluations` are FLOPs by the component graph divided by those of a full step. `full` is the label of the same
    sampler at full compute, for a policy with rules. `calibration` chose the finalists, which alone have `held_out`
    and `seconds`, a picture's when all finalists were timed in turn.
    """

    label: Name
    group: Name
    track: Track
    sampler: Name
    steps: Count
    evaluations: Annotated[float, Field(ge=0)]
    policy: Digest
    full: Name | None = None
    calibration: BenchQuality
    held_out: BenchQuality | None = None
    seconds: Positive | None = None


class BenchComparison(Record):
    """A finalist minus its rival on the held-out prompts, paired by prompt.

    `fidelity` is the difference of the shares of whole prompts that are right, `p` its exact McNemar test; `criterion`
    is the difference of what the finalist was chosen by.
    """

    rival: Name
    fidelity: Estimate | None = None
    p: Annotated[float, Field(ge=0, le=1)] | None = None
    criterion: Estimate | None = None


class BenchFinalist(Record):
    """The best of a group on the calibration prompts, within a level, by a criterion.

    A level is a number of evaluations or of seconds a picture that are not exceeded, or a speedup over `full` that is
    reached. The rival of a level is the best of all groups but ours; it has no comparison.
    """

    level: Positive
    unit: Unit
    criterion: Criterion
    group: Name
    label: Name
    full: Name | None = None
    comparison: BenchComparison | None = None


class BenchSet(Record):
    """A set of conditions: where the prompts are from, the range of the seeds, and the digest of all."""

    prompts: Text
    seeds: Name
    conditions: Count
    digest: Digest


class BenchTiming(Record):
    """How seconds were measured: all finalists in turn within one process, the median over rounds."""

    device: Name
    threads: Count
    batch: Count
    rounds: Count


class BenchReport(ReportFile):
    """A bench's result.

    `lines` are runs that nothing competes with, which show what differences mean: another seed of the baseline, the
    baseline in bfloat16, real scenes.
    """

    _whole, _document = "bench", "docs/bench.md"
    _accepted = "is no result of a bench; a file bench.json of `skipscope bench` is accepted"
    _refused = BenchError
    format: Literal["skipscope-bench"] = "skipscope-bench"
    version: Literal[1] = 1
    model: Name
    weights: Digest
    guidance: float
    dtype: Literal["float32", "bfloat16", "float16"]
    metric: Name
    calibration: BenchSet
    held_out: BenchSet
    ours: tuple[Name, ...] = ()
    entries: tuple[BenchEntry, ...]
    finalists: tuple[BenchFinalist, ...]
    lines: Mapping[Name, BenchQuality] = Field(default_factory=dict)
    timing: BenchTiming
    provenance: Mapping[Name, Text] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _labels_are_known(self) -> BenchReport:
        labels = [entry.label for entry in self.entries]
        if len(set(labels)) != len(labels):
            raise ValueError("entries: a label is given twice; each contestant has its own")
        for finalist in self.finalists:
            if finalist.label not in labels:
                raise ValueError(f"finalists: {finalist.label!r} is not among entries")
        return self

    def entry(self, label: str) -> BenchEntry:
        """Return the entry of a label. Raises KeyError."""
        return next(entry for entry in self.entries if entry.label == label)
