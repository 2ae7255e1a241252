"""The seconds a picture of policies that are timed in turn, in one process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from compute.policy.skip_policy import SkipPolicy
from compute.progress import Bar
from compute.recommend.bench.engine import Engine
from compute.recommend.timing import now
from store.records import Condition


def seconds_in_turn(
    engine: Engine, policies: Mapping[str, SkipPolicy], conditions: Sequence[Condition], *, rounds: int, bar: Bar
) -> dict[str, float]:
    """Return the median over rounds of each policy's seconds a picture, by label, for one batch of conditions.

    Each round begins with another policy, so that a machine that slows down slows all of them. A run of each before
    the first round warms up. Texts are encoded then, once, and not timed.
    """
    labels = list(policies)
    seconds: dict[str, list[float]] = {label: [] for label in labels}
    for number in range(-1, rounds):
        first = number % len(labels)
        for label in (*labels[first:], *labels[:first]):
            start = now(engine.model.device)
            engine.pictures(policies[label], conditions)
            if number >= 0:
                seconds[label].append((now(engine.model.device) - start) / len(conditions))
        bar.advance()
    return {label: float(np.median(times)) for label, times in seconds.items()}
