"""Which models were trained on the scenes: those whose text encoder has the vocabulary of the captions."""

from __future__ import annotations

import json
from pathlib import Path

from compute.models.mini.glide_mini import vocabulary

_SPECIAL_TOKENS = 3  # start, end and unknown come before the words


def is_scene_model(folder: Path) -> bool:
    """Return whether the model in a folder reads exactly the words of the scenes' captions.

    A GLIDE model has them in its text encoder's configuration, a Stable Diffusion model in its tokenizer's.
    """
    config = _json(folder / "text_encoder" / "config.json")
    if config.get("vocabulary") == vocabulary():
        return True
    words = [f"{word}</w>" for word in vocabulary()]
    tokens = list(_json(folder / "tokenizer" / "vocab.json"))
    return tokens[_SPECIAL_TOKENS : _SPECIAL_TOKENS + len(words)] == words


def _json(path: Path) -> dict[str, object]:
    """Return a JSON object, an empty one where the file is missing or holds something else."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
