"""The map of a policy: what each component does at each step."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import altair as alt

from dashboard.charts.axes import Row, inline, layered, step_axis
from dashboard.pages.policies.policy_map import DEAD, Span
from dashboard.theme.palette import Palette, Theme
from dashboard.words.component_labels import component_label
from store.actions import ACTIONS

_ROW = 16
_DEAD_COLORS: Mapping[Theme, str] = {"light": "#7C8490", "dark": "#8A93A1"}


def policy_map(spans: Sequence[Span], rows: Sequence[str], steps: int, palette: Palette) -> alt.LayerChart:
    """What each component does at each step: blocks for what runs or stands in, thin lines for what does not run."""
    colours = _colours(palette.theme)
    shown = [state for state in colours if any(span.state == state for span in spans)]
    colour = alt.Color(
        "state:N",
        scale=alt.Scale(domain=shown, range=[colours[state] for state in shown]),
        legend=alt.Legend(orient="top", title=None, offset=8, symbolType="square", symbolOpacity=1, labelLimit=320),
        sort=shown,
    )
    labels = {name: component_label(name).full for name in rows}
    y = alt.Y(
        "component:N",
        sort=None,
        scale=alt.Scale(domain=list(rows), paddingInner=0.14, paddingOuter=0.1),
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
    tips = [
        alt.Tooltip("label:N", title="Component"),
        alt.Tooltip("steps:N", title="Steps"),
        alt.Tooltip("state:N", title="It"),
        alt.Tooltip("details:N", title="How"),
    ]
    blocks = [_span_row(span) for span in spans if span.state != DEAD]
    lines = [_span_row(span) for span in spans if span.state == DEAD]
    bars = alt.Chart(inline(blocks)).mark_bar(stroke=palette.paper, strokeWidth=1, cornerRadius=2)
    layers: list[alt.Chart] = [bars.encode(x=x, x2="stop:Q", y=y, color=colour, tooltip=tips)]
    if lines:
        rules = alt.Chart(inline(lines)).mark_rule(strokeWidth=2, opacity=0.55)
        layers.append(rules.encode(x=x, x2="stop:Q", y=y, color=colour, tooltip=tips))
    return layered(*layers, height=_ROW * len(rows))


def _colours(theme: Theme) -> dict[str, str]:
    """The colour of each state, in the order of a legend."""
    place = ("light", "dark").index(theme)
    return {action.state: action.colors[place] for action in ACTIONS.values()} | {DEAD: _DEAD_COLORS[theme]}


def _span_row(span: Span) -> Row:
    steps = str(span.start) if span.stop - span.start == 1 else f"{span.start}–{span.stop - 1}"
    return {
        "component": span.component,
        "label": component_label(span.component).full,
        "start": span.start,
        "stop": span.stop,
        "steps": steps,
        "state": span.state,
        "details": span.details or "–",
    }
