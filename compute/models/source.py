"""Where a model's files are, and their digest. Nothing is loaded here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from store.errors import SkipscopeError

GLIDE_MINI = "glide-mini"
BUNDLED = {GLIDE_MINI: Path(__file__).parent / "mini" / "weights" / GLIDE_MINI}
"""The folders of the models that are known by name."""
_PARTS = ("scheduler", "text_encoder", "unet")


class ModelNotFound(SkipscopeError):
    """A model that is neither bundled nor the folder of a pipeline, or whose files have changed."""


@dataclass(frozen=True, kw_only=True)
class ModelSource:
    """The folder of a model, and the SHA-256 of its configurations and weights, which every worker checks."""

    name: str
    folder: Path
    digest: str

    @staticmethod
    def find(name: str) -> ModelSource:
        """Return the source of a bundled model by its name, or of the pipeline in a folder. Raises ModelNotFound."""
        try:
            folder = BUNDLED.get(name, Path(name)).expanduser().absolute()
            is_pipeline = (folder / "model_index.json").is_file()
        except (OSError, RuntimeError):  # a name that is too long, or ~ with an unknown user
            is_pipeline = False
        if not is_pipeline:
            raise ModelNotFound(
                f"model: {name[:200]!r} is no pipeline: give {' or '.join(BUNDLED)}, or a folder with model_index.json"
            )
        return ModelSource(name=name, folder=folder, digest=_digest(folder))

    def check_unchanged(self) -> None:
        """Raise ModelNotFound where the files in the folder no longer have this digest."""
        if (digest := _digest(self.folder)) != self.digest:
            raise ModelNotFound(
                f"model: {self.folder} holds other weights ({digest[:12]}) than expected ({self.digest[:12]})"
            )


def _digest(folder: Path) -> str:
    """Return the SHA-256 over the names and contents of the JSON and safetensors files of the pipeline's parts."""
    files = (file for part in _PARTS for file in (folder / part).glob("*") if file.suffix in (".json", ".safetensors"))
    digest = hashlib.sha256()
    for path in sorted(files):
        with path.open("rb") as file:
            digest.update(f"{path.relative_to(folder)} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()
