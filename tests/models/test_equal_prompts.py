"""Prompts are different conditions only where the model's tokenizer makes different tokens of them."""

from __future__ import annotations

from typing import Any

import pytest

from compute.models.equal_prompts import check_different, token_key
from compute.models.loading import load_model
from compute.pipeline.call import CallError
from tests.pipeline.tiny_pipelines import tokenizer

SAME = [
    ("a cat", "A Cat"),
    ("a cat", "a   cat"),
    ("a cat", "  a cat "),
    ("a caf\u00e9 cat", "a cafe\u0301 cat"),
    ("a cat on a dog on a cat on grass", "a cat on a dog on a cat on a dog"),  # only the beginning fits
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_prompts_with_the_same_tokens_are_refused_by_name(one: str, other: str) -> None:
    components = {"tokenizer": tokenizer(), "unet": None}
    with pytest.raises(CallError) as caught:
        check_different(components, ["a dog", one, one, other], "prompts")
    line = str(caught.value)
    assert line.startswith(f"prompts: {one!r} and {other!r} are the same to the model") and "\n" not in line


def test_other_tokens_are_other_prompts() -> None:
    prompts = ["a cat", "a dog", "cat a", "a", ""]
    check_different({"tokenizer": tokenizer()}, prompts, "prompts")
    key = token_key({"tokenizer": tokenizer()})
    assert len(set(map(key, prompts))) == len(prompts)


def test_each_of_several_tokenizers_counts() -> None:
    class Letters:
        model_max_length = 1 << 40

        def __call__(self, text: str, **_: Any) -> dict[str, list[int]]:
            return {"input_ids": [ord(letter) for letter in text]}

    check_different({"tokenizer": tokenizer(), "tokenizer_2": Letters()}, ["a cat", "A cat"], "prompts")


def test_a_pipeline_without_a_tokenizer_tells_texts_apart() -> None:
    check_different({"unet": None}, ["a cat", "A cat"], "prompts")


def test_glides_own_tokens_count() -> None:
    components = load_model("glide-mini").pipe.components
    with pytest.raises(CallError, match="are the same to the model"):
        check_different(components, ["a cat on a blue background", "a cat  on a blue background"], "prompts")
    check_different(components, ["a cat on a blue background", "a dragonfruit", "a Dragonfruit"], "prompts")
