"""Scenes: captions in correct English that can be read back, and a training split that never shows what is held out."""

from __future__ import annotations

from itertools import combinations, permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compute.models.mini.scenes import scene as scenes
from compute.models.mini.scenes.scene import BACKGROUNDS, OBJECTS, RELATIONS, Scene, UnreadableCaption, captions, draw

single = st.builds(Scene, first=st.sampled_from(list(OBJECTS)), background=st.sampled_from(list(BACKGROUNDS)))
double = st.builds(
    lambda names, relation, background: Scene(
        first=names[0], second=names[1], relation=relation, background=background
    ),
    st.permutations(list(OBJECTS)),
    st.sampled_from(RELATIONS),
    st.sampled_from(list(BACKGROUNDS)),
)


def every_scene() -> list[Scene]:
    alone = [Scene(first=name, background=ground) for name, ground in product(OBJECTS, BACKGROUNDS)]
    pairs = product(permutations(OBJECTS, 2), RELATIONS, BACKGROUNDS)
    return alone + [Scene(first=a, second=b, relation=r, background=g) for (a, b), r, g in pairs]


def test_the_world_is_large_enough() -> None:
    assert len(OBJECTS) >= 32
    assert len(BACKGROUNDS) >= 8


def test_a_tenth_of_pairs_and_of_grounds_is_held_out() -> None:
    assert len(scenes.HELD_OUT_PAIRS) >= 0.1 * len(list(combinations(OBJECTS, 2)))
    assert len(scenes.HELD_OUT_GROUNDS) >= 0.1 * len(OBJECTS) * len(BACKGROUNDS)


def test_every_word_is_trained_with_something() -> None:
    trained = [scene for scene in every_scene() if not scene.held_out]
    assert {name for scene in trained for name in scene.objects} == set(OBJECTS)
    assert {scene.background for scene in trained} == set(BACKGROUNDS)


class Always:
    """A random source that answers as it is told: every scene that `draw` could ask for, held out or not."""

    def __init__(self, answers: list[float | int]) -> None:
        self._answers = iter(answers)

    def random(self) -> float:
        return float(next(self._answers))

    def integers(self, _: int) -> int:
        return int(next(self._answers))

    def choice(self, *_: object, **__: object) -> tuple[int, int]:
        return int(next(self._answers)), int(next(self._answers))


def test_the_training_generator_cannot_produce_what_is_held_out() -> None:
    """Asked for each held-out scene by name, it goes on to the next that it is given: there is no way around."""
    objects, grounds = list(OBJECTS), list(BACKGROUNDS)
    allowed = next(scene for scene in every_scene() if not scene.held_out)
    assert allowed.second is None
    last = [grounds.index(allowed.background), objects.index(allowed.first)]
    asked = [scene for scene in every_scene() if scene.held_out]
    assert len(asked) > 1000
    answers: list[float | int] = [0.0]
    for scene in asked:
        if scene.second is None:
            answers += [grounds.index(scene.background), objects.index(scene.first)]
    assert draw(Always([*answers, *last]), "train") == allowed  # type: ignore[arg-type]
    pair = next(scene for scene in every_scene() if scene.second is not None and not scene.held_out)
    answers = [1.0]
    for scene in [*(s for s in asked if s.second is not None), pair]:
        assert scene.second is not None
        assert scene.relation is not None
        answers += [grounds.index(scene.background), objects.index(scene.first), objects.index(scene.second)]
        answers += [RELATIONS.index(scene.relation)]
    assert draw(Always(answers), "train") == pair  # type: ignore[arg-type]


@pytest.mark.parametrize("split", scenes.SPLITS)
def test_splits_are_disjoint(split: scenes.Split) -> None:
    rng = np.random.default_rng(0)
    drawn = [draw(rng, split) for _ in range(3000)]
    assert {scene.held_out for scene in drawn} == {split == "held-out"}
    assert {scene.second is None for scene in drawn} == {True, False}


@given(st.one_of(single, double))
def test_captions_are_read_back(scene: Scene) -> None:
    assert Scene.parse(scene.caption) == scene


@pytest.mark.parametrize(
    ("scene", "caption"),
    [
        (Scene(first="cat", background="blue"), "a cat on a blue background"),
        (
            Scene(first="rocket", second="apple", relation="above", background="gray"),
            "a rocket above an apple on a gray background",
        ),
        (
            Scene(first="umbrella", second="eggplant", relation="left of", background="red"),
            "an umbrella left of an eggplant on a red background",
        ),
    ],
)
def test_captions_are_english(scene: Scene, caption: str) -> None:
    assert scene.caption == caption


@given(st.text(max_size=200))
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(UnreadableCaption) as refusal:
        Scene.parse(text)
    assert len(str(refusal.value).splitlines()) == 1


@given(double)
def test_slots_are_in_reading_order(scene: Scene) -> None:
    mirrored = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
    assert scene.second is not None
    assert scene.relation is not None
    same = Scene(
        first=scene.second,
        second=scene.first,
        relation=mirrored[scene.relation],  # type: ignore[arg-type]
        background=scene.background,
    )
    assert (same.slots, same.axis) == (scene.slots, scene.axis)


def test_the_same_seed_draws_the_same_captions() -> None:
    assert captions("held-out", 20, 3) == captions("held-out", 20, 3) != captions("held-out", 20, 4)
