"""The theme that the browser shows.

Charts are made on the server, in the colours of a theme. Streamlit does not run a page again when the user changes the
theme, so a small script in the page reports the change. Streamlit also stores a chosen theme for one page's address
only; the script stores it for the others, too.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard.theme.palette import Palette, palette_of

_KEY = "theme watch"
_SCRIPT = """
const PREFIX = 'stActiveTheme-'  // of the entries in which Streamlit stores a chosen theme, followed by the path
const entries = () => Object.fromEntries(
  Object.keys(localStorage).filter((key) => key.startsWith(PREFIX)).map((key) => [key, localStorage.getItem(key)]))

// The paths of all pages, from that of the shown one.
function paths(pages) {
  const parts = location.pathname.split('/')
  if (pages.includes(parts.at(-1))) parts.pop()
  const base = parts.join('/').replace(/\\/$/, '')
  return [base + '/', ...pages.map((page) => base + '/' + page)]
}

export default function ({ data, setStateValue }) {
  const app = document.querySelector('.stApp')
  let stored = entries()
  // What a page without an entry writes when it is opened is no choice.
  const chosen = (key, now) => stored[key] !== now[key] && (key in stored || now[key] !== '"System"')
  // Store the theme that was chosen for every page.
  const share = () => {
    const now = entries()
    const changed = Object.keys({ ...stored, ...now }).find((key) => chosen(key, now))
    if (changed !== undefined) {
      const version = changed.slice(changed.lastIndexOf('-'))
      for (const path of paths(data.pages)) {
        if (now[changed] === undefined) localStorage.removeItem(PREFIX + path + version)
        else localStorage.setItem(PREFIX + path + version, now[changed])
      }
    }
    stored = entries()
  }
  const check = () => {
    const [red, green, blue] = getComputedStyle(app).backgroundColor.match(/[0-9.]+/g).map(Number)
    const theme = 0.2126 * red + 0.7152 * green + 0.0722 * blue < 128 ? 'dark' : 'light'
    if (theme !== data.rendered) setStateValue('theme', theme)
  }
  const observer = new MutationObserver(check)
  observer.observe(app, { attributes: true, attributeFilter: ['class', 'style'] })
  const clicked = () => setTimeout(share, 100)  // after Streamlit has stored what the menu chose
  document.addEventListener('click', clicked)
  check()
  return () => {
    observer.disconnect()
    document.removeEventListener('click', clicked)
  }
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


def watch_theme(pages: Sequence[str]) -> None:
    """Run the page again when the browser shows another theme than the one that the page was rendered in.

    A chosen theme holds for all `pages`, the last parts of their addresses.
    """
    watch = st.components.v2.component("skipscope_theme", js=_SCRIPT)
    # Streamlit needs a callback to run the page again; the new state is read in that run.
    data = {"rendered": shown_theme() or "light", "pages": list(pages)}
    watch(key=_KEY, data=data, height=1, on_theme_change=lambda: None)
