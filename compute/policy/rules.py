"""The rules of a policy file, and their conversion to and from a schedule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Annotated

from pydantic import Field

from compute.config.plain_text import Name
from compute.policy.schedule import Schedule, StepActions
from store.records import Action, Record, Window, components_text

_ENTRY_LIMIT = 200_000  # the largest network that is known has 600 components, and few policies change at each step


class Rule(Record):
    """One action of several components in a window of steps. Components without a rule at a step are computed."""

    components: Annotated[tuple[Name, ...], Field(min_length=1, max_length=10_000)]
    window: Window
    action: Action

    def __str__(self) -> str:
        return f"{self.action!s} {components_text(self.components)} in steps {self.window}"


def schedule_of_rules(rules: Sequence[Rule], steps: int) -> Schedule:
    """Return the schedule of rules for a run of `steps` steps. Steps under the same rules share one row.

    Raises ValueError for a window that ends after the run, and for two actions of one component at one step.
    """
    for rule in rules:
        if rule.window.stop > steps:
            raise ValueError(f"rules: window {rule.window} lies outside the run: steps 0 to {steps - 1} exist")
    bounds = sorted({bound for rule in rules for bound in (rule.window.start, rule.window.stop)})
    starting: dict[int, list[Rule]] = {}
    for rule in rules:
        starting.setdefault(rule.window.start, []).append(rule)
    rows: dict[int, dict[str, Action]] = {}
    active: list[Rule] = []
    entries = 0
    for start, stop in pairwise(bounds):
        active = [rule for rule in active if rule.window.stop > start] + starting.get(start, [])
        entries += sum(len(rule.components) for rule in active)
        if entries > _ENTRY_LIMIT:
            raise ValueError(f"rules: hold more than {_ENTRY_LIMIT} actions, counted by component and change of rules")
        if active:
            rows |= dict.fromkeys(range(start, stop), _row(active, start))
    return Schedule(steps=steps, actions=rows)


def _row(rules: Sequence[Rule], step: int) -> dict[str, Action]:
    """Return the actions of a step under these rules. Raises ValueError for two actions of one component."""
    row: dict[str, Action] = {}
    for rule in rules:
        for name in rule.components:
            first = row.setdefault(name, rule.action)
            if first != rule.action:
                raise ValueError(
                    f"rules: {name} has the actions {first} and {rule.action} at step {step}; one is accepted"
                )
    return row


def rules_of(schedule: Schedule) -> tuple[Rule, ...]:
    """Return the fewest rules of a schedule: components with the same action in the same window share a rule."""
    components: dict[tuple[int, int, Action], list[str]] = {}
    for name, start, stop, action in sorted(_windows(schedule), key=lambda window: window[:3]):
        components.setdefault((start, stop, action), []).append(name)
    ordered = sorted(components.items(), key=lambda item: (item[0][0], item[0][1], str(item[0][2]), item[1]))
    return tuple(
        Rule(components=tuple(names), window=Window(start=start, stop=stop), action=action)
        for (start, stop, action), names in ordered
    )


def _windows(schedule: Schedule) -> Iterator[tuple[str, int, int, Action]]:
    """Yield the longest windows (name, start, stop, action) in which a component has one action but `compute`."""
    since: dict[str, int] = {}
    row: StepActions = {}
    for step in range(schedule.steps + 1):
        following = schedule.at(step)
        if following is row:
            continue
        for name, action in row.items():
            if following.get(name) != action:
                yield name, since[name], step, action
        for name, action in following.items():
            if row.get(name) != action:
                since[name] = step
        row = following
