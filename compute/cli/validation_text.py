"""The text of `validate`: a validated policy for a terminal, and as a JSON document."""

from __future__ import annotations

from typing import Any

from compute.policy.quality import Validation
from compute.policy.skip_policy import SkipPolicy

_RUN_NAMES = {"full": "full compute", "policy": "policy", "fewer_steps": "fewer steps"}


def validation_lines(policy: SkipPolicy) -> list[str]:
    """Return the lines that `validate` prints for a validated policy: settings, a table of runs, damage by metric."""
    validation = policy.validation
    assert validation is not None, "only a validated policy is printed"
    lines = [
        f"{policy.name}: {validation.conditions} conditions ({validation.prompts}; seeds {validation.seeds}), "
        f"{validation.dtype}, batch {validation.batch}, {validation.device}, {validation.threads} threads",
        f"  {'':<12} {'steps':>5}  {'s/picture':>9}  {'speedup':<21} {'whole prompt right':<24} KID to real scenes",
    ]
    for run in validation.runs:
        fidelity = run.fidelity["all"].shown(".1%") if "all" in run.fidelity else "no judge"
        kid = str(run.kid) if run.kid is not None else "too few pictures" if run.fidelity else "no judge"
        lines.append(
            f"  {_RUN_NAMES[run.name]:<12} {run.steps:>5}  {run.seconds_per_picture:>9.3f}  "
            f"{run.speedup.shown('.2f'):<21} {fidelity:<24} {kid}"
        )
    lines += [f"  damage by {metric}: {damage}" for metric, damage in validation.policy.damage.items()]
    if "all" in validation.fidelity_difference:
        lines.append(f"  whole prompt right, policy - full: {validation.fidelity_difference['all'].shown('+.1%')}")
    return lines + _end_lines(validation) + _clip_lines(validation)


def _end_lines(validation: Validation) -> list[str]:
    """Return the lines of the quality at the cascade's end; none where no stage comes after the policy's."""
    lines = []
    for run in validation.runs:
        if run.end is None:
            continue
        if "all" in run.end.fidelity:
            right = run.end.fidelity["all"].shown(".1%")
            lines.append(f"  after the stage {run.end.stage}, {_RUN_NAMES[run.name]}: whole prompt right {right}")
        lines += [
            f"  after the stage {run.end.stage}, damage by {name}: {value}" for name, value in run.end.damage.items()
        ]
    return lines


def _clip_lines(validation: Validation) -> list[str]:
    """Return the table of what a CLIP model says of the runs; no line where none was used."""
    if (comparison := validation.clip) is None:
        return []
    count = comparison.reference
    against = "no reference pictures" if count is None else f"{count} reference pictures"
    lines = [
        f"  by CLIP {comparison.weights[:12]}, {against}:",
        f"  {'':<12} {'CLIP score':<24} {'KID to reference':<24} Fréchet distance",
    ]
    for run in validation.runs:
        assert run.clip is not None, "a validation has it for all runs"
        score = "no prompts" if run.clip.score is None else run.clip.score.shown(".2f")
        missing = "none" if count is None else "too few pictures"
        kid = missing if run.clip.kid is None else str(run.clip.kid)
        frechet = missing if run.clip.frechet is None else f"{run.clip.frechet:.4g}"
        lines.append(f"  {_RUN_NAMES[run.name]:<12} {score:<24} {kid:<24} {frechet}")
    if comparison.score_difference is not None:
        lines.append(f"  CLIP score, policy - full: {comparison.score_difference.shown('+.2f')}")
    return lines


def validation_document(policy: SkipPolicy) -> dict[str, Any]:
    """Return what `validate --json` prints for a validated policy."""
    assert policy.validation is not None, "only a validated policy is printed"
    return {"policy": policy.name, "digest": policy.digest, **policy.validation.model_dump(mode="json")}
