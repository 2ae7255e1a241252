"""GLIDE's respacing: which timesteps of the training a run visits."""

from __future__ import annotations

import re

from store.errors import SkipscopeError

FAST27 = "fast27"
"""The respacing of GLIDE's upsampler: 27 steps, most of them where little noise is left."""
_FAST27_SECTIONS = (10, 10, 3, 2, 2)


class RespacingError(SkipscopeError):
    """A respacing that is not accepted; the message names it and says what is."""


def respaced_timesteps(respacing: str, training_timesteps: int = 1000) -> list[int]:
    """Return the timesteps of a respacing in the order of a run, from noise to picture.

    `respacing` is as in openai/glide-text2im (`respace.py`): "100" are 100 timesteps, evenly spread over all, with both
    ends; "10,10,3,2,2" divides the timesteps into equal sections, the cleanest first, and spreads so many over each;
    "ddim50" has a constant whole stride from 0 on; "fast27" is "10,10,3,2,2" that begins two timesteps later. The
    result is what `timesteps` of a pipeline's call and of diffusers' `set_timesteps` take. Raises RespacingError.
    """
    if respacing == FAST27:
        steps = _sections(respacing, _FAST27_SECTIONS, training_timesteps)
        noisiest = training_timesteps - 1
        return sorted((steps - {noisiest}) | {noisiest - 2}, reverse=True)
    if found := re.fullmatch(r"ddim([1-9]\d{0,5})", respacing):
        return _strided(respacing, int(found.group(1)), training_timesteps)
    if not re.fullmatch(r"[1-9]\d{0,5}(,[1-9]\d{0,5})*", respacing):
        raise RespacingError(
            f"respacing: {respacing[:40]!r} is not accepted; a number of steps is, numbers with commas between them, "
            f"ddim and a number, or {FAST27}"
        )
    counts = tuple(int(count) for count in respacing.split(","))
    return sorted(_sections(respacing, counts, training_timesteps), reverse=True)


def _strided(respacing: str, count: int, total: int) -> list[int]:
    for stride in range(1, total):
        if len(steps := range(0, total, stride)) == count:
            return list(reversed(steps))
    raise RespacingError(f"respacing: {respacing!r}: no whole stride gives {count} of {total} timesteps")


def _sections(respacing: str, counts: tuple[int, ...], total: int) -> set[int]:
    size, larger = divmod(total, len(counts))
    steps: set[int] = set()
    start = 0
    for section, count in enumerate(counts):
        length = size + (section < larger)
        if count > length:
            raise RespacingError(f"respacing: {respacing!r}: a section of {length} timesteps has not {count}")
        stride = (length - 1) / (count - 1) if count > 1 else 1.0
        position = 0.0
        for _ in range(count):
            steps.add(start + round(position))
            position += stride  # summed, not multiplied: it decides how the official code rounds halves
        start += length
    return steps
