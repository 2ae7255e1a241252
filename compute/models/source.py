"""Where a model's files are, and their digest; of a cascade, those of one stage. Nothing is loaded here."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compute.file_digest import file_digest
from compute.models.cascade import CASCADE_FILE, Cascade, CascadeError, CascadeStage
from store.errors import SkipscopeError, StoreError
from store.folder.files import JSON_LIMIT, parse_json, read_file
from store.folder.header import SweepHeader
from store.records import ONLY_STAGE
from store.sampler import SamplerSettings

GLIDE_MINI = "glide-mini"
GLIDE_MINI_64 = "glide-mini-64"
SD_MINI = "sd-mini"
_WEIGHTS = Path(__file__).parent / "mini" / "weights"
BUNDLED = {name: _WEIGHTS / name for name in (GLIDE_MINI, GLIDE_MINI_64, SD_MINI)}
"""The folders of the models that are known by name."""
_HASHED = (".json", ".safetensors", ".txt", ".model")
_UNHASHED_PARTS = ("safety_checker", "feature_extractor")  # they do not change numbers: the checker is not loaded


class ModelNotFound(SkipscopeError):
    """A model that is neither bundled nor the folder of a pipeline, or whose files have changed."""


@dataclass(frozen=True, kw_only=True)
class ModelSource:
    """The folder of a pipeline, and the SHA-256 of its configurations and weights, which every worker checks.

    Of a cascade it is the pipeline of one stage; `previous` is then the run of the stage before it, whose pictures
    this one is given.
    """

    name: str
    folder: Path
    digest: str
    stage: str = ONLY_STAGE
    previous: StageRun | None = None

    @staticmethod
    def find(name: str, stage: str | None = None) -> ModelSource:
        """Return the source of a bundled model by its name, or of the pipeline in a folder.

        `stage` names a stage of a cascade; by default it is the first. Raises ModelNotFound, CascadeError.
        """
        names = stage_names(name)
        if stage is not None and stage not in names:
            raise CascadeError(f"stage: {name[:200]!r} has no stage {stage!r}; it has {', '.join(names)}")
        return next(run.source for run in stage_runs(name) if stage in (run.source.stage, None))

    @staticmethod
    def of_sweep(header: SweepHeader) -> ModelSource:
        """Return the source of a sweep's model by the name that its configuration has. Raises ModelNotFound."""
        return ModelSource.find(str(header.config.get("model", "")), str(header.settings.get("stage", ONLY_STAGE)))

    @property
    def number(self) -> int:
        """The position of the stage in its cascade; 0 is the first."""
        return 0 if self.previous is None else self.previous.source.number + 1

    def index(self) -> dict[str, Any]:
        """Return the pipeline's index: its class, and each part's library and class. Raises ModelNotFound."""
        return _index(self.folder)

    def check_unchanged(self) -> None:
        """Raise ModelNotFound where the files in the folder no longer have this digest."""
        if (digest := _digest(self.folder)) != self.digest:
            raise ModelNotFound(
                f"model: {self.folder} holds other weights ({digest[:12]}) than expected ({self.digest[:12]})"
            )
        if self.previous is not None:
            self.previous.source.check_unchanged()


@dataclass(frozen=True, kw_only=True)
class StageRun:
    """A stage of a cascade and how it runs; None stands for the pipeline's own sampler or guidance scale."""

    source: ModelSource
    sampler: SamplerSettings | None = None
    guidance: float | None = None
    call: Mapping[str, Any] = field(default_factory=dict)


def stage_run(name: str, stage: str | None = None) -> StageRun:
    """Return a stage of a model, by default the last, and how it runs. Raises ModelNotFound, CascadeError."""
    source = ModelSource.find(name, stage or stage_names(name)[-1])
    return next(run for run in stage_runs(name) if run.source.stage == source.stage)


def stage_names(name: str) -> tuple[str, ...]:
    """Return the names of a model's stages in the order in which they run. Raises ModelNotFound, CascadeError."""
    return tuple(stage.name for stage in _stages(_folder(name)))


def stage_runs(name: str) -> Iterator[StageRun]:
    """Yield the stages of a model in the order in which they run. Raises ModelNotFound, CascadeError."""
    root, previous = _folder(name), None
    for stage in _stages(root):
        folder = _stage_folder(root, stage)
        if not (folder / "model_index.json").is_file():
            raise _no_pipeline(name if folder == root else str(folder))
        source = ModelSource(name=name, folder=folder, digest=_digest(folder), stage=stage.name, previous=previous)
        call = {key: list(value) if isinstance(value, tuple) else value for key, value in stage.call.items()}
        previous = StageRun(source=source, sampler=stage.sampler, guidance=stage.guidance, call=call)
        yield previous


def _folder(name: str) -> Path:
    try:
        return BUNDLED.get(name, Path(name)).expanduser().absolute()
    except (OSError, RuntimeError):  # ~ with an unknown user
        raise _no_pipeline(name) from None


def _stages(folder: Path) -> tuple[CascadeStage, ...]:
    try:
        cascade = Cascade.read(folder)
    except OSError:  # a name that is too long
        raise _no_pipeline(str(folder)) from None
    return (CascadeStage(name=ONLY_STAGE, folder="."),) if cascade is None else cascade.stages


def _stage_folder(root: Path, stage: CascadeStage) -> Path:
    """Return the folder of a stage of the cascade in `root`. Raises CascadeError for one that lies outside.

    A cascade may come from anybody, so it names no other folders of this machine; a link in its folder is its user's
    own. The bundled ones may name each other's, so that a base's weights are stored once.
    """
    inside = Path(os.path.normpath(stage.folder))
    bundled = root.parent == _WEIGHTS.absolute()
    parts = inside.parts[1:] if bundled and inside.parts[:1] == ("..",) else inside.parts
    if inside.is_absolute() or parts[:1] == ("..",) or stage.folder.startswith("~"):
        raise CascadeError(
            f"{root / CASCADE_FILE}: folder: {stage.folder[:200]!r} lies outside the cascade's own folder; name a "
            "folder in it, or a link in it to another"
        )
    return root if stage.folder == "." else (root / inside).resolve()


def _no_pipeline(name: str) -> ModelNotFound:
    return ModelNotFound(
        f"model: {name[:200]!r} is no pipeline: give {', '.join(BUNDLED)}, or a folder with model_index.json"
    )


def _index(folder: Path) -> dict[str, Any]:
    path = folder / "model_index.json"
    try:
        index = parse_json(read_file(path.resolve(), JSON_LIMIT), path)  # a model cache's files are links
    except (OSError, StoreError) as error:
        raise ModelNotFound(f"model: {path} cannot be read: {error}") from None
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
