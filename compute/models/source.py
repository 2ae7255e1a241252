"""Where a model's files are, and their digest. Nothing is loaded here."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compute.file_digest import file_digest
from store.errors import SkipscopeError

GLIDE_MINI = "glide-mini"
SD_MINI = "sd-mini"
BUNDLED = {name: Path(__file__).parent / "mini" / "weights" / name for name in (GLIDE_MINI, SD_MINI)}
"""The folders of the models that are known by name."""
_HASHED = (".json", ".safetensors", ".txt", ".model")
_UNHASHED_PARTS = ("safety_checker", "feature_extractor")  # they do not change numbers: the checker is not loaded


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

    def index(self) -> dict[str, Any]:
        """Return the pipeline's index: its class, and each part's library and class. Raises ModelNotFound."""
        return _index(self.folder)

    def check_unchanged(self) -> None:
        """Raise ModelNotFound where the files in the folder no longer have this digest."""
        if (digest := _digest(self.folder)) != self.digest:
            raise ModelNotFound(
                f"model: {self.folder} holds other weights ({digest[:12]}) than expected ({self.digest[:12]})"
            )


def _index(folder: Path) -> dict[str, Any]:
    try:
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelNotFound(f"model: {folder / 'model_index.json'} cannot be read: {error}") from None
    if not isinstance(index, dict) or not isinstance(index.get("_class_name"), str | list):
        raise ModelNotFound(f"model: {folder / 'model_index.json'} is no index of a diffusers pipeline: no _class_name")
    return index


def _digest(folder: Path) -> str:
    """Return the SHA-256 over the names and contents of the configurations and weights of the pipeline's parts."""
    parts = [name for name in _index(folder) if not name.startswith("_") and name not in _UNHASHED_PARTS]
    files = (file for part in parts for file in (folder / part).glob("*") if file.suffix in _HASHED)
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path.relative_to(folder)} {file_digest(path)}\n".encode())
    return digest.hexdigest()
