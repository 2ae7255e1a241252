"""Paired metrics without weights, compared with piq and with known values."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import compute.torchvision_ops  # noqa: F401  (piq imports torchvision)
from compute.metrics import KNOWN, metrics
from compute.metrics.pixel import METRICS, PSNR_CAP, haarpsi, mse, psnr, ssim, ssim_window

NAMES = [metric.name for metric in METRICS]
SEEDS = st.integers(0, 2**32 - 1)
SIDES = st.sampled_from([16, 20, 32])


def pictures(seed: int, side: int = 32, batch: int = 3) -> Tensor:
    """Return smooth pictures in [-1, 1]: coarse noise, enlarged, with some fine noise."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(batch, 3, 4, 4, generator=generator)
    fine = torch.randn(batch, 3, side, side, generator=generator)
    enlarged = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bilinear")
    return (0.6 * enlarged + 0.1 * fine).clamp(-1, 1)


def unit(x: Tensor) -> Tensor:
    return (x + 1) / 2


@given(seed=SEEDS, other=SEEDS, side=SIDES)
@settings(max_examples=20, deadline=None)
def test_the_metrics_equal_piqs(seed: int, other: int, side: int) -> None:
    import piq

    a, b = pictures(seed, side), pictures(other, side)
    close: dict[str, Any] = {"atol": 1e-5, "rtol": 1e-5, "check_dtype": False}
    window = ssim_window(side)
    expected = piq.ssim(unit(a), unit(b), kernel_size=window, reduction="none")
    torch.testing.assert_close(ssim(a, b), expected, **close)
    torch.testing.assert_close(haarpsi(a, b), piq.haarpsi(unit(a), unit(b), reduction="none"), **close)
    if seed != other:
        expected = piq.psnr(unit(a), unit(b), reduction="none")  # piq adds 1e-8 to the squared error
        torch.testing.assert_close(psnr(a, b), expected, atol=1e-3, rtol=1e-5, check_dtype=False)


@given(seed=SEEDS, side=SIDES)
@settings(max_examples=15, deadline=None)
def test_identical_pictures_have_the_best_value(seed: int, side: int) -> None:
    x = pictures(seed, side)
    values = metrics(NAMES).compute(x, x, [""] * 3)
    assert values["rel_l2"].tolist() == values["mse"].tolist() == [0, 0, 0]
    assert values["psnr"].tolist() == [PSNR_CAP] * 3
    assert values["ssim"] == pytest.approx([1, 1, 1], abs=1e-9)
    assert values["haarpsi"] == pytest.approx([1, 1, 1], abs=1e-9)


@given(seed=SEEDS, small=st.floats(0.01, 0.1), large=st.floats(0.4, 1.0))
@settings(max_examples=15, deadline=None)
def test_more_noise_is_worse_in_the_metrics_direction(seed: int, small: float, large: float) -> None:
    x = pictures(seed)
    noise = pictures(seed + 1)
    little, much = (metrics(NAMES).compute((x + s * noise).clamp(-1, 1), x, [""] * 3) for s in (small, large))
    for metric in METRICS:
        worse = much[metric.name] - little[metric.name]
        assert ((worse > 0) if metric.info.direction == "lower" else (worse < 0)).all(), metric.name


@pytest.mark.parametrize("a", [-1.0, 0.0, 1.0])
@pytest.mark.parametrize("b", [-1.0, 0.0, 1.0])
def test_flat_pictures_stay_in_range(a: float, b: float) -> None:
    flat, baseline = (torch.full((1, 3, 32, 32), value) for value in (a, b))
    for name, values in metrics(NAMES).compute(flat, baseline, [""]).items():
        low, high = next((metric.info.low, metric.info.high) for metric in METRICS if metric.name == name)
        assert math.isfinite(values[0]), name
        assert low <= values[0] <= (math.inf if high is None else high), name
        if a == b:
            best = {"rel_l2": 0, "mse": 0, "psnr": PSNR_CAP, "ssim": 1, "haarpsi": 1}
            assert values[0] == pytest.approx(best[name], abs=1e-9), name


def test_known_values() -> None:
    black, white = -torch.ones(1, 3, 32, 32), torch.ones(1, 3, 32, 32)
    assert mse(white, black).item() == 4
    assert psnr(white, black).item() == 0
    assert psnr(black + 0.2, black).item() == pytest.approx(20, abs=1e-4)


def test_the_smallest_difference_of_8_bit_pictures_stays_below_the_cap() -> None:
    a, b = torch.zeros(1, 3, 128, 128), torch.zeros(1, 3, 128, 128)
    b[0, 0, 0, 0] = 2 / 255
    assert psnr(a, b).item() < PSNR_CAP


@pytest.mark.parametrize(("side", "window"), [(3, 3), (8, 3), (12, 5), (16, 7), (20, 9), (24, 11), (32, 11), (512, 11)])
def test_ssims_window_is_odd_and_at_most_about_half_the_picture(side: int, window: int) -> None:
    assert ssim_window(side) == window
    if side < 64:
        x = pictures(0, side)
        assert ssim(x, -x).isfinite().all()


def test_a_sample_does_not_depend_on_its_batch() -> None:
    a, b = pictures(0), pictures(1)
    together = metrics(NAMES).compute(a, b, [""] * 3)
    for row in range(3):
        alone = metrics(NAMES).compute(a[row : row + 1], b[row : row + 1], [""])
        for name in NAMES:
            assert alone[name][0] == pytest.approx(together[name][row], rel=1e-12), name


def test_the_metrics_are_known() -> None:
    assert set(NAMES) <= set(KNOWN)
