"""A policy's validation in sentences."""

from __future__ import annotations

from compute.analysis.report.phase_sentences import by_importance, evidence_name
from compute.policy.quality import RunQuality, Validation
from compute.statistics.estimate import Estimate, bounded, unseen_share
from dashboard.words.explanations import DAMAGE_SCALE
from dashboard.words.metric_labels import metric_in_sentence


def validation_sentences(validation: Validation) -> tuple[str, ...]:
    """Return what a validation shows, every claim with its interval."""
    return (
        _speed_sentence(validation),
        _damage_sentence(validation.policy),
        *_fidelity_sentences(validation),
        _fewer_steps_sentence(validation),
        "In brackets: 95% intervals.",
    )


def _speed_sentence(validation: Validation) -> str:
    speedup = validation.policy.speedup
    if speedup.low > 1:
        verdict = "It is faster than full compute beyond doubt"
    elif speedup.high < 1:
        verdict = "It is slower than full compute"
    else:
        verdict = "It is not faster than full compute beyond doubt, since the interval includes 1"
    rounds = f"{validation.rounds} round{'s' * (validation.rounds != 1)} run in turn"
    return f"{verdict}: {speedup.shown('.2f')} times its speed, over {rounds}."


def _damage_sentence(run: RunQuality) -> str:
    if not run.damage:
        return "Damage was not measured."
    damages = [f"{value.shown('.3g')} by {metric_in_sentence(name)}" for name, value in sorted(run.damage.items())]
    return f"Damage ({DAMAGE_SCALE}): {', '.join(damages)}."


def _fidelity_sentences(validation: Validation) -> list[str]:
    sentences = []
    for aspect in by_importance(sorted(validation.fidelity_difference)):
        difference = validation.fidelity_difference[aspect]
        if difference.flat:
            sentences.append(_same_sentence(aspect, difference, validation.conditions))
            continue
        if difference.low > 0:
            verdict = "better beyond doubt"
        elif difference.high < 0:
            verdict = "worse beyond doubt"
        else:
            verdict = "no significant difference"
        sentences.append(
            f"Prompt fidelity ({evidence_name(aspect)}) against full compute, picture by picture: "
            f"{_points(difference)}; {verdict}."
        )
    return sentences


def _same_sentence(aspect: str, difference: Estimate, conditions: int) -> str:
    """What pictures that do not vary can mean, since an interval without a width would claim too much."""
    what = f"Prompt fidelity ({evidence_name(aspect)}) against full compute, picture by picture"
    seen = "none differs" if difference.mean == 0 else f"each differs by {100 * difference.mean:.1f} points"
    share = unseen_share(conditions)
    bound = f"{share:.0%}" if share >= 0.02 else f"{share:.1%}"
    return f"{what}: of {conditions}, {seen}; among other pictures up to {bound} may be unlike these (95%)."


def _points(difference: Estimate) -> str:
    """Return a difference of shares in percentage points."""
    return f"{100 * difference.mean:.1f} [{100 * difference.low:.1f}, {100 * difference.high:.1f}] points"


def _fewer_steps_sentence(validation: Validation) -> str:
    fewer, policy = validation.run("fewer_steps"), validation.policy
    if fewer is None:
        return "Fewer steps of full compute were not measured beside it."
    speed = f"Full compute with {fewer.steps} steps instead has {fewer.speedup.shown('.2f')} times the speed"
    shared = by_importance(sorted(policy.fidelity.keys() & fewer.fidelity.keys()))
    if not shared:
        return f"{speed}; which of the two is better was not measured."
    aspect = shared[0]
    ours, theirs = (bounded(run.fidelity[aspect], validation.conditions) for run in (policy, fewer))
    if ours.low > theirs.high or theirs.low > ours.high:
        verdict = f"{'the policy' if ours.mean > theirs.mean else 'fewer steps'} better, beyond their intervals"
    else:
        verdict = "their intervals overlap"
    return (
        f"{speed}: {evidence_name(aspect)} right in {theirs.shown('.1%')} of its pictures, "
        f"in {ours.shown('.1%')} of the policy's; {verdict}."
    )
