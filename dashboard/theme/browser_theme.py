"""Noticing a change of theme: the server draws the charts, but learns of it only when a page runs again."""

from __future__ import annotations

import streamlit as st

_KEY = "theme watch"
_SCRIPT = """
export default function ({ data, setStateValue }) {
  const app = document.querySelector('.stApp')
  const check = () => {
    const [red, green, blue] = getComputedStyle(app).backgroundColor.match(/[0-9.]+/g).map(Number)
    const theme = 0.2126 * red + 0.7152 * green + 0.0722 * blue < 128 ? 'dark' : 'light'
    if (theme !== data.drawn) setStateValue('theme', theme)
  }
  const observer = new MutationObserver(check)
  observer.observe(app, { attributes: true, attributeFilter: ['class', 'style'] })
  check()
  return () => observer.disconnect()
}
"""


def shown_theme() -> str | None:
    """`light` or `dark`, as the browser shows it; None where it has not said."""
    seen = st.session_state.get(_KEY)
    theme: str | None = seen.get("theme") if seen else None
    return theme or st.context.theme.type


def watch_theme() -> None:
    """Run the page again when the theme is not the one that it was drawn for."""
    watch = st.components.v2.component("skipscope_theme", js=_SCRIPT)
    watch(key=_KEY, data={"drawn": shown_theme() or "light"}, height=1, on_theme_change=_noticed)


def _noticed() -> None:
    """The state that changed is read in the run that follows."""
