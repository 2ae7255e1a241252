"""The headline findings of a sweep, in sentences with their numbers."""

from __future__ import annotations

from collections.abc import Iterator

from compute.analysis.coverage import LEAST_COVERAGE, Coverage
from compute.analysis.impact.ablation_impact import Impact
from compute.analysis.impact.group_curves import by_kind, mean_change, mean_impact
from compute.analysis.phases.phase_evidence import Phases
from compute.analysis.report.phase_sentences import phase_sentences
from compute.analysis.report.sentences import caution, steps_text

_KINDS = {
    "resnet": "residual blocks",
    "attention": "attention blocks",
    "self_attention": "self-attentions",
    "cross_attention": "cross-attentions",
    "feed_forward": "feed-forwards",
    "downsampler": "downsamplers",
    "upsampler": "upsamplers",
    "skip": "skip connections",
    "unet": "whole-network actions",
    "guidance": "actions on guidance",
}
NEGLIGIBLE = 0.01
"""Damage that is not visible: a hundredth of what another seed changes."""


def too_early(coverage: Coverage) -> str:
    """Return why nothing is concluded from a sweep yet, or "" if enough of it is done."""
    if coverage.enough:
        return ""
    return (
        f"Findings are stated once {LEAST_COVERAGE:.0%} of every window is done. So far {coverage.done} of "
        f"{coverage.planned} planned runs are (an ablation on one condition each); the least finished window has "
        f"{coverage.least:.0%} of its own."
    )


def findings(impact: Impact, phases: Phases | None) -> tuple[str, ...]:
    """Return what a sweep shows, the most important first, a caution last.

    Screening in other windows than the main ones is left out.
    """
    main = impact.only(windows=impact.main_windows)
    sentences = [*_first_and_last_window(main), *_kinds(main), *_negligible(main)]
    if phases is not None:
        sentences += phase_sentences(phases)
        sentences += [phases.missing] if phases.missing else []
    return (*sentences, caution(impact))


def _first_and_last_window(main: Impact) -> Iterator[str]:
    """The mean impact in the first and in the last window, and whether they differ, paired by condition."""
    first, last = main.windows[0], main.windows[-1]
    early, late = main.only(windows=(first,)), main.only(windows=(last,))
    sentence = f"One ablation in {steps_text(first)} {_verb(main)} {mean_impact(early)} on average"
    if first == last:
        yield f"{sentence} over {len(early.ablations)} of them."
        return
    change = mean_change(early, late)
    doubt = "" if change.low > 0 or change.high < 0 else ", which these conditions can't tell from none"
    yield f"{sentence}, in {steps_text(last)} {mean_impact(late)}: a difference of {change}{doubt}."


def _verb(main: Impact) -> str:
    if main.scale == "damage":
        return f"does a damage ({main.label}) of"
    return f"changes {main.label} by" if main.scale == "difference" else f"leaves {main.label} at"


def _kinds(main: Impact) -> Iterator[str]:
    """Which kind of component matters most, and which least, in the first and in the last window."""
    sign = -1 if main.higher_is_worse else 1
    for window in dict.fromkeys((main.windows[0], main.windows[-1])):
        curves = by_kind(main.only(windows=(window,)))
        ranked = sorted(curves, key=lambda curve: sign * curve.effect[0].mean)
        most, least = ranked[0], ranked[-1]
        if most.effect[0].mean != least.effect[0].mean:
            yield (
                f"In {steps_text(window)}, {_plural(most.group)} matter most ({most.effect[0]}) and "
                f"{_plural(least.group)} least ({least.effect[0]}), on average over each kind."
            )


def _negligible(main: Impact) -> Iterator[str]:
    """The number of ablations in each window with negligible damage, by the upper end of the interval."""
    if main.scale != "damage":
        return
    counts = []
    for window in main.windows:
        here = main.in_window(window)
        counts.append(f"{sum(a.effect.high < NEGLIGIBLE for a in here)} of {len(here)} in {steps_text(window)}")
    yield f"Ablations whose damage is below {NEGLIGIBLE} by the upper end of their interval: {', '.join(counts)}."


def _plural(kind: str) -> str:
    return _KINDS.get(kind, f"{kind} components")
