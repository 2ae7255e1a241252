"""Two runs compared picture by picture, where they differ most first, and blind."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard.data.compared_pictures import Contender, PicturePair, contenders, picture_pairs
from dashboard.data.policy_files import PolicyFile
from dashboard.data.sweep import Sweep
from dashboard.views.policies.blind_test import show_blind_test
from dashboard.widgets import choices
from dashboard.widgets.images import data_url
from dashboard.widgets.panels import errors_as_panel, note, section
from dashboard.widgets.wipe import wipe

_MODES = {"wipe": "Wipe", "blind": "Blind: which is better?"}


def show_comparison(sweep: Sweep, files: Sequence[PolicyFile], chosen: PolicyFile | None) -> None:
    """Show the comparison of two runs whose validations kept pictures; nothing without two."""
    available = contenders(sweep, files, chosen)
    if len(available) < 2:
        return
    section(
        "Two compared, picture by picture",
        help="Pictures of the same prompt and seed, those that differ most first. Full compute and fewer steps are as "
        "the shown policy's validation ran them.",
    )
    _show_pairs(available)


@st.fragment
def _show_pairs(available: Sequence[Contender]) -> None:
    with errors_as_panel():
        first, second, third = st.columns([3, 3, 3])
        with first:
            left = _chosen("compare_left", "Left", available, available[0])
        with second:
            others = [one for one in available if one.token != left.token]
            policies = [one for one in others if one.token.startswith("policy-")]
            right = _chosen("compare_right", "Right", others, (policies or others)[0])
        with third:
            mode = choices.segments("compare_how", "How", list(_MODES), format_func=lambda token: _MODES[token])
        pairs = picture_pairs(left, right)
        if not pairs:
            note("Their validations ran on other prompts and seeds, so there are no pairs to compare.")
        elif mode == "blind":
            show_blind_test(left, right, pairs)
        else:
            _show_wipe(left, right, pairs)


def _chosen(name: str, label: str, options: Sequence[Contender], default: Contender) -> Contender:
    return choices.select(
        name, label, options, token=lambda one: one.token, format_func=lambda one: one.label, default=default
    )


def _show_wipe(left: Contender, right: Contender, pairs: Sequence[PicturePair]) -> None:
    places = list(range(len(pairs)))
    place = choices.select(
        "compare_picture",
        f"Picture, of {len(pairs)} in order of difference",
        places,
        format_func=lambda at: f"{at + 1}. {pairs[at].prompt} · seed {pairs[at].seed} ({pairs[at].difference:.1%})",
    )
    pair = pairs[place]
    wipe(
        "policies wipe",
        (left.label, data_url(pair.left), f"{left.label}: {pair.prompt}"),
        (right.label, data_url(pair.right), f"{right.label}: {pair.prompt}"),
    )
    same = sum(pair.difference == 0 for pair in pairs)
    note(f"They differ by {pair.difference:.1%} of the range of a pixel on average." + _same_text(same))


def _same_text(same: int) -> str:
    return f" {same} of the pairs are the same, pixel by pixel." if same else ""
