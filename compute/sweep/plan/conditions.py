"""The conditions of a sweep: every prompt with every seed."""

from __future__ import annotations

import re
from pathlib import Path

from compute.config.errors import ConfigError
from compute.config.field_types import PromptFile, PromptSplit
from compute.config.loading import read_text
from compute.config.messages import short_text
from compute.config.plain_text import without_controls
from compute.config.schema import SweepConfig
from compute.config.seeds import MAX_CONDITIONS
from compute.models.mini.scenes.scene import captions
from store.records import PROMPT_LIMIT, Condition


def conditions_of(config: SweepConfig, folder: Path) -> tuple[Condition, ...]:
    """Return every prompt with every seed, in this order. A relative prompt file lies in `folder`.

    Raises ConfigError for a prompt file that cannot be used, for too many conditions, and for one that occurs twice.
    """
    prompts = [""] if config.prompts is None else read_prompts(config.prompts, folder)
    if len(prompts) * len(config.seeds) > MAX_CONDITIONS:
        raise ConfigError(
            f"prompts, seeds: {len(prompts)} prompts of {len(config.seeds)} seeds each are more than the "
            f"{MAX_CONDITIONS} conditions that are accepted"
        )
    conditions = tuple(
        Condition(prompt=prompt, seed=seed, guidance=config.guidance) for prompt in prompts for seed in config.seeds
    )
    if len(set(conditions)) != len(conditions):
        raise ConfigError("prompts, seeds: a prompt occurs twice with the same seed; each condition is swept once")
    return conditions


def read_prompts(prompts: PromptFile | PromptSplit | tuple[str, ...], folder: Path) -> list[str]:
    """Return the prompts themselves. Raises ConfigError for a file that is missing, not text, or without a prompt."""
    if isinstance(prompts, tuple):
        for number, prompt in enumerate(prompts):
            check_prompt(prompt, f"prompts.{number}")
        return list(prompts)
    if isinstance(prompts, PromptSplit):
        return captions(prompts.split, prompts.count, prompts.seed)
    path = folder / prompts.file
    try:
        path = folder / Path(prompts.file).expanduser()
        text = read_text(path, "prompts.file: ")
    except (OSError, RuntimeError, ValueError) as error:  # also ~ of an unknown user, NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"prompts.file: {str(path)!r} cannot be read: {reason}; give a text file, a prompt a line"
        ) from None
    lines = {number: line.strip(" \t") for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1)}
    if not any(lines.values()):
        raise ConfigError(f"prompts.file: {path} holds no prompt; write one a line")
    for number, line in lines.items():
        check_prompt(line, f"prompts.file: {path}: line {number}")
    return [line for line in lines.values() if line]


def check_prompt(prompt: str, where: str) -> None:
    """Raise ConfigError, which begins with `where`, for a prompt that is too long or that holds a control character."""
    try:
        without_controls(prompt)
    except ValueError as error:
        raise ConfigError(f"{where}: {short_text(prompt)} {error}") from None
    if len(prompt) > PROMPT_LIMIT:
        raise ConfigError(f"{where}: the prompt has {len(prompt)} characters; at most {PROMPT_LIMIT} are accepted")
