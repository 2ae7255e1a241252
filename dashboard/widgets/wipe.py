"""Two pictures over each other with a movable edge between them, enlarged without smoothing, in the browser alone."""

from __future__ import annotations

import streamlit as st

_HTML = """
<div class="frame"><div class="stage"><img class="under" alt=""><img class="over" alt=""><i></i></div></div>
<div class="names"><span class="left"></span><span class="right"></span></div>
<label>Wipe <input class="wipe" type="range" min="0" max="100" value="50" aria-label="Wipe between pictures"></label>
<label>Zoom <input class="zoom" type="range" min="1" max="8" step="0.5" value="1" aria-label="Zoom"></label>
"""
_CSS = """
.frame { width: min(26rem, 100%); aspect-ratio: 1; overflow: auto; border-radius: 0.5rem; }
.stage { position: relative; width: 100%; aspect-ratio: 1; }
.stage img { position: absolute; inset: 0; width: 100%; height: 100%; object-fit: contain; image-rendering: pixelated; }
.stage i { position: absolute; top: 0; bottom: 0; width: 2px; margin-left: -1px; background: #FFFFFF;
  outline: 1px solid #000000; pointer-events: none; }
.names, label { display: flex; gap: 0.75rem; width: min(26rem, 100%); font-size: 0.875rem; align-items: center; }
.names { justify-content: space-between; margin: 0.25rem 0 0.5rem; font-weight: 600; }
label { margin-bottom: 0.375rem; }
input { flex: 1; min-width: 0; accent-color: #7B72D9; }
input:focus-visible { outline: 2px solid #7B72D9; outline-offset: 2px; }
"""
_SCRIPT = """
export default function ({ data, parentElement }) {
  const find = (name) => parentElement.querySelector(name)
  const [over, under, edge, stage, wipe, zoom] = ['.over', '.under', 'i', '.stage', '.wipe', '.zoom'].map(find)
  over.src = data.left.source
  under.src = data.right.source
  over.alt = data.left.alt
  under.alt = data.right.alt
  find('.left').textContent = '← ' + data.left.name
  find('.right').textContent = data.right.name + ' →'
  const draw = () => {
    over.style.clipPath = `inset(0 ${100 - wipe.value}% 0 0)`
    edge.style.left = wipe.value + '%'
    stage.style.width = 100 * zoom.value + '%'
  }
  const toPointer = (event) => {
    if (event.buttons !== 1) return
    const box = stage.getBoundingClientRect()
    wipe.value = (100 * (event.clientX - box.left)) / box.width
    draw()
    event.preventDefault()
  }
  wipe.oninput = draw
  zoom.oninput = draw
  stage.onpointerdown = toPointer
  stage.onpointermove = toPointer
  draw()
}
"""


def wipe(key: str, left: tuple[str, str, str], right: tuple[str, str, str]) -> None:
    """Show two pictures of the same size; each is its name, its `data:` address and its text for screen readers."""
    component = st.components.v2.component("skipscope_wipe", html=_HTML, css=_CSS, js=_SCRIPT)
    sides = {
        side: {"name": name, "source": source, "alt": alt}
        for side, (name, source, alt) in (("left", left), ("right", right))
    }
    component(key=key, data=sides)
