"""Rendered scenes show what their captions say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.models.mini.scenes.render import render, render_batch, sprites
from compute.models.mini.scenes.scene import BACKGROUNDS, OBJECTS, Scene, random_scene

SIZES = (32, 64)


def test_every_object_has_a_sprite_of_its_own() -> None:
    assert len({sprite.tobytes() for sprite in sprites()}) == len(OBJECTS)
    assert all(np.asarray(sprite)[..., 3].mean() > 20 for sprite in sprites())


@pytest.mark.parametrize("size", SIZES)
def test_a_batch_has_the_models_shape_and_range(size: int) -> None:
    rng = np.random.default_rng(0)
    pictures = render_batch([random_scene(rng, "train") for _ in range(8)], rng, size)
    assert pictures.shape == (8, 3, size, size)
    assert pictures.dtype == np.float32
    assert -1 <= pictures.min() < 0 < pictures.max() <= 1


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), size=st.sampled_from(SIZES), axis=st.sampled_from(["left of", "above"]))
def test_a_pair_is_on_both_sides_of_the_middle(seed: int, size: int, axis: str) -> None:
    """A diamond and a banana differ most in blue, so the diamond is in the half with more blue."""
    scene = Scene(first="diamond", second="banana", relation=axis, background="black")  # type: ignore[arg-type]
    picture = render(scene, np.random.default_rng(seed), size)
    blueness = picture[..., 2] - picture[..., 0]
    halves = np.split(blueness, 2, axis=1 if axis == "left of" else 0)
    assert halves[0].sum() > halves[1].sum()


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), ground=st.sampled_from(list(BACKGROUNDS)))
def test_the_background_has_its_colour(seed: int, ground: str) -> None:
    """The median over the border is nearer to this background's colour than to any other's."""
    picture = render(Scene(first="key", background=ground), np.random.default_rng(seed), 32)
    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    colour = np.median(border, axis=0) * 255
    distances = {name: float(np.linalg.norm(colour - np.array(expected))) for name, expected in BACKGROUNDS.items()}
    assert min(distances, key=lambda name: distances[name]) == ground


def test_size_and_position_vary() -> None:
    rng = np.random.default_rng(0)
    scene = Scene(first="heart", background="white")
    masks = np.stack([render(scene, rng, 32)[..., 0] < 0.7 for _ in range(50)])
    areas = masks.sum((1, 2))
    centres = np.array([np.argwhere(mask).mean(0) for mask in masks])
    assert areas.max() > 1.4 * areas.min()
    assert centres.std(0).min() > 1
