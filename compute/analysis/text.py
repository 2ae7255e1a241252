"""Impact and phases in words and aligned columns, for a terminal."""

from __future__ import annotations

from compute.analysis.curves import mean_impact
from compute.analysis.estimate import CONFIDENCE
from compute.analysis.impact import AblationImpact, Impact
from compute.analysis.multiple import ALPHA
from store.records import Window

_SHOWN = 4


def describe_impact(impact: Impact) -> str:
    """What matters most and least in each window, with intervals; of a screening a line for each action and length."""
    main = impact.only(windows=impact.main_windows)
    lines = [*_head(impact), caution(impact)]
    width = max(len(_name(a)) for a in main.ablations)
    for window in main.windows:
        lines += _window(impact, window, width)
    return "\n".join([*lines, *_screening(impact)])


def caution(impact: Impact) -> str:
    """What so many comparisons allow to be said: how many ablations can be told from doing nothing."""
    number, conditions = len(impact.ablations), max(a.conditions for a in impact.ablations)
    told = sum(a.distinguishable for a in impact.ablations)
    test = f"sign test over conditions, Holm's correction for {number} ablations"
    extremes = "The extremes of so many look more extreme than they are"
    if told:
        return (
            f"{told} of {number} ablations can be told from doing nothing ({test}: the chance that any of them is "
            f"wrong is at most {ALPHA:.0%}). {extremes}."
        )
    if conditions < impact.conditions_needed:
        return (
            f"{conditions} conditions are too few to tell any of {number} ablations from doing nothing ({test}: "
            f"{impact.conditions_needed} or more are needed). {extremes}: take the ranking as candidates."
        )
    return f"None of {number} ablations can be told from doing nothing ({test})."


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
    if ranked[0].damage.mean == ranked[-1].damage.mean:
        return [*lines, f"  the same for all {len(ranked)} ablations"]
    shown = min(_SHOWN, len(ranked) // 2) or 1
    for title, some in (("matter most", ranked[:shown]), ("matter least", ranked[::-1][:shown])):
        lines.append(f"  {title}")
        lines += [f"    {_name(a):<{width}}  {a.damage}" for a in some]
    return lines


def _screening(impact: Impact) -> list[str]:
    """A line for each action and length of the windows that are not among the main ones."""
    main = set(impact.main_windows)
    groups: dict[tuple[str, int], set[Window]] = {}
    for a in impact.ablations:
        if a.window not in main:
            groups.setdefault((a.action, a.window.stop - a.window.start), set()).add(a.window)
    lines = ["\nscreened in other windows"] if groups else []
    for (action, length), windows in groups.items():
        some = impact.only(actions=(action,), windows=windows)
        worst = some.ranked()[0]
        steps = "1 step" if length == 1 else f"{length} steps"
        lines.append(
            f"  {action} for {steps}: {len(some.ablations)} ablations, "
            f"mean {_noun(impact)} {mean_impact(some).mean:.3f}, "
            f"worst {worst.components} in {steps_text(worst.window)}: {worst.damage}"
        )
    return lines


def steps_text(window: Window) -> str:
    """`steps 5-9`, or `step 7` for a window of one."""
    return f"step {window.start}" if window.stop - window.start == 1 else f"steps {window}"


def _noun(impact: Impact) -> str:
    return {"damage": "damage", "difference": "change", "value": impact.metric}[impact.scale]


def _name(ablation: AblationImpact) -> str:
    return f"{ablation.components} ({ablation.action})"
