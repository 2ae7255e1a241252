"""A candidate for a skip policy: a schedule with predicted damage and time."""

from __future__ import annotations

from dataclasses import dataclass

from compute.policy.schedule import Schedule


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A schedule, its predicted damage, and its seconds by the cost model.

    `damage` is a sum of damages that were measured one ablation at a time. Real damages do not add up, so a candidate
    must be run closed-loop before its damage is known.
    """

    schedule: Schedule
    damage: float
    seconds: float
