"""Impact and phases in sentences and aligned columns, for a terminal."""

from __future__ import annotations

import numpy as np

from compute.analysis.impact.ablation_impact import AblationImpact, Impact
from compute.analysis.impact.component_kinds import group_name
from compute.analysis.impact.group_curves import mean_impact
from compute.analysis.phases.phase_evidence import ObservedCurve, Phases
from compute.analysis.report.phase_sentences import evidence_name, phase_sentences
from compute.analysis.report.sentences import caution, steps_text
from compute.statistics.estimate import CONFIDENCE
from store.records import Action, Window

_SHOWN = 4
_ROWS = 26


def describe_impact(impact: Impact) -> str:
    """Return what matters most and least in each window, and of a screening a line for each action and length."""
    main = impact.only(windows=impact.main_windows)
    lines = [*_head(impact), caution(impact)]
    width = max(len(_name(a)) for a in main.ablations)
    for window in main.windows:
        lines += _window(impact, window, width)
    return "\n".join([*lines, *_screening(impact)])


def _head(impact: Impact) -> list[str]:
    conditions = max(a.conditions for a in impact.ablations)
    over = f"over {conditions} conditions"
    interval = f"in brackets the {CONFIDENCE:.0%} interval over conditions."
    null = "not there yet" if impact.null is None else f"{impact.null.mean:.3f}"
    if impact.scale == "damage":
        scale = (
            f"Damage by {impact.metric} {over}: 0 is the same picture, 1 is as different as another seed; {interval}"
        )
        seed = f"1 (= {impact.reseed:.4f} {impact.metric})"
    elif impact.scale == "difference":
        worse = "above" if impact.higher_is_worse else "below"
        scale = f"Change of {impact.metric} {over}, ablated minus baseline: {worse} 0 is worse; {interval}"
        seed = f"{impact.reseed:+.3f}"
    else:
        worse = "higher" if impact.higher_is_worse else "lower"
        scale = f"{impact.metric} against the baseline {over}: {worse} is worse; {interval}"
        seed = f"{impact.reseed:.3f}"
    return [scale, f"Controls: null ablation {null}; another seed {seed}."]


def _window(impact: Impact, window: Window, width: int) -> list[str]:
    here = impact.only(windows=(window,))
    ranked = here.ranked()
    lines = [f"\n{steps_text(window)}: mean {_noun(impact)} {mean_impact(here).mean:.3f}"]
    if ranked[0].effect.mean == ranked[-1].effect.mean:
        return [*lines, f"  the same for all {len(ranked)} ablations"]
    shown = min(_SHOWN, len(ranked) // 2) or 1
    for title, some in (("matter most", ranked[:shown]), ("matter least", ranked[::-1][:shown])):
        lines.append(f"  {title}")
        lines += [f"    {_name(a):<{width}}  {a.effect}" for a in some]
    return lines


def _screening(impact: Impact) -> list[str]:
    """A line for each action and length of the windows that are not among the main ones."""
    main = set(impact.main_windows)
    groups: dict[tuple[Action, int], set[Window]] = {}
    for a in impact.ablations:
        window = a.ablation.window
        if window not in main:
            groups.setdefault((a.ablation.action, window.stop - window.start), set()).add(window)
    lines = ["\nscreened in other windows"] if groups else []
    for (action, length), windows in groups.items():
        some = impact.only(actions=(action,), windows=windows)
        worst = some.ranked()[0]
        steps = "1 step" if length == 1 else f"{length} steps"
        lines.append(
            f"  {action} for {steps}: {len(some.ablations)} ablations, "
            f"mean {_noun(impact)} {mean_impact(some).mean:.3f}, "
            f"worst {group_name(worst.ablation.components)} in {steps_text(worst.ablation.window)}: {worst.effect}"
        )
    return lines


def _noun(impact: Impact) -> str:
    return {"damage": "damage", "difference": "change", "value": impact.metric}[impact.scale]


def _name(ablation: AblationImpact) -> str:
    return f"{group_name(ablation.ablation.components)} ({ablation.ablation.action})"


def describe_phases(phases: Phases) -> str:
    """Return both kinds of evidence in aligned columns, and their sentences."""
    lines = [
        f"Phases of {phases.steps} steps over {phases.conditions} conditions; "
        f"in brackets the {CONFIDENCE:.0%} interval over conditions.",
        *_observed(phases),
    ]
    if not phases.causal:
        return "\n".join([*lines, "", f"No causal evidence. {phases.missing}"])
    return "\n".join([*lines, *_boundaries(phases), *_switches(phases), "", *phase_sentences(phases)])


def _observed(phases: Phases) -> list[str]:
    title = "observed: how far each part of the predicted picture has come (0 unrelated, 1 the final picture)"
    steps = phases.observed[0].steps
    shown = [steps[place] for place in np.unique(np.linspace(0, len(steps) - 1, 6).round().astype(int))]
    lines = ["", title, f"  {'':<10}" + "".join(f"{f'step {step}':>9}" for step in shown) + "   change of pace at step"]
    for curve in phases.observed:
        cells = "".join(f"{reached_at(curve, step):>9.2f}" for step in shown)
        lines.append(f"  {curve.part:<10}{cells}   {curve.change_point.shown('.1f')}")
    return lines


def reached_at(curve: ObservedCurve, step: float) -> float:
    """Return how far an observed curve has come at a step, interpolated between its steps."""
    return float(np.interp(step, curve.steps, [estimate.mean for estimate in curve.reached]))


def _boundaries(phases: Phases) -> list[str]:
    lines = ["", "causal: switched at a step to another prompt, from which step on does the picture obey its own?"]
    for curve in phases.causal:
        turn = "no turn in the steps switched" if curve.boundary is None else f"step {curve.boundary.shown('.1f')}"
        lines.append(f"  {evidence_name(curve.evidence):<15} {turn}  ({curve.conditions} conditions)")
    return lines


def _switches(phases: Phases) -> list[str]:
    """A row a switch: its damage, and the shares that obey their own and the other prompt."""
    damage = dict(phases.moved)
    curves = [curve for curve in phases.causal if curve.evidence in ("nearness", "all")]
    names = "".join(f"{evidence_name(curve.evidence):>21}" for curve in curves)
    lines = [
        "",
        f"  {'':<6}  {'':>24}{names}",
        f"  {'switch':<6}  {'damage':>24}" + f"{'own':>15}{'other':>6}" * len(curves),
    ]
    steps = curves[0].steps
    every = -(-len(steps) // _ROWS)
    for place, step in list(enumerate(steps))[::every]:
        moved = str(damage[step]) if step in damage else "no control"
        shares = "".join(f"{c.first[place].mean:>15.0%}{c.other[place].mean:>6.0%}" for c in curves)
        lines.append(f"  {step:<6}  {moved:>24}{shares}")
    return lines
