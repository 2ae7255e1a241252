"""The frontier: candidates for many exchange rates of damage against time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from compute.policy.search.candidate import Candidate
from compute.policy.search.move import MOVE_KINDS, MoveKind
from compute.policy.search.search_space import SearchSpace
from compute.policy.search.shortest_path import shortest_path
from store.records import canonical_json

EXCHANGE_RATES: tuple[float, ...] = tuple(np.geomspace(1e-4, 3.0, 60).tolist())
"""Damage that is accepted to save the seconds of a run at full compute."""


def frontier(space: SearchSpace, kinds: Sequence[MoveKind] = MOVE_KINDS) -> list[Candidate]:
    """Return the shortest path for each exchange rate, slowest first; each faster candidate does more damage.

    `kinds` are the moves that are used besides full compute. Because damages do not really add up, candidates with one
    kind of move can be better closed-loop than those with all kinds.
    """
    candidates: dict[str, Candidate] = {}
    for rate in EXCHANGE_RATES:
        scaled = rate / space.full_seconds
        candidate = shortest_path(space, scaled, kinds) or shortest_path(space, scaled, kinds, keep_reused=True)
        if candidate is not None and not candidate.schedule.is_empty:
            candidates.setdefault(canonical_json(candidate.schedule), candidate)
    undominated: list[Candidate] = []
    for candidate in sorted(candidates.values(), key=lambda candidate: (candidate.seconds, candidate.damage)):
        if not undominated or candidate.damage < undominated[-1].damage:
            undominated.append(candidate)
    return undominated[::-1]
