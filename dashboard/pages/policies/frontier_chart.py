"""The frontier: measured time against measured quality of policies, full compute and fewer steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from dashboard.charts.axes import Row, inline, layered
from dashboard.data.policy_files import PolicyFile
from dashboard.pages.policies.quality_axes import RUNS, Quality, Time
from dashboard.theme.palette import Palette

PICKED = "picked_policy"


def frontier_chart(
    files: Sequence[PolicyFile], time: Time, quality: Quality, chosen: str, palette: Palette
) -> alt.LayerChart:
    """Each validated policy, full compute and fewer steps by time and quality; a click picks a policy."""
    rows = frontier_rows(files, time, quality, chosen)
    data = inline(rows)
    x = alt.X(
        "time:Q",
        title=time.title,
        scale=alt.Scale(zero=False, padding=36, nice=False),
        axis=alt.Axis(grid=True, tickCount=8),
    )
    y = alt.Y(
        "value:Q",
        title=quality.title,
        scale=alt.Scale(zero=False, padding=24, nice=False),
        axis=alt.Axis(format=quality.form, tickCount=6, domain=False, ticks=False),
    )
    kinds = {
        RUNS["full"]: (palette.muted, "square"),
        RUNS["policy"]: (palette.first, "circle"),
        RUNS["fewer_steps"]: (palette.second, "triangle-up"),
    }
    names = [name for name in kinds if any(row["run"] == name for row in rows)]
    legend = alt.Legend(orient="top", title=None, offset=6, symbolOpacity=1)
    colours, shapes = ([kinds[name][place] for name in names] for place in (0, 1))
    colour = alt.Color("run:N", scale=alt.Scale(domain=names, range=colours), legend=legend, sort=names)
    shape = alt.Shape("run:N", scale=alt.Scale(domain=names, range=shapes), legend=legend, sort=names)
    strength = alt.condition("datum.strong", alt.value(1.0), alt.value(0.5))
    spans = alt.Chart(data).mark_rule(strokeWidth=1.5)
    upright = spans.encode(x=x, y=_same(y, "low"), y2="high:Q", color=colour, opacity=strength)
    layers = [upright]
    if any(row["time_low"] is not None for row in rows):
        layers.append(spans.encode(x=_same(x, "time_low"), x2="time_high:Q", y=y, color=colour, opacity=strength))
    pick = alt.selection_point(name=PICKED, fields=["stem"], on="click", empty=False)
    points = (
        alt.Chart(data)
        .mark_point(filled=True, stroke=palette.paper, strokeWidth=1, cursor="pointer")
        .encode(
            x=x,
            y=y,
            color=colour,
            shape=shape,
            opacity=strength,
            size=alt.condition("datum.chosen", alt.value(150), alt.value(80)),
            tooltip=_frontier_tips(time, quality),
        )
        .add_params(pick)
    )
    marked = [*_ring(rows, x, y, palette), points]
    for run, shift in (("policy", -10), ("fewer_steps", 12)):
        marked += _names(rows, run, shift, x, y, palette)
    return layered(*layers, *marked, height=380)


def frontier_rows(files: Sequence[PolicyFile], time: Time, quality: Quality, chosen: str) -> list[Row]:
    """A row for each run of each validated policy that has the quality; those of `chosen` (a stem, or "") come last."""
    rows: list[Row] = []
    for file in files:
        if file.policy is None or file.policy.validation is None:
            continue
        for run in file.policy.validation.runs:
            value = quality.of(run)
            if value is None:
                continue
            at, low, high = time.of(run)
            label = {"policy": file.policy.name, "fewer_steps": f"{run.steps} steps"}.get(run.name, "")
            rows.append(
                {
                    "stem": file.stem,
                    "policy": file.policy.name,
                    "run": RUNS[run.name],
                    "label": label if run.name == "policy" or file.stem == chosen else "",
                    "steps": run.steps,
                    "time": at,
                    "time_low": low,
                    "time_high": high,
                    "value": value.mean,
                    "low": value.low,
                    "high": value.high,
                    "chosen": file.stem == chosen,
                    "strong": chosen in ("", file.stem),
                }
            )
    return sorted(rows, key=lambda row: row["chosen"])


def _names(rows: Sequence[Row], run: str, shift: int, x: alt.X, y: alt.Y, palette: Palette) -> list[alt.Chart]:
    """The labels of a run's points, above or below them."""
    shown = [row for row in rows if row["run"] == RUNS[run] and row["label"]]
    if not shown:
        return []
    mark = alt.Chart(inline(shown)).mark_text(align="left", dx=10, dy=shift, fontSize=12, color=palette.ink)
    strength = alt.condition("datum.strong", alt.value(1.0), alt.value(0.75))
    return [mark.encode(x=x, y=y, text="label:N", opacity=strength)]


def _ring(rows: Sequence[Row], x: alt.X, y: alt.Y, palette: Palette) -> list[alt.Chart]:
    """A ring around the chosen policy."""
    chosen = [row for row in rows if row["chosen"] and row["run"] == RUNS["policy"]]
    if not chosen:
        return []
    mark = alt.Chart(inline(chosen)).mark_point(shape="circle", size=460, strokeWidth=2, filled=False, opacity=1)
    return [mark.encode(x=x, y=y, stroke=alt.value(palette.accent))]


def _frontier_tips(time: Time, quality: Quality) -> list[alt.Tooltip]:
    tips = [
        alt.Tooltip("policy:N", title="Policy"),
        alt.Tooltip("run:N", title="Run"),
        alt.Tooltip("steps:Q", title="Steps"),
        alt.Tooltip("time:Q", title=time.label, format=time.form),
        alt.Tooltip("value:Q", title=quality.label, format=quality.form),
    ]
    ends = {"low": "95% interval from", "high": "to"}
    return tips + [alt.Tooltip(f"{field}:Q", title=title, format=quality.form) for field, title in ends.items()]


def _same(channel: Any, field: str) -> Any:
    """The same scale, axis and title for another field."""
    found = channel.copy()
    found.shorthand = f"{field}:Q"
    return found
