"""Distances between trajectories."""

from __future__ import annotations

import math

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.metrics.distance import cosine, relative_l2, trajectory_distances

SEEDS = st.integers(0, 2**32 - 1)


def states(seed: int, batch: int = 3) -> torch.Tensor:
    """Return random states, (B, 3, 4, 4)."""
    return torch.randn(batch, 3, 4, 4, generator=torch.Generator().manual_seed(seed))


@given(seed=SEEDS, scale=st.floats(1e-3, 1e3))
@settings(deadline=None)
def test_equal_states_have_no_distance(seed: int, scale: float) -> None:
    x = states(seed) * scale
    assert relative_l2(x, x).tolist() == [0, 0, 0]
    assert cosine(x, x).tolist() == [1, 1, 1]


@given(seed=SEEDS, factor=st.floats(-3, 3).filter(lambda factor: abs(factor) > 1e-3))
@settings(deadline=None)
def test_the_distances_of_a_scaled_state_follow_from_its_factor(seed: int, factor: float) -> None:
    x = states(seed).double()
    torch.testing.assert_close(relative_l2(factor * x, x), torch.full((3,), abs(factor - 1), dtype=torch.float64))
    torch.testing.assert_close(cosine(factor * x, x), torch.full((3,), math.copysign(1, factor), dtype=torch.float64))


@given(seed=SEEDS, other=SEEDS)
@settings(deadline=None)
def test_samples_are_measured_one_by_one(seed: int, other: int) -> None:
    a, b = states(seed), states(other)
    for distance in (relative_l2, cosine):
        together = distance(a, b)
        assert together.dtype == torch.float64
        assert together.shape == (3,)
        torch.testing.assert_close(together, torch.cat([distance(a[i : i + 1], b[i : i + 1]) for i in range(3)]))


def test_known_values() -> None:
    a = torch.tensor([3.0, 0.0, 0.0]).reshape(1, 3, 1, 1)
    b = torch.tensor([0.0, 4.0, 0.0]).reshape(1, 3, 1, 1)
    assert relative_l2(a, b).item() == 5 / 4
    assert cosine(a, b).item() == 0


def test_zero_states_give_finite_numbers() -> None:
    zero, one = torch.zeros(1, 3, 2, 2), torch.ones(1, 3, 2, 2)
    assert relative_l2(zero, zero).item() == 0
    assert cosine(zero, zero).item() == 1
    assert relative_l2(zero, one).item() == 1
    assert cosine(zero, one).item() == 0
    assert math.isfinite(relative_l2(one, zero).item())
    assert cosine(one, zero).item() == 0


def test_trajectories_are_compared_step_by_step_and_sample_by_sample() -> None:
    rng = np.random.default_rng(0)
    x_t, pred_x0, other_x_t, other_pred_x0 = rng.standard_normal((4, 3, 2, 3, 4, 4)).astype(np.float32)
    distances = trajectory_distances(x_t, pred_x0, other_x_t, other_pred_x0)
    assert set(distances) == {"x_t_rel_l2", "x_t_cosine", "pred_x0_rel_l2", "pred_x0_cosine"}
    for name, (values, baseline) in {"x_t": (x_t, other_x_t), "pred_x0": (pred_x0, other_pred_x0)}.items():
        for step in range(3):
            pair = torch.from_numpy(values[step]), torch.from_numpy(baseline[step])
            assert np.allclose(distances[f"{name}_rel_l2"][step], relative_l2(*pair).numpy())
            assert np.allclose(distances[f"{name}_cosine"][step], cosine(*pair).numpy())
