"""Seeds as text: a range, one number, or a list."""

from __future__ import annotations

import re
from typing import Any

from compute.config.errors import ConfigError

MAX_CONDITIONS = 1_000_000
"""The largest number of conditions in a sweep, and so of seeds in a range."""


def parse_seeds(text: str) -> list[int]:
    """Return the seeds of "0:8" (half-open), "3" or "1,5,9". Raises ConfigError."""
    try:
        if ":" in text:
            start, stop = (_seed(part) for part in text.split(":"))
            if not 0 <= start < stop or stop - start > MAX_CONDITIONS:
                raise ValueError
            return list(range(start, stop))
        return [_seed(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(f'seeds: {text[:60]!r} is not understood; write "0:8" (0 to 7), "3" or "1,5,9"') from None


def _seed(text: str) -> int:
    """Return a seed of ASCII digits alone: int() also takes 1_0 and other scripts' digits."""
    if not re.fullmatch(r"-?[0-9]{1,19}", text.strip(" ")):
        raise ValueError
    return int(text)


def seeds_from_yaml(value: Any) -> Any:
    """Return a tuple for the short forms, "0:8" and a single integer; other values unchanged. Raises ValueError."""
    if isinstance(value, str):
        try:
            return tuple(parse_seeds(value))
        except ConfigError as error:
            raise ValueError(str(error).removeprefix("seeds: ")) from None
    return (value,) if isinstance(value, int) and not isinstance(value, bool) else value
