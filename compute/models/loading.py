"""Loads pipelines from their folders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from diffusers import DiffusionPipeline
from diffusers.utils.logging import disable_progress_bar

from compute.models.glide import (
    GlideInpaintPipeline,
    GlidePipeline,
    GlideUpsamplerInpaintPipeline,
    GlideUpsamplerPipeline,
)
from compute.models.model import Model
from compute.models.other_stage import OtherStage
from compute.models.source import ModelNotFound, ModelSource
from compute.pipeline.call import CallError, check_options
from compute.pipeline.follow import check_can_be_followed

_OWN_PIPELINES: Mapping[str, type[DiffusionPipeline]] = {
    kind.__name__: kind
    for kind in (GlidePipeline, GlideUpsamplerPipeline, GlideInpaintPipeline, GlideUpsamplerInpaintPipeline)
}
_WITHOUT = ("safety_checker",)  # it replaces pictures by black ones, which a measurement would take for damage


def load_model(
    model: str | ModelSource,
    *,
    stage: str | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    call: Mapping[str, Any] | None = None,
    previous: OtherStage | None = None,
) -> Model:
    """Load a model by its name, its folder or its source, for inference; `call` holds further arguments of its calls.

    `stage` names a stage of a cascade; by default it is the first. `previous` replaces the stage before it. Nothing is
    downloaded, and weights are read from safetensors alone. Raises ModelNotFound where there is no such model, where
    its files are damaged, and where they have changed since the source was made; CascadeError for a stage that the
    model lacks; CallError for arguments that the pipeline lacks; FollowError for a pipeline without a scheduler that
    can be followed.
    """
    source = ModelSource.find(model, stage) if isinstance(model, str) else model
    source.check_unchanged()
    pipe = _pipeline(source, dtype)
    if not isinstance(getattr(pipe, "unet", None), torch.nn.Module):
        raise ModelNotFound(f"model: {source.folder} holds a {type(pipe).__name__}, which has no unet")
    check_can_be_followed(pipe)
    check_options(pipe, call or {})
    if source.previous is not None and "image" in (call or {}):
        raise CallError(f"call.image: the stage {source.previous.source.stage!r} makes it; leave it out")
    pipe.to(device)
    for part in pipe.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval().requires_grad_(False)
    pipe.set_progress_bar_config(disable=True)
    return Model(
        source=source,
        pipe=pipe,
        call=dict(call or {}),
        previous=previous or _previous(source, device, dtype),
        base_scheduler={"_class_name": type(pipe.scheduler).__name__, **pipe.scheduler.config},
    )


def _previous(source: ModelSource, device: torch.device | str, dtype: torch.dtype) -> OtherStage | None:
    """Return the stage before that of a source, to be loaded in the same way, or None for a first stage."""
    run = source.previous
    if run is None:
        return None
    return OtherStage(run, lambda: load_model(run.source, device=device, dtype=dtype, call=run.call))


def _pipeline(source: ModelSource, dtype: torch.dtype) -> Any:
    """Return the pipeline of a source. Raises ModelNotFound."""
    index = source.index()
    kind = _OWN_PIPELINES.get(str(index.get("_class_name")), DiffusionPipeline)
    left_out = {part: None for part in _WITHOUT if part in index}
    if left_out:
        left_out["requires_safety_checker"] = False  # type: ignore[assignment]
    _disable_progress_bars(index)
    loading = {"local_files_only": True, "use_safetensors": True, "low_cpu_mem_usage": False, "dtype": dtype}
    if (variant := _variant(source)) is not None:
        loading["variant"] = variant
    try:
        return kind.from_pretrained(source.folder, **loading, **left_out)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, AttributeError) as error:
        problem = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise ModelNotFound(f"model: {source.folder} cannot be loaded: {problem}") from error


def _disable_progress_bars(index: Mapping[str, Any]) -> None:
    """Switch off the progress bars of the libraries that load the pipeline's parts."""
    disable_progress_bar()
    if any(isinstance(part, list) and part[:1] == ["transformers"] for part in index.values()):
        from transformers.utils import logging  # slow to import, and not needed by every model

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def _variant(source: ModelSource) -> str | None:
    """Return the variant of the UNet's weights where the folder holds them in one variant alone, such as fp16."""
    stem = "diffusion_pytorch_model"
    names = {file.name.split(".")[1] for file in (source.folder / "unet").glob(f"{stem}*.safetensors")}
    variants = {name for name in names if name.isalnum() and name != "safetensors" and not name.isdigit()}
    return variants.pop() if len(variants) == 1 and "safetensors" not in names else None
