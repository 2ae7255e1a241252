"""Sections of the report: the verdicts, the findings, the phases, the impact."""

from __future__ import annotations

from typing import Any

from compute.analysis.impact.ablation_impact import Impact
from compute.analysis.phases.phase_evidence import Phases
from compute.analysis.report.phase_sentences import interval_sentence, phase_sentences
from dashboard.charts.color_scale import ColorScale
from dashboard.data.impact_cells import Cell, in_network_order
from dashboard.data.sweep import Sweep
from dashboard.data.verdicts import Verdict
from dashboard.theme.palette import LIGHT
from dashboard.views.impact.heat_map import heat_map
from dashboard.views.impact.ranking_chart import ranking_chart
from dashboard.views.overview.window_chart import means_by_kind, means_by_window
from dashboard.views.phases import phase_charts as charts
from dashboard.views.phases.boundary_table import boundary_rows
from dashboard.views.report.html_parts import (
    Figures,
    bullets,
    csv_download,
    heading,
    paragraph,
    table_html,
    text_html,
)
from dashboard.words.action_labels import action_label
from dashboard.words.explanations import damage_explanation
from dashboard.words.formatting import window_label
from dashboard.words.metric_labels import scale_label

_RANKED = 12
_MAP_WIDTH = 620
"""Pixels of the map's plot; the names of components stand beside it."""


def verdict_html(verdicts: tuple[Verdict, ...]) -> str:
    """Return the verdicts, which are those of the Overview's cards."""
    boxes = []
    for verdict in verdicts:
        interval = f" <small>{text_html(verdict.interval)}</small>" if verdict.interval else ""
        boxes.append(
            f"<section>{heading(verdict.question)}<b>{text_html(verdict.answer)}{interval}</b>"
            f"{paragraph(verdict.details)}</section>"
        )
    return f'<div class="answers">{"".join(boxes)}</div>'


def findings_html(sweep: Sweep, impact: Impact, figures: Figures) -> str:
    """Return the findings in sentences, and the means that they name."""
    *sentences, caution = sweep.findings(impact.metric)
    coverage = sweep.coverage
    unfinished = f"From {coverage.done} of {coverage.planned} planned runs: these numbers still move."
    parts = [
        heading("Findings"),
        "" if coverage.complete else paragraph(unfinished, "problem"),
        bullets(sentences),
        paragraph(caution, "muted"),
        paragraph(f"In brackets: 95% intervals over conditions. {damage_explanation()}", "muted"),
        figures.figure(
            means_by_window(impact, sweep.steps, LIGHT),
            f"Mean {scale_label(impact).lower()} in each window, over all components that were removed in it.",
        ),
    ]
    if len(impact.main_windows) > 1:
        caption = "The same for each kind of component."
        parts.append(figures.figure(means_by_kind(impact, sweep.steps, LIGHT), caption))
    return "".join(parts)


def phases_html(phases: Phases, figures: Figures) -> str:
    """Return both kinds of evidence for the phases."""
    parts = [heading("Phases"), bullets([*phase_sentences(phases), interval_sentence(phases)])]
    if phases.boundary is not None:
        caption = "The phases on the step axis; the band is the boundary's interval."
        parts.append(figures.figure(charts.phase_ribbon(phases, LIGHT), caption))
    if phases.observed:
        caption = "Observed: how the picture that each step predicts approaches the final one."
        parts.append(figures.figure(charts.observed_chart(phases, LIGHT), caption))
    curve = next((curve for curve in phases.causal if curve.evidence == phases.evidence), None)
    if curve is not None:
        caption = "Causal: which prompt the picture obeys if it is switched at a step."
        parts.append(figures.figure(charts.causal_chart(curve, phases, LIGHT), caption))
    rows = boundary_rows(phases)
    return "".join([*parts, table_html(rows, "Boundaries by evidence"), csv_download(rows, "boundaries")])


def impact_html(sweep: Sweep, impact: Impact, figures: Figures) -> str:
    """Return the map of components by windows, the most harmful ablations, and the table of all of them."""
    cells = sweep.cells(impact.metric)
    removed = any(action.properties.removes for action in impact.actions)
    windows = set(impact.main_windows)
    main = [
        cell
        for cell in cells
        if cell.ablation.window in windows and (cell.ablation.action.properties.removes or not removed)
    ]
    actions = tuple(dict.fromkeys(cell.ablation.action for cell in main))
    colors = ColorScale.of([cell.mean for cell in main], impact.scale, impact.higher_is_worse, LIGHT)
    components = in_network_order(sweep.planned_components(actions))
    title, reseed = scale_label(impact), 1.0 if impact.scale == "damage" else None
    return "".join(
        [
            heading("Impact"),
            figures.figure(
                heat_map(main, components, sweep.steps, colors, title),
                f"{title} of each component in each window, from the network's input to its output.",
                width=_MAP_WIDTH,
            ),
            figures.figure(
                ranking_chart(main[:_RANKED], title, LIGHT, reseed=reseed),
                "The most harmful ablations with their intervals; the dashed line is another seed.",
                width=_MAP_WIDTH,
            ),
            csv_download([_row(title, cell) for cell in cells], f"impact-{impact.metric}"),
        ]
    )


def _row(title: str, cell: Cell) -> dict[str, Any]:
    return {
        "Rank": cell.rank,
        "Component": cell.label.full,
        "Window": window_label(cell.ablation.window),
        title: cell.mean,
        "Low": cell.low,
        "High": cell.high,
        "Distinguishable": "yes" if cell.distinguishable else "no",
        "Action": action_label(cell.ablation.action),
        "Conditions": cell.conditions,
        "Module path": cell.label.path,
    }
