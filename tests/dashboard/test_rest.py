"""The range of steps for which the pages ask what can rest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from compute.statistics.estimate import Estimate
from dashboard.data import rest
from store.errors import SkipscopeError
from store.records import Window
from tests.dashboard.test_phase_charts import PHASES

WINDOWS = tuple(Window(start=start, stop=start + 3) for start in (0, 3, 6, 9))


class _Sweep:
    """A sweep of which only the phases are asked."""

    def __init__(self, boundary: Estimate | SkipscopeError | None) -> None:
        self._boundary = boundary

    def phases(self) -> Any:
        if isinstance(self._boundary, SkipscopeError):
            raise self._boundary
        return replace(PHASES, boundary=self._boundary)


@pytest.mark.parametrize(
    ("boundary", "start"),
    [
        (Estimate(mean=2, low=1, high=3), 3),
        (Estimate(mean=2, low=1, high=4), 6),  # by the mean it would be 3
        (Estimate(mean=10, low=9, high=12), 9),
        (None, 6),
        (SkipscopeError("no phases"), 6),
    ],
)
def test_it_begins_where_composition_has_surely_ended(
    monkeypatch: pytest.MonkeyPatch, boundary: Any, start: int
) -> None:
    monkeypatch.setattr(rest, "removal_windows", lambda sweep, metric: WINDOWS)
    assert rest.default_start(_Sweep(boundary), "mse") == start  # type: ignore[arg-type]
