"""What was swept with what, as pairs of a term and its value. Nothing of a header is taken on trust."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from dashboard.data.sweep import Sweep
from dashboard.words.component_labels import KIND_LABELS, ablated_label, action_label
from store.folder.header import SweepHeader
from store.records import Ablation, Components, PromptSwitch

_SAMPLERS = {"ddpm": "DDPM", "ddim": "DDIM"}
_PLURALS = {"attention": "attention blocks", "resnet": "residual blocks", "unet": "whole network"}


def facts_of(sweep: Sweep) -> list[tuple[str, str]]:
    """The facts, in the order in which a person asks for them."""
    header = sweep.header
    config, settings, provenance = header.config, header.settings, header.provenance
    sampler = _part(settings, "sampler")
    conditions = sweep.runs.conditions
    ablations = [unit.intervention for unit in header.plan if isinstance(unit.intervention, Ablation)]
    switches = {unit.intervention.step for unit in header.plan if isinstance(unit.intervention, PromptSwitch)}
    ablated = dict.fromkeys(a.components for a in ablations if a.components)
    facts = [
        ("Model", f"{_said(config.get('model'))}, {_said(settings.get('stage'))} stage"),
        ("Weights", _digest(settings.get("model"))),
        ("Sampler", f"{_sampler(sampler)}, {sweep.steps} steps"),
        ("Guidance", ", ".join(f"{scale:g}" for scale in sorted({c.guidance for c in conditions})) or "–"),
        ("Conditions", _counted(header)),
        ("Components", _kinds(ablated)),
        ("Windows", _windows(ablations)),
        ("Actions", ", ".join(dict.fromkeys(action_label(a.action).lower() for a in ablations if a.components))),
        ("Prompt switches", f"at {len(switches)} steps" if switches else "none"),
        ("Kept", _kept(_part(config, "keep"))),
        ("Precision", _said(settings.get("dtype"))),
        ("Made with", f"Skipscope {_said(provenance.get('skipscope'))}, torch {_said(provenance.get('torch'))}"),
    ]
    return [(term, value if value else "–") for term, value in facts]


def _said(value: Any) -> str:
    return "–" if value is None or value == "" else str(value)[:120]


def _part(of: dict[str, Any], name: str) -> dict[str, Any]:
    found = of.get(name)
    return found if isinstance(found, dict) else {}


def _digest(value: Any) -> str:
    return f"{value[:12]}…" if isinstance(value, str) and len(value) > 12 else _said(value)


def _sampler(sampler: dict[str, Any]) -> str:
    name = _said(sampler.get("name"))
    return _SAMPLERS.get(name, name)


def _counted(header: SweepHeader) -> str:
    found = {c for unit in header.plan if unit.role == "baseline" for c in unit.conditions}
    prompts, seeds = len({c.prompt for c in found}), len({c.seed for c in found})
    return f"{len(found)}: {_several(prompts, 'prompt')}, {_several(seeds, 'seed')}"


def _several(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")


def _kinds(ablated: Iterable[Components]) -> str:
    counts = Counter(ablated_label(components).kind for components in ablated)
    parts = []
    for kind, label in KIND_LABELS.items():
        if counts[kind]:
            plural = _PLURALS.get(kind, label.lower() + "s")
            parts.append(
                plural if kind == "unet" else f"{counts[kind]} {label.lower() if counts[kind] == 1 else plural}"
            )
    return ", ".join(parts)


def _windows(ablations: Iterable[Ablation]) -> str:
    windows = {(a.window.start, a.window.stop) for a in ablations if a.components}
    lengths = sorted(Counter(stop - start for start, stop in windows).items(), reverse=True)
    said = [f"{count} of {_several(length, 'step')}" for length, count in lengths]
    return f"{_several(len(windows), 'window')}: {', '.join(said)}"


def _kept(keep: dict[str, Any]) -> str:
    names = {"x_t": "noisy states", "pred_x0": "predicted pictures"}
    found = [f"{names[name]}: {_said(keep.get(name))}" for name in names if keep.get(name) not in (None, "none")]
    return ", ".join(found) or "final pictures only"
