"""Explanations that stand on several pages."""

from __future__ import annotations

DAMAGE_SCALE = "0 is the same picture, 1 is as different as another seed"
NO_ABLATION = "No ablation is finished so far"


def damage_explanation(reference: str = "the baseline") -> str:
    """Return what damage is, measured against a reference picture."""
    return (
        f"Damage is the distance to {reference}, divided by the distance between two seeds of the same prompt: "
        f"{DAMAGE_SCALE}."
    )
