"""Wrong configurations and wrong usage: exit status 2, a line for each mistake, no traceback, nothing written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.fork_server import ForkServer
from tests.cli.outcomes import assert_refused, nothing_written

MISTAKES: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"stepz": 3}, ("stepz: is no field; accepted: model, stage, sampler",)),
    (
        {"guidance": "much", "seeds": [], "windows": [[2, 1]]},
        ("guidance: Input should be a valid number", "seeds: Tuple should have at least", "window [2, 1) is empty"),
    ),
    ({"components": ["mid_block.resnet.0"]}, ("no component matches 'mid_block.resnet.0'; near names: mid_block",)),
    ({"components": ["kind:resnets"]}, ("no component matches 'kind:resnets'; the kinds here are resnet",)),
    ({"actions": [{"name": "bypass", "components": ["nowhere"]}]}, ("no component matches 'nowhere'",)),
    ({"actions": ["zero"], "components": ["unet"]}, ("actions: no selected component admits zero",)),
    ({"windows": [[0, 2], [3, 5]]}, ("windows.1: [3, 5) reaches beyond the 4 steps; 0 <= start < stop <= 4",)),
    ({"windows": {"count": 5}}, ("windows.count: 5 windows of 4 steps; at most 4",)),
    ({"prompts": {"file": "nowhere.txt"}}, ("prompts.file: ",)),
    ({"prompts": {"file": "empty.txt"}}, ("holds no prompt; write one a line",)),
    ({"prompts": ["a cat", "a cat"]}, ("a prompt occurs twice with the same seed",)),
    ({"metrics": ["mse", "beauty"]}, ("metrics: 'beauty' is not known; accepted are",)),
    ({"metrics": ["ssim", "haarpsi"], "model": "nowhere"}, ("model: 'nowhere' is no pipeline",)),
    ({"model": "x" * 5000}, ("model: ",)),
    ({"model": "~nobody-of-this-name/model"}, ("model: ",)),
    ({"sampler": {"name": "ddpm", "steps": 1001}}, ("sampler: steps is 1001; accepted is at most 1000",)),
    ({"seeds": "0:1000000"}, ("prompts, seeds: 3 prompts of 1000000 seeds",)),
    ({"gpus_per_worker": 1}, ("gpus_per_worker: 1 is asked for and this machine has no GPU",)),
]


@pytest.mark.parametrize(("changes", "messages"), MISTAKES, ids=[str(changes)[:60] for changes, _ in MISTAKES])
def test_a_wrong_configuration_is_refused(
    write: Callable[..., Path], commands: ForkServer, tmp_path: Path, changes: dict[str, Any], messages: tuple[str, ...]
) -> None:
    (tmp_path / "empty.txt").write_text("\n")
    config = write(**changes)
    with nothing_written(tmp_path):
        result = commands.run("sweep", config, "--store", tmp_path / "store", "--address", "serial")
    assert_refused(result, *messages)


@pytest.mark.parametrize("dry", [True, False])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read: No such file or directory"),
        ("prompts: [", "is not YAML in line"),
        ("", "holds no configuration"),
        ("#" * 2_000_000, "is larger than 1 MiB"),
        ("\udcff", "is not UTF-8 text"),
    ],
)
def test_a_file_without_a_configuration_is_refused(
    commands: ForkServer, tmp_path: Path, text: str | None, message: str, dry: bool
) -> None:
    config = tmp_path / "config.yaml"
    if text is not None:
        config.write_bytes(text.encode("utf-8", "surrogateescape"))
    with nothing_written(tmp_path):
        options = ["--dry-run"] if dry else []
        assert_refused(commands.run("sweep", config, "--store", tmp_path / "store", *options), message)


@pytest.mark.parametrize(
    "arguments",
    [
        ("swep",),
        ("sweep",),
        ("sweep", "a", "b", "--store", "c"),
        ("status", "--josn"),
        ("recommend",),
        ("validate",),
        ("validate", "a.json", "--jsno"),
    ],
)
def test_wrong_usage_is_refused(commands: ForkServer, arguments: tuple[str, ...]) -> None:
    assert_refused(commands.run(*arguments), "")


@pytest.mark.parametrize("dry", [True, False])
def test_prompts_that_are_the_same_to_the_model_are_refused(
    write: Callable[..., Path], commands: ForkServer, tmp_path: Path, dry: bool
) -> None:
    config = write(prompts=["a cat on a blue background", "a cat on a  blue background"])
    with nothing_written(tmp_path):
        result = commands.run(
            "sweep", config, "--store", tmp_path / "store", "--address", "serial", *(["--dry-run"] if dry else [])
        )
    assert_refused(result, "prompts: 'a cat on a blue background' and 'a cat on a  blue background' are the same to")
