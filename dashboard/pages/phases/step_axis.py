"""The one step axis of the phases' charts: the same domain and edges in each, and the boundary through all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import altair as alt

from compute.analysis.phases.phase_evidence import Phases
from dashboard.charts.axes import inline, layered, step_ticks
from dashboard.theme.palette import Palette


@dataclass(frozen=True, kw_only=True)
class StepAxis:
    """The step axis of a chart and what is marked on it: every layer must say the same of it."""

    phases: Phases
    palette: Palette
    title: str | None = None
    bare: bool = False

    def x(self, field: str) -> alt.X:
        """A field in steps."""
        steps = self.phases.steps
        shown = not self.bare
        axis = alt.Axis(
            values=step_ticks(steps),
            format="d",
            grid=False,
            labels=shown,
            ticks=shown,
            domain=shown,
            labelOverlap="parity",
        )
        scale = alt.Scale(domain=[-0.5, steps + 0.5], nice=False)
        return alt.X(f"{field}:Q", title=self.title, axis=axis, scale=scale)

    def boundary(self) -> list[alt.Chart]:
        """The boundary through a chart: its interval as a band, its mean as a line."""
        if self.phases.boundary is None:
            return []
        base = alt.Chart(inline([self.phases.boundary.model_dump()]))
        band = base.mark_rect(color=self.palette.shade, opacity=1).encode(x=self.x("low"), x2="high:Q")
        line = base.mark_rule(color=self.palette.accent, strokeWidth=1.5, strokeDash=[3, 3])
        return [band, line.encode(x=self.x("mean"))]

    def chart(self, layers: Sequence[alt.Chart], height: int, title: str | None = None) -> alt.LayerChart:
        """The layers over the boundary, in the size and with the edges that all these charts share."""
        drawn = layered(*self.boundary(), *layers, height=height)
        about: dict[str, Any] = {"padding": {"left": 0, "right": 12, "top": 4, "bottom": 4}}
        return cast(alt.LayerChart, cast(Any, drawn).properties(**about, **({} if title is None else {"title": title})))
