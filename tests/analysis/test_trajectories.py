"""The analyses of trajectories on constructed ones whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from compute.analysis.report.analysis_sentences import curvature_sentence, similarity_sentence, spectrum_sentence
from compute.analysis.trajectories.curvature import Curvature, curvature_of, uneven_schedule
from compute.analysis.trajectories.radial_spectrum import half_power_frequency, radial_spectrum
from compute.analysis.trajectories.step_similarity import alike_from, step_similarity


def line(at: list[float], seed: int = 0) -> np.ndarray:
    """(2, steps, 1, 4, 4): two straight trajectories whose place at each step is given."""
    rng = np.random.default_rng(seed)
    ends = rng.normal(size=(2, 2, 1, 4, 4))
    share = np.array(at)[None, :, None, None, None]
    return ends[:, :1] * (1 - share) + ends[:, 1:] * share


def wave(frequency: int, size: int = 16, axis: int = 0, amplitude: float = 1.0) -> np.ndarray:
    phase = 2 * np.pi * frequency * np.arange(size) / size
    return amplitude * np.broadcast_to(np.cos(phase)[:, None] if axis == 0 else np.cos(phase), (size, size))


def test_a_straight_trajectory_has_no_curvature() -> None:
    found = curvature_of(line([0, 0.25, 0.5, 0.75, 1]), range(5))
    assert found.steps == (1, 2, 3)
    assert found.bend.tolist() == [0, 0, 0]
    assert found.angles == pytest.approx([0, 0, 0], abs=1e-5)
    assert found.detour == pytest.approx(1)
    assert uneven_schedule(found, 5, 3) == (0, 2, 3)
    assert curvature_sentence(found, (0, 2, 3), "states").endswith("nothing speaks against an even schedule.")


def test_steps_that_were_not_kept_do_not_look_like_a_bend() -> None:
    assert not curvature_of(line([0, 0.1, 0.4, 0.5, 1]), [0, 1, 4, 5, 10]).bend.any()


def test_a_trajectory_that_turns_once_bends_there() -> None:
    corner = np.zeros((1, 7, 1, 1, 2))
    corner[0, :, 0, 0, 0] = [0, 1, 2, 3, 3, 3, 3]
    corner[0, :, 0, 0, 1] = [0, 0, 0, 0, 1, 2, 3]
    found = curvature_of(corner, range(7))
    assert found.angles == pytest.approx([0, 0, 90, 0, 0])
    assert found.bend == pytest.approx([0, 0, 2**0.5, 0, 0])
    assert found.detour == pytest.approx(2**0.5)
    assert "1.41 times as long" in curvature_sentence(found, (0, 3), "states")
    assert "bends most at step 3" in curvature_sentence(found, (0, 3), "states")


def test_a_schedule_is_denser_where_the_trajectory_bends() -> None:
    bend = np.where(np.arange(1, 19) < 6, 4.0, 0.25)
    curvature = Curvature(steps=tuple(range(1, 19)), bend=bend, angles=bend, detour=1.0)
    schedule = uneven_schedule(curvature, 20, 8)
    gaps = np.diff([*schedule, 20])
    assert gaps[:4].mean() < 1.5 and gaps[-2:].mean() > 4


@settings(max_examples=60, deadline=None)
@given(st.integers(3, 60), st.integers(1, 60), st.integers(0, 5))
def test_a_schedule_holds_so_many_ascending_steps(total: int, count: int, seed: int) -> None:
    bend = np.random.default_rng(seed).exponential(size=total - 2) ** 3
    curvature = Curvature(steps=tuple(range(1, total - 1)), bend=bend, angles=bend, detour=1.0)
    schedule = uneven_schedule(curvature, total, count)
    assert len(schedule) == min(count, total) and schedule[0] == 0 and schedule[-1] < total
    assert all(a < b for a, b in zip(schedule, schedule[1:], strict=False))


@pytest.mark.parametrize("frequency", [1, 3, 7])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_wave_has_its_power_at_its_own_frequency(frequency: int, axis: int) -> None:
    spectrum = radial_spectrum(wave(frequency, axis=axis, amplitude=3.0)[None, None, None])[0]
    assert spectrum[frequency] == pytest.approx(9 / 2)
    assert np.delete(spectrum, frequency) == pytest.approx(0)
    assert abs(half_power_frequency(spectrum) - frequency) <= 0.5


def test_a_slanted_wave_is_in_the_nearest_ring() -> None:
    slanted = 2 * wave(2, axis=0) * wave(2, axis=1)  # 2.83 cycles a side, both ways
    spectrum = radial_spectrum(slanted[None, None, None])[0]
    assert spectrum[3] == pytest.approx(1) and np.delete(spectrum, 3) == pytest.approx(0)


@settings(max_examples=30, deadline=None)
@given(arrays(np.float64, (2, 1, 3, 6, 9), elements=st.floats(-2, 2)))
def test_the_rings_add_up_to_the_mean_square(pictures: np.ndarray) -> None:
    assert radial_spectrum(pictures).sum() == pytest.approx(np.square(pictures).mean())


def test_a_picture_of_one_colour_has_no_variation() -> None:
    spectrum = radial_spectrum(np.full((1, 2, 3, 8, 8), 0.5))
    assert spectrum[:, 0] == pytest.approx(0.25) and spectrum[:, 1:] == pytest.approx(0)
    assert np.isnan(half_power_frequency(np.array([0.25, 0, 0])))


@pytest.mark.parametrize(
    ("first", "last", "verdict"), [(2, 6, "gets finer"), (6, 2, "gets coarser"), (4, 4, "stays as")]
)
def test_the_spectrum_is_said_to_get_finer_or_coarser(first: int, last: int, verdict: str) -> None:
    pictures = np.stack([wave(first), wave(last)])[None, :, None]
    assert verdict in spectrum_sentence(radial_spectrum(pictures), (0, 9))


def test_steps_are_alike_by_the_angle_between_them() -> None:
    states = np.zeros((2, 4, 1, 1, 2))
    states[:, 0, 0, 0] = (0, 5)
    states[:, 1, 0, 0] = (1, 1)
    states[:, 2, 0, 0] = (2, 0)
    states[:, 3, 0, 0] = (9, 0)
    found = step_similarity(states)
    half = 2**-0.5
    assert found == pytest.approx(np.array([[1, half, 0, 0], [half, 1, half, half], [0, half, 1, 1], [0, half, 1, 1]]))
    assert alike_from(found) == 2
    assert similarity_sentence(found, (0, 5, 10, 15), "predictions") == (
        "From step 10 on, all predictions are 0.99 alike (cosine) or more to that of step 15; "
        "that of step 0 is 0.00 alike."
    )


def test_what_is_never_or_always_alike_is_said_so() -> None:
    assert similarity_sentence(np.eye(3), (0, 1, 2), "states").startswith("None of the states before step 2")
    assert similarity_sentence(np.ones((3, 3)), (0, 1, 2), "states").startswith("All states are")
