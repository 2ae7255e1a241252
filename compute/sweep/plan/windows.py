"""The windows of a sweep: those of its ablations, and the short ones of screening."""

from __future__ import annotations

from itertools import pairwise

from compute.config.errors import ConfigError
from compute.config.field_types import WindowCount
from compute.config.schema import SweepConfig
from compute.config.swept_action import ScreenedAction
from store.records import Window


def ablation_windows(config: SweepConfig) -> tuple[Window, ...]:
    """Return the windows of `config.windows`. Raises ConfigError for one that exceeds the steps, or too many."""
    steps = config.sampler.steps
    if isinstance(config.windows, WindowCount):
        count = config.windows.count
        if count > steps:
            raise ConfigError(f"windows.count: {count} windows of {steps} steps; at most {steps} is accepted")
        edges = [round(i * steps / count) for i in range(count + 1)]
        return tuple(Window(start=start, stop=stop) for start, stop in pairwise(edges))
    for i, window in enumerate(config.windows):
        if window.stop > steps:
            raise ConfigError(
                f"windows.{i}: [{window.start}, {window.stop}) reaches beyond the {steps} steps; "
                f"0 <= start < stop <= {steps} is accepted"
            )
    return config.windows


def screening_windows(screened: ScreenedAction, steps: int) -> tuple[Window, ...]:
    """Return every window of each of the action's lengths. Raises ConfigError for a length above `steps`."""
    if max(screened.lengths) > steps:
        raise ConfigError(f"screen: length {max(screened.lengths)} of {steps} steps; at most {steps} is accepted")
    return tuple(
        Window(start=start, stop=start + length)
        for length in dict.fromkeys(screened.lengths)
        for start in range(steps - length + 1)
    )
