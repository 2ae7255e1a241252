"""A policy beside its rival, full compute with fewer steps: who should choose which."""

from __future__ import annotations

from typing import Literal

from compute.analysis.report.phase_sentences import by_importance, evidence_name
from compute.policy.quality import Validation
from compute.statistics.estimate import Estimate, bounded

Comparison = Literal["better", "worse", "equal"]
"""The policy against its rival; `equal` if their intervals overlap."""
_UNLESS = "unless you want the very pictures of full compute, which the policy keeps and fewer steps do not"


def policy_verdict(validation: Validation) -> str:
    """Return in one sentence how a policy stands beside fewer steps, and who should choose which."""
    policy, fewer = validation.policy, validation.run("fewer_steps")
    if fewer is None:
        return f"It is {policy.speedup.shown('.2f')} times as fast as full compute; fewer steps were not measured."
    speed = _compared(policy.speedup, fewer.speedup)
    name = f"full compute with {fewer.steps} steps"
    facts = f"{policy.speedup.mean:.2f} times as fast as full compute, {name} {fewer.speedup.mean:.2f} times"
    aspect = next(iter(by_importance(policy.fidelity.keys() & fewer.fidelity.keys())), None)
    if aspect is None:
        return f"It is {facts}; which of the two makes better pictures was not measured."
    ours, theirs = (bounded(run.fidelity[aspect], validation.conditions) for run in (policy, fewer))
    shares = f"{evidence_name(aspect)} right in {ours.mean:.1%} of its pictures, in {theirs.mean:.1%} of theirs"
    return f"It is {facts}; {shares}. {_advice(speed, _compared(ours, theirs), name)}"


def _compared(ours: Estimate, theirs: Estimate) -> Comparison:
    if ours.low > theirs.high:
        return "better"
    return "worse" if ours.high < theirs.low else "equal"


def _advice(speed: Comparison, quality: Comparison, name: str) -> str:
    if "worse" not in (speed, quality) and "better" in (speed, quality):
        return f"Choose the policy over {name}."
    if speed == "equal" and quality == "equal":
        return f"No difference between the two is seen: choose {name}, {_UNLESS}."
    if "better" not in (speed, quality):
        return f"Choose {name}, {_UNLESS}."
    faster, finer = ("the policy", name) if speed == "better" else (name, "the policy")
    return f"Choose {faster} for speed, {finer} for quality."
