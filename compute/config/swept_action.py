"""Actions to sweep, each with the components that it is tried on."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from compute.config.plain_text import PlainText
from store.records import Action, Record


class SweptAction(Record):
    """An action, and patterns of the components that it is tried on; those that do not admit it are skipped.

    It is tried on one component after the other, or with `together` on all of them at once.
    """

    action: Action
    components: tuple[PlainText, ...] = ("*",)
    together: bool = False

    @model_validator(mode="before")
    @classmethod
    def _from_yaml(cls, data: Any) -> Any:
        """Accept the short forms `bypass` and {name: reuse, order: 1, components: [...]}."""
        if isinstance(data, str):
            return {"action": {"name": data}}
        if isinstance(data, dict) and "name" in data:
            own = {key: data[key] for key in ("components", "together", "lengths") if key in data}
            return {"action": {key: value for key, value in data.items() if key not in own}, **own}
        return data

    @field_validator("action")
    @classmethod
    def _not_compute(cls, action: Action) -> Action:
        if action.name == "compute":
            raise ValueError("compute is what every component does anyway; the null ablation is always swept")
        return action


class ScreenedAction(SweptAction):
    """An action tried in every window of each of the given lengths; with length 1, at each step by itself.

    The search for policies needs this evidence for actions that reuse. Windows in which such an action has nothing to
    read, in the first steps, are left out of the plan.
    """

    lengths: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = (1,)
