"""The conditions of searches and validations: from prompt files and captions, never the same for both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from compute.config.errors import ConfigError
from compute.models.mini.scenes.scene import captions
from compute.models.model import Model
from compute.recommend.evaluation_conditions import search_conditions, unseen_conditions
from store.records import Condition
from store.sweep_store import SweepStore
from tests.recommend.validations import DROP_TWO, policy_for


def test_captions_of_a_split_are_not_those_of_the_search(model: Model) -> None:
    seen = captions("held-out", 20, 2)[:5]
    policy = policy_for(model, DROP_TWO, prompts=seen)
    evaluation = unseen_conditions(policy, model.source, prompts=None, seeds=None, split="held-out", count=15)
    conditions = evaluation.conditions
    assert not {condition.prompt for condition in conditions} & set(seen)
    assert len(conditions) == 15 and len({condition.seed for condition in conditions}) == 15
    assert {condition.guidance for condition in conditions} == {policy.guidance}
    assert (evaluation.prompts, evaluation.seeds) == (
        "glide-mini's held-out split",
        "2000000 to 2000014, one a prompt",
    )


def test_every_line_of_a_file_is_run_with_every_seed(model: Model, tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("a cat on a blue background\n\na key on a red background\n")
    policy = policy_for(model, DROP_TWO)
    given = unseen_conditions(policy, model.source, prompts=file, seeds="4,9", split="held-out", count=64)
    assert [(condition.prompt[:5], condition.seed) for condition in given.conditions] == [
        ("a cat", 4),
        ("a cat", 9),
        ("a key", 4),
        ("a key", 9),
    ]
    assert (given.prompts, given.seeds) == ("2 prompts of a file", "4, 9")
    default = unseen_conditions(policy, model.source, prompts=file, seeds=None, split="held-out", count=64)
    assert (len(default.conditions), default.seeds) == (16, "0 to 7")
    many = unseen_conditions(
        policy, model.source, prompts=file, seeds=",".join(map(str, range(0, 999, 3))), split="", count=1
    )
    assert many.seeds == "333 between 0 and 996", "a policy holds it, in at most 200 characters"


@pytest.mark.parametrize(
    ("lines", "seeds", "split", "message"),
    [
        (None, "3", "held-out", "--seeds: belongs to --prompts"),
        (None, None, "test", "--split: 'test' is no split; accepted: train, held-out"),
        ("a cat\na cat\n", "3", "held-out", "a prompt and seed are given twice; each pair is run once"),
        ("a cat\n", "3,3", "held-out", "a prompt and seed are given twice; each pair is run once"),
        ("a cat\n", "x", "held-out", "--seeds: 'x' is not understood"),
        ("a cat\n", "", "held-out", "--seeds: '' is not understood"),
        ("a cat\n", "-1", "held-out", "--seeds: '-1': seeds from 0 to"),
        ("a cat\n", str(2**63), "held-out", "seeds from 0 to"),
        ("a cat\nb\n", "0:1000000", "held-out", "2 prompts of 1000000 seeds each are too many"),
        ("\n", "3", "held-out", "holds no prompt"),
        ("", "3", "held-out", "holds no prompt"),
    ],
)
def test_options_that_give_no_conditions(
    model: Model, tmp_path: Path, lines: str | None, seeds: str | None, split: str, message: str
) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text(lines or "")
    prompts = None if lines is None else file
    policy = policy_for(model, DROP_TWO)
    with pytest.raises(ConfigError) as refusal:
        unseen_conditions(policy, model.source, prompts=prompts, seeds=seeds, split=split, count=3)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_too_few_unseen_captions_are_refused(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "compute.recommend.evaluation_conditions.captions", lambda _, count, seed: ["a", "b", "a", "c"] * count
    )
    policy = policy_for(model, DROP_TWO, prompts=["a", "b"])
    evaluation = unseen_conditions(policy, model.source, prompts=None, seeds=None, split="held-out", count=30)
    assert [condition.prompt for condition in evaluation.conditions] == ["c"] * 30
    all_seen = policy_for(model, DROP_TWO, prompts=["a", "b", "c"])
    with pytest.raises(
        ConfigError, match=r"^--count: the search has seen most held-out captions; 0 others were found$"
    ):
        unseen_conditions(all_seen, model.source, prompts=None, seeds=None, split="held-out", count=3)


def test_a_search_and_its_validation_sample_different_pictures(model: Model, finished_sweep: SweepStore) -> None:
    searched = search_conditions(finished_sweep, prompts=None, seeds=None, split="held-out", count=20)
    assert searched is not None and len(set(searched)) == 20
    policy = policy_for(model, DROP_TWO, prompts=[condition.prompt for condition in searched])
    evaluation = unseen_conditions(policy, model.source, prompts=None, seeds=None, split="held-out", count=20)
    validated = evaluation.conditions
    assert not {condition.prompt for condition in searched} & {condition.prompt for condition in validated}
    assert not {condition.seed for condition in searched} & {condition.seed for condition in validated}


def test_the_conditions_of_a_search(finished_sweep: SweepStore, tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("a fox on a pink background\n")
    assert search_conditions(finished_sweep, prompts=None, seeds=None, split="held-out", count=None) is None
    own = search_conditions(finished_sweep, prompts=file, seeds="2,7", split="held-out", count=None)
    assert own == tuple(Condition(prompt="a fox on a pink background", seed=seed, guidance=3.0) for seed in (2, 7))
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"prompts": file, "count": 3}, "--prompts, --count: give one of the two"),
        ({"seeds": "3"}, "--seeds: belongs to --prompts"),
        ({"count": 3, "split": "test"}, "--split: 'test' is no split"),
        ({"count": 3, "seeds": "1"}, "--seeds: belongs to --prompts"),
    ]
    for change, message in wrong:
        with pytest.raises(ConfigError, match=message):
            search_conditions(
                finished_sweep, **{"prompts": None, "seeds": None, "split": "held-out", "count": None, **change}
            )
