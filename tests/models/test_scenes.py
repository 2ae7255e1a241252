"""Scenes: their captions can be parsed, and the training split contains no held-out combination."""

from __future__ import annotations

from itertools import combinations, permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compute.models.mini.scenes import scene as scenes
from compute.models.mini.scenes.scene import (
    BACKGROUNDS,
    OBJECTS,
    RELATIONS,
    Scene,
    UnreadableCaption,
    captions,
    random_scene,
)

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
    single_scenes = [Scene(first=name, background=b) for name, b in product(OBJECTS, BACKGROUNDS)]
    pairs = product(permutations(OBJECTS, 2), RELATIONS, BACKGROUNDS)
    return single_scenes + [Scene(first=a, second=b, relation=r, background=g) for (a, b), r, g in pairs]


def test_there_are_enough_objects_and_backgrounds() -> None:
    assert len(OBJECTS) >= 32
    assert len(BACKGROUNDS) >= 8


def test_a_tenth_of_pairs_and_of_backgrounds_is_held_out() -> None:
    assert len(scenes.HELD_OUT_PAIRS) >= 0.1 * len(list(combinations(OBJECTS, 2)))
    assert len(scenes.HELD_OUT_ON_BACKGROUNDS) >= 0.1 * len(OBJECTS) * len(BACKGROUNDS)


def test_every_word_occurs_in_training() -> None:
    trained = [scene for scene in every_scene() if not scene.held_out]
    assert {name for scene in trained for name in scene.objects} == set(OBJECTS)
    assert {scene.background for scene in trained} == set(BACKGROUNDS)


class FixedAnswers:
    """A random generator that returns given values, with which `random_scene` can be made to propose any scene."""

    def __init__(self, answers: list[float | int]) -> None:
        self._answers = iter(answers)

    def random(self) -> float:
        return float(next(self._answers))

    def integers(self, _: int) -> int:
        return int(next(self._answers))

    def choice(self, *_: object, **__: object) -> tuple[int, int]:
        return int(next(self._answers)), int(next(self._answers))


def test_the_training_split_rejects_every_held_out_scene() -> None:
    """All held-out scenes are proposed one after the other, and then one that is not held out."""
    objects, backgrounds = list(OBJECTS), list(BACKGROUNDS)
    allowed = next(scene for scene in every_scene() if not scene.held_out)
    assert allowed.second is None
    last = [backgrounds.index(allowed.background), objects.index(allowed.first)]
    held_out = [scene for scene in every_scene() if scene.held_out]
    assert len(held_out) > 1000
    answers: list[float | int] = [0.0]
    for scene in held_out:
        if scene.second is None:
            answers += [backgrounds.index(scene.background), objects.index(scene.first)]
    assert random_scene(FixedAnswers([*answers, *last]), "train") == allowed  # type: ignore[arg-type]
    pair = next(scene for scene in every_scene() if scene.second is not None and not scene.held_out)
    answers = [1.0]
    for scene in [*(s for s in held_out if s.second is not None), pair]:
        assert scene.second is not None
        assert scene.relation is not None
        answers += [backgrounds.index(scene.background), objects.index(scene.first), objects.index(scene.second)]
        answers += [RELATIONS.index(scene.relation)]
    assert random_scene(FixedAnswers(answers), "train") == pair  # type: ignore[arg-type]


@pytest.mark.parametrize("split", scenes.SPLITS)
def test_splits_are_disjoint(split: scenes.Split) -> None:
    rng = np.random.default_rng(0)
    sampled = [random_scene(rng, split) for _ in range(3000)]
    assert {scene.held_out for scene in sampled} == {split == "held-out"}
    assert {scene.second is None for scene in sampled} == {True, False}


@given(st.one_of(single, double))
def test_captions_are_parsed(scene: Scene) -> None:
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


def test_the_same_seed_has_the_same_captions() -> None:
    assert captions("held-out", 20, 3) == captions("held-out", 20, 3) != captions("held-out", 20, 4)
