"""Marks of a chart that the keyboard reaches: Tab enters the chart, arrows walk over its marks, Enter clicks one."""

from __future__ import annotations

import re

import streamlit as st

_SCRIPT = """
const MARKS = 'path[aria-roledescription]'
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }

const middle = (mark) => {
  const box = mark.getBoundingClientRect()
  return [box.x + box.width / 2, box.y + box.height / 2]
}

// The nearest mark in a direction; one that lies aside counts as three times as far away.
function neighbour(mark, marks, [across, down]) {
  const [x, y] = middle(mark)
  const distance = (other) => {
    const [dx, dy] = [middle(other)[0] - x, middle(other)[1] - y]
    const ahead = dx * across + dy * down
    return ahead > 2 ? ahead + 3 * Math.abs(dx * down + dy * across) : Infinity
  }
  const best = marks.reduce((a, b) => (distance(b) < distance(a) ? b : a))
  return distance(best) < Infinity ? best : mark
}

export default function ({ data }) {
  const chart = document.querySelector('.' + data.chart)
  if (!chart) return
  // Vega keeps what it drew a mark from in `__data__`.
  const marks = () => [...chart.querySelectorAll(MARKS)].filter((mark) => mark.__data__?.cursor === 'pointer')
  const enter = (mark) => {
    for (const other of marks()) other.setAttribute('tabindex', other === mark ? '0' : '-1')
  }
  const prepare = () => {
    const all = marks()
    if (all.length && !all.some((mark) => mark.getAttribute('tabindex') === '0')) enter(all[0])
  }
  const walk = (event) => {
    const mark = event.target
    if (!(mark instanceof SVGElement) || !mark.hasAttribute('tabindex')) return
    if (STEPS[event.key]) {
      const next = neighbour(mark, marks(), STEPS[event.key])
      enter(next)
      next.focus()
    } else if (event.key === 'Enter' || event.key === ' ') {
      const [clientX, clientY] = middle(mark)
      mark.dispatchEvent(new MouseEvent('click', { bubbles: true, view: window, clientX, clientY }))
    } else return
    event.preventDefault()
  }
  const observer = new MutationObserver(prepare)  // a chart that is drawn again has new marks
  observer.observe(chart, { childList: true, subtree: true })
  chart.addEventListener('keydown', walk)
  prepare()
  return () => {
    observer.disconnect()
    chart.removeEventListener('keydown', walk)
  }
}
"""


def keyboard_marks(chart: str) -> None:
    """Let the keyboard reach the marks of a chart that reacts to clicks; `chart` is the chart's key."""
    component = st.components.v2.component("skipscope_keyboard", js=_SCRIPT)
    component(key=f"keyboard {chart}", data={"chart": chart_class(chart)}, height=1)


def chart_class(chart: str) -> str:
    """Return the class that Streamlit gives the element of a chart's key."""
    return "st-key-" + re.sub(r"[^a-zA-Z0-9_-]", "-", chart.strip())
