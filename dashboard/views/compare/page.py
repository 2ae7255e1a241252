"""The compare page: the maps of two sweeps and their difference, and the phases of all of them on one axis."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from compute.analysis.phases.phase_evidence import Phases
from compute.analysis.report.phase_sentences import OBSERVED, evidence_name
from compute.statistics.estimate import Estimate
from dashboard.data.arguments import select_stores
from dashboard.data.sweep import Sweep, open_sweep
from dashboard.views.compare.compare_charts import PhaseMark, phases_chart
from dashboard.views.compare.map_comparison import show_maps
from dashboard.views.overview.sweep_facts import sweep_facts
from dashboard.widgets.cached_chart import cached_chart
from dashboard.widgets.page_template import render_page
from dashboard.widgets.panels import note, panel, section, sentence_list
from dashboard.widgets.tables import table
from dashboard.words.formatting import path_argument
from store.errors import SkipscopeError

_MAX_SWEEPS = 8  # on the axis of the phases
_FACTS = ("Model", "Sampler", "Guidance", "Conditions", "Components", "Windows")


def show(sweep: Sweep) -> None:
    """Show the page. The store that other pages show is one of those that are compared."""
    stores = select_stores(sys.argv[1:])
    if len(stores) < 2:
        panel(
            "Only one sweep is shown",
            "Name several on the command line, or a folder that holds several, to compare them:",
            command=f"skipscope dashboard {path_argument(sweep.path)} ANOTHER",
        )
        return
    sweeps, problems = _open_all(stores)
    for problem in problems:
        panel("A sweep cannot be compared", problem, tone="bad")
    _show_facts(sweeps)
    _show_phases(sweep, sweeps)
    if len(sweeps) > 1:
        show_maps(sweep, sweeps)


def _open_all(stores: Mapping[str, Path]) -> tuple[dict[str, Sweep], list[str]]:
    opened: dict[str, Sweep] = {}
    problems = []
    for name, path in stores.items():
        try:
            opened[name] = open_sweep(path)
            _ = opened[name].steps  # raises
        except (SkipscopeError, OSError) as error:
            opened.pop(name, None)
            problems.append(f"{name}: {error}")
    return opened, problems


def _show_facts(sweeps: Mapping[str, Sweep]) -> None:
    section("What was swept")
    rows = []
    for name, sweep in sweeps.items():
        facts = dict(sweep_facts(sweep))
        counts = sweep.status().counts
        rows.append(
            {"Sweep": name, **{term: facts[term] for term in _FACTS}, "Done": f"{counts.done} of {counts.planned}"}
        )
    table(rows, name="sweeps", height=36 * (len(rows) + 1) + 3)


def _show_phases(shown: Sweep, sweeps: Mapping[str, Sweep]) -> None:
    section("Phases on one axis", help="Where each sweep's pictures turn from composition to denoising.")
    some = dict(list(sweeps.items())[:_MAX_SWEEPS])
    known: dict[str, Phases] = {}
    for name, sweep in some.items():
        try:
            known[name] = sweep.phases()
        except SkipscopeError as error:
            note(f"{name}: {error}")
    if len(sweeps) > len(some):
        note(f"{len(sweeps) - len(some)} more sweeps are not shown here.")
    if not known:
        return
    lengths = {phases.steps for phases in known.values()}
    steps = lengths.pop() if len(lengths) == 1 else None
    marks = [mark for name, phases in known.items() for mark in _marks(name, phases, share=steps is None)]
    sentence_list([_phase_sentence(name, phases) for name, phases in known.items()])
    if steps is None:
        note("The sweeps have different numbers of steps, so the axis is the share of the run.")
    cached_chart(
        "phases of all",
        lambda palette: phases_chart(marks, list(known), steps, palette),
        shown,
        *(f"{sweep.path} {sweep.fingerprint}" for sweep in some.values()),
        alt_text="Where composition ends in each sweep, by each kind of evidence",
    )


def _phase_sentence(name: str, phases: Phases) -> str:
    if phases.boundary is None:
        return f"{name}: {phases.missing or 'no boundary is found.'}"
    return (
        f"{name}: composition ends at step {phases.boundary.shown('.1f')} of {phases.steps}, after "
        f"{phases.boundary.mean / phases.steps:.0%} of the run (judged by: {evidence_name(phases.evidence)}, "
        f"{phases.conditions} conditions)."
    )


def _marks(name: str, phases: Phases, *, share: bool) -> list[PhaseMark]:
    places = [] if phases.boundary is None else [("Composition ends (causal)", phases.boundary)]
    places += [(f"Change point of {OBSERVED[curve.part]} (observed)", curve.change_point) for curve in phases.observed]
    scale = phases.steps if share else 1
    return [
        PhaseMark(
            sweep=name,
            evidence=evidence,
            place=Estimate(mean=at.mean / scale, low=at.low / scale, high=at.high / scale),
        )
        for evidence, at in places
    ]


if __name__ == "__main__":
    render_page("Several sweeps beside each other: where their phases turn, and where their maps differ.", show)
