"""Numbers, intervals, windows, conditions and paths as text."""

from __future__ import annotations

import shlex
from pathlib import Path

from compute.analysis.report.sentences import steps_text
from store.records import Condition, Window


def number_text(value: float | None) -> str:
    """Return a number with three decimals, `<0.001` for one that would round to zero, a dash for None and NaN."""
    if value is None or value != value:
        return "–"
    if 0 < abs(value) < 0.0005:
        return "<0.001" if value > 0 else ">−0.001"
    return (f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}").replace("-", "−")


def interval_text(low: float, high: float) -> str:
    """Return `0.010 to 0.200`."""
    return f"{number_text(low)} to {number_text(high)}"


def duration_range_text(low: float, high: float) -> str:
    """Return a range of seconds as `50 to 62 minutes`, in the unit that suits its upper end."""
    seconds, unit = next(
        (pair for pair in ((3600.0, "hours"), (60.0, "minutes")) if high >= 2 * pair[0]), (1.0, "seconds")
    )
    form = ".1f" if unit == "hours" and high < 10 * seconds else ".0f"
    texts = f"{low / seconds:{form}}", f"{high / seconds:{form}}"
    return f"about {texts[1]} {unit}" if texts[0] == texts[1] else f"{texts[0]} to {texts[1]} {unit}"


def window_label(window: Window) -> str:
    """Return `steps 5–9`, or `step 7` for a window of one step."""
    return steps_text(window, dash="–")


def condition_label(condition: Condition) -> str:
    """Return the prompt and the seed of a condition on one line."""
    return f"{condition.prompt} · seed {condition.seed}"


def path_text(path: Path) -> str:
    """Return a path relative to the folder in which the server was started, or absolute if it lies outside it."""
    absolute, working = path.absolute(), Path.cwd()
    return str(absolute.relative_to(working)) if absolute.is_relative_to(working) else str(absolute)


def path_argument(path: Path) -> str:
    """Return a path as an argument on a command line."""
    return shlex.quote(path_text(path))
