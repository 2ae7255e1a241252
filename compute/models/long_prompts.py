"""Prompts that are longer than what a pipeline's text encoders read."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

_LONGEST_CONTEXT = 100_000
"""Tokenizers that were saved without a limit have one above this."""
_SHOWN = 60  # characters of a prompt
_WARNINGS = ("input was truncated because", "Token indices sequence length is longer")
"""What diffusers and transformers log of each call with a prompt that they cut."""


@dataclass(frozen=True, kw_only=True)
class LongPrompts:
    """Prompts of which a text encoder reads the beginning alone."""

    prompts: tuple[str, ...]
    """Those that are too long, in their order."""
    count: int
    """All prompts; one that occurs several times counts once."""
    context: int
    """The number of tokens that the text encoder reads, with the marks of beginning and end."""

    def __str__(self) -> str:
        are = "is" if len(self.prompts) == 1 else "are"
        return (
            f"prompts: {len(self.prompts)} of {self.count} {are} longer than the {self.context} tokens that the text "
            f"encoder reads, and {are} cut; the first: {shown(self.prompts[0])!r}"
        )


def long_prompts(components: Mapping[str, Any], prompts: Sequence[str]) -> LongPrompts | None:
    """Return which prompts are longer than a tokenizer's `model_max_length`; None where all are read whole.

    `components` are a pipeline's parts by name; its tokenizers are those whose names begin with "tokenizer". Of several
    the one that cuts most prompts is reported.
    """
    different = list(dict.fromkeys(prompts))
    found = [
        LongPrompts(prompts=cut, count=len(different), context=tokenizer.model_max_length)
        for name, tokenizer in components.items()
        if name.startswith("tokenizer") and has_limit(tokenizer)
        if (cut := tuple(prompt for prompt in different if _tokens(tokenizer, prompt) > tokenizer.model_max_length))
    ]
    return max(found, key=lambda long: len(long.prompts), default=None)


def shown(prompt: str) -> str:
    """Return a prompt as messages show it: its beginning, where it is long."""
    return prompt if len(prompt) <= _SHOWN else prompt[: _SHOWN - 1].rstrip() + "…"


def has_limit(tokenizer: Any) -> bool:
    """Return whether a tokenizer knows how many tokens its text encoder reads."""
    limit = getattr(tokenizer, "model_max_length", None)
    return isinstance(limit, int) and 0 < limit < _LONGEST_CONTEXT


def _tokens(tokenizer: Any, prompt: str) -> int:
    return len(tokenizer(prompt, truncation=False, verbose=False)["input_ids"])  # else it warns of long prompts itself


@contextmanager
def without_repeated_warnings(pipe: Any, prompts: Sequence[str]) -> Iterator[None]:
    """Within the context the pipeline's calls do not warn of those of `prompts` that `long_prompts` finds.

    A sweep has said it once; the libraries say it at every call. What they cut for another reason is still logged.
    """
    if long_prompts(pipe.components, prompts) is None:
        yield
        return
    modules = {kind.__module__ for kind in type(pipe).__mro__} | {"transformers.tokenization_utils_base"}
    loggers = [logging.getLogger(module) for module in sorted(modules)]
    for logger in loggers:
        logger.addFilter(_is_other_warning)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(_is_other_warning)


def _is_other_warning(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    return not any(warning in message for warning in _WARNINGS)
