"""A validated policy in words and in a table: what was compared, how fast, how good, and what can't be told."""

from __future__ import annotations

from typing import Any

from compute.analysis.report.phase_sentences import by_importance, evidence_name
from compute.policy.quality import RunQuality, Validation
from compute.policy.skip_policy import SkipPolicy
from compute.statistics.estimate import Estimate
from dashboard.data.policy_files import PolicyFile
from dashboard.pages.policies.quality_axes import RUNS, Quality
from dashboard.words.component_labels import metric_words


def sentences(policy: SkipPolicy) -> tuple[str, ...]:
    """What the validation found, each claim with its interval. Needs a validated policy."""
    validation = policy.validation
    assert validation is not None, "only a validated policy has findings"
    found = [_speed(validation), *_damage(validation.policy), *_fidelity(validation), *_fewer(validation)]
    return (*found, "In brackets: 95% intervals.")


def _speed(validation: Validation) -> str:
    speedup = validation.policy.speedup
    rounds = f"{validation.rounds} round{'s' * (validation.rounds != 1)} run in turn"
    if speedup.low > 1:
        verdict = "It is faster than full compute beyond doubt"
    elif speedup.high < 1:
        verdict = "It is slower than full compute"
    else:
        verdict = "It is not faster than full compute beyond doubt, since the interval includes 1"
    return f"{verdict}: {speedup.shown('.2f')} times its speed, over {rounds}."


def _damage(run: RunQuality) -> list[str]:
    told = [f"{value.shown('.3g')} by {metric_words(name)}" for name, value in sorted(run.damage.items())]
    if not told:
        return ["Damage was not measured."]
    return [f"Damage (0 is the same picture, 1 as different as another seed): {', '.join(told)}."]


def _fidelity(validation: Validation) -> list[str]:
    found = []
    for aspect in by_importance(sorted(validation.fidelity_difference)):
        difference = validation.fidelity_difference[aspect]
        if difference.low > 0:
            verdict = "better beyond doubt"
        elif difference.high < 0:
            verdict = "worse beyond doubt"
        else:
            verdict = "no difference can be told"
        found.append(
            f"Prompt fidelity ({evidence_name(aspect)}) against full compute, picture by picture: "
            f"{points(difference)}; {verdict}."
        )
    return found


def _fewer(validation: Validation) -> list[str]:
    fewer, policy = validation.run("fewer_steps"), validation.policy
    if fewer is None:
        return ["Fewer steps of full compute were not measured beside it."]
    text = f"Full compute with {fewer.steps} steps instead has {fewer.speedup.shown('.2f')} times the speed"
    both = by_importance(sorted(policy.fidelity.keys() & fewer.fidelity.keys()))
    if not both:
        return [f"{text}; which of the two is better was not measured."]
    ours, theirs = policy.fidelity[both[0]], fewer.fidelity[both[0]]
    if ours.low > theirs.high or theirs.low > ours.high:
        verdict = f"{'the policy' if ours.mean > theirs.mean else 'fewer steps'} better, beyond their intervals"
    else:
        verdict = "their intervals overlap"
    return [
        f"{text}: {evidence_name(both[0])} right in {theirs.shown('.1%')} of its pictures, "
        f"in {ours.shown('.1%')} of the policy's; {verdict}."
    ]


def times(speedup: Estimate) -> str:
    """A speedup as `1.39x [1.37, 1.41]`."""
    return f"{speedup.mean:.2f}x [{speedup.low:.2f}, {speedup.high:.2f}]"


def points(difference: Estimate) -> str:
    """A difference of shares in percentage points."""
    return f"{100 * difference.mean:.1f} [{100 * difference.low:.1f}, {100 * difference.high:.1f}] points"


def setting(policy: SkipPolicy) -> list[tuple[str, str]]:
    """What it was measured on, as pairs of a term and its value."""
    validation = policy.validation
    assert validation is not None, "only a validated policy has a setting"
    sampler = policy.sampler
    return [
        ("Model", policy.model.name),
        ("Sampler", f"{sampler.name.upper()}, {sampler.steps} steps, {sampler.spacing}"),
        ("Guidance", f"{policy.guidance:g}"),
        ("Conditions", str(validation.conditions)),
        ("Prompts", validation.prompts),
        ("Seeds", validation.seeds),
        ("Hardware", validation.device),
        ("Threads", str(validation.threads)),
        ("Precision", validation.dtype),
        ("Batch", str(validation.batch)),
        ("Rounds", str(validation.rounds)),
    ]


def run_rows(validation: Validation) -> list[dict[str, Any]]:
    """The runs side by side: a row a quantity, a column a run."""
    runs = validation.runs
    qualities = _qualities(runs)
    rows = [_row("Steps", runs, lambda run: str(run.steps))]
    rows.append(_row("Seconds per picture", runs, lambda run: f"{run.seconds_per_picture:.3g}"))
    rows.append(_row("Speedup", runs, lambda run: times(run.speedup)))
    return rows + [
        _row(quality.label, runs, lambda run, quality=quality: _shown(quality, run)) for quality in qualities
    ]


def _qualities(runs: tuple[RunQuality, ...]) -> list[Quality]:
    aspects = by_importance(sorted({name for run in runs for name in run.fidelity}))
    metrics = sorted({name for run in runs for name in run.damage})
    found = [Quality(sort="fidelity", name=name) for name in aspects]
    found += [Quality(sort="kid")] if any(run.kid for run in runs) else []
    return found + [Quality(sort="damage", name=name) for name in metrics]


def _row(name: str, runs: tuple[RunQuality, ...], shown: Any) -> dict[str, Any]:
    return {"Quantity": name, **{RUNS[run.name]: shown(run) for run in runs}}


def _shown(quality: Quality, run: RunQuality) -> str:
    if quality.sort == "damage" and run.name == "full":
        return "0: the reference"
    value = quality.of(run)
    if value is None:
        return "none: other noise" if quality.sort == "damage" and run.name == "fewer_steps" else "–"
    return value.shown(".1%" if quality.sort == "fidelity" else ".3g")


def policy_rows(files: tuple[PolicyFile, ...], metric: str | None) -> list[dict[str, Any]]:
    """A row for each validated policy, in numbers, the fastest first."""
    rows = []
    for file in files:
        if file.policy is None or file.policy.validation is None:
            continue
        run = file.policy.validation.policy
        damage = run.damage.get(metric) if metric else None
        rows.append(
            {
                "Policy": file.policy.name,
                "File": f"{file.stem}.json",
                "Speedup": run.speedup.mean,
                "Speedup from": run.speedup.low,
                "Speedup to": run.speedup.high,
                "Seconds per picture": run.seconds_per_picture,
                **({f"Damage by {metric_words(metric)}": damage.mean if damage else None} if metric else {}),
                **({"Damage from": damage.low if damage else None} if metric else {}),
                **({"Damage to": damage.high if damage else None} if metric else {}),
                "Whole prompt right": fidelity.mean if (fidelity := run.fidelity.get("all")) else None,
                "KID": run.kid.mean if run.kid else None,
            }
        )
    return sorted(rows, key=lambda row: -row["Speedup"])
