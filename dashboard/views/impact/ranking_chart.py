"""The chart of ablations ranked by their effect: a point each, with its interval."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from dashboard.charts.axes import Row, fixed_scale, inline_data, layered
from dashboard.data.impact_cells import Cell
from dashboard.theme.palette import Palette, kind_scale, shape_scale
from dashboard.views.impact.heat_map import cell_interval
from dashboard.words.action_labels import action_label
from dashboard.words.formatting import number_text, window_label

_ROW_HEIGHT = 27  # pixels
_AXIS_HEIGHT = 50  # pixels, part of a chart's height


def ranking_chart(cells: Sequence[Cell], title: str, palette: Palette, *, reseed: float | None) -> alt.LayerChart:
    """Return cells in their order, the first at the top; a dashed line marks another seed's effect, `reseed`."""
    rows = [_row(cell) for cell in cells]
    names = [str(row["name"]) for row in rows]
    y = alt.Y("name:N", sort=names, axis=alt.Axis(title=None, domain=False, ticks=False, labelLimit=340))
    color = alt.Color("kind:N", scale=kind_scale(palette), legend=None)
    base = alt.Chart(inline_data(rows))
    ends = [float(row[name]) for row in rows for name in ("low", "high")]
    scale = fixed_scale([*ends, 0.0] if reseed is None else [*ends, 0.0, reseed])
    x = alt.X("low:Q", scale=scale, axis=alt.Axis(title=title, grid=True, tickCount=6))
    intervals = base.mark_rule(strokeWidth=2, opacity=0.55).encode(x=x, x2="high:Q", y=y, color=color)
    points = base.mark_point(filled=True, size=80, opacity=1).encode(
        x=alt.X("mean:Q", scale=scale),
        y=y,
        color=color,
        shape=alt.Shape("kind:N", scale=shape_scale(), legend=None),
        tooltip=[
            alt.Tooltip("name:N", title="Ablation"),
            alt.Tooltip("action:N", title="Action"),
            alt.Tooltip("text:N", title=title),
            alt.Tooltip("interval:N", title="95% interval"),
        ],
    )
    layers = [intervals, points]
    if reseed is not None:
        control = alt.Chart(inline_data([{"reseed": reseed, "control": "Another seed"}]))
        line = control.mark_rule(strokeDash=[4, 4], color=palette.muted)
        tooltip = alt.Tooltip("control:N", title="Control")
        layers.append(line.encode(x=alt.X("reseed:Q", scale=scale), tooltip=tooltip))
    return layered(*layers, height=_ROW_HEIGHT * len(rows) + _AXIS_HEIGHT)


def _row(cell: Cell) -> Row:
    return {
        "name": f"{cell.label.full}, {window_label(cell.ablation.window)}",
        "kind": cell.label.kind_label,
        "mean": cell.mean,
        "low": cell.mean if cell.low is None else cell.low,
        "high": cell.mean if cell.high is None else cell.high,
        "text": number_text(cell.mean),
        "interval": cell_interval(cell),
        "action": action_label(cell.ablation.action),
    }
