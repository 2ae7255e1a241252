"""GLIDE's tokenizer from GPT-2's merges: a file of the user's, or the one in OpenAI's package."""

from __future__ import annotations

import gzip
import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path

from compute.models.glide.convert.sizes import ConversionError
from compute.models.glide.tokenizer import GlideTokenizer

_END = "<|endoftext|>"
_GZIP = b"\x1f\x8b"
_LIMIT = 1 << 26  # bytes; GPT-2's files have one megabyte
_PACKAGE = "glide_text2im"
_END_OF_WORD = "</w>"  # in CLIP's merges, not in GPT-2's
Merges = Sequence[tuple[str, str]]


def find_tokenizer(merges: Path | None, vocabulary: Path | None, tokens: int) -> GlideTokenizer:
    """Return GLIDE's tokenizer with `tokens` tokens.

    `merges` is GPT-2's list of merges (`vocab.bpe`, `merges.txt`), from which its vocabulary follows; `vocabulary` its
    file (`encoder.json`, `vocab.json`), where it has an order of its own. Both may be compressed by gzip. Without
    `merges` OpenAI's package is asked. Raises ConversionError.
    """
    if merges is None:
        if vocabulary is not None:
            raise ConversionError("--vocabulary: give --merges as well")
        merges = _of_package()
    pairs = _read_merges(merges)
    numbers = _derived(pairs) if vocabulary is None else _read_vocabulary(vocabulary)
    if len(numbers) != tokens:
        raise ConversionError(
            f"{vocabulary or merges}: makes {len(numbers)} tokens, the checkpoint has {tokens}: it is no vocabulary of "
            "this model (GLIDE reads GPT-2's, with 50257)"
        )
    lacking = [token for token in [*byte_characters(), *map("".join, pairs)] if token not in numbers]
    if lacking or sorted(numbers.values()) != list(range(tokens)):
        raise ConversionError(f"{vocabulary}: is no vocabulary of the merges in {merges}: {lacking[:3] or 'numbers'}")
    return GlideTokenizer(vocab=numbers, merges=list(pairs))


def _of_package() -> Path:
    """Return the merges in OpenAI's package, which is not imported for it. Raises ConversionError."""
    spec = importlib.util.find_spec(_PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (path := Path(folder) / "tokenizer" / "vocab.bpe.gz").is_file():
            return path
    raise ConversionError(
        "--merges: GLIDE's tokenizer is needed: give GPT-2's vocab.bpe or merges.txt, or install OpenAI's package "
        "(requirements-glide.txt), which holds it"
    )


def _read_merges(path: Path) -> Merges:
    """Return the pairs of tokens that are merged, in their order. Raises ConversionError."""
    lines = [
        line
        for line in _text("--merges", path).replace("\r", "").split("\n")
        if line.strip() and not line.startswith("#version")
    ]
    pairs = [tuple(line.split(" ")) for line in lines]
    if not pairs or any(len(pair) != 2 for pair in pairs):
        raise ConversionError(f"--merges: {path}: is no list of merges: two tokens in a line are accepted")
    if any(second.endswith(_END_OF_WORD) for _, second in pairs):
        raise ConversionError(f"--merges: {path}: are the merges of CLIP; GLIDE reads GPT-2's, in vocab.bpe")
    return [(first, second) for first, second in pairs]


def _read_vocabulary(path: Path) -> dict[str, int]:
    """Return the number of each token. Raises ConversionError."""
    try:
        numbers = json.loads(_text("--vocabulary", path))
    except ValueError:
        numbers = None
    if not isinstance(numbers, dict) or not all(type(number) is int for number in numbers.values()):
        raise ConversionError(
            f"--vocabulary: {path}: is no vocabulary: a JSON object of tokens and numbers is accepted"
        )
    return numbers


def _derived(pairs: Merges) -> dict[str, int]:
    """Return the vocabulary that GPT-2 numbers from its merges: the bytes, the merged tokens, the end of a text."""
    tokens = [*byte_characters(), *map("".join, pairs), _END]
    return {token: number for number, token in enumerate(dict.fromkeys(tokens))}


def byte_characters() -> list[str]:
    """Return the characters that stand for bytes in GPT-2's tokens: visible ones for themselves, others from 256 on."""
    visible = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    return [chr(byte) for byte in visible] + [chr(256 + number) for number in range(256 - len(visible))]


def _text(option: str, path: Path) -> str:
    """Return the text of a file, which may be compressed by gzip. Raises ConversionError."""
    try:
        with path.open("rb") as file:
            is_compressed = file.read(len(_GZIP)) == _GZIP
        with gzip.open(path, "rb") if is_compressed else path.open("rb") as file:
            data = file.read(_LIMIT + 1)
    except (OSError, EOFError) as error:
        raise ConversionError(
            f"{option}: {path}: cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from error
    if len(data) > _LIMIT:
        raise ConversionError(f"{option}: {path}: is larger than the {_LIMIT} bytes that are accepted")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConversionError(f"{option}: {path}: is no text in UTF-8") from error
