"""The ranking of ablations: a dot each with its interval."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from dashboard.charts.axes import Row, inline, layered, limits
from dashboard.data.impact_cells import Cell
from dashboard.pages.impact.heat_map import interval
from dashboard.theme.palette import Palette, kind_scale, shape_scale
from dashboard.words.component_labels import action_label, number, window_label

_RANKED = 27
_AROUND = 50  # pixels of the axis, which a chart's height includes


def ranking(cells: Sequence[Cell], title: str, palette: Palette, *, one: float | None) -> alt.LayerChart:
    """The cells given as dots with their intervals, in their order; `one` draws another seed's rule."""
    rows: list[Row] = [
        {
            "name": f"{cell.label.full}, {window_label(cell.ablation.window)}",
            "kind": cell.label.kind_label,
            "mean": cell.mean,
            "low": cell.mean if cell.low is None else cell.low,
            "high": cell.mean if cell.high is None else cell.high,
            "text": number(cell.mean),
            "interval": interval(cell),
            "what": action_label(cell.ablation.action),
        }
        for cell in cells
    ]
    names = [str(row["name"]) for row in rows]
    y = alt.Y("name:N", sort=names, axis=alt.Axis(title=None, domain=False, ticks=False, labelLimit=340))
    colour = alt.Color("kind:N", scale=kind_scale(palette), legend=None)
    base = alt.Chart(inline(rows))
    ends = [float(row[name]) for row in rows for name in ("low", "high")]
    scale = limits([*ends, 0.0] if one is None else [*ends, 0.0, one])
    x = alt.X("low:Q", scale=scale, axis=alt.Axis(title=title, grid=True, tickCount=6))
    spans = base.mark_rule(strokeWidth=2, opacity=0.55).encode(x=x, x2="high:Q", y=y, color=colour)
    tooltip = [
        alt.Tooltip("name:N", title="Ablation"),
        alt.Tooltip("what:N", title="Action"),
        alt.Tooltip("text:N", title=title),
        alt.Tooltip("interval:N", title="95% interval"),
    ]
    dots = base.mark_point(filled=True, size=80, opacity=1).encode(
        x=alt.X("mean:Q", scale=scale),
        y=y,
        color=colour,
        shape=alt.Shape("kind:N", scale=shape_scale(), legend=None),
        tooltip=tooltip,
    )
    layers = [spans, dots]
    if one is not None:
        rule = alt.Chart(inline([{"at": one, "what": "Another seed"}])).mark_rule(
            strokeDash=[4, 4], color=palette.muted
        )
        layers.append(rule.encode(x=alt.X("at:Q", scale=scale), tooltip=alt.Tooltip("what:N", title="Control")))
    return layered(*layers, height=_RANKED * len(rows) + _AROUND)
