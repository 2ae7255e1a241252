"""What was swept: model, sampler, conditions, ablations. The header comes from a file and is not trusted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from dashboard.data.sweep import Sweep
from dashboard.words.action_labels import action_label
from dashboard.words.component_labels import KIND_LABELS, ablated_label
from dashboard.words.sampler_text import sampler_text
from store.folder.header import SweepHeader
from store.records import Ablation, Components, PromptSwitch
from store.sampler import SamplerSettings

_KIND_PLURALS = {
    "attention": "attention blocks",
    "resnet": "residual blocks",
    "unet": "whole network",
    "guidance": "guidance",
}
_MAX_STAGES = 8
_STATES = {"x_t": "noisy states", "pred_x0": "predicted pictures"}


def sweep_facts(sweep: Sweep) -> list[tuple[str, str]]:
    """Return the facts as pairs of a term and its value; a dash stands for a missing value."""
    header = sweep.header
    config, settings, provenance = header.config, header.settings, header.provenance
    guidances = sorted({condition.guidance for condition in sweep.runs.conditions})
    ablations = [
        unit.intervention
        for unit in header.plan
        if isinstance(unit.intervention, Ablation) and unit.intervention.components
    ]
    switches = {unit.intervention.step for unit in header.plan if isinstance(unit.intervention, PromptSwitch)}
    facts = [
        ("Model", f"{_text(config.get('model'))}, {_text(settings.get('stage'))} stage"),
        *_previous_stages(settings),
        ("Weights", _short_digest(settings.get("model"))),
        ("Sampler", _sampler(settings.get("sampler"))),
        ("Guidance", ", ".join(f"{guidance:g}" for guidance in guidances)),
        ("Conditions", _conditions(header)),
        ("Components", _components(ablation.components for ablation in ablations)),
        ("Windows", _windows(ablations)),
        ("Actions", ", ".join(dict.fromkeys(action_label(ablation.action).lower() for ablation in ablations))),
        ("Prompt switches", f"at {len(switches)} steps" if switches else "none"),
        ("Kept", _kept_states(_mapping(config, "keep"))),
        ("Precision", _text(settings.get("dtype"))),
        ("Made with", f"Skipscope {_text(provenance.get('skipscope'))}, torch {_text(provenance.get('torch'))}"),
    ]
    return [(term, value or "–") for term, value in facts]


def _previous_stages(settings: dict[str, Any]) -> list[tuple[str, str]]:
    """Return how the stages of a cascade before the swept one were run; nothing without such a stage."""
    stages: list[str] = []
    stage = _mapping(settings, "previous")
    while stage and len(stages) < _MAX_STAGES:
        stages.insert(
            0,
            f"{_text(stage.get('stage'))} ({_sampler(stage.get('sampler'))}, guidance {_text(stage.get('guidance'))})",
        )
        stage = _mapping(stage, "previous")
    return [("Stages before", ", then ".join(stages))] if stages else []


def _text(value: Any) -> str:
    return "–" if value is None or value == "" else str(value)[:120]


def _mapping(parent: dict[str, Any], name: str) -> dict[str, Any]:
    value = parent.get(name)
    return value if isinstance(value, dict) else {}


def _short_digest(value: Any) -> str:
    return f"{value[:12]}…" if isinstance(value, str) and len(value) > 12 else _text(value)


def _conditions(header: SweepHeader) -> str:
    conditions = {c for unit in header.plan if unit.role == "baseline" for c in unit.conditions}
    prompts, seeds = len({c.prompt for c in conditions}), len({c.seed for c in conditions})
    return f"{len(conditions)}: {_counted(prompts, 'prompt')}, {_counted(seeds, 'seed')}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")


def _components(ablated: Iterable[Components]) -> str:
    counts = Counter(ablated_label(components).kind for components in dict.fromkeys(ablated))
    texts = []
    for kind, label in KIND_LABELS.items():
        plural = _KIND_PLURALS.get(kind, label.lower() + "s")
        if counts[kind]:
            texts.append(
                plural
                if kind in ("unet", "guidance")
                else f"{counts[kind]} {label.lower() if counts[kind] == 1 else plural}"
            )
    return ", ".join(texts)


def _windows(ablations: Iterable[Ablation]) -> str:
    windows = {(ablation.window.start, ablation.window.stop) for ablation in ablations}
    lengths = sorted(Counter(stop - start for start, stop in windows).items(), reverse=True)
    texts = [f"{count} of {_counted(length, 'step')}" for length, count in lengths]
    return f"{_counted(len(windows), 'window')}: {', '.join(texts)}"


def _kept_states(keep: dict[str, Any]) -> str:
    kept = {label: keep.get(name) for name, label in _STATES.items()}
    texts = [f"{label}: {_text(value)}" for label, value in kept.items() if value not in (None, "none")]
    return ", ".join(texts) or "final pictures only"


def _sampler(value: Any) -> str:
    """Return a sampler as text; a dash for what is no sampler."""
    try:
        return sampler_text(SamplerSettings.model_validate(value))
    except ValidationError:
        return "–"
