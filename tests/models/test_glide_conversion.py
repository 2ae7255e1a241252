"""Checkpoints of GLIDE become pipeline folders, whole or not at all."""

from __future__ import annotations

import gzip
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from compute.cli.main import app
from compute.models.cascade import Cascade
from compute.models.glide import respaced_timesteps
from compute.models.glide.convert import folder as folder_module
from compute.models.glide.convert.commands import convert_glide
from compute.models.glide.convert.layout import entries
from compute.models.glide.convert.sizes import ConversionError, sizes_of
from compute.models.loading import load_model
from compute.models.other_stage import stage_pictures
from store.errors import StoreFull
from store.exit_status import run_app
from store.records import Condition
from store.sampler import SamplerSettings
from tests.models.glide_checkpoints import CONTEXT, OPTIONS, merges_file, saved, sizes, state
from tests.test_architecture import ROOT

FOLDERS = {3: "base", 6: "upsampler", 7: "inpaint", 10: "upsampler-inpaint"}


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All four kinds of checkpoints, converted together."""
    folder = tmp_path_factory.mktemp("glide")
    named = {option: str(saved(folder, channels)) for channels, option in OPTIONS.items()}
    convert_glide(named, folder / "glide", merges=merges_file(folder))
    return folder / "glide"


@pytest.mark.parametrize("channels", OPTIONS)
def test_sizes_are_read_from_shapes(channels: int) -> None:
    found = sizes(channels)
    assert sizes_of("x", {key: tuple(tensor.shape) for key, tensor in state(found).items()}) == found


@pytest.mark.parametrize("channels", OPTIONS)
def test_every_stage_is_an_ordinary_pipeline_folder(converted: Path, channels: int) -> None:
    folder = converted / FOLDERS[channels]
    pipe = load_model(str(folder)).pipe
    assert pipe.unet.config.in_channels == channels
    assert pipe.unet.config.sample_size == sizes(channels).unet.side
    assert pipe.scheduler.config.beta_schedule == ("linear" if channels in (6, 10) else "squaredcos_cap_v2")
    assert pipe.scheduler.alphas_cumprod.dtype == torch.float64
    assert pipe.tokenizer.model_max_length == pipe.text_encoder.config.length == CONTEXT
    for part in ("unet", "text_encoder"):
        weights = load_file(folder / part / "diffusion_pytorch_model.safetensors")
        assert set(weights) == set(getattr(pipe, part).state_dict()), "no key is missing or too many"


def test_base_and_upsampler_are_a_cascade(converted: Path, tmp_path: Path) -> None:
    """The upsampler is given the base's pictures, each sampled as in OpenAI's notebooks; here with fewer steps."""
    cascade = Cascade.read(converted)
    assert cascade is not None and [stage.name for stage in cascade.stages] == ["base", "upsampler"]
    samplers = [stage.sampler for stage in cascade.stages]
    assert samplers[0] == SamplerSettings(name="ddpm", steps=100)
    assert samplers[1] is not None and samplers[1].timesteps == tuple(respaced_timesteps("fast27"))
    assert [stage.guidance for stage in cascade.stages] == [3.0, 1.0]
    short = cascade.model_dump(mode="json", exclude_none=True)
    short["stages"][0] |= {"sampler": {"name": "ddpm", "steps": 3}}
    for stage in short["stages"]:  # a cascade may name links in its folder
        (tmp_path / stage["folder"]).symlink_to(converted / stage["folder"])
    (tmp_path / "cascade.json").write_text(json.dumps(short))
    model = load_model(str(tmp_path), stage="upsampler")
    condition = Condition(prompt="a cat", seed=1, guidance=1.0)
    small = load_model(str(converted / "base")).run(
        [condition.model_copy(update={"guidance": 3.0})], SamplerSettings(name="ddpm", steps=3)
    )
    inputs = model.inputs([condition])
    assert inputs is not None
    np.testing.assert_array_equal(inputs, stage_pictures(small))
    picture = model.run([condition], SamplerSettings(name="ddpm", steps=3))
    assert picture.shape[-1] == model.pipe.unet.config.sample_size > small.shape[-1]


def test_one_stage_is_no_cascade(tmp_path: Path) -> None:
    convert_glide({"--base": str(saved(tmp_path, 3))}, tmp_path / "glide", merges=merges_file(tmp_path))
    assert not (tmp_path / "glide" / "cascade.json").exists()


def test_a_saved_pipeline_is_loaded_unchanged(converted: Path, tmp_path: Path) -> None:
    first = load_model(str(converted / "base"))
    first.pipe.save_pretrained(tmp_path / "again")
    again = load_model(str(tmp_path / "again"))
    given: dict[str, Any] = {"num_inference_steps": 3, "seed": 1, "output_type": "pt"}
    assert torch.equal(first.pipe("a cat", **given).images, again.pipe("a cat", **given).images)


def test_files_can_be_read_by_others(converted: Path) -> None:
    umask = os.umask(0)
    os.umask(umask)
    for path in [converted, *converted.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o777 if path.is_dir() else 0o666) & ~umask, path
    assert [path.name for path in converted.parent.iterdir() if path.name.endswith(".partial")] == []


@pytest.mark.parametrize(
    ("stored", "asked", "expected"),
    [
        (torch.float16, None, torch.float16),
        (torch.float32, "float16", torch.float16),
        (torch.float16, "float32", torch.float32),
    ],
)
def test_dtypes(tmp_path: Path, stored: torch.dtype, asked: str | None, expected: torch.dtype) -> None:
    path = saved(tmp_path, dtype=stored)
    (base,) = convert_glide({"--base": str(path)}, tmp_path / "out", merges=merges_file(tmp_path), dtype=asked)
    weights = load_file(base / "unet" / "diffusion_pytorch_model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {expected}
    assert torch.equal(
        weights["conv_in.bias"], torch.load(path, weights_only=True)["input_blocks.0.0.bias"].to(expected)
    )


def test_the_format_before_pytorch_1_6(tmp_path: Path) -> None:
    torch.save(state(sizes(), 3), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    merges = merges_file(tmp_path)
    (old,) = convert_glide({"--base": str(tmp_path / "old.pt")}, tmp_path / "old", merges=merges)
    (new,) = convert_glide({"--base": str(saved(tmp_path))}, tmp_path / "new", merges=merges)
    name = "unet/diffusion_pytorch_model.safetensors"
    assert (old / name).read_bytes() == (new / name).read_bytes()


def test_numbers_that_half_precision_cannot_hold(tmp_path: Path) -> None:
    tensors = state(sizes())
    tensors["out.2.bias"] += 1e5
    torch.save(tensors, tmp_path / "large.pt")
    with pytest.raises(ConversionError, match=r"--base: .*out\.2\.bias has numbers that are not finite in float16"):
        convert_glide(
            {"--base": str(tmp_path / "large.pt")}, tmp_path / "out", merges=merges_file(tmp_path), dtype="float16"
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["large.pt", "vocab.bpe"]


def test_a_failure_or_an_interruption_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, merges = saved(tmp_path), merges_file(tmp_path)
    before = sorted(entry.name for entry in tmp_path.iterdir())
    for error, expected in [
        (KeyboardInterrupt(), KeyboardInterrupt),
        (OSError(28, "No space left on device"), StoreFull),
        (folder_module.SafetensorError("I/O error: No space left on device (os error 28)"), StoreFull),
        (OSError(5, "Input/output error"), ConversionError),
    ]:

        def fail(*args: Any, error: BaseException = error, **kwargs: Any) -> None:
            raise error

        monkeypatch.setattr(folder_module, "save_file", fail)
        with pytest.raises(expected):
            convert_glide({"--base": str(path)}, tmp_path / "out", merges=merges)
        assert sorted(entry.name for entry in tmp_path.iterdir()) == before


def test_a_full_disk(tmp_path: Path) -> None:
    """Converting asks for the space before it writes; the small file system holds less than the weights."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True, check=False, timeout=60
    )
    if mounted.returncode:
        pytest.skip("a file system cannot be mounted here")
    try:
        with pytest.raises(StoreFull, match=r"no space left: \d+ bytes are needed, \d+ are free"):
            convert_glide({"--base": str(saved(tmp_path))}, disk / "out", merges=merges_file(tmp_path))
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True, timeout=60)


