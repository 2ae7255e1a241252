"""The tokenizer of OpenAI's GLIDE: GPT-2's byte pair encoding of lowercased text.

There are no marks of beginning and end. The text transformer replaces what follows a caption's last token by its
padding embedding, so the empty prompt, the unconditional input of guidance, consists of padding alone.
"""

from __future__ import annotations

from typing import Any

from transformers import GPT2Tokenizer, PreTrainedTokenizerFast

__all__ = ["GlideTokenizer", "PreTrainedTokenizerFast"]  # diffusers finds out by the base class here how to load it


class GlideTokenizer(GPT2Tokenizer):
    """GPT-2's tokenizer for lowercased text, in which no token has a special meaning; it takes its arguments."""

    def __call__(self, text: str | list[str], *args: Any, **kwargs: Any) -> Any:
        """Return the tokens of texts, as transformers' tokenizers do."""
        lower = text.lower() if isinstance(text, str) else [part.lower() for part in text]
        return super().__call__(lower, *args, **{"split_special_tokens": True} | kwargs)
