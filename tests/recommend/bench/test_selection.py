"""The choice of finalists, from numbers alone."""

from __future__ import annotations

from typing import Any

import pytest

from compute.config.bench_schema import BenchConfig
from compute.config.errors import ConfigError
from compute.policy.bench_report import BenchEntry, BenchQuality
from compute.recommend.bench.selection import check_budgets, choices
from compute.statistics.estimate import Estimate
from tests.recommend.bench.conftest import SETTINGS


def exactly(value: float) -> Estimate:
    return Estimate(mean=value, low=value, high=value)


def entry(label: str, evaluations: float, right: float | None = None, seconds: float = 1.0, **more: Any) -> BenchEntry:
    """A contestant with numbers on the calibration prompts; its group is the first word of its label."""
    measured = {name: exactly(value) for name, value in more.items() if name != "full"}
    fidelity = {} if right is None else {"all": exactly(right)}
    return BenchEntry(
        label=label,
        group=label.split()[0],
        track="ODE",
        sampler="ddim",
        steps=5,
        evaluations=evaluations,
        policy="0" * 64,
        full=more.get("full"),
        calibration=BenchQuality(seconds=seconds, fidelity=fidelity, **measured),
    )


def config(**changes: Any) -> BenchConfig:
    return BenchConfig.model_validate({**SETTINGS, "speedups": (), **changes})


ENTRIES = (
    entry("A 4", 4, 0.5, frechet=6),
    entry("A 5", 5, 0.7, frechet=3),
    entry("A 6", 6, 0.6, frechet=2.5),
    entry("B 5", 5, 0.8, frechet=3.2),
    entry("recommended x", 4.5, 0.9, frechet=1),
)


def chosen(entries: tuple[BenchEntry, ...], **changes: Any) -> dict[tuple[float, str], tuple[list[str], str | None]]:
    made = choices(config(**changes), entries, {})
    keys = [(c.finalists[0].level, c.finalists[0].criterion) for c in made]
    return {key: ([f.label for f in c.finalists], c.rival) for key, c in zip(keys, made, strict=True)}


def test_the_best_of_each_group_within_a_budget_and_the_best_of_the_others_as_rival() -> None:
    found = chosen(ENTRIES, budgets=(5, 6))
    assert found == {
        (5, "fidelity"): (["A 5", "B 5", "recommended x"], "B 5"),
        (5, "frechet"): (["A 5", "B 5", "recommended x"], "A 5"),
        (6, "fidelity"): (["A 5", "B 5", "recommended x"], "B 5"),
        (6, "frechet"): (["A 6", "B 5", "recommended x"], "A 6"),
    }


def test_a_budget_is_kept_to_the_last_bit() -> None:
    found = chosen((entry("A 1", 5.0000001, 0.5), entry("A 2", 5.1, 0.9)), budgets=(5,))
    assert found == {(5, "fidelity"): (["A 1"], "A 1")}


def test_of_equal_contestants_the_cheaper_is_chosen() -> None:
    found = chosen((entry("A 5", 5, 0.5), entry("A 4", 4, 0.5)), budgets=(5,))
    assert found[5, "fidelity"][0] == ["A 4"]


def test_what_was_not_measured_does_not_count() -> None:
    found = chosen((entry("A 5", 5, distance=0.4), entry("B 5", 5)), budgets=(5,))
    assert found == {(5, "distance"): (["A 5"], "A 5")}


def test_held_out_numbers_are_not_looked_at() -> None:
    """The worst on the calibration prompts has the best numbers on the others, and is not chosen."""
    best = BenchQuality(seconds=0.001, fidelity={"all": exactly(1.0)}, frechet=exactly(0.0))
    peeking = tuple(
        e.model_copy(update={"held_out": best, "seconds": 0.001}) if e.label in ("A 4", "A 6") else e for e in ENTRIES
    )
    assert chosen(peeking, budgets=(5, 6)) == chosen(ENTRIES, budgets=(5, 6))


def test_a_speedup_is_over_full_compute_by_the_same_sampler() -> None:
    entries = (
        entry("C fast", 5, full="A 10", damage=0.3),
        entry("C slow", 8, full="A 10", damage=0.1),
        entry("C other", 2, full="A 5", damage=0.0),
        entry("A 10", 10),
    )
    made = choices(config(budgets=(20,), speedups=(1.2, 2.0)), entries, {"A 10": 10.0, "A 5": 5.0})
    found = {(c.finalists[0].level, c.finalists[0].full): c.finalists[0].label for c in made}
    assert found == {
        (1.2, "A 10"): "C slow",
        (2.0, "A 10"): "C fast",
        (1.2, "A 5"): "C other",
        (2.0, "A 5"): "C other",
    }


def test_budgets_that_nothing_keeps() -> None:
    with pytest.raises(ConfigError, match=r"^budgets.1: no contestant .* 2 evaluations; the least is 4 \(A\)"):
        check_budgets(config(budgets=(4.0, 2.0)), {"A": 4.0, "B": 5.0})
    with pytest.raises(ConfigError, match=r"^seconds: 0.5: no contestant .* takes 1 s a picture \(A 4\)"):
        choices(config(seconds=(0.5,)), ENTRIES, {})
