"""Evidence: the measured damage of one ablation."""

from __future__ import annotations

from dataclasses import dataclass

from store.records import Ablation


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """An ablation and the damage that a sweep measured for it."""

    ablation: Ablation
    damage: float
