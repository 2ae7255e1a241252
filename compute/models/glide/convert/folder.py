"""Writes checkpoints as pipeline folders: all of them, or nothing."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from compute.models.cascade import CASCADE_FILE
from compute.models.glide.convert.checkpoint import Checkpoint
from compute.models.glide.convert.layout import Part, entries
from compute.models.glide.convert.sizes import ConversionError
from compute.models.glide.convert.stages import StageKind, cascade_of
from compute.models.glide.text_transformer import TextTransformer
from compute.models.glide.tokenizer import GlideTokenizer
from compute.models.glide.unet import build_scheduler, build_unet
from compute.pipeline.exact_ddpm import ExactDDPMScheduler
from compute.progress import Bar, bar
from store.errors import StoreFull
from store.folder.files import free_bytes, sync_folder

_WEIGHTS = "diffusion_pytorch_model.safetensors"
_PARTS: tuple[Part, ...] = ("text_encoder", "unet")
_BESIDE_WEIGHTS = 8 << 20  # bytes of configurations and vocabulary for each stage


def write_stages(
    checkpoints: Mapping[StageKind, Checkpoint],
    tokenizer: GlideTokenizer,
    output: Path,
    dtype: torch.dtype | None = None,
) -> None:
    """Write a pipeline folder for each stage into the new folder `output`, in `dtype` or each checkpoint's own.

    Of a base and an upsampler a `cascade.json` makes a cascade.
    `output` appears when it is whole. The weights of one part of one stage are in memory at a time. Raises
    ConversionError for numbers that `dtype` cannot hold and an output that cannot be written, StoreFull.
    """
    check_output(output)
    needed = sum(
        checkpoint.numbers * (dtype or checkpoint.dtype).itemsize + _BESIDE_WEIGHTS
        for checkpoint in checkpoints.values()
    )
    total = sum(len(entries(checkpoint.sizes)) for checkpoint in checkpoints.values())
    with _write_errors(output, needed):
        if (free := free_bytes(output.parent)) < needed:
            raise StoreFull(output, needed, free)
        temporary = Path(tempfile.mkdtemp(prefix=f".{output.name}-", suffix=".partial", dir=output.parent))
        try:
            with bar("convert", total, unit="tensor") as progress:
                for stage, checkpoint in checkpoints.items():
                    _write_stage(stage, checkpoint, tokenizer, temporary / stage.folder, dtype, progress)
            if (cascade := cascade_of(checkpoints)) is not None:
                (temporary / CASCADE_FILE).write_text(cascade.dumps(), encoding="utf-8")
            _sync(temporary)
            some_folder = temporary / next(iter(checkpoints)).folder
            temporary.chmod(some_folder.stat().st_mode)  # mkdtemp's is for the owner alone
            check_output(output)
            temporary.rename(output)
            sync_folder(output.parent)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def check_output(output: Path) -> None:
    """Raise ConversionError where a new folder cannot be made."""
    if os.path.lexists(output):
        raise ConversionError(f"--output: {output} exists already; name a folder that does not")
    if not output.parent.is_dir():
        raise ConversionError(f"--output: {output.parent} is no folder; name a folder in one that exists")


def _write_stage(
    stage: StageKind,
    checkpoint: Checkpoint,
    tokenizer: GlideTokenizer,
    folder: Path,
    dtype: torch.dtype | None,
    progress: Bar,
) -> None:
    sizes = checkpoint.sizes
    with torch.device("meta"):  # their configurations are needed, not their weights
        unet = build_unet(sizes.unet)
        text = TextTransformer(
            vocabulary=sizes.text.vocabulary,
            length=sizes.text.length,
            width=sizes.text.width,
            layers=sizes.text.layers,
            heads=sizes.text.heads,
            pooled=sizes.text.pooled,
        )
    scheduler = ExactDDPMScheduler.from_config(build_scheduler(stage.betas).config)
    tokenizer.model_max_length = sizes.text.length
    stage.pipeline(text, unet, scheduler, tokenizer).save_config(folder)
    unet.save_config(folder / "unet")
    text.save_config(folder / "text_encoder")
    scheduler.save_pretrained(folder / "scheduler")
    tokenizer.save_pretrained(folder / "tokenizer")
    for part in _PARTS:
        weights = _converted(checkpoint, part, dtype or checkpoint.dtype, progress)
        path = folder / part / _WEIGHTS
        save_file(weights, path, metadata={"format": "pt"})
        path.chmod((folder / part / "config.json").stat().st_mode)  # safetensors' is for the owner alone


def _converted(checkpoint: Checkpoint, part: Part, dtype: torch.dtype, progress: Bar) -> dict[str, Tensor]:
    """Return the weights of a stage's part by name. Raises ConversionError for numbers that `dtype` cannot hold."""
    weights: dict[str, Tensor] = {}
    made = {entry.source: entry for entry in entries(checkpoint.sizes) if entry.part == part}
    for source, tensor in checkpoint.tensors(list(made)):
        entry = made[source]
        for target, value in zip(entry.targets, entry.convert(tensor), strict=True):
            copied = torch.empty(value.shape, dtype=dtype).copy_(value)  # the tensor is the file's
            if not bool(copied.isfinite().all()):
                kind = str(dtype).removeprefix("torch.")
                raise ConversionError(f"{checkpoint.name}: {source} has numbers that are not finite in {kind}")
            weights[target] = copied
        progress.advance()
    return weights


@contextmanager
def _write_errors(output: Path, needed: int) -> Iterator[None]:
    """Raise StoreFull where no space is left, and ConversionError where the folder cannot be written otherwise."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        number = getattr(error, "errno", None)
        if number in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error):
            raise StoreFull(output, needed, free_bytes(output.parent)) from error
        raise ConversionError(f"--output: {output} cannot be written: {error}") from error


def _sync(folder: Path) -> None:
    """Flush a folder's files to the disk, so that its new name is not there before they are."""
    for path in folder.rglob("*"):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    sync_folder(folder)
