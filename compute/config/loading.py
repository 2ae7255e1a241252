"""Reads a configuration from a YAML file."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import ValidationError

from compute.config.errors import ConfigError
from compute.config.messages import error_lines
from compute.config.schema import SweepConfig
from store.paths import expanded

_MAX_BYTES = 1 << 20


def load_config(path: str | Path) -> SweepConfig:
    """Return the configuration in a YAML file. Raises ConfigError with a line for each error in it."""
    try:
        data = yaml.safe_load(read_text(expanded(path)))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:  # e.g. of a date that does not exist
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        problem = (str(getattr(error, "problem", None) or error) or "nested too deeply").splitlines()[0]
        raise ConfigError(f"{path}: is not YAML{line}: {problem}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: holds no configuration; write for instance `model: glide-mini`")
    try:
        return SweepConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigError("\n".join(f"{path}: {line}" for line in error_lines(error, SweepConfig))) from None


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
