"""A whole search on a tiny model: a policy for each budget, resumed without running anything twice."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from compute.policy.frontier_report import FrontierReport
from compute.policy.liveness import resolve
from compute.policy.skip_policy import SkipPolicy
from compute.recommend.bench.engine import Engine
from compute.recommend.frontier.recommend_frontier import recommend_frontier
from compute.recommend.recommender import Recommender
from store.errors import SkipscopeError
from store.records import Condition
from store.sweep_store import SweepStore
from tests.recommend.conftest import PROMPTS

CONDITIONS = [Condition(prompt=prompt, seed=seed, guidance=3.0) for prompt in PROMPTS for seed in (11, 12)]
BUDGETS = [3.0, 4.0]


def search(store: SweepStore, output: Path, samples: int = 60, metric: str | None = None) -> FrontierReport:
    torch.set_num_threads(1)
    return recommend_frontier(
        store, output, budgets=BUDGETS, conditions=CONDITIONS, samples=samples, metric=metric, report=lambda _: None
    )


@pytest.fixture(scope="module")
def found(finished_sweep: SweepStore, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, FrontierReport]:
    folder = tmp_path_factory.mktemp("frontier")
    return folder, search(finished_sweep, folder)


def test_each_budget_has_a_policy_within_it_that_fits_the_model(
    found: tuple[Path, FrontierReport], recommender: Recommender
) -> None:
    folder, report = found
    graph = recommender.model.graph
    assert [choice.budget for choice in report.choices] == BUDGETS
    for choice in report.choices:
        assert choice.file is not None
        policy = SkipPolicy.load(folder / choice.file)
        flops = resolve(graph, policy.schedule).total_flops / graph.total_flops
        assert flops == pytest.approx(report.candidate(choice.chosen).evaluations)
        assert flops <= choice.budget
        assert policy.prediction is not None
        assert set(PROMPTS) <= set(policy.prediction.prompts)


def test_what_is_chosen_is_no_worse_than_full_compute_on_the_searchs_conditions(
    found: tuple[Path, FrontierReport],
) -> None:
    _, report = found
    for choice in report.choices:
        chosen = report.candidate(choice.chosen)
        plain = [c for c in report.candidates if c.plain and c.evaluations <= choice.budget]
        assert chosen.loss.mean <= min(c.loss.mean for c in plain)
        assert choice.difference is None or choice.difference.mean <= 0


def test_a_search_that_is_given_again_runs_nothing_and_finds_the_same(
    found: tuple[Path, FrontierReport], finished_sweep: SweepStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, report = found

    def refuse(*_: object) -> None:
        raise AssertionError("a run")

    monkeypatch.setattr(Engine, "_sample", refuse)
    again = search(finished_sweep, folder)
    assert [(c.label, c.loss) for c in again.candidates] == [(c.label, c.loss) for c in report.candidates]
    assert [choice.chosen for choice in again.choices] == [choice.chosen for choice in report.choices]
    assert FrontierReport.load(folder / "frontier.json") == again


def test_too_few_samples_are_refused_before_anything_runs(finished_sweep: SweepStore, tmp_path: Path) -> None:
    with pytest.raises(SkipscopeError, match="--samples: too few: the search needs"):
        search(finished_sweep, tmp_path, samples=1)
    assert not list(tmp_path.glob("runs/*"))


def test_by_a_metric_solvers_without_fresh_noise_compete_by_their_distance_to_many_steps(
    finished_sweep: SweepStore, tmp_path: Path
) -> None:
    report = search(finished_sweep, tmp_path, samples=50, metric="mse")
    assert report.loss == "distance by mse"
    assert not any("DDPM" in candidate.label or "SDE" in candidate.label for candidate in report.candidates)
    assert all(candidate.loss.mean > 0 for candidate in report.candidates)
