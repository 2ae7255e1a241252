"""Prompts that are longer than the text encoder's context are named before a sweep, once."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from compute.models.long_prompts import LongPrompts, long_prompts, without_repeated_warnings
from compute.sweep.launch import sweep
from tests.pipeline.tiny_pipelines import stable_diffusion, tokenizer
from tests.sweep.small_config import write_config

FITS = "a cat on grass on a"  # six words, and the marks of beginning and end
LONG = "a cat on grass on a dog"
LONGER = "a cat on grass " * 20


class NoTokenizer:
    """A component that must not be called."""

    model_max_length = 2


class Unlimited:
    """A tokenizer that was saved without a limit."""

    model_max_length = int(1e30)


def test_the_fixture_is_at_the_limit() -> None:
    assert tokenizer().model_max_length == 8
    assert [len(tokenizer()(prompt)["input_ids"]) for prompt in (FITS, LONG)] == [8, 9]


def test_prompts_at_the_limit_are_read_whole(capfd: pytest.CaptureFixture[str]) -> None:
    assert long_prompts({"tokenizer": tokenizer()}, ["a cat", FITS, ""]) is None
    found = long_prompts({"tokenizer": tokenizer()}, ["a cat", LONG, FITS, LONGER, LONG])
    assert found == LongPrompts(prompts=(LONG, LONGER), count=4, context=8)
    assert capfd.readouterr().err == "", "the tokenizer's own warning is not shown"


@pytest.mark.parametrize(
    "components",
    [
        {},
        {"text_encoder": NoTokenizer()},
        {"tokenizer": None},
        {"tokenizer": object()},
        {"tokenizer_2": Unlimited()},
        {"tokenizer": type("Float", (), {"model_max_length": 1e30})()},
    ],
)
def test_components_without_a_limit_are_passed_over(components: dict[str, Any]) -> None:
    assert long_prompts(components, [LONGER]) is None
    assert long_prompts({**components, "tokenizer_3": tokenizer()}, [LONGER]) is not None


def test_the_line() -> None:
    one = LongPrompts(prompts=(LONG,), count=6, context=77)
    assert str(one) == (
        "prompts: 1 of 6 is longer than the 77 tokens that the text encoder reads, and is cut; "
        "the first: 'a cat on grass on a dog'"
    )
    two = str(LongPrompts(prompts=(LONGER, LONG), count=6, context=77))
    assert two.startswith("prompts: 2 of 6 are longer than the 77 tokens that the text encoder reads, and are cut; ")
    assert two.endswith("the first: 'a cat on grass a cat on grass a cat on grass a cat on grass…'")
    assert "\n" not in str(LongPrompts(prompts=("a\nb",), count=1, context=1))


def test_what_the_libraries_cut_otherwise_is_still_logged(caplog: pytest.LogCaptureFixture) -> None:
    pipe = stable_diffusion()
    logger = logging.getLogger(type(pipe).__module__)
    filters = list(logger.filters)
    with without_repeated_warnings(pipe, ["a cat", LONG]):
        logger.warning("The following part of your input was truncated because CLIP can only read 8 tokens")
        logger.warning("another warning")
    with without_repeated_warnings(pipe, ["a cat"]):
        logger.warning("Your input was truncated because of a negative prompt")
    logger.warning("The following part of your input was truncated because nobody filters now")
    messages = [record.getMessage() for record in caplog.records]
    assert [message.split()[-1] for message in messages] == ["warning", "prompt", "now"]
    assert logger.filters == filters


def test_a_sweep_says_it_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    stable_diffusion().save_pretrained(tmp_path / "model")
    config = write_config(
        tmp_path / "config.yaml",
        tmp_path / "model",
        sampler={"name": "DDIMScheduler", "num_inference_steps": 2},
        call={"height": 16, "width": 16},
        prompts=["a cat", LONG],
        seeds=[0, 1],
        components=["mid_block.*"],
        windows={"count": 1},
        actions=["bypass"],
        conditions_per_unit=4,
        metrics=["mse"],
    )
    capfd.readouterr()
    assert sweep(config, tmp_path / "store", address="serial").failed == 0
    lines = capfd.readouterr().err.splitlines()
    assert [line for line in lines if "longer" in line or "truncated" in line] == [
        f"prompts: 1 of 2 is longer than the 8 tokens that the text encoder reads, and is cut; the first: {LONG!r}"
    ]
    assert lines[0].startswith("prompts: "), "before anything else"
