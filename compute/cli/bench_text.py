"""The text of `bench`: the finalists of each level, and the reference lines."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from compute.policy.bench_report import BenchEntry, BenchFinalist, BenchQuality, BenchReport
from compute.statistics.estimate import Estimate

_CHOSEN_BY = {"fidelity": "whole prompt right", "frechet": "Fréchet", "distance": "distance", "damage": "damage"}


def bench_lines(report: BenchReport) -> list[str]:
    """Return the lines that `bench` prints: what was run, a table for each level and criterion, the reference lines."""
    timing = report.timing
    lines = [
        f"{report.model}, guidance {report.guidance:g}, {report.dtype}: {len(report.entries)} contestants; chosen on "
        f"{report.calibration.conditions} prompts, reported on {report.held_out.conditions} others",
        f"seconds a picture: {timing.device}, {timing.threads} threads, batch {timing.batch}, in turn, median of "
        f"{timing.rounds} rounds; damage and distance by {report.metric}, 1 is another seed",
    ]
    for heading, finalists in groupby(report.finalists, key=_heading):
        lines += ["", heading, *_table(report, list(finalists))]
    lines += ["", "lines to read them by"]
    return lines + [f"  {name:<14} {_quality(quality)}" for name, quality in report.lines.items()]


def _heading(finalist: BenchFinalist) -> str:
    level = {
        "evaluations": f"at most {finalist.level:g} evaluations",
        "seconds": f"at most {finalist.level:g} s a picture",
        "speedup": f"{finalist.level:g} times as fast as {finalist.full} or faster",
    }[finalist.unit]
    return f"{level}, the best of each group by {_CHOSEN_BY[finalist.criterion]}"


def _table(report: BenchReport, finalists: list[BenchFinalist]) -> Iterator[str]:
    width = max(len(finalist.label) for finalist in finalists)
    sign = -1 if finalists[0].criterion == "fidelity" else 1

    def held_out(finalist: BenchFinalist) -> float:
        quality = report.entry(finalist.label).held_out
        value = None if quality is None else quality.value(finalist.criterion)
        return 0.0 if value is None else sign * value

    for finalist in sorted(finalists, key=held_out):
        entry = report.entry(finalist.label)
        yield f"  {finalist.label:<{width}}  {_cost(entry)}  {_measured(entry)}{_versus(finalist)}"


def _cost(entry: BenchEntry) -> str:
    seconds = "" if entry.seconds is None else f"{entry.seconds:.3f} s"
    return f"{entry.track} {entry.evaluations:6.2f} ev. {seconds:>9}"


def _measured(entry: BenchEntry) -> str:
    return "" if entry.held_out is None else _quality(entry.held_out)


def _quality(quality: BenchQuality) -> str:
    parts = []
    if "all" in quality.fidelity:
        parts.append(f"right {quality.fidelity['all'].shown('.1%')}")
    for name in ("frechet", "distance", "damage"):
        estimate: Estimate | None = getattr(quality, name)
        if estimate is not None:
            parts.append(f"{_CHOSEN_BY[name]} {estimate.shown('.3g')}")
    return "  ".join(parts)


def _versus(finalist: BenchFinalist) -> str:
    comparison = finalist.comparison
    if comparison is None:
        return ""
    parts = []
    if comparison.fidelity is not None and comparison.p is not None:
        parts.append(f"right {comparison.fidelity.shown('+.1%')}, p {comparison.p:.2g}")
    if comparison.criterion is not None and finalist.criterion != "fidelity":
        parts.append(f"{_CHOSEN_BY[finalist.criterion]} {comparison.criterion.shown('+.3g')}")
    return f"  | minus {comparison.rival}: {'; '.join(parts)}"
