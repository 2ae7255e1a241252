"""What is wrong with a condition shows before anything is written; a plan that failed is forgotten with its cause."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from compute.config.errors import ConfigError
from compute.models.glide.text_transformer import TextTransformer
from compute.models.unreadable_prompts import check_prompts, unreadable_prompts
from compute.sweep.worker.worker import Worker
from store.sweep_store import SweepStore
from tests.cli.conftest import commands, write  # noqa: F401  (fixtures)
from tests.cli.fork_server import ForkServer
from tests.cli.outcomes import assert_refused, nothing_written
from tests.sweep.conftest import tiny_model  # noqa: F401  (fixture)
from tests.sweep.run_sweep import launch

GOOD = ["a cat on a blue background", "a key on a red background"]
UNKNOWN, LONG = "a zebra on a blue background", "a " * 16 + "cat"


def fails_for(word: str) -> Callable[..., None]:
    """What a worker's `compute` does for a condition that is found to be impossible only when it is run."""
    compute = Worker.compute

    def compute_or_fail(self: Worker, unit: object) -> object:
        if any(word in condition.prompt for condition in unit.conditions):  # type: ignore[attr-defined]
            raise ValueError(f"no {word}")
        return compute(self, unit)  # type: ignore[arg-type]

    return compute_or_fail  # type: ignore[return-value]


@pytest.mark.parametrize("more", [["--dry-run"], ["--address", "serial"]])
def test_every_unreadable_prompt_is_named(
    write: Callable[..., Path],  # noqa: F811
    commands: ForkServer,  # noqa: F811
    tmp_path: Path,
    more: list[str],
) -> None:
    config = write(prompts=[GOOD[0], UNKNOWN, GOOD[1], LONG])
    with nothing_written(tmp_path):
        result = commands.run("sweep", config, "--store", tmp_path / "store", *more)
    assert_refused(
        result,
        "prompts: 'a zebra on a blue background': this model does not know the word 'zebra'; near: ",
        "prompts: 'a a a a a a a a a a a a a a a a cat': has 17 words, this model reads 16",
    )


def test_a_tokenizer_that_refuses_a_prompt_is_quoted() -> None:
    def tokenizer(prompt: str, **_: object) -> object:
        prompt.encode()
        return {}

    parts = {"tokenizer": tokenizer, "tokenizer_2": None, "unet": object()}
    assert unreadable_prompts(parts, ["good", "a \ud800", "good"]).keys() == {"a \ud800"}
    with pytest.raises(ConfigError, match="the tokenizer refuses it: 'utf-8' codec can't encode"):
        check_prompts(parts, ["a \ud800"])


def test_a_glide_with_a_tokenizer_needs_no_words_of_its_own() -> None:
    """As converted from OpenAI's checkpoints."""
    text = TextTransformer(vocabulary=8, length=4, width=8, layers=1, heads=2, pooled=8)
    assert unreadable_prompts({"text_encoder": text, "tokenizer": lambda *_, **__: {}}, ["a corgi"]) == {}
    assert unreadable_prompts({"text_encoder": text, "tokenizer": None}, ["a corgi"]).keys() == {"a corgi"}


def test_many_unreadable_prompts_are_counted() -> None:
    def refuse(*_: object, **__: object) -> None:
        raise TypeError

    with pytest.raises(ConfigError) as error:
        check_prompts({"tokenizer": refuse}, [f"prompt {number}" for number in range(50)], "--prompts")
    lines = str(error.value).splitlines()
    assert len(lines) == 21 and lines[-1] == "--prompts: 30 more cannot be read either"


def test_a_failed_plan_is_forgotten_when_it_is_no_longer_asked_for(
    write: Callable[..., Path],  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Here one prompt of two in a batch fails when it is run, so its whole batch does."""
    small = {"components": ["unet"], "actions": ["reuse"], "windows": [[2, 4]], "retries": 0}
    store = tmp_path / "store"
    with monkeypatch.context() as patch:
        patch.setattr(Worker, "compute", fails_for("key"))
        result = launch.sweep(write(prompts=GOOD, **small), store, address="serial")
        assert (result.executed, result.failed) == (0, 4)
        result = launch.sweep(write(prompts=GOOD, **small), store, address="serial")  # asked for again: tried again
        assert result.failed == 4
    corrected = write(prompts=GOOD[:1], **small)
    result = launch.sweep(corrected, store, address="serial")
    assert (result.executed, result.failed) == (4, 0)
    opened = SweepStore.open(store)
    assert opened.failures() == {}
    assert opened.status_counts().planned == opened.status_counts().done == 4
    result = launch.sweep(write(prompts=GOOD, **small), store, address="serial")
    assert (result.executed, result.resumed, result.failed) == (4, 4, 0)
