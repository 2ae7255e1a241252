"""Scenes: one or two objects on a coloured background, with captions in English. glide-mini is trained on them.

12% of the pairs of objects and 12% of the combinations of object and background are held out: no scene of the `train`
split contains one of them, and every scene of the `held-out` split contains at least one.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from itertools import combinations, product
from typing import Literal, get_args

import numpy as np

from store.errors import SkipscopeError

# The objects and their emoji. Each name is a single word, which parsing a caption relies on.
OBJECTS: dict[str, str] = {
    "cat": "🐱", "panda": "🐼", "pig": "🐷", "frog": "🐸", "fox": "🦊", "penguin": "🐧", "fish": "🐟",
    "butterfly": "🦋", "apple": "🍎", "banana": "🍌", "watermelon": "🍉", "carrot": "🥕", "pizza": "🍕", "donut": "🍩",
    "orange": "🍊", "eggplant": "🍆", "rocket": "🚀", "car": "🚗", "sailboat": "⛵", "tree": "🌳", "cactus": "🌵",
    "sunflower": "🌻", "mushroom": "🍄", "star": "⭐", "heart": "💙", "football": "🏈", "umbrella": "☂️", "gift": "🎁",
    "key": "🔑", "house": "🏠", "diamond": "💎", "tulip": "🌷",
}  # fmt: skip
BACKGROUNDS: dict[str, tuple[int, int, int]] = {
    "white": (244, 244, 244),
    "gray": (142, 142, 142),
    "black": (24, 24, 24),
    "red": (176, 38, 44),
    "yellow": (244, 218, 92),
    "green": (54, 128, 66),
    "blue": (58, 102, 200),
    "pink": (246, 170, 200),
}
Relation = Literal["left of", "right of", "above", "below"]
RELATIONS: tuple[Relation, ...] = get_args(Relation)
Axis = Literal["alone", "horizontal", "vertical"]
AXES: tuple[Axis, ...] = get_args(Axis)
Split = Literal["train", "held-out"]
SPLITS: tuple[Split, ...] = get_args(Split)
SINGLE_SHARE = 1 / 3
_HELD_OUT_SHARE = 0.12
_HELD_OUT_SEED = 2312_14965


class UnreadableCaption(SkipscopeError):
    """A text that is not the caption of a scene."""


def _held_out_combinations() -> tuple[frozenset[frozenset[str]], frozenset[tuple[str, str]]]:
    """Return the held-out pairs of objects and the held-out (object, background) combinations."""
    rng = np.random.default_rng(_HELD_OUT_SEED)
    pairs = [frozenset(pair) for pair in combinations(OBJECTS, 2)]
    with_background = list(product(OBJECTS, BACKGROUNDS))
    pair_rows = rng.permutation(len(pairs))[: round(_HELD_OUT_SHARE * len(pairs))]
    background_rows = rng.permutation(len(with_background))[: round(_HELD_OUT_SHARE * len(with_background))]
    return frozenset(pairs[i] for i in pair_rows), frozenset(with_background[i] for i in background_rows)


HELD_OUT_PAIRS, HELD_OUT_ON_BACKGROUNDS = _held_out_combinations()


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One object on a background, or two of which the first is `relation` the second.

    The values are those of OBJECTS, BACKGROUNDS and RELATIONS; `second` and `relation` are both None or both set.
    """

    first: str
    background: str
    second: str | None = None
    relation: Relation | None = None

    @property
    def objects(self) -> tuple[str, ...]:
        """The names of the objects in the caption's order."""
        return (self.first,) if self.second is None else (self.first, self.second)

    @property
    def axis(self) -> Axis:
        """The line that two objects are arranged along, or `alone`."""
        if self.relation is None:
            return "alone"
        return "horizontal" if self.relation in ("left of", "right of") else "vertical"

    @property
    def slots(self) -> tuple[str, str | None]:
        """The objects in reading order: the left or upper one first; the second is None where there is one object."""
        if self.second is not None and self.relation in ("right of", "below"):
            return self.second, self.first
        return self.first, self.second

    @property
    def held_out(self) -> bool:
        """Whether the scene contains a held-out combination."""
        return frozenset(self.objects) in HELD_OUT_PAIRS or any(
            (name, self.background) in HELD_OUT_ON_BACKGROUNDS for name in self.objects
        )

    @property
    def caption(self) -> str:
        """The scene in English, for instance "a rocket above an apple on a gray background"."""
        subject = _with_article(self.first)
        if self.second is not None:
            subject += f" {self.relation} {_with_article(self.second)}"
        return f"{subject} on {_with_article(self.background)} background"

    @staticmethod
    def parse(caption: str) -> Scene:
        """Return the scene that a caption describes. Raises UnreadableCaption for any other text."""
        subject, _, ending = caption.strip().rpartition(" on ")
        background = _without_article(ending.removesuffix(" background"), BACKGROUNDS)
        for relation in RELATIONS:
            before, separator, after = subject.partition(f" {relation} ")
            if separator:
                first, second = _without_article(before, OBJECTS), _without_article(after, OBJECTS)
                if first and second and background:
                    return Scene(first=first, second=second, relation=relation, background=background)
        first = _without_article(subject, OBJECTS)
        if not (first and background):
            raise UnreadableCaption(
                f"caption: {caption[:80]!r} is not one that glide-mini knows; write for instance "
                '"a cat on a blue background" or "a rocket above an apple on a gray background"'
            )
        return Scene(first=first, background=background)


def _with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _without_article(text: str, nouns: Container[str]) -> str | None:
    """Return the noun of "a noun" or "an noun" where it is one of `nouns`, else None."""
    article, _, noun = text.partition(" ")
    return noun if article in ("a", "an") and noun in nouns else None


def random_scene(rng: np.random.Generator, split: Split, *, single_share: float = SINGLE_SHARE) -> Scene:
    """Return a random scene of a split: with probability `single_share` one with a single object, else one with two.

    Within each of the two classes the split's scenes are equally probable.
    """
    single = rng.random() < single_share
    objects, backgrounds = list(OBJECTS), list(BACKGROUNDS)
    while True:
        background = backgrounds[rng.integers(len(backgrounds))]
        if single:
            scene = Scene(first=objects[rng.integers(len(objects))], background=background)
        else:
            first, second = rng.choice(len(objects), size=2, replace=False)
            relation = RELATIONS[rng.integers(len(RELATIONS))]
            scene = Scene(first=objects[first], second=objects[second], relation=relation, background=background)
        if scene.held_out == (split == "held-out"):
            return scene


def captions(split: Split, count: int, seed: int) -> list[str]:
    """Return the first `count` captions of the endless random sequence that a split and a seed determine."""
    rng = np.random.default_rng([_HELD_OUT_SEED, seed, SPLITS.index(split)])
    return [random_scene(rng, split).caption for _ in range(count)]
