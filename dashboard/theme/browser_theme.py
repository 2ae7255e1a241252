"""The theme that the browser shows.

Charts are made on the server, in the colours of a theme. Streamlit does not run a page again when the user changes the
theme, so a small script in the page reports the change.
"""

from __future__ import annotations

import streamlit as st

from dashboard.theme.palette import Palette, palette_of

_KEY = "theme watch"
_SCRIPT = """
export default function ({ data, setStateValue }) {
  const app = document.querySelector('.stApp')
  const check = () => {
    const [red, green, blue] = getComputedStyle(app).backgroundColor.match(/[0-9.]+/g).map(Number)
    const theme = 0.2126 * red + 0.7152 * green + 0.0722 * blue < 128 ? 'dark' : 'light'
    if (theme !== data.rendered) setStateValue('theme', theme)
  }
  const observer = new MutationObserver(check)
  observer.observe(app, { attributes: true, attributeFilter: ['class', 'style'] })
  check()
  return () => observer.disconnect()
}
"""


def shown_theme() -> str | None:
    """Return `light` or `dark`, or None if the browser has not reported it yet."""
    state = st.session_state.get(_KEY)
    theme: str | None = state.get("theme") if state else None
    return theme or st.context.theme.type


def shown_palette() -> Palette:
    """Return the palette of the theme that the browser shows."""
    return palette_of(shown_theme())


def watch_theme() -> None:
    """Run the page again when the browser shows another theme than the one that the page was rendered in."""
    watch = st.components.v2.component("skipscope_theme", js=_SCRIPT)
    # Streamlit needs a callback to run the page again; the new state is read in that run.
    watch(key=_KEY, data={"rendered": shown_theme() or "light"}, height=1, on_theme_change=lambda: None)
