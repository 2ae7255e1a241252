"""The slider of a chart's step: a button that plays it in the browser, and the step that outlives a drawing."""

from __future__ import annotations

import streamlit as st

from dashboard.widgets.keyboard_marks import chart_class

_SCRIPT = """
const shown = (window.skipscopeSteps ??= {})  // by chart: a chart that is drawn again keeps its step
const STEPS = 60  // at most, of one round

export default function ({ data }) {
  const chart = document.querySelector('.' + data.chart)
  if (!chart) return
  let timer = null
  const slider = () => chart.querySelector('.vega-bindings input[type=range]')
  const go = (input, value) => {
    input.value = value
    input.dispatchEvent(new Event('input', { bubbles: true }))
  }
  const stop = () => {
    clearInterval(timer)
    timer = null
    for (const button of chart.querySelectorAll('.sk-play')) label(button)
  }
  const label = (button) => {
    button.textContent = timer === null ? '▶ Play' : '❚❚ Pause'
    button.setAttribute('aria-pressed', timer !== null)
  }
  const play = () => {
    const pause = matchMedia('(prefers-reduced-motion: reduce)').matches ? 1200 : 400
    timer = setInterval(() => {
      const input = slider()
      if (!input) return stop()
      const last = Number(input.max)
      const next = Number(input.value) + Math.max(1, Math.round((last + 1) / STEPS))
      go(input, next > last ? 0 : next)
    }, pause)
  }
  const prepare = () => {
    const input = slider()
    const row = input?.closest('.vega-bind')
    if (!row || row.querySelector('.sk-play')) return
    input.setAttribute('aria-label', 'Step')
    const button = document.createElement('button')
    button.type = 'button'
    button.className = 'sk-play'
    button.addEventListener('click', () => {
      if (timer === null) play()
      else stop()
      label(button)
    })
    label(button)
    row.prepend(button)
    const kept = shown[data.chart]
    if (kept && kept.first === data.first && kept.step <= Number(input.max)) go(input, kept.step)
    input.addEventListener('input', () => {
      shown[data.chart] = { first: data.first, step: Number(input.value) }
    })
  }
  const observer = new MutationObserver(prepare)
  observer.observe(chart, { childList: true, subtree: true })
  prepare()
  return () => {
    observer.disconnect()
    clearInterval(timer)
  }
}
"""


def step_player(chart: str, first: int) -> None:
    """Add a play button to the step slider of a chart, by its key.

    A chart that is drawn again goes on where the reader was, unless it is made for another `first` step.
    """
    component = st.components.v2.component("skipscope_player", js=_SCRIPT)
    component(key=f"player {chart}", data={"chart": chart_class(chart), "first": first}, height=1)
