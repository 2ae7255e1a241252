"""A draft of a policy: its rules, as text that stands in a page's address and is read without trusting it."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Iterable, Sequence

from pydantic import TypeAdapter, ValidationError

from compute.policy import strict_json
from compute.policy.rules import Rule, rules_of, schedule_of_rules
from compute.policy.schedule import Schedule
from compute.policy.skip_policy import SkipPolicy
from store.errors import SkipscopeError
from store.records import Ablation, Action

_RULES = TypeAdapter(tuple[Rule, ...])
TEXT_LIMIT = 6_000
"""Characters of a draft that stands in an address."""
_SIZE_LIMIT = 1 << 18


class NoDraft(SkipscopeError):
    """A text that is no draft of a policy for so many steps."""


def draft_text(schedule: Schedule) -> str:
    """Return a schedule's rules as text: letters, digits, `-` and `_`; "" for none."""
    rules = rules_of(schedule)
    if not rules:
        return ""
    data = json.dumps(_RULES.dump_python(rules, mode="json"), separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(zlib.compress(data, 9)).decode("ascii").rstrip("=")


def draft_of(text: str, steps: int) -> Schedule:
    """Return the schedule that a text holds. Raises NoDraft."""
    if not text:
        return Schedule.empty(steps)
    if len(text) > TEXT_LIMIT:
        raise NoDraft(f"draft: {len(text)} characters; at most {TEXT_LIMIT} are accepted")
    try:
        packed = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        data = zlib.decompressobj().decompress(packed, _SIZE_LIMIT)
        rules = _RULES.validate_json(json.dumps(strict_json.parse(data)), strict=True)
        if any(rule.action.name == "compute" for rule in rules):
            raise ValueError("compute is the default")
        return schedule_of_rules(rules, steps)
    except (ValueError, ValidationError, binascii.Error, zlib.error, UnicodeError, RecursionError) as error:
        raise NoDraft("draft: is no list of rules for this sweep's steps") from error


def schedule_of_ablations(ablations: Iterable[Ablation], steps: int) -> Schedule:
    """Return the schedule that does what each of some ablations did, together."""
    rows: dict[int, dict[str, Action]] = {}
    for ablation in ablations:
        for step in range(ablation.window.start, min(ablation.window.stop, steps)):
            rows.setdefault(step, {}).update(dict.fromkeys(ablation.components, ablation.action))
    return Schedule(steps=steps, actions=rows)


def with_action(schedule: Schedule, actions: dict[str, Action], steps: Sequence[int]) -> Schedule:
    """Return a schedule in which components have other actions at some steps; `compute` takes an action back."""
    rows = {step: dict(schedule.at(step)) for step in range(schedule.steps)}
    for step in steps:
        rows[step].update(actions)
    return Schedule(steps=schedule.steps, actions=rows)


def draft_policy(template: SkipPolicy, schedule: Schedule, name: str) -> SkipPolicy:
    """Return a policy with a schedule for the model and the sampler of another one. It is not measured.

    Raises ValidationError for a name that a policy cannot have.
    """
    fields = dict(template) | {
        "name": name,
        "rules": rules_of(schedule),
        "prediction": None,
        "validation": None,
        "previous": None,
        "provenance": {"made": "by hand, in the workbench"},
    }
    return SkipPolicy(**fields)
