"""Models by name or folder, with a digest of everything in them that can change a number; none is loaded here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

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

    def check_unchanged(self) -> None:
        """Raise ModelNotFound where the folder no longer holds what it held when it was found."""
        if (digest := _digest(self.folder)) != self.digest:
            raise ModelNotFound(
                f"model: {self.folder} holds other weights ({digest[:12]}) than expected ({self.digest[:12]})"
            )


def _digest(folder: Path) -> str:
    """SHA-256 over names and contents of the parts' files."""
    whole = hashlib.sha256()
    for path in sorted(
        file for part in _PARTS for file in (folder / part).glob("*") if file.suffix in (".json", ".safetensors")
    ):
        with path.open("rb") as file:
            whole.update(f"{path.relative_to(folder)} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return whole.hexdigest()
