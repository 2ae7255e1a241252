"""Labels of components and of their kinds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

from compute.analysis.impact.component_kinds import group_name, kind_of
from store.actions import Kind
from store.records import Components, components_text

Group = Literal["Encoder", "Middle", "Decoder", "Skip connections", "Whole network"]
GROUPS: tuple[Group, ...] = get_args(Group)
"""The groups of components, in network order."""
KIND_LABELS: Mapping[Kind, str] = {
    "resnet": "Residual block",
    "attention": "Attention block",
    "self_attention": "Self-attention",
    "cross_attention": "Cross-attention",
    "feed_forward": "Feed-forward",
    "downsampler": "Downsampler",
    "upsampler": "Upsampler",
    "skip": "Skip connection",
    "unet": "Whole network",
    "guidance": "Guidance",
}
_PARTS = {"resnets": "residual", "attentions": "attention", "downsamplers": "downsampler", "upsamplers": "upsampler"}
_NUMBERED_PARTS = ("resnets", "attentions")
_TRANSFORMER_PARTS = {"attn1": "self-attention", "attn2": "cross-attention", "ff": "feed-forward"}
_TRANSFORMER_PART = re.compile(r"(.+)\.(?:transformer_blocks|temporal_transformer_blocks)\.(\d+)\.(attn1|attn2|ff)$")
_BLOCK = re.compile(r"(down_blocks|up_blocks|mid_block)(?:\.(\d+))?\.(?:\w+\.)*?(\w+)\.(\d+)$")


@dataclass(frozen=True, kw_only=True)
class ComponentLabel:
    """The label of one component, or of several that are ablated together.

    `path` is the component's name in the network. `short` identifies it within its `group`: "Down 1 · residual 0".
    `kind` is None for several components and for one of an unknown kind.
    """

    path: str
    kind: Kind | None
    group: Group
    short: str

    @property
    def full(self) -> str:
        """The label that identifies the component without its group."""
        return f"Skip from {self.short[0].lower()}{self.short[1:]}" if self.group == "Skip connections" else self.short

    @property
    def kind_label(self) -> str:
        """The label of the kind."""
        return KIND_LABELS[self.kind] if self.kind else "Several components"


def ablated_label(components: Components) -> ComponentLabel:
    """Return the label of the components of an ablation."""
    if len(components) == 1:
        return component_label(components[0])
    return ComponentLabel(
        path=components_text(components), kind=None, group="Whole network", short=group_name(components)
    )


@lru_cache(maxsize=4096)
def component_label(name: str) -> ComponentLabel:
    """Return the label of a component. Its numbers are those of the module path; an unknown name is its own label."""
    if name == "unet":
        return ComponentLabel(path=name, kind="unet", group="Whole network", short="Whole network")
    if name == "guidance":
        return ComponentLabel(path=name, kind="guidance", group="Whole network", short="Guidance")
    if name.startswith("skip:"):
        _, short = _group_and_short(name.removeprefix("skip:"))
        return ComponentLabel(path=name, kind="skip", group="Skip connections", short=short)
    kind = kind_of((name,)) if "." in name else ""
    group, short = _group_and_short(name)
    return ComponentLabel(path=name, kind=next((k for k in KIND_LABELS if k == kind), None), group=group, short=short)


def _group_and_short(name: str) -> tuple[Group, str]:
    if name == "conv_in":
        return "Encoder", "Input convolution"
    if inside := _TRANSFORMER_PART.fullmatch(name):
        group, short = _group_and_short(inside[1])
        return group, f"{short} · {_TRANSFORMER_PARTS[inside[3]]} {inside[2]}"
    match = _BLOCK.fullmatch(name)
    if match is None:
        return ("Decoder" if name.startswith("up_") else "Middle" if name.startswith("mid_") else "Encoder"), name
    block, level, part, number = match.groups()
    part_label = _PARTS.get(part, part) + (f" {number}" if part in _NUMBERED_PARTS else "")
    if block == "mid_block":
        return "Middle", f"Middle · {part_label}"
    if block == "down_blocks":
        return "Encoder", f"Down {level} · {part_label}"
    return "Decoder", f"Up {level} · {part_label}"


def kind_label(kind: str) -> str:
    """Return the label of a kind; an unknown one is capitalised."""
    label = next((text for known, text in KIND_LABELS.items() if known == kind), None)
    return label or kind[:1].upper() + kind[1:].replace("_", " ")
