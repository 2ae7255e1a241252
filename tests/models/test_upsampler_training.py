"""The training of glide-mini's upsampler: its inputs, its loss, exact resuming, and the pipeline that it writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from compute.models.glide.upsampler import GlideUpsamplerPipeline
from compute.models.mini.glide_mini_upsampler import build_pipeline
from compute.models.mini.sd_training.optimisation import Pace
from compute.models.mini.training.losses import NoiseSchedule, coarse_error
from compute.models.mini.training.low_resolution import Damage, damaged, enlarged, reduced
from compute.models.mini.training.upsampler_commands import train_glide_upsampler
from compute.models.mini.training.upsampler_training import (
    CHECKPOINT,
    PIPELINE_FOLDER,
    UpsamplerRecipe,
    load_text_transformer,
    train_upsampler,
)

PACE = Pace(iterations=3, batch=2, learning_rate=1e-3, matrix_learning_rate=5e-3, warmup=2, shards=1)
TINY = UpsamplerRecipe(pace=PACE, window=32, whole_from=0.5)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def checkpoint(folder: Path) -> dict[str, torch.Tensor]:
    state = torch.load(folder / CHECKPOINT, weights_only=True)
    return {f"{part}.{name}": value for part in ("modules", "average") for name, value in state[part].items()}


def test_a_stopped_and_resumed_training_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = list(train_upsampler(TINY, tmp_path / "whole"))
    assert [iteration for iteration, _ in whole] == [1, 2, 3]
    stopped: list[tuple[int, float]] = []
    for report in train_upsampler(TINY, tmp_path / "parts", lambda: True):
        stopped.append(report)
    assert stopped == whole[:1]
    assert list(train_upsampler(TINY, tmp_path / "parts")) == whole[1:]
    expected, found = checkpoint(tmp_path / "whole"), checkpoint(tmp_path / "parts")
    assert expected.keys() == found.keys()
    assert all(torch.equal(value, found[name]) for name, value in expected.items())

    pipe = GlideUpsamplerPipeline.from_pretrained(tmp_path / "whole" / PIPELINE_FOLDER)
    assert next(pipe.unet.parameters()).dtype == torch.float32  # diffusers' own choice; half precision on disk
    bytes_of_weights = (tmp_path / "whole" / PIPELINE_FOLDER / "unet" / "diffusion_pytorch_model.safetensors").stat()
    assert bytes_of_weights.st_size < 2.2 * sum(parameter.numel() for parameter in pipe.unet.parameters())
    picture = pipe("a cat on a blue background", torch.zeros(1, 3, 32, 32), num_inference_steps=2, output_type="pt")
    assert picture.images.shape == (1, 3, 64, 64)


def test_the_command_resumes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train_glide_upsampler(tmp_path, iterations=1, seed=0)
    train_glide_upsampler(tmp_path, iterations=2, seed=0)
    assert "pipeline: trained for 2 iterations" in capsys.readouterr().out


def test_the_true_velocity_with_the_true_sigma_has_no_loss() -> None:
    """The noise's error that sigma is trained with is the velocity's, scaled as x_t says."""
    schedule = NoiseSchedule(build_pipeline(load_text_transformer()).scheduler.betas)
    generator = torch.Generator().manual_seed(0)
    x_0, eps, wrong = torch.randn(3, 4, 3, 32, 32, generator=generator)
    t = torch.tensor([5, 200, 600, 999])
    alpha_bar = schedule.alpha_bar[t][:, None, None, None]
    velocity = alpha_bar.sqrt() * eps - (1 - alpha_bar).sqrt() * x_0
    least_sigma = -torch.ones_like(eps)
    assert schedule.velocity_loss(torch.cat([velocity, least_sigma], 1), x_0, eps, t) == pytest.approx(0, abs=1e-6)

    output = torch.cat([velocity + wrong, least_sigma], dim=1)
    x_t = schedule.add_noise(x_0, eps, t)
    predicted_eps = alpha_bar.sqrt() * (velocity + wrong) + (1 - alpha_bar).sqrt() * x_t
    of_sigma = 1e-3 * schedule._variational_term(predicted_eps - eps, least_sigma, t)
    of_means = (schedule.coarse_weight[t] * coarse_error(wrong)).mean()
    expected = float(wrong.square().mean() + of_means + of_sigma)
    assert schedule.velocity_loss(output, x_0, eps, t) == pytest.approx(expected, rel=1e-4)


def test_low_resolution_is_enlarged_as_the_pipeline_does() -> None:
    pipe = build_pipeline(load_text_transformer())
    small = torch.rand(2, 3, 32, 32) * 2 - 1
    assert torch.equal(enlarged(small), pipe._low_resolution(small, 2))
    assert torch.allclose(reduced(enlarged(torch.full((1, 3, 8, 8), 0.2))), torch.tensor(0.2), atol=1 / 255)


def test_damage_is_what_was_asked_for() -> None:
    pictures = torch.rand(6, 3, 32, 32) - 0.5
    untouched = damaged(pictures, Damage(blurred=0, noisy=0), np.random.default_rng(0))
    assert torch.allclose(untouched, pictures, atol=1e-6)
    blurred = damaged(pictures, Damage(blurred=1, blur=0.7, noisy=0), np.random.default_rng(0))
    assert blurred.std((1, 2, 3)).mean() < 0.95 * pictures.std((1, 2, 3)).mean()
    assert torch.allclose(blurred.mean((1, 2, 3)), pictures.mean((1, 2, 3)), atol=0.02)
    flat = torch.zeros(64, 3, 16, 16)
    noisy = damaged(flat, Damage(blurred=0, noisy=1, noise=0.1), np.random.default_rng(0)).std((1, 2, 3))
    assert 0.03 < noisy.mean() < 0.07 and noisy.max() < 0.11
    assert torch.equal(damaged(flat, Damage(noisy=0), np.random.default_rng(0)), flat)
