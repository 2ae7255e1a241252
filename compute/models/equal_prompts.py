"""Prompts that are the same to a model: its tokenizers make the same tokens of them, as far as it reads."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

from compute.models.long_prompts import has_limit
from compute.pipeline.call import CallError
from store.errors import SkipscopeError


def token_key(components: Mapping[str, Any]) -> Callable[[str], Hashable]:
    """Return a function whose values are equal for prompts that are the same to a pipeline with these parts.

    White space, case and Unicode forms often change no token, and what lies behind the text encoder's context is cut. A
    prompt that cannot be read is the same as itself alone; so is every prompt of a pipeline without a tokenizer.
    """
    tokenizers = [part for name, part in components.items() if name.startswith("tokenizer") and callable(part)]
    own = getattr(components.get("text_encoder"), "tokenize", None)  # GLIDE's

    def key(prompt: str) -> Hashable:
        if tokenizers:
            return tuple(_tokens(tokenizer, prompt) for tokenizer in tokenizers)
        if own is None:
            return prompt
        try:
            return tuple(tuple(part.flatten().tolist()) for part in own([prompt]))
        except SkipscopeError:
            return prompt

    return key


def check_different(components: Mapping[str, Any], prompts: Iterable[str], field: str) -> None:
    """Raise CallError, which names `field` and both, for two prompts that are the same to a pipeline."""
    key = token_key(components)
    seen: dict[Hashable, str] = {}
    for prompt in dict.fromkeys(prompts):
        other = seen.setdefault(key(prompt), prompt)
        if other != prompt:
            raise CallError(
                f"{field}: {_short(other)} and {_short(prompt)} are the same to the model, whose tokenizer makes the "
                "same tokens of both: give one of them"
            )


def _tokens(tokenizer: Any, prompt: str) -> tuple[int, ...]:
    limit = {"truncation": True, "max_length": tokenizer.model_max_length} if has_limit(tokenizer) else {}
    return tuple(tokenizer(prompt, verbose=False, **limit)["input_ids"])


def _short(prompt: str) -> str:
    text = repr(prompt)
    return text if len(text) <= 80 else f"{text[:60]}…{text[-18:]}"
