"""The tokenizer of sd-mini: a CLIPTokenizer that knows the words of the scenes' captions as whole words."""

from __future__ import annotations

import json
from pathlib import Path

from transformers import CLIPTokenizer

from compute.models.mini.glide_mini import vocabulary

SEQUENCE_LENGTH = 16
"""Tokens of a prompt, with its start and its end; the longest caption has 12."""
_START, _END, _UNKNOWN = "<|startoftext|>", "<|endoftext|>", "<|unknown|>"
_WORD_END = "</w>"  # marks a word's last letter, as in CLIP's vocabulary


def _suffixes(word: str) -> list[str]:
    """Return the endings of a word, each with the mark of a word's end, from the shortest to the word itself."""
    return [word[start:] + _WORD_END for start in reversed(range(len(word)))]


def merges() -> list[tuple[str, str]]:
    """Return the merges of the byte-pair encoding, by which a caption's word grows from its end, letter by letter.

    A merge always takes the word's end, so no merge of one word can stop another word halfway, in whatever order they
    are.
    """
    pairs = [(ending[0], ending[1:]) for word in vocabulary() for ending in _suffixes(word)[1:]]
    return list(dict.fromkeys(pairs))


def token_ids() -> dict[str, int]:
    """Return the id of every token: the special tokens, then whole words, then the pieces that they are merged from.

    A word that no caption has is seen as such: its letters remain single tokens, or are unknown.
    """
    words = [word + _WORD_END for word in vocabulary()]
    pieces = [piece for left, right in merges() for piece in (left, right)]
    return {token: i for i, token in enumerate(dict.fromkeys([_START, _END, _UNKNOWN, *words, *pieces]))}


def word_count() -> int:
    """Return the number of token ids, counted from 0, that occur in captions; those after it are pieces of words."""
    return 3 + len(vocabulary())


def build_tokenizer() -> CLIPTokenizer:
    """Return the tokenizer, which pads a prompt to SEQUENCE_LENGTH tokens with the end token, as CLIP's does."""
    return CLIPTokenizer(
        vocab=token_ids(),
        merges=merges(),
        bos_token=_START,
        eos_token=_END,
        pad_token=_END,
        unk_token=_UNKNOWN,
        model_max_length=SEQUENCE_LENGTH,
    )


def write_vocabulary(folder: Path) -> None:
    """Write vocab.json and merges.txt, the files of CLIP's tokenizer that releases before transformers 5 read."""
    (folder / "vocab.json").write_text(json.dumps(token_ids(), indent=0) + "\n", encoding="utf-8")
    lines = ["#version: 0.2", *(f"{left} {right}" for left, right in merges())]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
