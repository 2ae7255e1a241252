"""Widgets whose value stands in the page's address, so that a link restores the view.

The address decides. A value in it that is not an option is ignored with a note, and the default is used. Choices are
also remembered for the session, so that a page shows them again when the user returns to it without an address. Each
page remembers its own: a choice of one page never narrows another. Only SHARED ones, which mean the same everywhere,
go along.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import streamlit as st

from dashboard.widgets.escaping import escape_markdown
from dashboard.widgets.panels import note

T = TypeVar("T")
SHARED = frozenset({"metric", "store"})
"""Names of choices that all pages share; they have the same options and the same default on each."""
_REMEMBERED = "remembered choices"
_PAGE = "shown page"


def enter_page(name: str) -> None:
    """Remember choices for this page from now on. Every run of the script calls it before the page's own code."""
    st.session_state[_PAGE] = name


def parse_token(text: str | None, tokens: Sequence[str], default: str) -> tuple[str, bool]:
    """Return the token that a text of an address means, and whether the text is invalid. Raises nothing."""
    if text is None:
        return default, False
    return (text, False) if text in tokens else (default, True)


def chosen_token(name: str, tokens: Sequence[str], default: str, format_func: Callable[[str], str] = str) -> str:
    """Return the token of a choice: the address's, else the remembered one, else the default.

    A note tells of an invalid one in the address; `format_func` gives a token's label for it.
    """
    remembered = _remembered().get(_place(name))
    text = st.query_params.get(name)
    if text is None and remembered in tokens:
        text = remembered
    token, invalid = parse_token(text, tokens, default)
    if invalid and text != remembered:  # the dashboard's own value may have become invalid through another choice
        what = name.replace("_", " ")
        note(f"The address asks for a {what} that is not available. Shown instead: {format_func(default)}.")
    set_choice(name, token, default)
    return token


def set_choice(name: str, token: str, default: str) -> None:
    """Set a choice in the address, which omits the default, and remember it. Widgets show it from the next run on."""
    _remembered()[_place(name)] = token
    if token == default:
        if name in st.query_params:
            del st.query_params[name]
    elif st.query_params.get(name) != token:
        st.query_params[name] = token


def forget(*names: str) -> None:
    """Forget choices of this page, so that the next run shows their defaults."""
    for name in names:
        _remembered().pop(_place(name), None)
        if name in st.query_params:
            del st.query_params[name]


def way_back(text: str, label: str, *names: str) -> None:
    """Say that the view is narrowed, beside a button that forgets the choices which narrow it."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f":material/filter_alt: {escape_markdown(text)}", width="content")
        st.button(label, key=f"way back {' '.join(names)}", on_click=forget, args=names)


def _place(name: str) -> str:
    return name if name in SHARED else f"{st.session_state.get(_PAGE, '')} {name}"


def _remembered() -> dict[str, str]:
    choices: dict[str, str] = st.session_state.setdefault(_REMEMBERED, {})
    return choices


def select(
    name: str,
    label: str,
    options: Sequence[T],
    *,
    token: Callable[[T], str] = str,
    format_func: Callable[[T], str] = str,
    default: T | None = None,
    help: str | None = None,
) -> T:
    """Show a drop-down list of at least one option, and return the selected one.

    `token` gives an option's text in the address, `format_func` its label. Without `default` it is the first option.
    """
    return _widget(st.selectbox, name, label, options, token, format_func, default, help)


def segments(
    name: str,
    label: str,
    options: Sequence[T],
    *,
    token: Callable[[T], str] = str,
    format_func: Callable[[T], str] = str,
    default: T | None = None,
    help: str | None = None,
) -> T:
    """Show a few options as a row of buttons, and return the selected one; see `select`."""
    return _widget(st.segmented_control, name, label, options, token, format_func, default, help, required=True)


def slider(
    name: str,
    label: str,
    options: Sequence[T],
    *,
    token: Callable[[T], str] = str,
    format_func: Callable[[T], str] = str,
    default: T | None = None,
    help: str | None = None,
    resets: Sequence[str] = (),
) -> T:
    """Show options on a slider in their order, and return the selected one; see `select`. One option is not shown.

    Moving it forgets the choices named in `resets`, which it would contradict.
    """
    if len(options) == 1:
        chosen_token(name, [token(options[0])], token(options[0]))
        return options[0]
    return _widget(st.select_slider, name, label, options, token, format_func, default, help, resets)


def _widget(
    widget: Callable[..., Any],
    name: str,
    label: str,
    options: Sequence[T],
    token: Callable[[T], str],
    format_func: Callable[[T], str],
    default: T | None,
    help: str | None,
    resets: Sequence[str] = (),
    **kwargs: Any,
) -> T:
    by_token = {token(option): option for option in options}
    tokens = list(by_token)
    wanted = token(options[0] if default is None else default)
    default_token = wanted if wanted in by_token else tokens[0]

    def token_label(text: str) -> str:
        return format_func(by_token[text])

    def write_choice() -> None:
        value = st.session_state.get(key)
        if value is not None:
            set_choice(name, value, default_token)
            forget(*resets)

    key = f"choice {name}"
    st.session_state[key] = chosen_token(name, tokens, default_token, token_label)
    value = widget(label, tokens, key=key, on_change=write_choice, format_func=token_label, help=help, **kwargs)
    return by_token[value]
