"""The step axis that all charts of the phases page share, with the boundary between the phases marked on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import altair as alt

from compute.analysis.phases.phase_evidence import Phases
from dashboard.charts.axes import inline_data, layered, step_ticks
from dashboard.theme.palette import Palette


@dataclass(frozen=True, kw_only=True)
class StepAxis:
    """The step axis of one chart. All layers of a chart must take it from the same `StepAxis`.

    `title` is the axis's; `bare` hides its labels, ticks and line.
    """

    phases: Phases
    palette: Palette
    title: str | None = None
    bare: bool = False

    def x(self, field: str) -> alt.X:
        """Return the x channel of a field that holds steps."""
        steps, visible = self.phases.steps, not self.bare
        axis = alt.Axis(
            values=step_ticks(steps),
            format="d",
            grid=False,
            labels=visible,
            ticks=visible,
            domain=visible,
            labelOverlap="parity",
        )
        scale = alt.Scale(domain=[-0.5, steps + 0.5], nice=False)
        return alt.X(f"{field}:Q", title=self.title, axis=axis, scale=scale)

    def chart(self, layers: Sequence[alt.Chart], height: int, title: str | None = None) -> alt.LayerChart:
        """Return layers over the boundary as one chart; `height` is in pixels."""
        chart = layered(*self._boundary(), *layers, height=height)
        properties: dict[str, Any] = {"padding": {"left": 0, "right": 12, "top": 4, "bottom": 4}}
        if title is not None:
            properties["title"] = title
        return cast(alt.LayerChart, cast(Any, chart).properties(**properties))

    def _boundary(self) -> list[alt.Chart]:
        """Return the boundary's interval as a band and its mean as a line."""
        if self.phases.boundary is None:
            return []
        base = alt.Chart(inline_data([self.phases.boundary.model_dump()]))
        band = base.mark_rect(color=self.palette.shade, opacity=1).encode(x=self.x("low"), x2="high:Q")
        line = base.mark_rule(color=self.palette.accent, strokeWidth=1.5, strokeDash=[3, 3])
        return [band, line.encode(x=self.x("mean"))]
