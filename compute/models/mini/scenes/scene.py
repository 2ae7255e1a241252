"""The world glide-mini draws: one or two objects on a coloured background, and the caption that says so.

A scene is data: which objects stand where on which background. `caption` puts it into English, `Scene.parse` reads the
caption back, and `draw` makes random scenes of a split. A tenth of the object pairs and of the (object, background)
combinations never occur in the `train` split; every scene of the `held-out` split contains at least one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, product
from typing import Literal, get_args

import numpy as np

from store.errors import SkipscopeError

# Name of each object and the emoji that draws it. One word each: the caption's grammar relies on it.
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
    """A text that is not one of this world's captions."""


def _held_out() -> tuple[frozenset[frozenset[str]], frozenset[tuple[str, str]]]:
    rng = np.random.default_rng(_HELD_OUT_SEED)
    pairs = [frozenset(pair) for pair in combinations(OBJECTS, 2)]
    grounds = list(product(OBJECTS, BACKGROUNDS))
    chosen_pairs = rng.permutation(len(pairs))[: round(_HELD_OUT_SHARE * len(pairs))]
    chosen_grounds = rng.permutation(len(grounds))[: round(_HELD_OUT_SHARE * len(grounds))]
    return frozenset(pairs[i] for i in chosen_pairs), frozenset(grounds[i] for i in chosen_grounds)


HELD_OUT_PAIRS, HELD_OUT_GROUNDS = _held_out()


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One object, or two with the first `relation` the second, on a background."""

    first: str
    background: str
    second: str | None = None
    relation: Relation | None = None

    @property
    def objects(self) -> tuple[str, ...]:
        return (self.first,) if self.second is None else (self.first, self.second)

    @property
    def axis(self) -> Axis:
        if self.relation is None:
            return "alone"
        return "horizontal" if self.relation in ("left of", "right of") else "vertical"

    @property
    def slots(self) -> tuple[str, str | None]:
        """The objects in reading order: left or upper one first, whatever the caption names first."""
        if self.second is not None and self.relation in ("right of", "below"):
            return self.second, self.first
        return self.first, self.second

    @property
    def held_out(self) -> bool:
        """Whether training never shows this combination."""
        return frozenset(self.objects) in HELD_OUT_PAIRS or any(
            (name, self.background) in HELD_OUT_GROUNDS for name in self.objects
        )

    @property
    def caption(self) -> str:
        what = _with_article(self.first)
        if self.second is not None:
            what += f" {self.relation} {_with_article(self.second)}"
        return f"{what} on {_with_article(self.background)} background"

    @staticmethod
    def parse(caption: str) -> Scene:
        """The scene that a caption names. Raises `UnreadableCaption` for any other text."""
        what, found, ground = caption.strip().rpartition(" on ")
        background = _without_article(ground.removesuffix(" background"), BACKGROUNDS)
        for relation in RELATIONS:
            one, between, other = what.partition(f" {relation} ")
            if between:
                first, second = _without_article(one, OBJECTS), _without_article(other, OBJECTS)
                if first and second and background:
                    return Scene(first=first, second=second, relation=relation, background=background)
        alone = _without_article(what, OBJECTS)
        if not (found and alone and background):
            raise UnreadableCaption(
                f"caption: {caption[:80]!r} is not one that glide-mini knows; write for instance "
                '"a cat on a blue background" or "a rocket above an apple on a gray background"'
            )
        return Scene(first=alone, background=background)


def _with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _without_article(text: str, known: dict[str, str] | dict[str, tuple[int, int, int]]) -> str | None:
    article, _, noun = text.partition(" ")
    return noun if article in ("a", "an") and noun in known else None


def draw(rng: np.random.Generator, split: Split, *, single_share: float = SINGLE_SHARE) -> Scene:
    """A random scene of a split, single with probability `single_share`; uniform within its class by rejection."""
    single = rng.random() < single_share
    objects, grounds = list(OBJECTS), list(BACKGROUNDS)
    while True:
        background = grounds[rng.integers(len(grounds))]
        if single:
            scene = Scene(first=objects[rng.integers(len(objects))], background=background)
        else:
            one, other = rng.choice(len(objects), size=2, replace=False)
            relation = RELATIONS[rng.integers(len(RELATIONS))]
            scene = Scene(first=objects[one], second=objects[other], relation=relation, background=background)
        if scene.held_out == (split == "held-out"):
            return scene


def captions(split: Split, count: int, seed: int) -> list[str]:
    """`count` captions of a split, the same for the same seed."""
    rng = np.random.default_rng([_HELD_OUT_SEED, seed, SPLITS.index(split)])
    return [draw(rng, split).caption for _ in range(count)]
