"""How much of a planned sweep is finished: from less than LEAST_COVERAGE of a window nothing is concluded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterable
from dataclasses import dataclass

from store.records import Ablation, PromptSwitch, Unit, Window

LEAST_COVERAGE = 0.5
"""The share of the planned runs, in each window or at each step, from which on findings are stated."""


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """How many of the planned runs are done; a run is one intervention on one condition.

    `least` is the smallest share of any window, or of any step that prompts are switched at: 1 if nothing is planned.
    """

    done: int
    planned: int
    least: float

    @property
    def enough(self) -> bool:
        """Whether findings are stated."""
        return self.least >= LEAST_COVERAGE

    @property
    def complete(self) -> bool:
        """Whether every planned run is done."""
        return self.done >= self.planned


def ablation_coverage(plan: Iterable[Unit], done: Collection[str]) -> Coverage:
    """Return the coverage of the windows that findings compare: those of removals, or all where nothing is removed.

    `done` holds the keys of the finished units.
    """
    ablations = [
        (unit, unit.intervention)
        for unit in plan
        if isinstance(unit.intervention, Ablation) and unit.intervention.components
    ]
    removals = [pair for pair in ablations if pair[1].action.properties.removes]
    return _coverage(((unit, _place(ablation.window)) for unit, ablation in removals or ablations), done)


def switch_coverage(plan: Iterable[Unit], done: Collection[str]) -> Coverage:
    """Return the coverage of the steps at which prompts are switched."""
    switches = ((unit, unit.intervention.step) for unit in plan if isinstance(unit.intervention, PromptSwitch))
    return _coverage(switches, done)


def _place(window: Window) -> tuple[int, int]:
    return window.start, window.stop  # records hash slowly


def _coverage(units: Iterable[tuple[Unit, Hashable]], done: Collection[str]) -> Coverage:
    planned: Counter[Hashable] = Counter()
    finished: Counter[Hashable] = Counter()
    for unit, place in units:
        planned[place] += len(unit.conditions)
        finished[place] += len(unit.conditions) * (unit.key in done)
    shares = [finished[place] / runs for place, runs in planned.items()]
    return Coverage(done=finished.total(), planned=planned.total(), least=min(shares, default=1.0))
