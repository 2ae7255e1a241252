"""`sample`: a picture at full compute or under a policy, and wrong options."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from compute.images import image_of
from compute.models.loading import load_model
from compute.policy.liveness import resolve
from compute.policy.skip_policy import SkipPolicy
from store.records import Condition
from tests.cli.fork_server import ForkServer, Result
from tests.cli.outcomes import assert_refused, nothing_written
from tests.sweep.small_config import CAPTION

Recommended = tuple[Path, Result]


def test_the_same_seed_gives_the_same_picture(tiny_model: Path, commands: ForkServer, tmp_path: Path) -> None:
    def sample(name: str, *options: object) -> bytes:
        path = tmp_path / name
        result = commands.run("sample", "--model", tiny_model, "--prompt", "a cat", "-o", path, "--steps", 3, *options)
        assert (result.status, result.stdout) == (0, f"{path}\n"), result.stderr
        with Image.open(path) as picture:
            assert picture.size == (16, 16)
            return picture.tobytes()

    first = sample("a.png")
    assert sample("b.png", "--seed", 0) == first
    assert sample("c.png", "--seed", 2**63 - 1) != first
    assert sample("d.png", "--sampler", "ddim") != first


WRONG_OPTIONS: list[tuple[tuple[object, ...], str]] = [
    (("--model", "nowhere"), "model: 'nowhere' is no pipeline: give glide-mini, glide-mini-64, sd-mini, or a folder"),
    (("--sampler", "euler"), "--sampler: name: ddpm or ddim is accepted, or the class of a diffusers scheduler"),
    (("--steps", 0), "--steps"),
    (("--steps", "x"), "--steps"),
    (("--steps", 1), "--sampler: "),
    (("--seed", -1), "--seed"),
    (("--seed", 2**63), "--seed"),
    (("--guidance", "nan"), ""),
    (("--nothing",), "--nothing"),
]


@pytest.mark.parametrize(
    ("options", "message"), WRONG_OPTIONS, ids=[" ".join(map(str, options)) for options, _ in WRONG_OPTIONS]
)
def test_wrong_options_are_refused(
    tiny_model: Path, commands: ForkServer, tmp_path: Path, options: tuple[object, ...], message: str
) -> None:
    with nothing_written(tmp_path):
        arguments = ("--model", tiny_model, "--prompt", "a cat", "-o", tmp_path / "a.png", *options)
        assert_refused(commands.run("sample", *arguments), message)


def test_a_picture_that_cannot_be_written(tiny_model: Path, commands: ForkServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path, message in ((tmp_path / "file" / "a.png", "cannot be written"), (tmp_path, "Is a directory")):
        result = commands.run("sample", "--model", tiny_model, "--prompt", "a cat", "-o", path, "--steps", 2)
        assert_refused(result, message)


def test_a_damaged_model(tiny_model: Path, commands: ForkServer, tmp_path: Path) -> None:
    for name, content in (("unet/config.json", b"{"), ("unet/diffusion_pytorch_model.safetensors", b"x" * 99)):
        model = tmp_path / name.replace("/", "-")
        shutil.copytree(tiny_model, model)
        (model / name).write_bytes(content)
        result = commands.run("sample", "--model", model, "--prompt", "a", "-o", tmp_path / "a.png", "--steps", 2)
        assert_refused(result, "cannot be loaded")


def test_a_sample_under_a_policy_is_the_sampling_loop_under_its_schedule(
    recommended: Recommended,
    commands: ForkServer,
    tmp_path: Path,
) -> None:
    path, _ = recommended
    picture = tmp_path / "a.png"
    options = ("--prompt", CAPTION, "--seed", 5, "-o", picture)
    result = commands.run("sample", "--policy", path, *options)
    assert (result.status, result.stdout, result.stderr) == (0, f"{picture}\n", "")
    torch.set_num_threads(1)
    policy = SkipPolicy.load(path)
    model = load_model(policy.model.name)
    condition = Condition(prompt=CAPTION, seed=5, guidance=policy.guidance)
    (expected,) = model.run([condition], policy.sampler, resolve(model.graph, policy.schedule))
    with Image.open(picture) as image:
        under_policy = image.tobytes()
        assert np.array_equal(np.asarray(image), np.asarray(image_of(expected.numpy())))
    assert commands.run("sample", "--model", policy.model.name, "--steps", 4, *options).status == 0
    with Image.open(picture) as full:
        assert full.tobytes() != under_policy


MISFITTING_OPTIONS: list[tuple[tuple[object, ...], str]] = [
    (("--steps", 5), "--steps: 5 is asked for and the policy is for 4"),
    (("--guidance", 2), "--guidance: 2.0 is asked for and the policy is for 3.0"),
    (("--sampler", "ddim"), "--sampler: ddim is asked for and the policy is for ddpm"),
    (("--model", "nowhere"), "model: 'nowhere' is no pipeline"),
    (("--model", "glide-mini"), "'glide-mini' here has "),
    (("--prompt", "a cta"), "prompt: this model does not know the word 'cta'; near: cat"),
]


@pytest.mark.parametrize(
    ("options", "message"), MISFITTING_OPTIONS, ids=[" ".join(map(str, options)) for options, _ in MISFITTING_OPTIONS]
)
def test_options_that_do_not_fit_the_policy_are_refused(
    recommended: Recommended,
    commands: ForkServer,
    tmp_path: Path,
    options: tuple[object, ...],
    message: str,
) -> None:
    with nothing_written(tmp_path):
        arguments = ("--prompt", CAPTION, "-o", tmp_path / "a.png", *options)
        assert_refused(commands.run("sample", "--policy", recommended[0], *arguments), message)
