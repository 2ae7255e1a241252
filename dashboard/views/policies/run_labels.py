"""Labels of the runs that a validation compares."""

from __future__ import annotations

from collections.abc import Mapping

from compute.policy.quality import RunName

RUN_LABELS: Mapping[RunName, str] = {
    "full": "Full compute",
    "policy": "Policy",
    "fewer_steps": "Full compute, fewer steps",
}
RUN_CAPTIONS: Mapping[RunName, str] = {**RUN_LABELS, "fewer_steps": "Fewer steps"}
"""The same for captions below pictures, where there is less room."""
