"""Conditions: prompt files, and too many conditions."""

from __future__ import annotations

from pathlib import Path

import pytest

from compute.config.errors import ConfigError
from compute.config.field_types import PromptFile
from compute.config.schema import SweepConfig
from compute.sweep.plan.conditions import conditions_of, read_prompts
from tests.config.minimal_config import MINIMAL


def test_prompt_files(tmp_path: Path) -> None:
    (tmp_path / "some.txt").write_text("\ufeffa cat\n\n  a dog  \r\n", encoding="utf-8")
    assert read_prompts(PromptFile(file="some.txt"), tmp_path) == ["a cat", "a dog"]
    (tmp_path / "empty.txt").write_text("\n \n")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xff")
    for name, message in (
        ("missing.txt", "cannot be read: No such file"),
        ("empty.txt", "holds no prompt; write one a line"),
        ("binary.txt", "is not UTF-8 text"),
        (".", "cannot be read: Is a directory"),
        ("~nobody-of-this-name/x", "cannot be read"),
        ("a\0b", "cannot be read"),
        ("/dev/zero", "larger than 1 MiB"),
    ):
        with pytest.raises(ConfigError, match=message) as error:
            read_prompts(PromptFile(file=name), tmp_path)
        assert str(error.value).startswith("prompts.file: ")


def test_too_many_conditions_are_refused(tmp_path: Path) -> None:
    config = SweepConfig.model_validate({**MINIMAL, "prompts": ["a", "b"], "seeds": "0:1000000"})
    with pytest.raises(ConfigError, match="2 prompts of 1000000 seeds"):
        conditions_of(config, tmp_path)


@pytest.mark.parametrize("character", ["\0", "\t", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\x1b", "\u202e"])
def test_a_control_character_in_a_prompt_file_is_refused_and_divides_no_prompt(tmp_path: Path, character: str) -> None:
    (tmp_path / "some.txt").write_text(f"a cat\n\na {character}dog\n", encoding="utf-8", newline="")
    with pytest.raises(ConfigError, match=r"some\.txt: line 3: 'a .*dog' holds a control character"):
        read_prompts(PromptFile(file="some.txt"), tmp_path)
