"""Names for people: components, kinds, actions, windows, metrics."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from compute.analysis.impact.ablation_impact import Impact
from compute.analysis.impact.component_kinds import kind_of
from compute.analysis.report.phase_sentences import evidence_name
from store.actions import Kind
from store.metric import MetricInfo
from store.records import Action, Components, Condition, Window, components_text

Group = Literal["Encoder", "Middle", "Decoder", "Skip connections", "Whole network"]
KIND_LABELS: Mapping[Kind, str] = {
    "resnet": "Residual block",
    "attention": "Attention block",
    "downsampler": "Downsampler",
    "upsampler": "Upsampler",
    "skip": "Skip connection",
    "unet": "Whole network",
}
_PARTS = {"resnets": "residual", "attentions": "attention", "downsamplers": "downsampler", "upsamplers": "upsampler"}
_SPACES = {"x0": "clean picture", "eps": "noise prediction"}
_METRICS = {
    "mse": "Mean squared error",
    "rel_l2": "Relative L2 distance",
    "ssim": "SSIM",
    "haarpsi": "HaarPSI",
    "fidelity_all": "Whole prompt right",
    "fidelity_objects": "Objects right",
    "fidelity_relation": "Relation right",
    "fidelity_background": "Background right",
}
_BLOCK = re.compile(r"(down_blocks|up_blocks|mid_block)(?:\.(\d+))?\.(?:\w+\.)*?(\w+)\.(\d+)$")


@dataclass(frozen=True, kw_only=True)
class ComponentLabel:
    """A component in words: `short` within its `group` ("Down 1 · residual 0"), `full` anywhere, `path` its name."""

    path: str
    kind: Kind | None
    group: Group
    short: str

    @property
    def full(self) -> str:
        """A label that needs no group beside it."""
        return f"Skip from {self.short[0].lower()}{self.short[1:]}" if self.group == "Skip connections" else self.short

    @property
    def kind_label(self) -> str:
        """The kind in words."""
        return KIND_LABELS[self.kind] if self.kind else "Several components"


def ablated_label(components: Components) -> ComponentLabel:
    """Return the label of what an ablation execution on: of its component, or of several together."""
    if len(components) == 1:
        return component_label(components[0])
    text = components_text(components)
    return ComponentLabel(path=text, kind=None, group="Whole network", short=text)


@lru_cache(maxsize=4096)
def component_label(name: str) -> ComponentLabel:
    """Return the label of a component. Numbers are those of the module path; names of another form stay as they are."""
    kind = _kind(name)
    if name == "unet":
        return ComponentLabel(path=name, kind="unet", group="Whole network", short="Whole network")
    if name.startswith("skip:"):
        source = name.removeprefix("skip:")
        return ComponentLabel(path=name, kind="skip", group="Skip connections", short=_place(source)[1])
    group, short = _place(name)
    return ComponentLabel(path=name, kind=kind, group=group, short=short)


def _kind(name: str) -> Kind | None:
    kind = kind_of((name,)) if name == "unet" or "." in name or name.startswith("skip:") else ""
    return next((known for known in KIND_LABELS if known == kind), None)


def _place(name: str) -> tuple[Group, str]:
    if name == "conv_in":
        return "Encoder", "Input convolution"
    match = _BLOCK.fullmatch(name)
    if match is None:
        return ("Decoder" if name.startswith("up_") else "Middle" if name.startswith("mid_") else "Encoder"), name
    block, level, part, number = match.groups()
    thing = f"{_PARTS.get(part, part)} {number}" if part in ("resnets", "attentions") else _PARTS.get(part, part)
    if block == "mid_block":
        return "Middle", f"Middle · {thing}"
    return ("Encoder", f"Down {level} · {thing}") if block == "down_blocks" else ("Decoder", f"Up {level} · {thing}")


def kind_name(kind: str) -> str:
    """A kind in words, of whatever name."""
    found = next((label for known, label in KIND_LABELS.items() if known == kind), None)
    return found or kind[:1].upper() + kind[1:].replace("_", " ")


def window_label(window: Window) -> str:
    """`steps 5–9`, or `step 7` for a window of one."""
    if window.stop - window.start == 1:
        return f"step {window.start}"
    return f"steps {window.start}–{window.stop - 1}"


def action_label(action: Action) -> str:
    """Return an action in words: `Reuse (extrapolated, clean picture)`."""
    details = ["extrapolated"] if action.order else []
    details += [_SPACES[action.space]] if action.space else []
    return action.properties.label + (f" ({', '.join(details)})" if details else "")


def condition_label(condition: Condition) -> str:
    """A condition in one line: its prompt and seed."""
    return f"{condition.prompt} · seed {condition.seed}"


def scale_label(impact: Impact) -> str:
    """What the numbers of an impact are called: damage, a change, or the metric's own name."""
    if impact.scale == "damage":
        return "Damage"
    name = metric_name(impact.metric, impact.label)
    return f"Change of {in_sentence(name)}" if impact.scale == "difference" else name


def number(value: float | None) -> str:
    """A number in three digits after the point; `<0.001` for what would round to nothing, a dash for none."""
    if value is None or value != value:
        return "–"
    if 0 < abs(value) < 0.0005:
        return "<0.001" if value > 0 else ">−0.001"
    return (f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}").replace("-", "−")


def action_token(action: Action) -> str:
    """Return an action for an address: without brackets, which the browser's SVG cannot bear in a page's address."""
    return re.sub(r"[^a-z0-9_]+", "-", str(action)).strip("-")


def evidence_label(evidence: str) -> str:
    """Return what pictures were judged by, for a heading or a choice."""
    name = evidence_name(evidence)
    return name[:1].upper() + name[1:]


def metric_words(metric: str) -> str:
    """Return a metric's name within a sentence."""
    return in_sentence(metric_name(metric))


def in_sentence(name: str) -> str:
    """Return a name as it stands within a sentence: small at its beginning, unless that is an abbreviation."""
    first = name.partition(" ")[0]
    return name if any(letter.isupper() for letter in first[1:]) else name[:1].lower() + name[1:]


def metric_label(info: MetricInfo) -> str:
    """A metric's name for people."""
    return metric_name(info.name, info.label)


def metric_name(name: str, label: str = "") -> str:
    """The same from a metric's own name, and the label that it carries, if any."""
    text = _METRICS.get(name) or label or name.replace("_", " ")
    return text[0].upper() + text[1:]
