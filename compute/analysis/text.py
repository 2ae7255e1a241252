"""Impact in words and aligned columns, for a terminal."""

from __future__ import annotations

from compute.analysis.impact import AblationImpact, Impact

_SHOWN = 4


def describe_impact(impact: Impact) -> str:
    """What matters most and least in each window, with intervals."""
    conditions = max(a.conditions for a in impact.ablations)
    lines = [
        f"Damage by {impact.metric} over {conditions} conditions: 0 is the same picture, 1 is as different as another "
        "seed; in brackets the 95% interval over conditions.",
        f"Controls: null ablation {impact.null.mean:.3f}; another seed 1 (= {impact.reseed:.4f} {impact.metric}).",
        f"{len(impact.ablations)} ablations; the extremes of so many look more extreme than they are.",
    ]
    width = max(len(_name(a)) for a in impact.ablations)
    for window in impact.windows:
        ranked = impact.in_window(window)
        mean = sum(a.damage.mean for a in ranked) / len(ranked)
        lines.append(f"\nsteps {window}: mean damage {mean:.3f}")
        shown = min(_SHOWN, len(ranked) // 2) or 1
        for title, some in (("matter most", ranked[:shown]), ("matter least", ranked[::-1][:shown])):
            lines.append(f"  {title}")
            lines += [f"    {_name(a):<{width}}  {a.damage}" for a in some]
    return "\n".join(lines)


def _name(ablation: AblationImpact) -> str:
    return f"{ablation.components} ({ablation.action})"
