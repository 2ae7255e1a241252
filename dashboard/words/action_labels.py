"""Labels of actions, and their text in page addresses."""

from __future__ import annotations

import re

from store.records import Action, content_key

_SPACES = {"x0": "clean picture", "eps": "noise prediction"}
_ORDERS = {1: "extrapolated", 2: "extrapolated by a parabola"}


def action_label(action: Action) -> str:
    """Return the label of an action: `Reuse (extrapolated, clean picture)`."""
    details = [_ORDERS[action.order]] if action.order else ["fitted"] if action.weights is not None else []
    details += [_SPACES[action.space]] if action.space else []
    return action.properties.label + (f" ({', '.join(details)})" if details else "")


def action_token(action: Action) -> str:
    """Return the text of an action in a page's address: lower-case letters, digits, `_` and `-`.

    It has no parentheses: charts in SVG refer to their parts as `url(address#id)`, which a parenthesis would end.
    """
    text = str(action) if action.weights is None else f"{action} {content_key(action)[:8]}"  # signs are not in it
    return re.sub(r"[^a-z0-9_]+", "-", text).strip("-")
