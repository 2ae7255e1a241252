"""From a configuration to a validated policy and a picture, with nothing but `skipscope`'s names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import skipscope
from tests.sweep.conftest import tiny_model  # noqa: F401  (a fixture)
from tests.sweep.small_config import CONFIG

Swept = tuple[Path, skipscope.SweepResult]
UNSEEN = ["a fox on a green background", "a star on a white background"]


@pytest.fixture(scope="module")
def config(tiny_model: Path) -> dict[str, Any]:  # noqa: F811
    torch.set_num_threads(1)
    return {"model": str(tiny_model), **CONFIG}


@pytest.fixture(scope="module")
def swept(config: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Swept:
    """A finished sweep, and how it ended."""
    store = tmp_path_factory.mktemp("functions") / "store"
    return store, skipscope.sweep(skipscope.SweepConfig.model_validate(config), store, address="serial")


@pytest.fixture(scope="module")
def policy(swept: Swept) -> skipscope.SkipPolicy:
    return skipscope.recommend(swept[0], max_damage=900)


def test_a_sweep_is_started_and_resumed(
    swept: Swept,
    config: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store, result = swept
    assert (result.failed, result.resumed) == (0, 0) and result.executed > 0
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(config))
    assert skipscope.load_config(str(file)) == skipscope.SweepConfig.model_validate(config)
    again = skipscope.sweep(str(file), str(store), address="serial")
    assert (again.executed, again.resumed, again.failed) == (0, result.executed, 0)
    assert "left out: " in capsys.readouterr().err


def test_a_prompt_file_is_relative_to_the_configuration(config: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("\n".join(config["prompts"]))
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump({**config, "prompts": {"file": "prompts.txt"}}))
    assert skipscope.sweep(file, tmp_path / "store", address="serial").failed == 0
    table = skipscope.SweepReader(tmp_path / "store").table()
    assert set(table["prompt"]) == set(config["prompts"])


def test_bad_input_is_a_skipscope_error_and_writes_nothing(config: dict[str, Any], tmp_path: Path) -> None:
    good = skipscope.SweepConfig.model_validate(config)
    for change, address, message in (
        ({"model": str(tmp_path / "nowhere")}, "serial", "is no pipeline"),
        ({}, "nowhere:port", "--address"),
    ):
        with pytest.raises(skipscope.SkipscopeError, match=message):
            skipscope.sweep(good.model_copy(update=change), tmp_path / "store", address=address)
    assert not (tmp_path / "store").exists()


def test_a_policy_is_recommended(policy: skipscope.SkipPolicy, swept: Swept) -> None:
    assert policy.rules and policy.validation is None
    assert policy.prediction is not None and set(policy.prediction.prompts) == set(CONFIG["prompts"])
    more = skipscope.recommend(swept[0], min_speedup=1.01, prompts=UNSEEN, seeds=[7, 8], metric="rel_l2")
    assert more.prediction is not None
    assert (more.prediction.conditions, more.prediction.metric) == (4, "rel_l2")
    assert set(more.prediction.prompts) == {*CONFIG["prompts"], *UNSEEN}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "give one of the two"),
        ({"max_damage": 1, "min_speedup": 2}, "give one of the two"),
        ({"max_damage": -1}, "is not understood"),
        ({"max_damage": 1, "prompts": "prompts.txt"}, "give a list of prompts, or the Path"),
        ({"max_damage": 1, "prompts": []}, "give a list of prompts, or the Path"),
        ({"max_damage": 1, "prompts": UNSEEN, "seeds": [-1]}, "seeds from 0 to"),
        ({"max_damage": 1, "seeds": [1]}, "belongs to --prompts"),
    ],
)
def test_a_wrong_question_for_a_policy(arguments: dict[str, Any], message: str, swept: Swept) -> None:
    with pytest.raises(skipscope.SkipscopeError, match=message):
        skipscope.recommend(swept[0], **arguments)


def test_a_policy_is_validated(policy: skipscope.SkipPolicy) -> None:
    checked = skipscope.validate(policy, prompts=UNSEEN, seeds=range(2), batch=2)
    assert checked.rules == policy.rules and checked.validation is not None
    assert (checked.validation.conditions, checked.validation.prompts) == (4, "2 prompts")
    assert checked.validation.seeds == "0, 1"
    assert skipscope.validate(policy, count=2).validation is not None
    with pytest.raises(skipscope.SkipscopeError, match="took part in the search"):
        skipscope.validate(policy, prompts=CONFIG["prompts"][:1], seeds=[11])


def test_a_policy_is_applied(policy: skipscope.SkipPolicy, tiny_model: Path, tmp_path: Path) -> None:  # noqa: F811
    policy.save(tmp_path / "policy.json")
    pipe = skipscope.load_model(str(tiny_model)).pipe
    with skipscope.applied(skipscope.SkipPolicy.load(tmp_path / "policy.json"), pipe):
        picture = pipe("a cat", num_inference_steps=policy.sampler.steps).images[0]
    assert np.asarray(picture).shape == (16, 16, 3)
    assert skipscope.read_graph(pipe.unet) == skipscope.read_graph(skipscope.load_model(str(tiny_model)).unet)
