"""Names for people: components, kinds, actions, windows, metrics."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from compute.analysis.impact.ablation_impact import Impact, kind_of
from store.metric import MetricInfo
from store.records import Condition, Kind, Window

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
_METRICS = {
    "mse": "Mean squared error",
    "rel_l2": "Relative L2 distance",
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


@lru_cache(maxsize=4096)
def component_label(name: str) -> ComponentLabel:
    """The label of a component's name. Numbers are those of the module path; names of another form stay as they are."""
    if " + " in name:
        return ComponentLabel(path=name, kind=None, group="Whole network", short=name)
    kind = _kind(name)
    if name == "unet":
        return ComponentLabel(path=name, kind="unet", group="Whole network", short="Whole network")
    if name.startswith("skip:"):
        source = name.removeprefix("skip:")
        return ComponentLabel(path=name, kind="skip", group="Skip connections", short=_place(source)[1])
    group, short = _place(name)
    return ComponentLabel(path=name, kind=kind, group=group, short=short)


def _kind(name: str) -> Kind | None:
    found = kind_of(name) if name == "unet" or "." in name or name.startswith("skip:") else ""
    return next((kind for kind in KIND_LABELS if kind == found), None)


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


def action_label(action: str) -> str:
    """An action's text, as `str(Action)` gives it, in words."""
    name, _, details = action.partition(" (")
    words = {
        "bypass": "Bypass",
        "zero": "Zero",
        "reuse": "Reuse",
        "reuse_delta": "Reuse residual",
        "compute": "Compute",
    }
    parts = [part for part in details.rstrip(")").split(", ") if part]
    spoken = {"x0": "clean picture", "eps": "noise prediction", "order 1": "extrapolated"}
    return words.get(name, name) + (f" ({', '.join(spoken.get(part, part) for part in parts)})" if parts else "")


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


def action_token(action: str) -> str:
    """An action's text for an address: without brackets, which the browser's SVG cannot bear in a page's address."""
    return re.sub(r"[^a-z0-9_]+", "-", action).strip("-")


def in_sentence(name: str) -> str:
    """A name within a sentence: small at its beginning, unless that is an abbreviation."""
    return name if name[1:2].isupper() else name[:1].lower() + name[1:]


def metric_label(info: MetricInfo) -> str:
    """A metric's name for people."""
    return metric_name(info.name, info.label)


def metric_name(name: str, label: str = "") -> str:
    """The same from a metric's own name, and the label that it carries, if any."""
    text = _METRICS.get(name) or label or name.replace("_", " ")
    return text[0].upper() + text[1:]
