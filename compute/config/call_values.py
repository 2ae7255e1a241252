"""The arguments of a configuration's `call`: pictures loaded, and what stands for them in keys."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from compute.config.errors import ConfigError
from compute.config.field_types import CallValue, ImageFile
from compute.config.schema import SweepConfig
from compute.images import read_picture
from store.errors import SkipscopeError


def call_values(config: SweepConfig, folder: Path) -> dict[str, Any]:
    """Return the further arguments of the pipeline's call, with pictures loaded as RGB.

    A relative path lies in `folder`. Raises ConfigError for a file that is missing or no picture.
    """
    return {name: _mapped(value, partial(_picture, name, folder)) for name, value in config.call.items()}


def call_key(config: SweepConfig, folder: Path) -> dict[str, Any]:
    """Return the arguments as they stand in units' keys: a picture by the SHA-256 of its file. Raises ConfigError."""
    return {name: _mapped(value, partial(_digest, name, folder)) for name, value in config.call.items()}


def _mapped(value: CallValue, of_file: Callable[[str], Any]) -> Any:
    if isinstance(value, tuple):
        return [_mapped(part, of_file) for part in value]
    return of_file(value.file) if isinstance(value, ImageFile) else value


def _picture(name: str, folder: Path, file: str) -> Image.Image:
    path = folder / Path(file).expanduser()
    try:
        return read_picture(path)
    except SkipscopeError as error:
        raise ConfigError(f"call.{name}.file: {str(path)!r} cannot be read as a picture: {error}") from None


def _digest(name: str, folder: Path, file: str) -> dict[str, str]:
    path = folder / Path(file).expanduser()
    try:
        with path.open("rb") as opened:
            return {"sha256": hashlib.file_digest(opened, "sha256").hexdigest()}
    except (OSError, ValueError) as error:
        raise ConfigError(f"call.{name}.file: {str(path)!r} cannot be read: {error}") from None
