"""What is no checkpoint of GLIDE, or not the one that is asked for, is refused with one line; nothing is written."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from compute.cli.main import app
from compute.models.glide.convert.commands import convert_glide
from compute.models.glide.convert.sizes import ConversionError
from store.exit_status import run_app
from tests.models.glide_checkpoints import merges_file, saved, sizes, state


class Code:
    """An object whose unpickling runs a command."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, ("touch code-ran",)


def without(tensors: dict[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in tensors.items() if key not in names}


def good() -> dict[str, Any]:
    return state(sizes())


def shortened(path: Path, **options: Any) -> None:
    torch.save(good(), path, **options)
    path.write_bytes(path.read_bytes()[:-5000])


BAD: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (lambda path: None, "cannot be read: No such file or directory"),
    "a folder": (lambda path: path.mkdir(), "cannot be read: Is a directory"),
    "empty": (lambda path: path.touch(), "is truncated, or no checkpoint of PyTorch"),
    "a web page": (lambda path: path.write_text("<html>hello</html>"), "is truncated, or no checkpoint of PyTorch"),
    "another archive": (lambda path: zipfile.ZipFile(path, "w").close(), "is truncated, or no checkpoint of PyTorch"),
    "truncated": (shortened, "is truncated: its beginning is a checkpoint's, its end is missing"),
    "truncated, old": (
        lambda path: shortened(path, _use_new_zipfile_serialization=False),
        "is truncated, or no checkpoint of PyTorch",
    ),
    "code": (lambda path: torch.save({**good(), "x": Code()}, path), "holds code or objects besides tensors (posix"),
    "code alone": (lambda path: path.write_bytes(pickle.dumps(Code(), 2)), "holds code or objects besides tensors"),
    "a module": (lambda path: torch.save(torch.nn.Linear(2, 2), path), "holds code or objects besides tensors (torch"),
    "a list": (lambda path: torch.save([torch.zeros(2)], path), "holds a list; a state dict, of tensors by name"),
    "nested": (lambda path: torch.save({"model": good()}, path), "holds something else than tensors: model"),
    "another model": (
        lambda path: torch.save({"conv_in.weight": torch.zeros(4, 4)}, path),
        "is no checkpoint of OpenAI's GLIDE: it lacks time_embed.0.weight",
    ),
    "a key missing": (
        lambda path: torch.save(without(good(), "out.2.bias", "final_ln.weight"), path),
        "does not hold the parameters of a GLIDE of its sizes; missing: out.2.bias, final_ln.weight",
    ),
    "keys too many": (
        lambda path: torch.save(good() | {f"extra.{i}": torch.zeros(1) for i in range(8)}, path),
        "unexpected: extra.0, extra.1, extra.2, extra.3, extra.4 and 3 more",
    ),
    "another shape": (
        lambda path: torch.save(good() | {"out.2.bias": torch.zeros(5)}, path),
        "of another shape: out.2.bias [5] instead of [6]",
    ),
    "whole numbers": (
        lambda path: torch.save({key: tensor.to(torch.int8) for key, tensor in good().items()}, path),
        "its numbers are of torch.int8; float16 and float32 are accepted",
    ),
    "not finite": (
        lambda path: torch.save(good() | {"out.2.bias": torch.full((6,), float("nan"))}, path),
        "out.2.bias has numbers that are not finite in float32",
    ),
    "views": (
        lambda path: torch.save(good() | {"token_embedding.weight": torch.zeros(1, 64).expand(10**7, 64)}, path),
        "its tensors are larger than the file",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_checkpoints(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write, message = BAD[case]
    write(tmp_path / "base.pt")
    merges_file(tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    arguments = ["convert-glide", "--base", "base.pt", "--merges", "vocab.bpe", "-o", "glide"]
    assert run_app(app, arguments) == 2
    lines = [line for line in capfd.readouterr().err.splitlines() if not line.startswith("convert: ")]
    assert len(lines) == 1 and lines[0].startswith("skipscope: --base: base.pt: ") and message in lines[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("option", "channels", "message"),
    [
        ("--base", 6, "reads 6 channels, a checkpoint for --base 3; that is a checkpoint for --upsample"),
        ("--upsample", 3, "reads 3 channels, a checkpoint for --upsample 6; that is a checkpoint for --base"),
        ("--inpaint", 10, "that is a checkpoint for --upsample-inpaint"),
        ("--base", 5, "reads 5 channels, a checkpoint for --base 3"),
    ],
)
def test_a_checkpoint_for_another_stage(option: str, channels: int, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConversionError) as caught:
        convert_glide({option: str(saved(tmp_path, channels))}, tmp_path / "out", merges=merges_file(tmp_path))
    assert str(caught.value).startswith(f"{option}: ") and str(caught.value).endswith(message)
    assert not (tmp_path / "out").exists()


def test_an_upsampler_for_another_base(tmp_path: Path) -> None:
    named = {"--base": str(saved(tmp_path, levels=3)), "--upsample": str(saved(tmp_path, 6, levels=3))}
    with pytest.raises(ConversionError, match=r"32 pixels a side, those of .* 32: it is no upsampler for this base"):
        convert_glide(named, tmp_path / "out", merges=merges_file(tmp_path))
    named["--upsample"] = str(saved(tmp_path, 6, levels=4, tokens=300))
    with pytest.raises(ConversionError, match=r"reads 300 different tokens, .* 262"):
        convert_glide(named, tmp_path / "out", merges=merges_file(tmp_path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "no checkpoint is given"),
        ({"--base": "upsample"}, "--base: 'upsample' is the name of another checkpoint; 'base' is accepted"),
    ],
)
def test_names(options: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=message):
        convert_glide(options, tmp_path / "out", merges=merges_file(tmp_path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a b c\n", "is no list of merges"),
        ("", "is no list of merges"),
        ("t h\nth e</w>\n", "are the merges of CLIP"),
        ("a t\n", "makes 258 tokens, the checkpoint has 262"),
        (b"\xff\xfe\x00", "is no text in UTF-8"),
        (b"\x1f\x8b broken", "cannot be read"),
    ],
)
def test_vocabularies(text: str | bytes, message: str, tmp_path: Path) -> None:
    merges = tmp_path / "merges"
    merges.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConversionError, match=message):
        convert_glide({"--base": str(saved(tmp_path))}, tmp_path / "out", merges=merges)


def test_without_a_vocabulary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConversionError, match=r"--merges: GLIDE's tokenizer is needed: give GPT-2's vocab.bpe"):
        convert_glide({"--base": str(saved(tmp_path))}, tmp_path / "out")
    (tmp_path / "encoder.json").write_text('{"a": 1}')
    with pytest.raises(ConversionError, match=r"makes 1 tokens"):
        convert_glide(
            {"--base": str(saved(tmp_path))},
            tmp_path / "out",
            merges=merges_file(tmp_path),
            vocabulary=tmp_path / "encoder.json",
        )
