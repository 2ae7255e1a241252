"""The linear map from latents to colours."""

from __future__ import annotations

import numpy as np

from compute.analysis.latent_colors import fit_latent_colors


def test_a_linear_decoder_is_found_exactly() -> None:
    generator = np.random.default_rng(0)
    latents = generator.normal(size=(3, 4, 5, 6))
    weights, offset = 0.1 * generator.normal(size=(4, 3)), np.array([0.1, -0.2, 0.05])
    small = np.moveaxis(np.moveaxis(latents, 1, -1) @ weights + offset, -1, 1)
    pictures = small.repeat(8, axis=2).repeat(8, axis=3)
    colors = fit_latent_colors(latents, pictures)
    np.testing.assert_allclose(colors.weights, weights, atol=1e-12)
    np.testing.assert_allclose(colors.offset, offset, atol=1e-12)
    np.testing.assert_allclose(colors.pictures(latents), small.clip(-1, 1), atol=1e-6)


def test_colours_stay_in_the_range_of_pictures() -> None:
    latents = np.linspace(-9, 9, 2 * 4 * 2 * 2).reshape(2, 4, 2, 2)
    colors = fit_latent_colors(latents, np.sign(latents[:, :3]).repeat(2, axis=2).repeat(2, axis=3))
    pictures = colors.pictures(latents * 10)
    assert pictures.shape == (2, 3, 2, 2) and pictures.dtype == np.float32
    assert np.abs(pictures).max() == 1
