"""What verify reports, in a form that is easy to compare."""

from __future__ import annotations

from store.care.verify import verify
from store.sweep_store import SweepStore


def problems(store: SweepStore) -> list[tuple[str, str]]:
    """(kind, path) of each problem, in verify's order."""
    return [(problem.kind, problem.path) for problem in verify(store)]


def problem_kinds(store: SweepStore) -> set[str]:
    """The kinds of the problems."""
    return {problem.kind for problem in verify(store)}