def test_the_command(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    merges = merges_file(tmp_path)
    compressed = tmp_path / "vocab.bpe.gz"
    compressed.write_bytes(gzip.compress(merges.read_bytes()))
    arguments = ["convert-glide", "--base", str(saved(tmp_path)), "--upsample", str(saved(tmp_path, 6))]
    arguments += ["--merges", str(compressed), "-o", str(tmp_path / "glide")]
    assert run_app(app, arguments) == 0
    printed = capfd.readouterr()
    assert printed.out.split() == [str(tmp_path / "glide" / "base"), str(tmp_path / "glide" / "upsampler")]
    assert run_app(app, arguments) == 2
    assert capfd.readouterr().err == (
        f"skipscope: --output: {tmp_path / 'glide'} exists already; name a folder that does not\n"
    )


MEASURE = """
import json, sys
from pathlib import Path
from compute.models.glide.convert.commands import convert_glide

def resident(name):
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024

def convert(checkpoint, output):
    convert_glide({"--base": checkpoint}, Path(output), merges=Path(sys.argv[1]), dtype=sys.argv[2])

convert(sys.argv[3], sys.argv[4])  # a small one, so that all code is loaded
Path("/proc/self/clear_refs").write_text("5")  # the largest resident memory is counted anew
before = resident("VmRSS")
convert(sys.argv[5], sys.argv[6])
print(json.dumps({"before": before, "peak": resident("VmHWM")}))
"""


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_peak_memory_is_at_most_one_and_a_half_times_the_result(tmp_path: Path, dtype: str) -> None:
    """The largest resident memory of the converting process, less what it held after a small conversion.

    Pages of the libraries that the system takes back in between count as growth once they are read again, so the least
    of up to three measurements counts.
    """
    small, large = saved(tmp_path).rename(tmp_path / "small.pt"), saved(tmp_path, last=512)
    for number in range(3):
        out = tmp_path / f"out{number}"
        places = [small, tmp_path / f"small{number}", large, out]
        process = subprocess.run(
            [sys.executable, "-c", MEASURE, str(merges_file(tmp_path)), dtype, *map(str, places)],
            cwd=ROOT, capture_output=True, text=True, timeout=280,
        )  # fmt: skip
        assert process.returncode == 0, process.stderr
        found = json.loads(process.stdout)
        result = sum(file.stat().st_size for file in out.rglob("*.safetensors"))
        assert result > 5e7
        if found["peak"] - found["before"] < 1.5 * result:
            return
    pytest.fail(f"{found['peak'] - found['before']} bytes for a result of {result}")


def test_every_parameter_of_a_checkpoint_is_used_once() -> None:
    found = entries(sizes(10))
    assert len({entry.source for entry in found}) == len(found)
    targets = [(entry.part, target) for entry in found for target in entry.targets]
    assert len(set(targets)) == len(targets)
