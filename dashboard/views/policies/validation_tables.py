"""A policy's validation in tables: its setting, its runs side by side, and all policies in numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from compute.policy.quality import RunQuality, Validation
from compute.policy.skip_policy import SkipPolicy
from dashboard.data.policy_files import PolicyFile
from dashboard.views.policies.quality_axes import QualityAxis, measured_qualities
from dashboard.views.policies.run_labels import RUN_LABELS
from dashboard.words.metric_labels import metric_in_sentence, metric_label
from dashboard.words.sampler_text import sampler_text


def setting_facts(policy: SkipPolicy, validation: Validation) -> list[tuple[str, str]]:
    """Return what a policy was validated on, as pairs of a term and its value."""
    return [
        ("Model", policy.model.name),
        ("Sampler", sampler_text(policy.sampler)),
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
    """Return a row for each quantity, with a column for each run."""
    runs = validation.runs
    axes = measured_qualities(runs, sorted({name for run in runs for name in run.damage}))
    axes.sort(key=lambda axis: axis.measure == "damage")  # damage last: it has a row for every metric
    quantities: dict[str, Callable[[RunQuality], str]] = {
        "Steps": lambda run: str(run.steps),
        "Seconds per picture": lambda run: f"{run.seconds_per_picture:.3g}",
        "Speedup": _speedup_text,
        **{axis.label: partial(_quality_text, axis, validation.conditions) for axis in axes},
    }
    return [
        {"Quantity": quantity, **{RUN_LABELS[run.name]: text(run) for run in runs}}
        for quantity, text in quantities.items()
    ]


def _speedup_text(run: RunQuality) -> str:
    return f"{run.speedup.mean:.2f}x [{run.speedup.low:.2f}, {run.speedup.high:.2f}]"


def _quality_text(axis: QualityAxis, conditions: int, run: RunQuality) -> str:
    if axis.measure == "damage" and run.name == "full":
        return "0: the reference"
    value = axis.value(run, conditions)
    if value is None:
        return "none: other noise" if axis.measure == "damage" and run.name == "fewer_steps" else "–"
    return value.shown(".1%" if axis.measure == "fidelity" else ".3g")


def policy_rows(files: Iterable[PolicyFile], metric: str | None) -> list[dict[str, Any]]:
    """Return a row for each validated policy, the fastest first; with `metric`, it has columns for the damage."""
    rows = []
    for file in files:
        if file.policy is None or file.policy.validation is None:
            continue
        run = file.policy.validation.policy
        fidelity = run.fidelity.get("all")
        rows.append(
            {
                "Policy": file.policy.name,
                "File": f"{file.stem}.json",
                "Speedup": run.speedup.mean,
                "Speedup from": run.speedup.low,
                "Speedup to": run.speedup.high,
                "Seconds per picture": run.seconds_per_picture,
                **_damage_columns(run, metric),
                metric_label("fidelity_all"): fidelity.mean if fidelity else None,
                "KID": run.kid.mean if run.kid else None,
            }
        )
    return sorted(rows, key=lambda row: -row["Speedup"])


def _damage_columns(run: RunQuality, metric: str | None) -> dict[str, float | None]:
    if metric is None:
        return {}
    damage = run.damage.get(metric)
    return {
        f"Damage by {metric_in_sentence(metric)}": damage.mean if damage else None,
        "Damage from": damage.low if damage else None,
        "Damage to": damage.high if damage else None,
    }
