"""Choices that live in the address: a link restores the view, and a change of a widget changes the link.

The address is the truth. A value in it that is not among the options is ignored with a note, and the default holds.
What was chosen on one page is remembered for the session, so that a page one comes back to looks as it was left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import streamlit as st

from dashboard.widgets import panels as content

T = TypeVar("T")
_REMEMBERED = "remembered choices"


def parse(text: str | None, tokens: Sequence[str], default: str) -> tuple[str, bool]:
    """The token that a text from an address stands for, and whether the text was wrong. Never raises."""
    if text is None:
        return default, False
    return (text, False) if text in tokens else (default, True)


def chosen(name: str, tokens: Sequence[str], default: str, show: Callable[[str], str] = str) -> str:
    """The token that holds now: of the address, else remembered, else the default; a wrong one is noted.

    `show` gives a token's text for people.
    """
    kept = _remembered().get(name)
    found = st.query_params.get(name)
    if found is None and kept in tokens:
        found = kept
    token, wrong = parse(found, tokens, default)
    if wrong and found != kept:  # what we put there ourselves may have lost its meaning by another choice
        content.note(f"The address asks for a {name.replace('_', ' ')} that is not here. Shown is: {show(default)}.")
    _put(name, token, default)
    return token


def put(name: str, token: str, default: str) -> None:
    """Choose by program: the address and the memory hold it from the next run on."""
    _put(name, token, default)


def _put(name: str, token: str, default: str) -> None:
    _remembered()[name] = token
    if token == default:
        if name in st.query_params:
            del st.query_params[name]
    elif st.query_params.get(name) != token:
        st.query_params[name] = token


def _remembered() -> dict[str, str]:
    found: dict[str, str] = st.session_state.setdefault(_REMEMBERED, {})
    return found


def _prepared(
    name: str, tokens: Sequence[str], default: str, show: Callable[[str], str]
) -> tuple[str, Callable[[], None]]:
    """The widget's key, its state set to what the address says, and what to do when a person changes it."""
    key = f"choice {name}"
    st.session_state[key] = chosen(name, tokens, default, show)

    def changed() -> None:
        value = st.session_state.get(key)
        if value is not None:
            _put(name, value, default)

    return key, changed


def select(
    name: str,
    label: str,
    options: Sequence[T],
    *,
    token: Callable[[T], str] = str,
    show: Callable[[T], str] = str,
    default: T | None = None,
    help: str | None = None,
    **kwargs: Any,
) -> T:
    """A drop-down list. `token` gives an option's text in the address, `show` the one for people. Needs an option."""
    return _widget(st.selectbox, name, label, options, token, show, default, help, kwargs)


def segments(
    name: str,
    label: str,
    options: Sequence[T],
    *,
    token: Callable[[T], str] = str,
    show: Callable[[T], str] = str,
    default: T | None = None,
    help: str | None = None,
    **kwargs: Any,
) -> T:
    """A row of buttons of which one is pressed, for a handful of options."""
    return _widget(st.segmented_control, name, label, options, token, show, default, help, {"required": True} | kwargs)


def slider(
    name: str,
    label: str,
    options: Sequence[T],
    *,
    token: Callable[[T], str] = str,
    show: Callable[[T], str] = str,
    default: T | None = None,
    help: str | None = None,
    **kwargs: Any,
) -> T:
    """A slider over options in order. With a single option there is nothing to slide, and nothing is drawn."""
    if len(options) == 1:
        chosen(name, [token(options[0])], token(options[0]))
        return options[0]
    return _widget(st.select_slider, name, label, options, token, show, default, help, kwargs)


def _widget(
    draw: Callable[..., Any],
    name: str,
    label: str,
    options: Sequence[T],
    token: Callable[[T], str],
    show: Callable[[T], str],
    default: T | None,
    help: str | None,
    kwargs: dict[str, Any],
) -> T:
    by_token = {token(option): option for option in options}
    first = token(options[0] if default is None else default)
    default_token = first if first in by_token else next(iter(by_token))
    key, changed = _prepared(name, list(by_token), default_token, lambda text: show(by_token[text]))
    value = draw(
        label,
        list(by_token),
        key=key,
        on_change=changed,
        format_func=lambda text: show(by_token[text]),
        help=help,
        **kwargs,
    )
    return by_token[value]
