"""The actions: one entry a name says what the action needs, reads and saves, and how it is labelled and coloured.

A new action is an entry here, its execution in `compute.unet.dispatch`, and its test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal[
    "resnet",
    "attention",
    "self_attention",
    "cross_attention",
    "feed_forward",
    "downsampler",
    "upsampler",
    "skip",
    "unet",
    "guidance",
]
PartKind = Literal["self_attention", "cross_attention", "feed_forward"]
ActionName = Literal["compute", "bypass", "zero", "reuse", "reuse_delta"]
CachedPart = Literal["value", "delta"]
Requirement = Literal["none", "residual", "skip"]
KINDS: tuple[Kind, ...] = get_args(Kind)
PART_KINDS: tuple[PartKind, ...] = get_args(PartKind)
"""The kinds of the parts of a transformer, which lie inside an `attention` component."""
ACTION_NAMES: tuple[ActionName, ...] = get_args(ActionName)


@dataclass(frozen=True, kw_only=True)
class ActionProperties:
    """What holds of every use of an action."""

    requires: Requirement
    """Which components admit it: any, those with a residual branch, or long skip connections."""
    needs_input: bool
    """Whether the component's inputs must be computed at the step."""
    reads: CachedPart | None
    """What it reads of earlier steps, which they must keep: the output, or the residual contribution."""
    runs_shortcut: bool
    """Whether the path around the residual branch is still computed, and costs time."""
    removes: bool
    """Whether it eliminates the component, as in the paper (arXiv 2312.14965)."""
    label: str
    """The action as a choice or a table shows it."""
    state: str
    """The component under the action, in the legend of a policy's map."""
    colors: tuple[str, str]
    """In the map of a policy: in the light and in the dark theme, as hex."""


ACTIONS: Mapping[ActionName, ActionProperties] = {
    "compute": ActionProperties(
        requires="none",
        needs_input=True,
        reads=None,
        runs_shortcut=False,
        removes=False,
        label="Compute",
        state="Is computed",
        colors=("#E6EAF1", "#262D38"),
    ),
    "bypass": ActionProperties(
        requires="residual",
        needs_input=True,
        reads=None,
        runs_shortcut=True,
        removes=True,
        label="Bypass",
        state="Bypassed",
        colors=("#00875F", "#2DBE90"),
    ),
    "zero": ActionProperties(
        requires="skip",
        needs_input=False,
        reads=None,
        runs_shortcut=False,
        removes=True,
        label="Zero",
        state="Zero instead",
        colors=("#B8588F", "#DE8DBA"),
    ),
    "reuse": ActionProperties(
        requires="none",
        needs_input=False,
        reads="value",
        runs_shortcut=False,
        removes=False,
        label="Reuse",
        state="Reused",
        colors=("#D97F00", "#F0A33A"),
    ),
    "reuse_delta": ActionProperties(
        requires="residual",
        needs_input=True,
        reads="delta",
        runs_shortcut=True,
        removes=False,
        label="Reuse residual",
        state="Residual reused",
        colors=("#F0BE62", "#A67426"),
    ),
}
REMOVALS: tuple[ActionName, ...] = tuple(name for name, action in ACTIONS.items() if action.removes)
"""The eliminations of the paper."""
READING: tuple[ActionName, ...] = tuple(name for name, action in ACTIONS.items() if action.reads is not None)
"""The actions that read what an earlier step computed."""


def admitted_actions(kind: Kind, *, has_residual: bool) -> tuple[ActionName, ...]:
    """Return the actions that a component admits, by its kind and by whether a path leads around a residual branch."""
    met = {"none", *(["residual"] if has_residual else []), *(["skip"] if kind == "skip" else [])}
    return tuple(name for name, action in ACTIONS.items() if action.requires in met)
