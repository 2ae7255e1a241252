"""Prompts that a pipeline's text encoders refuse, each with the reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from compute.config.errors import ConfigError
from compute.models.glide.text_transformer import TextTransformer
from compute.models.long_prompts import shown
from store.errors import SkipscopeError

_MOST_LINES = 20


def unreadable_prompts(components: Mapping[str, Any], prompts: Sequence[str]) -> dict[str, str]:
    """Return the reason for each prompt that a tokenizer among a pipeline's `components` refuses, in their order."""
    reasons = {prompt: _refusal(components, prompt) for prompt in dict.fromkeys(prompts)}
    return {prompt: reason for prompt, reason in reasons.items() if reason is not None}


def check_prompts(components: Mapping[str, Any], prompts: Sequence[str], field: str = "prompts") -> None:
    """Raise ConfigError, with a line for each of the prompts that cannot be read; `field` names where they stand."""
    unreadable = unreadable_prompts(components, prompts)
    lines = [f"{field}: {shown(prompt)!r}: {reason}" for prompt, reason in unreadable.items()]
    if len(lines) > _MOST_LINES:
        lines[_MOST_LINES:] = [f"{field}: {len(lines) - _MOST_LINES} more cannot be read either"]
    if lines:
        raise ConfigError("\n".join(lines))


def _refusal(components: Mapping[str, Any], prompt: str) -> str | None:
    for name, part in components.items():
        try:
            if isinstance(part, TextTransformer) and components.get("tokenizer") is None:
                part.tokenize([prompt])  # GLIDE's own words, which it has where it has no tokenizer
            elif name.startswith("tokenizer") and part is not None:
                part(prompt, truncation=True, verbose=False)
        except SkipscopeError as error:
            return str(error).removeprefix("prompt: ").removeprefix(f"{prompt[:80]!r} ")
        except Exception as error:  # tokenizers raise what they like, of a lone surrogate for instance
            return f"the {name} refuses it: {(str(error).strip() or type(error).__name__).splitlines()[0][:200]}"
    return None
