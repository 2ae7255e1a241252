"""The types of fields that can be written in more than one form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from compute.config.plain_text import PlainText
from compute.config.seeds import seeds_from_yaml
from store.records import Record, Window

# Tags of the forms. Tags in angle brackets are left out of the field's path in messages.
_LIST, _FILE, _SPLIT, _COUNT, _EVERY, _WORD = "<list>", "<file>", "<split>", "<count>", "<every>", "<word>"


class PromptFile(Record):
    """Prompts from a text file, one a line; a relative path is relative to the configuration's folder."""

    file: str


class PromptSplit(Record):
    """Random captions of one of glide-mini's splits."""

    split: Literal["train", "held-out"]
    count: Annotated[int, Field(ge=1, le=100_000)]
    seed: Annotated[int, Field(ge=0)] = 0


class ImageFile(Record):
    """A picture for the pipeline's call; a relative path is relative to the configuration's folder."""

    file: str


Number = bool | int | float | PlainText | None
CallValue = Number | ImageFile | tuple[Number | ImageFile, ...]


class WindowCount(Record):
    """The steps divided into `count` windows of equal length."""

    count: Annotated[int, Field(ge=1)]


class SwitchEvery(Record):
    """A prompt switch at every `every`-th step, from step 0 on."""

    every: Annotated[int, Field(ge=1)]


def _window_from_yaml(value: Any) -> Any:
    """Return the fields of a Window for [start, stop]; other values unchanged. Raises ValueError."""
    if isinstance(value, list | tuple):
        if len(value) != 2:
            raise ValueError("write a window as [start, stop]")
        return {"start": value[0], "stop": value[1]}
    return value


def _list_or(record: type[Record], tag: str) -> Callable[[Any], str | None]:
    """Return a discriminator: the tag of lists, that of `record` for a mapping, None for any other value."""

    def tag_of(value: Any) -> str | None:
        if isinstance(value, list | tuple):
            return _LIST
        return tag if isinstance(value, dict | record) else None

    return tag_of


def _prompts_tag(value: Any) -> str | None:
    if isinstance(value, list | tuple):
        return _LIST
    if isinstance(value, PromptSplit) or (isinstance(value, dict) and "split" in value):
        return _SPLIT
    return _FILE if isinstance(value, dict | PromptFile) else None


def _kept_states_tag(value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return _EVERY
    return _WORD if value in ("all", "final") else None


Prompts = Annotated[
    Annotated[PromptFile, Tag(_FILE)]
    | Annotated[PromptSplit, Tag(_SPLIT)]
    | Annotated[tuple[PlainText, ...], Field(min_length=1), Tag(_LIST)],
    Discriminator(
        _prompts_tag,
        custom_error_type="prompts",
        custom_error_message="write a list of prompts, {file: prompts.txt}, or {split: held-out, count: 8}",
    ),
]
Seeds = Annotated[
    tuple[Annotated[int, Field(ge=0, lt=2**63)], ...], Field(min_length=1), BeforeValidator(seeds_from_yaml)
]
Windows = Annotated[
    Annotated[WindowCount, Tag(_COUNT)]
    | Annotated[tuple[Annotated[Window, BeforeValidator(_window_from_yaml)], ...], Field(min_length=1), Tag(_LIST)],
    Discriminator(
        _list_or(WindowCount, _COUNT),
        custom_error_type="windows",
        custom_error_message="write {count: 5}, or a list of windows [start, stop]",
    ),
]
SwitchSteps = Annotated[
    Annotated[SwitchEvery, Tag(_EVERY)]
    | Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1), Tag(_LIST)],
    Discriminator(
        _list_or(SwitchEvery, _EVERY),
        custom_error_type="prompt_switch",
        custom_error_message="write {every: 1}, or a list of steps [0, 5, 10]",
    ),
]
KeptStates = Annotated[
    Annotated[Literal["all", "final"], Tag(_WORD)] | Annotated[int, Field(ge=1), Tag(_EVERY)],
    Discriminator(
        _kept_states_tag,
        custom_error_type="states",
        custom_error_message="write all, final, or a number k for every k-th step",
    ),
]
