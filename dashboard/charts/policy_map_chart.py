"""The chart of what each component does at each step of a policy."""

from __future__ import annotations

import json
from collections.abc import Mapping

import altair as alt

from dashboard.charts.axes import Row, inline_data, layered, step_axis
from dashboard.charts.policy_map import DEAD, PolicyMap, Span
from dashboard.theme.palette import Palette, Theme
from dashboard.words.component_labels import component_label
from store.actions import ACTIONS

_ROW_HEIGHT = 16  # pixels
_DEAD_COLORS: Mapping[Theme, str] = {"light": "#4F46B8", "dark": "#A79CFF"}


def policy_map_chart(policy_map: PolicyMap, steps: int, palette: Palette) -> alt.LayerChart:
    """Return the chart of a policy's map: what saves time in strong colours, what is computed pale."""
    colors = state_colors(palette.theme)
    states = [state for state in colors if any(span.state == state for span in policy_map.spans)]
    color = alt.Color(
        "state:N",
        scale=alt.Scale(domain=states, range=[colors[state] for state in states]),
        legend=alt.Legend(orient="top", title=None, offset=8, symbolType="square", symbolOpacity=1, columns=2),
        sort=states,
    )
    labels = {name: component_label(name).full for name in policy_map.components}
    y = alt.Y(
        "component:N",
        sort=None,
        scale=alt.Scale(domain=list(policy_map.components), paddingInner=0.14, paddingOuter=0.1),
        axis=alt.Axis(
            title=None,
            domain=False,
            ticks=False,
            labelFontSize=11,
            labelPadding=8,
            labelOverlap=False,
            labelExpr=f"({json.dumps(labels)})[datum.value]",
        ),
    )
    x = alt.X("start:Q", **step_axis(steps))
    tooltip = [
        alt.Tooltip("label:N", title="Component"),
        alt.Tooltip("steps:N", title="Steps"),
        alt.Tooltip("state:N", title="State"),
        alt.Tooltip("details:N", title="Details"),
    ]
    rows = [_row(span) for span in policy_map.spans]
    bars = alt.Chart(inline_data(rows)).mark_bar(stroke=palette.paper, strokeWidth=1, cornerRadius=2)
    return layered(
        bars.encode(x=x, x2="stop:Q", y=y, color=color, tooltip=tooltip),
        height=_ROW_HEIGHT * len(policy_map.components),
    )


def state_colors(theme: Theme) -> dict[str, str]:
    """Return the colour of each state, in the order of the legend."""
    index = ("light", "dark").index(theme)
    return {action.state: action.colors[index] for action in ACTIONS.values()} | {DEAD: _DEAD_COLORS[theme]}


def _row(span: Span) -> Row:
    window = span.window
    return {
        "component": span.component,
        "label": component_label(span.component).full,
        "start": window.start,
        "stop": window.stop,
        "steps": str(window.start) if window.stop - window.start == 1 else f"{window.start}–{window.stop - 1}",
        "state": span.state,
        "details": span.details or "–",
    }
