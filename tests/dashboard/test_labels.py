"""Labels of components, windows, actions and metrics, and numbers as text."""

from __future__ import annotations

import math
import re
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compute.analysis.phases.switch_results import ASPECTS
from dashboard.views.policies.quality_axes import QualityAxis
from dashboard.words.action_labels import action_label, action_token
from dashboard.words.component_labels import component_label
from dashboard.words.formatting import duration_range_text, number_text, window_label
from dashboard.words.metric_labels import metric_label
from store.records import Action, Window

LABELS = {
    "down_blocks.1.resnets.0": ("Encoder", "Down 1 · residual 0", "Residual block"),
    "mid_block.attentions.0": ("Middle", "Middle · attention 0", "Attention block"),
    "up_blocks.2.upsamplers.0": ("Decoder", "Up 2 · upsampler", "Upsampler"),
    "down_blocks.0.downsamplers.0": ("Encoder", "Down 0 · downsampler", "Downsampler"),
    "skip:conv_in": ("Skip connections", "Skip from input convolution", "Skip connection"),
    "skip:down_blocks.1.attentions.1": ("Skip connections", "Skip from down 1 · attention 1", "Skip connection"),
    "unet": ("Whole network", "Whole network", "Whole network"),
    "guidance": ("Whole network", "Guidance", "Guidance"),
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


def test_windows_actions_and_metrics() -> None:
    assert window_label(Window(start=5, stop=10)) == "steps 5–9"
    assert window_label(Window(start=7, stop=8)) == "step 7"
    assert action_label(Action(name="reuse", order=1, space="x0")) == "Reuse (extrapolated, clean picture)"
    assert action_label(Action(name="reuse_delta", order=2)) == "Reuse residual (extrapolated by a parabola)"
    assert action_label(Action(name="reuse", space="x0", weights=(1, 0.5))) == "Reuse (fitted, clean picture)"
    assert action_label(Action(name="bypass")) == "Bypass"
    assert metric_label("haarpsi") == "HaarPSI"
    assert metric_label("mse", "anything") == "Mean squared error"


def test_every_action_has_its_own_token() -> None:
    spaces: tuple[Literal["eps", "x0"] | None, ...] = (None, "eps", "x0")
    orders: tuple[Literal[0, 1], ...] = (0, 1)
    actions = [Action(name="reuse", order=order, space=space) for order in orders for space in spaces]
    actions += [Action(name=name) for name in ("compute", "bypass", "zero", "reuse_delta")]
    actions += [Action(name="reuse", weights=weights) for weights in ((1, 0.5), (1, -0.5), (1.0001, 0.5))]
    tokens = [action_token(action) for action in actions]
    assert len(set(tokens)) == len(actions)
    assert all(re.fullmatch(r"[a-z0-9_-]+", token) for token in tokens)


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e6, max_value=1e6))
def test_the_text_of_a_number_is_close_to_it(value: float) -> None:
    text = number_text(value)
    if "<" in text or ">" in text:
        assert 0 < abs(value) < 0.0005
    else:
        assert math.isclose(float(text.replace("−", "-")), value, abs_tol=0.051 if abs(value) >= 9.9 else 0.00051)
    assert number_text(None) == number_text(math.nan) == "–"


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (3000, 3720, "50 to 62 minutes"),
        (3, 9, "3 to 9 seconds"),
        (3600, 7200, "1.0 to 2.0 hours"),
        (600, 601, "about 10 minutes"),
    ],
)
def test_a_range_of_time(low: float, high: float, text: str) -> None:
    assert duration_range_text(low, high) == text


def test_metrics_of_one_family_have_labels_of_one_form() -> None:
    names = [f"fidelity_{other}{aspect}" for other in ("", "other_") for aspect in ASPECTS]
    labels = {name: metric_label(name, "a label of its own") for name in names}
    assert len(set(labels.values())) == len(names)
    assert all(label.startswith("Prompt fidelity: ") for label in labels.values())
    assert all(label.endswith(", other prompt") == ("other" in name) for name, label in labels.items())
    for aspect in ASPECTS:
        assert QualityAxis(measure="fidelity", name=aspect).label == labels[f"fidelity_{aspect}"]
