"""Moves: the ways to save time from one step on, with their damage and seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from compute.policy.schedule import StepActions

MoveKind = Literal["bypass", "partial", "drop", "guide"]
"""The ways to save time: eliminate components of a computed step, compute a step in part, drop steps, rest guidance."""
MOVE_KINDS: tuple[MoveKind, ...] = ("bypass", "partial", "drop", "guide")


@dataclass(frozen=True, kw_only=True)
class Move:
    """Actions for one or more consecutive steps, their damage, and their seconds.

    A `full` move computes a step, perhaps without some components. In a `partial` one a component reuses the value of
    an earlier step, so that deeper components are dead. A `drop` reuses `unet` in all of its steps. In those of a
    `guide` guidance rests: the network runs on the conditional half of the batch alone.
    """

    rows: tuple[StepActions, ...]
    damage: float
    seconds: float
    kind: MoveKind | Literal["full"]


@dataclass(frozen=True, kw_only=True)
class Elimination:
    """The elimination of components from one computed step: its damage, and the seconds that it saves."""

    actions: StepActions
    damage: float
    saved: float
