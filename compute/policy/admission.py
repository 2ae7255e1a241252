"""Which actions a component admits, and which fields of an action belong to it."""

from __future__ import annotations

from compute.policy.graph import Component
from compute.policy.schedule import ScheduleError
from store.records import Action

_FIELD_RULES = {
    "space": (("unet",), "a space belongs to unet"),
    "state": (("unet",), "a state belongs to unet"),
    "weights": (("unet", "guidance"), "weights belong to unet and guidance"),
}


def check_admitted(component: Component, action: Action, step: int) -> None:
    """Raise ScheduleError, with what is accepted, for an action that a component does not admit at any step."""
    accepted = f"accepted for it: {', '.join(component.actions)}"
    if action.name not in component.actions:
        reason = _reason(component, action)
        raise ScheduleError(f"{component.name} can't {action} at step {step}: {reason}; {accepted}")
    for name, (kinds, rule) in _FIELD_RULES.items():
        if getattr(action, name) is not None and component.kind not in kinds:
            raise ScheduleError(f"{component.name} can't {action} at step {step}: {rule}; {accepted}")


def _reason(component: Component, action: Action) -> str:
    """Return why a component does not admit an action, for an error message."""
    if component.kind in ("downsampler", "upsampler") and action.properties.requires == "residual":
        return "a plain convolution has no shortcut to fall back on"
    if component.kind == "unet":
        return "without the network there is nothing to sample from"
    return f"a component of kind {component.kind} does not admit it"
