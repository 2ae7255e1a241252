"""What a search for a policy has used is not among the prompts that report on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from compute.config.errors import ConfigError
from compute.policy.quality import Prediction
from compute.policy.skip_policy import SkipPolicy
from compute.recommend.bench.bench import Bench
from compute.recommend.bench.conditions import bench_conditions
from compute.statistics.estimate import Estimate
from tests.recommend.bench.conftest import config_for

NOTHING = Estimate(mean=0.0, low=0.0, high=0.0)


def found_on(policy: SkipPolicy, *prompts: str) -> SkipPolicy:
    """The policy as a search on these prompts would have written it."""
    prediction = Prediction(metric="doubt", speedup=1.0, damage=NOTHING, conditions=1, prompts=prompts)
    return policy.model_copy(update={"prediction": prediction})


def test_captions_that_a_search_has_used_are_drawn_anew(finished: tuple[Bench, object]) -> None:
    bench, _ = finished
    used = bench.held_out[0].prompt
    policy = found_on(bench.contestants[0].policy, used)
    config = bench.config
    for policies, expected in (((), True), ((policy,), False)):
        _, held_out = bench_conditions(config, bench.model, None, Path(), policies)
        assert (used in [condition.prompt for condition in held_out]) is expected
        assert len(held_out) == config.held_out.prompts.count  # type: ignore[union-attr]


def test_listed_prompts_that_a_search_has_used_are_refused(finished: tuple[Bench, object], tmp_path: Path) -> None:
    bench, _ = finished
    used = "a cat on a blue background"
    config = config_for(Path(bench.config.model), held_out={"prompts": [used], "first_seed": 900})
    policy = found_on(bench.contestants[0].policy, used)
    with pytest.raises(
        ConfigError, match=r"held_out.prompts: 'a cat on a blue background' took part in the search for"
    ):
        bench_conditions(config, bench.model, None, tmp_path, [policy])
