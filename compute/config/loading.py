"""Reads a configuration from a YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from compute.config import strict_yaml
from compute.config.errors import ConfigError
from compute.config.messages import error_lines
from compute.config.schema import SweepConfig
from store.paths import expanded
from store.records import Record

_MAX_BYTES = 1 << 20
Config = TypeVar("Config", bound=Record)


def load_config(path: str | Path) -> SweepConfig:
    """Return the configuration in a YAML file. Raises ConfigError with a line for each error in it."""
    return load_record(path, SweepConfig)


def load_record(path: str | Path, kind: type[Config], document: str = "docs/configuration.md") -> Config:
    """Return the configuration of a kind in a YAML file, whose fields `document` describes. Raises ConfigError."""
    try:
        data = strict_yaml.parse(read_text(expanded(path)), no_words_in="call")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except strict_yaml.YamlRefused as error:
        raise ConfigError(f"{path}: {error}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: holds no configuration; write for instance `model: glide-mini`")
    try:
        return kind.model_validate(_frozen(data), strict=True)  # "25", 25.0 and true are no 25
    except ValidationError as error:
        lines = error_lines(error, kind, document=document)
        raise ConfigError("\n".join(f"{path}: {line}" for line in lines)) from None


def _frozen(value: Any) -> Any:
    """Return a document's value with tuples for its lists, as records hold them."""
    if isinstance(value, dict):
        return {key: _frozen(part) for key, part in value.items()}
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def read_text(path: Path, field: str = "") -> str:
    """Return the content of a UTF-8 file of at most 1 MiB; messages begin with `field`. Raises ConfigError, OSError."""
    with path.open("rb") as file:
        data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise ConfigError(f"{field}{path}: is larger than 1 MiB; that is no configuration or list of prompts")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{field}{path}: is not UTF-8 text") from None
