"""Policies."""

from __future__ import annotations

from dashboard import parts
from dashboard.data import Sweep
from dashboard.frame import page


def show(sweep: Sweep) -> None:
    """The page."""
    parts.panel("Not here yet", "This page is being built.")


if __name__ == "__main__":
    page("Policies", "", show)
