"""Models by name or folder, with a digest of everything in them that can change a number."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from diffusers.utils.logging import disable_progress_bar

from compute.models.glide.pipeline import GlidePipeline
from compute.models.mini.glide_mini import vocabulary
from compute.models.mini.judge.scene_judge import JUDGE_FILE, Judge
from compute.pipeline.sampling import TextEncoding
from compute.policy.graph import ComponentGraph
from compute.unet import read_graph
from store.errors import SkipscopeError

GLIDE_MINI = "glide-mini"
BUNDLED = {GLIDE_MINI: Path(__file__).parent / "mini" / "weights" / GLIDE_MINI}
_PARTS = ("scheduler", "text_encoder", "unet")


class ModelNotFound(SkipscopeError):
    """A model that is neither bundled nor a folder that holds a pipeline."""


@dataclass(frozen=True, kw_only=True)
class ModelSource:
    """Where a model lies, and the digest of its weights and configs: what a worker needs to load the same one."""

    name: str
    folder: Path
    digest: str

    @staticmethod
    def find(name: str) -> ModelSource:
        """A bundled model by name, or a pipeline's folder. Raises ModelNotFound."""
        try:
            folder = BUNDLED.get(name, Path(name)).expanduser().absolute()
            there = (folder / "model_index.json").is_file()
        except (OSError, RuntimeError):  # a name too long, ~somebody unknown
            there = False
        if not there:
            raise ModelNotFound(
                f"model: {name[:200]!r} is no pipeline: give {' or '.join(BUNDLED)}, or a folder with model_index.json"
            )
        return ModelSource(name=name, folder=folder, digest=_digest(folder))

    def load(self, *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Model:
        """The model, ready to sample. Raises ModelNotFound where the folder is damaged or no longer the same."""
        if (found := _digest(self.folder)) != self.digest:
            raise ModelNotFound(
                f"model: {self.folder} holds other weights ({found[:12]}) than expected ({self.digest[:12]})"
            )
        loading = {"local_files_only": True, "use_safetensors": True, "low_cpu_mem_usage": False, "dtype": dtype}
        disable_progress_bar()
        try:
            pipe = GlidePipeline.from_pretrained(self.folder, **loading)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise ModelNotFound(f"model: {self.folder} cannot be loaded: {str(error).splitlines()[0][:200]}") from error
        for part in (pipe.unet, pipe.text_encoder):
            part.to(device).eval().requires_grad_(False)
        return Model(source=self, pipe=pipe)


@dataclass(frozen=True, kw_only=True)
class Model:
    """A loaded pipeline with what the sampling loop needs of it."""

    source: ModelSource
    pipe: GlidePipeline

    @cached_property
    def graph(self) -> ComponentGraph:
        """The UNet's components."""
        return read_graph(self.pipe.unet, sequence_length=self.pipe.text_encoder.config.length)

    @property
    def picture_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of what it draws."""
        size = int(self.pipe.unet.config.sample_size)
        return int(self.pipe.unet.config.in_channels), size, size

    @torch.inference_mode()
    def encode(self, prompts: tuple[str, ...]) -> TextEncoding:
        """The prompts' encoding with that of the empty prompt, as guidance needs them."""
        sequence, pooled = self.pipe.encode([*prompts, *[""] * len(prompts)])
        return TextEncoding(sequence=sequence, pooled=pooled)


def judge_for(source: ModelSource) -> Judge | None:
    """The scene judge where the model draws the scenes that it reads: for glide-mini, by its vocabulary."""
    config = json.loads((source.folder / "text_encoder" / "config.json").read_text(encoding="utf-8"))
    return Judge.load() if config.get("vocabulary") == vocabulary() and JUDGE_FILE.is_file() else None


def _digest(folder: Path) -> str:
    """SHA-256 over names and contents of the parts' files."""
    whole = hashlib.sha256()
    for path in sorted(
        file for part in _PARTS for file in (folder / part).glob("*") if file.suffix in (".json", ".safetensors")
    ):
        with path.open("rb") as file:
            whole.update(f"{path.relative_to(folder)} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return whole.hexdigest()
