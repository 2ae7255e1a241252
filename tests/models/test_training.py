"""The training of glide-mini: its loss, its data, resuming, and the progress of a few iterations."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import DDPMScheduler

from compute.models.glide.stage import UNet2DConditionModel
from compute.models.mini.glide_mini import build_scheduler, build_unet
from compute.models.mini.scenes.scene import OBJECTS, Scene
from compute.models.mini.training import trainer as training
from compute.models.mini.training.attention import TrainingAttention
from compute.models.mini.training.losses import COARSE_SIDES, NoiseSchedule, coarse_error
from compute.models.mini.training.text_pretraining import POSITIONS, ROLES, caption_labels
from compute.models.mini.training.trainer import Recipe, Trainer, train

TINY = Recipe(iterations=4, batch=4, warmup=2, text_iterations=3)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the training build glide-mini with few channels."""
    pipeline = training.build_pipeline

    def build() -> object:
        small_pipeline = pipeline()
        small_pipeline.register_modules(unet=build_unet((32, 32, 32), 1))
        return small_pipeline

    monkeypatch.setattr(training, "build_pipeline", build)


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trainer.modules.state_dict().items()}


def test_adding_noise_equals_the_schedulers() -> None:
    scheduler: DDPMScheduler = build_scheduler()
    schedule = NoiseSchedule(scheduler.betas)
    x_0, eps, t = torch.randn(5, 3, 8, 8), torch.randn(5, 3, 8, 8), torch.tensor([0, 1, 400, 998, 999])
    assert torch.allclose(schedule.add_noise(x_0, eps, t), scheduler.add_noise(x_0, eps, t), atol=1e-6)


def test_a_perfect_prediction_with_the_true_sigma_has_no_loss() -> None:
    """At a fraction of -1 sigma is that of the posterior and the KL is zero; any other sigma has a loss."""
    schedule = NoiseSchedule(build_scheduler().betas)
    eps, t = torch.randn(4, 3, 32, 32), torch.tensor([5, 200, 600, 999])
    perfect = torch.cat([eps, -torch.ones_like(eps)], dim=1)
    loss, mse = schedule.loss(perfect, eps, t)
    assert loss == pytest.approx(0, abs=1e-7)
    assert mse == 0
    wide = torch.cat([eps, torch.ones_like(eps)], dim=1)
    assert schedule.loss(wide, eps, t)[0] > loss


def test_the_variational_term_is_the_kl_of_two_gaussians() -> None:
    schedule = NoiseSchedule(build_scheduler().betas)
    t = torch.tensor([300])
    eps, error, fraction = torch.randn(1, 3, 32, 32), 0.1, 0.3
    output = torch.cat([eps + error, torch.full_like(eps, fraction)], dim=1)
    low, high = schedule.log_posterior[300].item(), schedule.log_beta[300].item()
    variance = math.exp(low + (fraction + 1) / 2 * (high - low))
    shift = schedule.eps_to_mean[300].item() * error
    kl = 0.5 * (math.log(variance) - low + (math.exp(low) + shift**2) / variance - 1) / math.log(2)
    loss, _ = schedule.loss(output, eps, t)
    coarse = schedule.coarse_weight[300].item() * ((8 * error) ** 2 + (32 * error) ** 2)
    expected = schedule.weight[300].item() * error**2 + coarse + 1e-3 * 1000 * kl
    assert loss.item() == pytest.approx(expected, rel=1e-4)


def test_noisy_steps_have_weight_1_and_clean_ones_less() -> None:
    weight = NoiseSchedule(build_scheduler().betas).weight
    assert weight[-1] == 1
    assert weight[0] < 0.01
    assert (weight[1:] >= weight[:-1]).all()


def test_white_noise_contributes_the_same_at_every_scale() -> None:
    white, shift = 0.1 * torch.randn(400, 3, 32, 32), torch.full((1, 3, 32, 32), 0.1)
    assert coarse_error(white).mean().item() == pytest.approx(0.01 * len(COARSE_SIDES), rel=0.1)
    assert coarse_error(shift).item() == pytest.approx(sum((0.1 * side) ** 2 for side in COARSE_SIDES), rel=1e-4)


def test_training_attention_equals_diffusers() -> None:
    torch.manual_seed(0)
    unet: UNet2DConditionModel = build_unet((32, 32, 32), 1).eval()
    inputs = {"encoder_hidden_states": torch.randn(2, 16, 128), "class_labels": torch.randn(2, 256)}
    x_t, t = torch.randn(2, 3, 32, 32), torch.tensor([3, 900])
    with torch.no_grad():
        fused = unet(x_t, t, **inputs).sample
        unet.set_attn_processor(TrainingAttention())
        assert torch.allclose(unet(x_t, t, **inputs).sample, fused, atol=1e-5)


def test_a_resumed_training_equals_an_uninterrupted_one(small: None, tmp_path: Path) -> None:
    for _ in train(TINY, tmp_path / "whole"):
        pass
    stopped = train(TINY, tmp_path / "stopped", checkpoint_seconds=-1)
    for stage, report in stopped:
        if stage == "diffusion" and report.iteration == 3:
            break
    for _ in train(TINY, tmp_path / "stopped"):
        pass
    uninterrupted, resumed = Trainer(TINY, torch.device("cpu")), Trainer(TINY, torch.device("cpu"))
    assert uninterrupted.resume(tmp_path / "whole")
    assert resumed.resume(tmp_path / "stopped")
    assert uninterrupted.iteration == resumed.iteration == TINY.iterations
    assert all(torch.equal(value, weights(resumed)[name]) for name, value in weights(uninterrupted).items())
    assert all(torch.equal(uninterrupted.average[name], resumed.average[name]) for name in uninterrupted.average)


def test_a_few_iterations_reduce_the_loss(small: None) -> None:
    trainer = Trainer(replace(TINY, iterations=1000, learning_rate=2e-3), torch.device("cpu"))
    losses = [trainer.step().noise_mse for _ in range(40)]
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])


def test_caption_labels_are_positions_and_roles() -> None:
    scene = Scene(first="cat", second="key", relation="below", background="red")
    labels = caption_labels([scene], 16)
    object_at = dict(zip(POSITIONS, labels.object_at[0].tolist(), strict=True))
    names, none = list(OBJECTS), len(OBJECTS)
    assert object_at == {
        "alone": none, "left": none, "right": none, "top": names.index("key"), "bottom": names.index("cat")
    }  # fmt: skip
    roles = [ROLES[i] for i in labels.role[0].tolist() if i >= 0]
    assert roles == ["other", "bottom", "other", "other", "top", "other", "other", "background", "other"]
