"""What a judge detects in a picture, and how much of a caption that fulfils."""

from __future__ import annotations

from dataclasses import dataclass

from compute.models.mini.scenes.scene import Axis, Scene

UNCLEAR = "unclear"
"""The name of an object that cannot be recognised."""


@dataclass(frozen=True, kw_only=True)
class DetectedScene:
    """The objects and the background that a picture shows.

    `first` is the left or upper object, `second` the other one, None where there is a single object. Either may be
    UNCLEAR.
    """

    axis: Axis
    first: str
    second: str | None
    background: str


@dataclass(frozen=True, kw_only=True)
class Fidelity:
    """How much of a caption a picture shows, by `compute.metrics.judge.Aspect`; each value is in [0, 1]."""

    objects: float
    """The number of the caption's objects that are detected, divided by the larger number of objects of the two."""
    relation: float
    """1 where the arrangement is the caption's and at least one of the two slots is filled as it says, else 0."""
    background: float
    """1 where the background is the caption's, else 0."""
    all: float
    """1 where objects, positions and background are the caption's, else 0."""


def fidelity(detected: DetectedScene, scene: Scene) -> Fidelity:
    """Compare what was detected in a picture with the scene that its caption describes."""
    slots = (detected.first, detected.second)
    expected_names = [name for name in scene.slots if name is not None]
    detected_names = [name for name in slots if name is not None]
    common = set(expected_names) & set(detected_names)
    any_slot_agrees = any(expected == name for expected, name in zip(scene.slots, slots, strict=True))
    background = detected.background == scene.background
    return Fidelity(
        objects=len(common) / max(len(expected_names), len(detected_names)),
        relation=float(detected.axis == scene.axis and any_slot_agrees),
        background=float(background),
        all=float(detected.axis == scene.axis and slots == scene.slots and background),
    )
