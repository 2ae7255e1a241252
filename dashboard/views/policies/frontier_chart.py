"""The frontier: measured time against measured quality of policies, full compute and fewer steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from compute.policy.quality import RunName
from dashboard.charts.axes import Row, inline_data, layered
from dashboard.data.policy_files import PolicyFile
from dashboard.theme.palette import Palette
from dashboard.views.policies.budget import Budget
from dashboard.views.policies.quality_axes import SECONDS, SPEEDUP, QualityAxis, TimeAxis
from dashboard.views.policies.run_labels import RUN_LABELS

PICKED = "picked_policy"


def frontier_chart(
    files: Sequence[PolicyFile],
    time: TimeAxis,
    quality: QualityAxis,
    chosen: str,
    palette: Palette,
    budget: Budget | None = None,
) -> alt.LayerChart:
    """Return the chart of every run of validated policies by time and quality.

    A click selects a policy under the name PICKED. `chosen` is the stem of the policy to emphasize, or "".
    The budget is a line with the allowed region, where one of the axes has it.
    """
    rows = frontier_rows(files, time, quality, chosen)
    data = inline_data(rows)
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
        axis=alt.Axis(format=quality.number_format, tickCount=6, domain=False, ticks=False),
    )
    color, shape = _color_and_shape(rows, palette)
    opacity = alt.condition("datum.emphasized", alt.value(1.0), alt.value(0.5))
    rules = alt.Chart(data).mark_rule(strokeWidth=1.5)
    layers = _budget_layers(rows, time, quality, budget, x, y, palette) + _fewer_steps(files, time, quality, x, palette)
    layers.append(rules.encode(x=x, y=_with_field(y, "low"), y2="high:Q", color=color, opacity=opacity))
    if any(row["time_low"] is not None for row in rows):
        time_ends = {"x": _with_field(x, "time_low"), "x2": "time_high:Q"}
        layers.append(rules.encode(**time_ends, y=y, color=color, opacity=opacity))
    layers += _ring(rows, x, y, palette)
    pick = alt.selection_point(name=PICKED, fields=["stem"], on="click", empty=False)
    layers.append(
        alt.Chart(data)
        .mark_point(filled=True, stroke=palette.paper, strokeWidth=1, cursor="pointer")
        .encode(
            x=x,
            y=y,
            color=color,
            shape=shape,
            opacity=opacity,
            size=alt.condition("datum.chosen", alt.value(150), alt.value(80)),
            tooltip=_tooltip(quality),
        )
        .add_params(pick)
    )
    layers += _point_labels(rows, "policy", -10, x, y, palette)
    layers += _point_labels(rows, "fewer_steps", 12, x, y, palette)
    return layered(*layers, height=380)


def frontier_rows(files: Sequence[PolicyFile], time: TimeAxis, quality: QualityAxis, chosen: str) -> list[Row]:
    """Return a row for each run of each validated policy whose quality was measured; those of `chosen` come last."""
    rows: list[Row] = []
    for file in files:
        if file.policy is None or file.policy.validation is None:
            continue
        for run in file.policy.validation.runs:
            value = quality.value(run, file.policy.validation.conditions)
            if value is None:
                continue
            mean_time, time_low, time_high = time.value(run)
            label = {"policy": file.policy.name, "fewer_steps": f"{run.steps} steps"}.get(run.name, "")
            rows.append(
                {
                    "stem": file.stem,
                    "policy": file.policy.name,
                    "run": RUN_LABELS[run.name],
                    "label": label if run.name == "policy" or file.stem == chosen else "",
                    "steps": run.steps,
                    "time": mean_time,
                    "seconds": run.seconds_per_picture,
                    "speedup": run.speedup.mean,
                    "full_seconds": run.seconds_per_picture * run.speedup.mean,
                    "time_low": time_low,
                    "time_high": time_high,
                    "value": value.mean,
                    "low": value.low,
                    "high": value.high,
                    "chosen": file.stem == chosen,
                    "emphasized": chosen in ("", file.stem),
                }
            )
    return sorted(rows, key=lambda row: row["chosen"])


def _budget_layers(
    rows: Sequence[Row],
    time: TimeAxis,
    quality: QualityAxis,
    budget: Budget | None,
    x: alt.X,
    y: alt.Y,
    palette: Palette,
) -> list[alt.Chart]:
    """Return the region that the budget allows, and its line; none where no axis has it."""
    if budget is None or not rows:
        return []
    full = next((row for row in rows if row["run"] == RUN_LABELS["full"]), None)
    full_seconds = float(full["time"]) if full and time.token == "seconds" else float(rows[0]["full_seconds"])
    layers: list[alt.Chart] = []
    for axis, channel, name in ((quality, y, "y"), (time, x, "x")):
        limit = budget.limit_on(axis, full_seconds)
        if limit is None:
            continue
        # The region leads to the better end: to the least damage, the fewest seconds, the greatest speedup.
        values = [float(row["value" if name == "y" else "time"]) for row in rows]
        better = max(*values, limit) if axis is SPEEDUP else min(*values, limit)
        data = inline_data([{"limit": limit, "better": better, "label": f"Budget: {budget.text}"}])
        start, end = _with_field(channel, "limit"), "better:Q"
        mark = alt.Chart(data)
        region = mark.mark_rect(color=palette.shade, opacity=0.75).encode(**{name: start, f"{name}2": end})
        line = mark.mark_rule(color=palette.accent, strokeDash=[6, 4], strokeWidth=1.5)
        layers += [region, line.encode(**{name: start}, tooltip=[alt.Tooltip("label:N", title="Budget")])]
    return layers


def _fewer_steps(
    files: Sequence[PolicyFile], time: TimeAxis, quality: QualityAxis, x: alt.X, palette: Palette
) -> list[alt.Chart]:
    """Return lines at the times of fewer steps, where the quality is damage, which they don't have."""
    runs = [file.policy.validation.run("fewer_steps") for file in files if file.policy and file.policy.validation]
    if quality.measure != "damage":
        return []
    rows = [
        {"at": time.value(run)[0], "label": f"Full compute, {run.steps} steps: other noise, so no damage"}
        for run in runs
        if run is not None
    ]
    if not rows:
        return []
    line = alt.Chart(inline_data(rows)).mark_rule(color=palette.second, strokeDash=[2, 3], strokeWidth=1.5)
    return [line.encode(x=_with_field(x, "at"), tooltip=[alt.Tooltip("label:N", title="Rival")])]


