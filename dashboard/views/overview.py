"""Overview."""

from __future__ import annotations

from dashboard import parts
from dashboard.data import Sweep
from dashboard.frame import page


def show(sweep: Sweep) -> None:
    """The page."""
    counts = sweep.progress().counts
    parts.facts([("Units done", f"{counts.done} of {counts.planned}")])


if __name__ == "__main__":
    page("Overview", "", show)
