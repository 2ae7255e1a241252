"""What each analysis of the field shows, in one sentence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from compute.analysis.impact.component_kinds import group_name
from compute.analysis.impact.fragile_prompts import PromptMatrix
from compute.analysis.impact.observed_change import ObservedChange
from compute.analysis.report.sentences import steps_text
from compute.analysis.trajectories.curvature import Curvature
from compute.analysis.trajectories.radial_spectrum import half_power_frequency
from compute.analysis.trajectories.step_similarity import ALIKE, alike_from

_NAMED = 3
_LEAST_GAP = 0.25
"""Of the number of ablations: ranks that differ by less are no disagreement, nor are neighbours."""
_SAME = 1.05
"""A ratio of frequencies that counts as none."""
_PROMPT = 80  # characters of a prompt within a sentence


def similarity_sentence(similarity: Float[np.ndarray, "steps steps"], steps: Sequence[int], what: str) -> str:
    """Return from where on the states, called `what`, are alike to the last one."""
    place = alike_from(similarity)
    if place == len(steps) - 1:
        return f"None of the {what} before step {steps[-1]} is {ALIKE:g} alike (cosine) to that one."
    if place == 0:
        return f"All {what} are {ALIKE:g} alike (cosine) or more to that of step {steps[-1]}."
    return (
        f"From step {steps[place]} on, all {what} are {ALIKE:g} alike (cosine) or more to that of step {steps[-1]}; "
        f"that of step {steps[0]} is {similarity[0, -1]:.2f} alike."
    )


def spectrum_sentence(spectrum: Float[np.ndarray, "steps frequencies"], steps: Sequence[int]) -> str:
    """Return how the frequency below which half of the variation lies moves from the first to the last step."""
    first, last = half_power_frequency(spectrum[0]), half_power_frequency(spectrum[-1])
    if not np.isfinite([first, last]).all():
        return "A predicted picture of one colour has no spectrum."
    ratio = last / first
    change = "gets finer" if ratio > _SAME else "gets coarser" if ratio < 1 / _SAME else "stays as fine as it was"
    return (
        f"Half of the variation of the predicted picture lies below {first:.1f} cycles a side at step {steps[0]} and "
        f"below {last:.1f} at step {steps[-1]}: it {change}."
    )


def curvature_sentence(curvature: Curvature, schedule: Sequence[int], what: str) -> str:
    """Return how the path bends, and the schedule that it suggests."""
    if not curvature.bend.any():
        return f"The path of the {what} is straight and even: nothing speaks against an even schedule."
    most = curvature.steps[int(curvature.bend.argmax())]
    return (
        f"The path of the {what} is {curvature.detour:.2f} times as long as the straight line between its ends and "
        f"bends most at step {most}; of {len(schedule)} steps it suggests {', '.join(map(str, schedule))}."
    )


def observed_change_sentence(change: ObservedChange) -> str:
    """Return how well the change at once ranks the damage at the end, and what disagrees most."""
    rho = f"{change.spearman:.2f}" if change.correlation is None else change.correlation.shown(".2f")
    over, under = (_disagreeing(change, sign) for sign in (1, -1))
    named = [f"{', '.join(over)} change the prediction much and the picture little"] if over else []
    named += [f"{', '.join(under)} change the prediction little and the picture much"] if under else []
    ending = f": {'; '.join(named)}." if named else "; no component disagrees by a quarter of the ranks."
    return (
        f"The rank correlation of observed change and causal damage is {rho} over {len(change.ablations)} ablations "
        f"and {change.conditions} condition{'s' * (change.conditions != 1)}{ending}"
    )


def _disagreeing(change: ObservedChange, sign: int) -> list[str]:
    gaps = [sign * gap for gap in change.rank_gaps]
    worst = sorted(range(len(gaps)), key=lambda place: -gaps[place])[:_NAMED]
    least = max(_LEAST_GAP, 2 / len(gaps))
    return [group_name(change.ablations[place].ablation.components) for place in worst if gaps[place] >= least]


def prompts_sentence(matrix: PromptMatrix, noun: str) -> str:
    """Return which condition is the most fragile and which the least; `noun` names the numbers."""
    known = int(np.isfinite(matrix.means).sum())
    if known < 2:
        return f"{known} condition{'s' * (known != 1)} with finished ablations cannot be compared."
    most, least = matrix.conditions[0], matrix.conditions[known - 1]
    row = matrix.values[0]
    worst = matrix.windows[int(np.nanargmax(np.abs(row)))]
    return (
        f"“{_short(most.prompt)}” (seed {most.seed}) is the most fragile of {known} conditions with a mean {noun} of "
        f"{matrix.means[0]:.3f}, most of it in {steps_text(worst)}; “{_short(least.prompt)}” (seed {least.seed}) is "
        f"the least with {matrix.means[known - 1]:.3f}."
    )


def _short(prompt: str) -> str:
    return prompt if len(prompt) <= _PROMPT else f"{prompt[: _PROMPT - 1]}…"