def _color_and_shape(rows: Sequence[Row], palette: Palette) -> tuple[alt.Color, alt.Shape]:
    """Return the colour and the shape of the runs that occur."""
    marks: dict[RunName, tuple[str, str]] = {
        "full": (palette.muted, "square"),
        "policy": (palette.first, "circle"),
        "fewer_steps": (palette.second, "triangle-up"),
    }
    present = [run for run in marks if any(row["run"] == RUN_LABELS[run] for row in rows)]
    labels = [RUN_LABELS[run] for run in present]
    colors, shapes = [marks[run][0] for run in present], [marks[run][1] for run in present]
    legend = alt.Legend(orient="top", title=None, offset=6, symbolOpacity=1)
    return (
        alt.Color("run:N", scale=alt.Scale(domain=labels, range=colors), legend=legend, sort=labels),
        alt.Shape("run:N", scale=alt.Scale(domain=labels, range=shapes), legend=legend, sort=labels),
    )


def _point_labels(
    rows: Sequence[Row], run: RunName, shift: int, x: alt.X, y: alt.Y, palette: Palette
) -> list[alt.Chart]:
    """Return the labels of a run's points, shifted by so many pixels downwards."""
    labelled = [row for row in rows if row["run"] == RUN_LABELS[run] and row["label"]]
    if not labelled:
        return []
    mark = alt.Chart(inline_data(labelled)).mark_text(align="left", dx=10, dy=shift, fontSize=12, color=palette.ink)
    opacity = alt.condition("datum.emphasized", alt.value(1.0), alt.value(0.75))
    return [mark.encode(x=x, y=y, text="label:N", opacity=opacity)]


def _ring(rows: Sequence[Row], x: alt.X, y: alt.Y, palette: Palette) -> list[alt.Chart]:
    """Return a ring around the chosen policy."""
    chosen = [row for row in rows if row["chosen"] and row["run"] == RUN_LABELS["policy"]]
    if not chosen:
        return []
    mark = alt.Chart(inline_data(chosen)).mark_point(shape="circle", size=460, strokeWidth=2, filled=False, opacity=1)
    return [mark.encode(x=x, y=y, stroke=alt.value(palette.accent))]


def _tooltip(quality: QualityAxis) -> list[alt.Tooltip]:
    return [
        alt.Tooltip("policy:N", title="Policy"),
        alt.Tooltip("run:N", title="Run"),
        alt.Tooltip("steps:Q", title="Steps"),
        alt.Tooltip("seconds:Q", title=SECONDS.label, format=SECONDS.number_format),
        alt.Tooltip("speedup:Q", title=SPEEDUP.label, format=SPEEDUP.number_format),
        alt.Tooltip("value:Q", title=quality.label, format=quality.number_format),
        alt.Tooltip("low:Q", title="95% interval from", format=quality.number_format),
        alt.Tooltip("high:Q", title="to", format=quality.number_format),
    ]


def _with_field(channel: Any, field: str) -> Any:
    """Return a channel with the same scale, axis and title for another field."""
    other = channel.copy()
    other.shorthand = f"{field}:Q"
    return other
