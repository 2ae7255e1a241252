"""The bench from a configuration to a report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from compute.policy.bench_report import BenchEntry, BenchReport
from compute.recommend.bench.bench import Bench
from compute.recommend.bench.engine import Engine
from store.folder.files import write_temporary
from tests.recommend.bench.conftest import bench_of
from tests.sweep.conftest import tiny_model  # noqa: F401  (a fixture)

Finished = tuple[Bench, BenchReport]


def without_times(report: BenchReport) -> dict[str, Any]:
    """A report's content without what no two runs share."""

    def cleaned(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: cleaned(part) for key, part in value.items() if key not in ("seconds", "provenance", "timing")}
        return [cleaned(part) for part in value] if isinstance(value, list) else value

    document: dict[str, Any] = cleaned(report.model_dump(mode="json"))
    return document


def test_every_contestant_was_measured_on_the_calibration_prompts(finished: Finished) -> None:
    _, report = finished
    assert [entry.label for entry in report.entries] == [
        *("DDPM 2", "DDPM 3", "DDIM 1", "DDIM 2", "DDIM 3", "DeepCache 3 interval=2 branch=0"),
    ]
    for entry in report.entries:
        assert set(entry.calibration.fidelity) == {"objects", "relation", "background", "all"}
        assert entry.calibration.frechet is not None and entry.calibration.seconds > 0
        assert (entry.calibration.distance is not None) == (entry.group != "DDPM")
        assert (entry.track == "SDE") == (entry.group == "DDPM")
    assert report.entry("DDIM 2").evaluations == pytest.approx(2)
    cached = report.entry("DeepCache 3 interval=2 branch=0")
    assert 2 < cached.evaluations < 3 and cached.full == "DDIM 3"
    assert cached.calibration.damage is not None and cached.calibration.damage.mean > 0
    assert report.entry("DDIM 3").calibration.damage is None


def test_the_best_of_each_group_is_reported_on_other_prompts(finished: Finished) -> None:
    bench, report = finished
    labels = {finalist.label for finalist in report.finalists}
    for entry in report.entries:
        assert (entry.held_out is not None) == (entry.label in labels) == (entry.seconds is not None)
    assert not {c.prompt for c in bench.calibration} & {c.prompt for c in bench.held_out}
    assert not {c.seed for c in bench.calibration} & {c.seed for c in bench.held_out}
    by_level: dict[tuple[str, float, str], list[str]] = {}
    for finalist in report.finalists:
        by_level.setdefault((finalist.unit, finalist.level, finalist.criterion), []).append(finalist.group)
    assert by_level["evaluations", 2, "frechet"] == ["DDPM", "DDIM"]
    assert by_level["evaluations", 3, "distance"] == ["DDIM", "DeepCache"]
    assert by_level["speedup", 1.2, "damage"] == ["DeepCache"]
    assert all(len(set(groups)) == len(groups) for groups in by_level.values())


def test_the_rival_of_a_level_is_its_best_and_all_others_are_compared_with_it(finished: Finished) -> None:
    _, report = finished
    levels = {(f.unit, f.level, f.criterion) for f in report.finalists}
    for level in levels:
        rows = [f for f in report.finalists if (f.unit, f.level, f.criterion) == level]
        (rival,) = [f for f in rows if f.comparison is None]
        sign = -1 if rival.criterion == "fidelity" else 1
        values = {f.label: sign * (report.entry(f.label).calibration.value(f.criterion) or 0) for f in rows}
        assert values[rival.label] == min(values.values())
        for row in rows:
            if row.comparison is not None:
                assert row.comparison.rival == rival.label
                assert row.comparison.criterion is not None
                assert row.comparison.fidelity is not None and row.comparison.p is not None


def test_lines_to_read_it_by(finished: Finished) -> None:
    _, report = finished
    assert set(report.lines) == {"another seed", "bfloat16", "real scenes"}
    other, rounded, real = (report.lines[name] for name in ("another seed", "bfloat16", "real scenes"))
    assert other.damage is not None and other.damage.mean == 1
    assert rounded.damage is not None and 0 < rounded.damage.mean < 1
    assert real.fidelity["all"].mean > 0.7, "the judge reads rendered scenes"


def test_the_report_is_read_back(finished: Finished) -> None:
    bench, report = finished
    assert BenchReport.load(bench.out / "bench.json") == report


def test_an_interrupted_bench_goes_on_and_ends_as_one_that_was_not(
    finished: Finished,
    tiny_model: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Stopped after every third batch, again and again; the report is that of the bench that ran at once."""
    sampled: list[tuple[str, int]] = []
    whole = Engine._sample

    def stopping(engine: Engine, policy: Any, conditions: Any) -> Any:
        if len(sampled) % 4 == 3:
            sampled.append(("stopped", 0))
            raise KeyboardInterrupt
        sampled.append((policy.digest + str(engine.model.dtype), conditions[0].seed))
        return whole(engine, policy, conditions)

    monkeypatch.setattr(Engine, "_sample", stopping)
    report = None
    for _ in range(40):
        try:
            report = bench_of(tiny_model, tmp_path / "out").run()
            break
        except KeyboardInterrupt:
            write_temporary(
                tmp_path / "out" / "outcomes" / ("0" * 64 + ".outcome"), b"half a file, as a kill leaves it"
            )
    assert report is not None and without_times(report) == without_times(finished[1])
    made = [item for item in sampled if item != ("stopped", 0)]
    assert len(made) < len(sampled) and len(set(made)) == len(made), "nothing is run twice"


def test_a_finished_bench_runs_nothing_again(
    finished: Finished,
    tiny_model: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench, report = finished
    monkeypatch.setattr(Engine, "pictures", lambda *_: pytest.fail("pictures were sampled"))
    again = bench_of(tiny_model, bench.out).run()
    assert again == report


def test_selection_does_not_see_the_held_out_prompts(
    finished: Finished,
    tiny_model: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    """With other held-out prompts the same contestants are chosen, by the same calibration numbers."""
    other = {"prompts": {"split": "held-out", "count": 6, "seed": 44}, "first_seed": 5000}
    report = bench_of(tiny_model, tmp_path / "out", held_out=other).run()

    def chosen(of: BenchReport) -> list[Any]:
        return [(f.level, f.unit, f.criterion, f.label, f.comparison and f.comparison.rival) for f in of.finalists]

    def numbers(of: BenchReport) -> list[Any]:
        return [entry.calibration.model_dump(exclude={"seconds"}) for entry in of.entries]

    assert chosen(report) == chosen(finished[1])
    assert numbers(report) == numbers(finished[1])
    pairs: list[tuple[BenchEntry, BenchEntry]] = list(zip(report.entries, finished[1].entries, strict=True))
    assert any(a.held_out and b.held_out and a.held_out.frechet != b.held_out.frechet for a, b in pairs)
