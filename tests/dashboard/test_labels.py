"""Names for people, and the text of tables."""

from __future__ import annotations

import csv
import io
import math
import re
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.widgets.panels import escaped, plain
from dashboard.widgets.tables import table_csv
from dashboard.words.component_labels import (
    action_label,
    action_token,
    component_label,
    metric_name,
    number,
    window_label,
)
from store.records import Action, Window

LABELS = {
    "down_blocks.1.resnets.0": ("Encoder", "Down 1 · residual 0", "Residual block"),
    "mid_block.attentions.0": ("Middle", "Middle · attention 0", "Attention block"),
    "up_blocks.2.upsamplers.0": ("Decoder", "Up 2 · upsampler", "Upsampler"),
    "down_blocks.0.downsamplers.0": ("Encoder", "Down 0 · downsampler", "Downsampler"),
    "skip:conv_in": ("Skip connections", "Skip from input convolution", "Skip connection"),
    "skip:down_blocks.1.attentions.1": ("Skip connections", "Skip from down 1 · attention 1", "Skip connection"),
    "unet": ("Whole network", "Whole network", "Whole network"),
}


@pytest.mark.parametrize("name", LABELS)
def test_components(name: str) -> None:
    label = component_label(name)
    assert (label.group, label.full, label.kind_label) == LABELS[name]
    assert label.path == name


@given(st.text())
def test_every_name_has_a_label(name: str) -> None:
    label = component_label(name)
    assert label.path == name
    assert label.kind_label


def test_windows_and_actions() -> None:
    assert window_label(Window(start=5, stop=10)) == "steps 5–9"
    assert window_label(Window(start=7, stop=8)) == "step 7"
    assert action_label(Action(name="reuse", order=1, space="x0")) == "Reuse (extrapolated, clean picture)"
    assert action_label(Action(name="bypass")) == "Bypass"
    assert metric_name("haarpsi") == "HaarPSI"
    assert metric_name("mse", "anything") == "Mean squared error"


def test_every_action_has_a_text_for_addresses() -> None:
    spaces: tuple[Literal["eps", "x0"] | None, ...] = (None, "eps", "x0")
    orders: tuple[Literal[0, 1], ...] = (0, 1)
    actions = [Action(name="reuse", order=order, space=space) for order in orders for space in spaces]
    actions += [Action(name=name) for name in ("compute", "bypass", "zero", "reuse_delta")]
    tokens = [action_token(action) for action in actions]
    assert len(set(tokens)) == len(actions)
    assert all(re.fullmatch(r"[a-z0-9_-]+", token) for token in tokens)


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e6, max_value=1e6))
def test_a_number_says_about_what_it_is(value: float) -> None:
    text = number(value)
    if "<" in text or ">" in text:
        assert 0 < abs(value) < 0.0005
    else:
        assert math.isclose(float(text.replace("−", "-")), value, abs_tol=0.051 if abs(value) >= 9.9 else 0.00051)
    assert number(None) == number(math.nan) == "–"


@given(
    st.lists(st.fixed_dictionaries({"Prompt": st.text(st.characters(exclude_categories=["Cs"])), "Value": st.floats()}))
)
def test_a_csv_reads_back_and_runs_nothing(rows: list[dict[str, object]]) -> None:
    found = list(csv.DictReader(io.StringIO(table_csv(rows).decode("utf-8"), newline=""), restval=""))
    if rows and not any("\r" in str(row["Prompt"]) or "\n" in str(row["Prompt"]) for row in rows):
        assert [row["Prompt"].removeprefix("'") for row in found] == [str(r["Prompt"]).removeprefix("'") for r in rows]
    assert not any(row["Prompt"][:1] in ("=", "+", "-", "@") for row in found)


@given(st.text())
def test_escaped_text_holds_no_markup(text: str) -> None:
    assert not set("<>\"'") & set(escaped(text))
    assert "`" not in plain(text).replace("\\`", "")
