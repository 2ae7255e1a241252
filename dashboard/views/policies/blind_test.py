"""A blind comparison: which of two pictures is better, without knowing which run made which."""

from __future__ import annotations

import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import streamlit as st

from compute.statistics.estimate import unseen_share
from dashboard.data.compared_pictures import Contender, PicturePair
from dashboard.widgets.images import data_url
from dashboard.widgets.panels import note
from dashboard.widgets.picture_cards import Shot, card, card_grid
from dashboard.widgets.tables import table_csv

Answer = Literal["first", "second", "same"]
_KEY = "blind tests"


@dataclass(frozen=True, kw_only=True)
class Question:
    """A pair of pictures in the order in which it is asked; `swapped` if the right run's is first."""

    pair: PicturePair
    swapped: bool


def questions(pairs: Sequence[PicturePair], seed: int) -> list[Question]:
    """Return the pairs that differ, in a random order, each with its sides at random."""
    generator = random.Random(seed)
    asked = [Question(pair=pair, swapped=generator.random() < 0.5) for pair in pairs if pair.difference > 0]
    generator.shuffle(asked)
    return asked


def answer_rows(asked: Sequence[Question], answers: Sequence[Answer], left: str, right: str) -> list[dict[str, Any]]:
    """Return a row for each answer, with the names of the runs."""
    rows = []
    for question, answer in zip(asked, answers, strict=False):
        first, second = (right, left) if question.swapped else (left, right)
        better = {"first": first, "second": second, "same": "no difference"}[answer]
        rows.append(
            {
                "Prompt": question.pair.prompt,
                "Seed": question.pair.seed,
                "Shown first": first,
                "Shown second": second,
                "Better": better,
                "Difference of pixels": question.pair.difference,
            }
        )
    return rows


def show_blind_test(left: Contender, right: Contender, pairs: Sequence[PicturePair]) -> None:
    """Ask which picture of each pair is better; the answers can be downloaded at any time."""
    key = f"{left.token} {right.token} {len(pairs)}"
    state = st.session_state.setdefault(_KEY, {}).setdefault(key, {"seed": secrets.randbits(32), "answers": []})
    asked, answers = questions(pairs, state["seed"]), state["answers"]
    if not asked:
        note("All their pictures are the same, pixel by pixel.")
        return
    if len(answers) < len(asked):
        _ask(asked[len(answers)], len(answers), len(asked), answers)
    else:
        note(result_sentence(answer_rows(asked, answers, left.label, right.label), left.label, right.label))
    if answers:
        _offer_answers(asked, answers, left, right)


def _ask(question: Question, place: int, count: int, answers: list[Answer]) -> None:
    pair = question.pair
    pictures = (pair.right, pair.left) if question.swapped else (pair.left, pair.right)
    shots = [
        (Shot(source=data_url(tile), alt=f"{name} picture"), name)
        for name, tile in zip(("First", "Second"), pictures, strict=True)
    ]
    st.html(card_grid([card(shots, pair.prompt, f"{place + 1} of {count}. Which is better?")]))
    labels: dict[Answer, str] = {"first": "First", "second": "Second", "same": "No difference"}
    with st.container(horizontal=True):
        for answer, label in labels.items():
            st.button(label, key=f"blind {answer}", on_click=answers.append, args=(answer,))


def _offer_answers(asked: Sequence[Question], answers: Sequence[Answer], left: Contender, right: Contender) -> None:
    rows = answer_rows(asked, answers, left.label, right.label)
    with st.container(horizontal=True):
        st.download_button(
            f"Download {len(rows)} answer{'s' * (len(rows) != 1)} as CSV",
            lambda: table_csv(rows),
            file_name="blind-test.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
            key="blind csv",
        )
        st.button("Forget the answers", key="blind again", on_click=st.session_state[_KEY].clear)


def result_sentence(rows: Sequence[dict[str, Any]], left: str, right: str) -> str:
    """Return how often which run was found better."""
    better = [row["Better"] for row in rows]
    lefts, rights = better.count(left), better.count(right)
    same = len(better) - lefts - rights
    text = f"Of {len(rows)} pairs, {left} was better in {lefts}, {right} in {rights}, neither in {same}."
    if not lefts + rights:
        return f"{text} Among other pictures a difference may still show in up to {unseen_share(len(rows)):.0%} (95%)."
    return text
