"""The rules of a policy file, and their conversion to and from a schedule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from compute.config.plain_text import Name
from compute.policy.schedule import Schedule
from store.records import Action, Record, Window, components_text

_ENTRY_LIMIT = 1_000_000  # without it a small file could take hours to expand


class Rule(Record):
    """One action of several components in a window of steps. Components without a rule at a step are computed."""

    components: Annotated[tuple[Name, ...], Field(min_length=1, max_length=10_000)]
    window: Window
    action: Action

    def __str__(self) -> str:
        return f"{self.action!s} {components_text(self.components)} in steps {self.window}"


def schedule_of_rules(rules: Sequence[Rule], steps: int) -> Schedule:
    """Return the schedule of rules for a run of `steps` steps.

    Raises ValueError for a window that ends after the run, and for two actions of one component at one step.
    """
    for rule in rules:
        if rule.window.stop > steps:
            raise ValueError(f"rules: window {rule.window} lies outside the run: steps 0 to {steps - 1} exist")
    if sum(len(rule.components) * (rule.window.stop - rule.window.start) for rule in rules) > _ENTRY_LIMIT:
        raise ValueError(f"rules: hold more than {_ENTRY_LIMIT} actions, counted by component and step")
    rows: dict[int, dict[str, Action]] = {}
    for rule in rules:
        for step in range(rule.window.start, rule.window.stop):
            for name in rule.components:
                first = rows.setdefault(step, {}).setdefault(name, rule.action)
                if first != rule.action:
                    raise ValueError(
                        f"rules: {name} has the actions {first} and {rule.action} at step {step}; one is accepted"
                    )
    return Schedule(steps=steps, actions=rows)


def rules_of(schedule: Schedule) -> tuple[Rule, ...]:
    """Return the fewest rules of a schedule: components with the same action in the same window share a rule."""
    components: dict[tuple[int, int, Action], list[str]] = {}
    for name in sorted({name for _, name, _ in schedule.entries()}):
        for start, stop, action in _windows(schedule, name):
            components.setdefault((start, stop, action), []).append(name)
    ordered = sorted(components.items(), key=lambda item: (item[0][0], item[0][1], str(item[0][2]), item[1]))
    return tuple(
        Rule(components=tuple(names), window=Window(start=start, stop=stop), action=action)
        for (start, stop, action), names in ordered
    )


def _windows(schedule: Schedule, name: str) -> list[tuple[int, int, Action]]:
    """Return the longest windows (start, stop, action) in which a component has one action other than `compute`."""
    windows: list[tuple[int, int, Action]] = []
    for step in range(schedule.steps):
        action = schedule.action(step, name)
        if action.name == "compute":
            continue
        if windows and windows[-1][1] == step and windows[-1][2] == action:
            windows[-1] = (windows[-1][0], step + 1, action)
        else:
            windows.append((step, step + 1, action))
    return windows
