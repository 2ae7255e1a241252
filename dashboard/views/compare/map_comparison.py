"""The maps of two sweeps and their difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import streamlit as st

from compute.analysis.impact.ablation_impact import Impact
from compute.analysis.impact.comparison import ImpactComparison, ImpactPair, compare_impacts
from dashboard.charts.color_scale import ColorScale
from dashboard.data.impact_cells import in_network_order
from dashboard.data.sweep import Sweep
from dashboard.theme.palette import Figure, Palette
from dashboard.views.compare.compare_charts import MapCell, small_map
from dashboard.views.impact.cell_filters import action_options, actions_label, actions_token, length_options
from dashboard.widgets import choices
from dashboard.widgets.cached_chart import cached_chart
from dashboard.widgets.escaping import escape_markdown
from dashboard.widgets.panels import note, section
from dashboard.widgets.tables import table
from dashboard.words.action_labels import action_label
from dashboard.words.component_labels import ablated_label
from dashboard.words.formatting import window_label
from dashboard.words.metric_labels import scale_label
from store.records import Ablation, Components

_NAMED = 6


@dataclass(frozen=True, kw_only=True)
class _Chosen:
    """Two sweeps by name, their impact, and what they share."""

    names: tuple[str, str]
    impacts: tuple[Impact, Impact]
    steps: int
    comparison: ImpactComparison


def show_maps(shown: Sweep, sweeps: Mapping[str, Sweep]) -> None:
    """Show what can be compared of two sweeps, which are chosen."""
    section("Two maps and their difference", help="The same components in the same windows with the same action.")
    chosen = _choose(sweeps)
    if chosen is None:
        return
    pairs, token = _choose_pairs(chosen)
    _show_unmatched(chosen)
    if not pairs:
        note("No ablation is in both sweeps, so there is no difference to show.")
        return
    title, components = (
        scale_label(chosen.impacts[0]),
        in_network_order(dict.fromkeys(p.ablation.components for p in pairs)),
    )
    selection = [*chosen.names, chosen.impacts[0].metric, token]
    selection += [str(sweeps[name].fingerprint) for name in chosen.names]
    apart = sum(pair.apart for pair in pairs)
    note(
        f"Of {len(pairs)} shared ablations, {apart} have intervals that do not overlap. Intervals cover the conditions "
        "of each sweep: where these are other ones, part of a difference is theirs."
    )
    for column, place in zip(st.columns(3, gap="small"), range(3), strict=True):
        with column:
            heading = (*chosen.names, f"{chosen.names[1]} minus {chosen.names[0]}")[place]
            st.markdown(f"**{escape_markdown(heading)}**")
            cached_chart(
                f"map {place + 1}",
                partial(_map, chosen, pairs, components, place, title),
                shown,
                *selection,
                alt_text=f"{title} of each shared component in each window: {heading}",
            )
    rows = [_row(chosen.names, title, pair) for pair in sorted(pairs, key=lambda pair: -abs(pair.difference))]
    table(rows, name="comparison", height=390)


def _choose(sweeps: Mapping[str, Sweep]) -> _Chosen | None:
    names, columns = list(sweeps), st.columns(3, gap="medium")
    with columns[0]:
        first = choices.select("first", "First", names)
    with columns[1]:
        second = choices.select("second", "Second", [name for name in names if name != first])
    shared = [name for name in sweeps[first].metrics if name in sweeps[second].metrics]
    if not shared:
        note(f"{first} and {second} have no finished ablation by a common metric.")
        return None
    with columns[2]:
        metric = choices.select("metric", "Metric", shared, format_func=sweeps[first].metric_label)
    impacts = sweeps[first].impact(metric), sweeps[second].impact(metric)
    if impacts[0].scale != impacts[1].scale:
        note(f"{first} and {second} have this metric on different scales.")
        return None
    same = sweeps[first].steps == sweeps[second].steps
    if not same:
        note(
            f"{first} has {sweeps[first].steps} sampling steps and {second} {sweeps[second].steps}: no window of one "
            "is a window of the other."
        )
    comparison = compare_impacts(*impacts, same_steps=same)
    return _Chosen(names=(first, second), impacts=impacts, steps=sweeps[first].steps, comparison=comparison)


def _choose_pairs(chosen: _Chosen) -> tuple[list[ImpactPair], str]:
    """Return the shared ablations of the chosen action and length of window, and a text for the choice."""
    ablations = [pair.ablation for pair in chosen.comparison.pairs]
    if not ablations:
        return [], ""
    left, right = st.columns(2, gap="medium")
    with left:
        options = action_options(ablations)
        actions = choices.select("shown_action", "Action", options, token=actions_token, format_func=actions_label)
    with right:
        lengths = length_options(ablation for ablation in ablations if ablation.action in actions)
        length = choices.select("length", "Window", lengths, format_func=lambda n: "1 step" if n == 1 else f"{n} steps")
    pairs = [
        pair
        for pair in chosen.comparison.pairs
        if pair.ablation.action in actions and pair.ablation.window.stop - pair.ablation.window.start == length
    ]
    return pairs, f"{actions_token(actions)} {length}"


def _map(
    chosen: _Chosen,
    pairs: Sequence[ImpactPair],
    components: Sequence[Components],
    place: int,
    title: str,
    palette: Palette,
) -> Figure:
    """The first sweep's map, the second's on the same colours, or their difference."""
    impact = chosen.impacts[0]
    if place == 2:
        values = [pair.difference for pair in pairs]
        details = ["intervals apart" if pair.apart else "intervals overlap" for pair in pairs]
        colors = ColorScale.of(values, "difference", impact.higher_is_worse, palette)
        title = f"Difference of {title.lower()}"
    else:
        effects = [(pair.first, pair.second)[place] for pair in pairs]
        values, details = [effect.mean for effect in effects], [str(effect) for effect in effects]
        both = [effect.mean for pair in pairs for effect in (pair.first, pair.second)]
        colors = ColorScale.of(both, impact.scale, impact.higher_is_worse, palette)
    cells = [
        MapCell(ablation=pair.ablation, value=value, details=text)
        for pair, value, text in zip(pairs, values, details, strict=True)
    ]
    return small_map(cells, components, chosen.steps, colors, title)


def _show_unmatched(chosen: _Chosen) -> None:
    """Name the components that only one of the sweeps has ablations of."""
    only = (chosen.comparison.only_first, chosen.comparison.only_second)
    for name, ablations in zip(chosen.names, only, strict=True):
        if ablations:
            labels = list(dict.fromkeys(_named(ablation) for ablation in ablations))
            more = f" and {len(labels) - _NAMED} more" if len(labels) > _NAMED else ""
            note(f"Only in {name}: {len(ablations)} ablations, {', '.join(labels[:_NAMED])}{more}.")


def _named(ablation: Ablation) -> str:
    action, window = action_label(ablation.action).lower(), window_label(ablation.window)
    return f"{ablated_label(ablation.components).full} ({action}, {window})"


def _row(names: tuple[str, str], title: str, pair: ImpactPair) -> dict[str, Any]:
    label = ablated_label(pair.ablation.components)
    return {
        "Component": label.full,
        "Window": window_label(pair.ablation.window),
        f"{title}, {names[0]}": pair.first.mean,
        f"{title}, {names[1]}": pair.second.mean,
        "Difference": pair.difference,
        "Intervals": "apart" if pair.apart else "overlap",
        "Action": action_label(pair.ablation.action),
        "Module path": label.path,
    }
