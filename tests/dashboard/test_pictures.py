"""Pictures in the page are exact; differences and film strips show what they must."""

from __future__ import annotations

import base64
import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from dashboard.theme.palette import LIGHT
from dashboard.widgets.difference_pictures import GAINS, difference_pixels, distance_map, gain_for
from dashboard.widgets.film_strip import film_strips
from dashboard.widgets.images import data_url, pixels_of
from dashboard.widgets.picture_cards import Shot
from store.records import Window

PICTURE = arrays(np.float32, (3, 4, 4), elements=st.floats(-1, 1, width=32))


@given(PICTURE)
def test_a_picture_in_the_page_is_exact(picture: np.ndarray) -> None:
    data = base64.b64decode(data_url(pixels_of(picture)).removeprefix("data:image/png;base64,"))
    decoded = np.asarray(Image.open(io.BytesIO(data)), dtype=np.float32).transpose(2, 0, 1) / 127.5 - 1
    assert np.abs(decoded - picture).max() <= 0.5 / 127.5 + 1e-6


@given(PICTURE, PICTURE)
def test_differences(one: np.ndarray, other: np.ndarray) -> None:
    distances = distance_map(one, other)
    assert distances.shape == (4, 4)
    assert 0 <= distances.min() <= distances.max() <= 1 + 1e-6
    assert np.array_equal(distances, distance_map(other, one))
    assert not distance_map(one, one).any()
    gain = gain_for([distances])
    assert gain in GAINS
    assert gain == 1 or np.quantile(distances, 0.99) * gain <= 1
    assert difference_pixels(distances, gain, LIGHT).shape == (4, 4, 3)


def test_latents_with_any_number_of_channels_are_shown() -> None:
    assert pixels_of(np.zeros((1, 2, 2), np.float32)).shape == (2, 2, 3)
    assert pixels_of(np.zeros((4, 2, 2), np.float32)).shape == (2, 2, 3)
    assert gain_for([]) == 1
    assert gain_for([np.zeros((2, 2), np.float32)]) == 1


def test_a_film_strip_marks_its_window_and_step() -> None:
    shots: list[Shot | None] = [Shot(source="data:,", alt='a "quoted" <picture>'), None, None]
    strips = film_strips({"Base<line>": shots}, [3, 4, 5], window=Window(start=4, stop=6), current=5)
    assert strips.count("sk-in") == 2
    assert strips.count('sk-at"') == 2
    assert "not kept" in strips
    assert "<line>" not in strips
    assert "<picture>" not in strips
