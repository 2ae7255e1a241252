"""What `skipscope convert-glide` does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from compute import torchvision_ops as torchvision_ops  # before diffusers is imported
from compute.models.glide.convert.checkpoint import DTYPES, Checkpoint, open_checkpoint
from compute.models.glide.convert.download import Download
from compute.models.glide.convert.folder import check_output, write_stages
from compute.models.glide.convert.sizes import ConversionError
from compute.models.glide.convert.stages import STAGES, StageKind, check_stages
from compute.models.glide.convert.vocabulary import find_tokenizer
from compute.user_cache import user_cache

URLS = {
    name: f"https://openaipublic.blob.core.windows.net/diffusion/dec-2021/{name.replace('-', '_')}.pt"
    for name in ("base", "upsample", "base-inpaint", "upsample-inpaint")
}
"""The addresses of the official checkpoints, from openai/glide-text2im (`download.py`, commit 69b5307)."""


def convert_glide(
    named: Mapping[str, str],
    output: Path,
    *,
    merges: Path | None = None,
    vocabulary: Path | None = None,
    dtype: str | None = None,
) -> list[Path]:
    """Convert checkpoints to pipeline folders in the new folder `output`, and return their paths.

    `named` has a file's path or an official name for each of the command's options. `dtype` is float16 or float32; by
    default each checkpoint keeps its own. Raises ConversionError, StoreFull.
    """
    if not named:
        options = ", ".join(stage.option for stage in STAGES)
        raise ConversionError(f"no checkpoint is given: {options} take a file or an official name")
    if dtype is not None and dtype not in DTYPES:
        raise ConversionError(f"--dtype: {dtype!r} is not accepted; {' and '.join(DTYPES)} are")
    check_output(output)
    given = {stage: named[stage.option] for stage in STAGES if stage.option in named}
    checkpoints: dict[StageKind, Checkpoint] = {}
    for stage, name in given.items():
        checkpoints[stage] = open_checkpoint(stage.option, _file(stage, name))
    check_stages(checkpoints)
    tokens = next(iter(checkpoints.values())).sizes.text.vocabulary
    tokenizer = find_tokenizer(merges, vocabulary, tokens)
    write_stages(checkpoints, tokenizer, output, None if dtype is None else DTYPES[dtype])
    return [output / stage.folder for stage in checkpoints]


def _file(stage: StageKind, name: str) -> Path:
    """Return the file that an option names, by its path or by its official name. Raises ConversionError."""
    path = Path(name).expanduser()
    if path.exists() or name not in URLS:
        return path
    if name != stage.official:
        raise ConversionError(
            f"{stage.option}: {name!r} is the name of another checkpoint; {stage.official!r} is accepted"
        )
    url = URLS[name]
    return Download(option=stage.option, url=url, path=user_cache() / "glide" / url.rsplit("/", 1)[1]).fetch()
