"""What sd-mini's training steps with: learning rates, optimisers, average, and the autoencoder's loss and windows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from compute.models.mini.sd_training.autoencoder import fullest_windows, reconstruction_loss
from compute.models.mini.sd_training.optimisation import Optimisation
from tests.models.tiny_sd_recipe import PACE


def test_the_learning_rate_rises_stays_and_falls() -> None:
    pace = replace(PACE, iterations=100, warmup=10, decay_from=0.5)
    shares = [pace.share_at(i) for i in range(101)]
    assert shares[0] == pytest.approx(0.1) and shares[9:51] == [1.0] * 42
    assert shares[75] == pytest.approx(0.5) and shares[100] == 0


def test_the_average_follows_the_weights() -> None:
    modules = torch.nn.ModuleDict({"one": torch.nn.Linear(1, 1)})
    state = Optimisation(modules, replace(PACE, average=0.9))
    before = state.average["one.weight"].clone()
    state.step(lambda rows: modules["one"](torch.ones(4, 1)[rows]).sum())
    expected = before + (1 - 2 / 11) * (modules["one"].weight - before)
    assert torch.allclose(state.average["one.weight"], expected.detach())


def test_muon_turns_all_directions_of_a_matrix_equally_and_adam_w_takes_the_rest() -> None:
    """The gradient of the weights has one direction far above the others; Muon's step has none."""
    modules = nn.ModuleDict({"wide": nn.Conv2d(8, 16, 3), "narrow": nn.Conv2d(3, 16, 1), "words": nn.Embedding(16, 16)})
    state = Optimisation(modules, replace(PACE, weight_decay=0.0))
    before = {name: value.clone() for name, value in modules.state_dict().items()}
    gradients = {name: torch.randn_like(weight) for name, weight in modules.named_parameters()}
    gradients["wide.weight"] += 30
    state.step(
        lambda rows: sum((weight * gradients[name]).sum() for name, weight in modules.named_parameters())  # type: ignore[arg-type,return-value]
    )
    change = {name: value - before[name] for name, value in modules.state_dict().items()}
    share = PACE.share_at(0)
    step = share * PACE.matrix_learning_rate * 0.2 * 72**0.5  # the size of a step of AdamW
    turns = torch.linalg.svdvals(change.pop("wide.weight").flatten(1)) / step
    assert turns.min() > 0.5 and turns.max() < 1.5
    for name, moved in change.items():
        assert moved.abs().numpy() == pytest.approx(share * PACE.learning_rate, rel=1e-2), name


def test_blur_costs_more_than_its_mean_error() -> None:
    """An error that alternates between neighbours costs more than a constant one of the same size."""
    pictures = torch.zeros(1, 3, 8, 8)
    constant, alternating = pictures + 0.1, pictures + 0.1
    alternating[..., ::2] *= -1
    assert reconstruction_loss(pictures, pictures) == 0
    assert reconstruction_loss(pictures, constant).item() == pytest.approx(0.1)
    assert reconstruction_loss(pictures, alternating).item() == pytest.approx(0.1 + 0.2)


def test_windows_are_parts_of_their_pictures_and_full() -> None:
    """Each pixel's value tells its place; an object in one corner is in most windows."""
    places = torch.arange(48 * 48.0).reshape(48, 48) / 48**2
    rng = np.random.default_rng(0)
    for window in fullest_windows(places.expand(5, 3, 48, 48), rng, 16):
        top, left = divmod(round(window[0, 0, 0].item() * 48**2), 48)
        assert torch.equal(window[0], places[top : top + 16, left : left + 16])
    pictures = torch.zeros(200, 3, 48, 48)
    pictures[:, :, :24, :24] = torch.randn(3, 24, 24)
    filled = fullest_windows(pictures, rng, 16).ne(0).float().mean().item()
    assert filled > 1.5 * 0.25
