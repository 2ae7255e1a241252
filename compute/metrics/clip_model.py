"""A CLIP model (Radford et al., arXiv 2103.00020), read from a folder that transformers has saved, never downloaded."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from compute.file_digest import file_digest
from compute.metrics.clip_preprocessing import ClipPreprocessing
from compute.metrics.metric import AbsentError
from store.errors import StoreError
from store.folder.files import JSON_LIMIT, parse_json, read_file

BATCH = 64
"""Pictures or prompts that are embedded at once."""
_VOCABULARIES = ({"tokenizer.json"}, {"vocab.json", "merges.txt"})  # a tokenizer's files: one or the other
_READ = (".json", ".txt", ".safetensors")  # configuration, vocabulary, weights


@dataclass(frozen=True, kw_only=True)
class ClipModel:
    """CLIP's two encoders with their preprocessing, in float32 on one device."""

    network: Any
    tokenizer: Any
    preprocessing: ClipPreprocessing
    digest: str
    """The SHA-256 over the folder's configuration, vocabulary and weights."""

    @classmethod
    def load(cls, folder: Path, device: torch.device | str = "cpu") -> ClipModel:
        """Load the CLIPModel and CLIPProcessor that a folder holds; weights are read as safetensors only.

        Raises AbsentError, with the reason, for a folder that does not hold them whole.
        """
        _check_folder(folder)
        network, processor = _load_parts(folder)
        preprocessing = ClipPreprocessing.of(processor.image_processor)
        words, known = len(processor.tokenizer), network.config.text_config.vocab_size
        if words > known:
            raise AbsentError(f"{folder}: its tokenizer knows {words} tokens and its model {known}")
        side = network.config.vision_config.image_size
        if preprocessing.size != (side, side):
            raise AbsentError(f"{folder}: its model reads {side}x{side} pixels and its processor gives others")
        return cls(
            network=network.to(device).eval().requires_grad_(False),
            tokenizer=processor.tokenizer,
            preprocessing=preprocessing,
            digest=_folder_digest(folder),
        )

    @torch.inference_mode()
    def embed_pictures(self, pictures: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B D"]:
        """Return the projected features of pictures in [-1, 1]."""
        batches = (batch.to(self.network.device) for batch in pictures.split(BATCH))
        return torch.cat([self.embed_preprocessed(self.preprocessing(batch)) for batch in batches])

    @torch.inference_mode()
    def embed_preprocessed(self, pixels: Float[Tensor, "B 3 h w"]) -> Float[Tensor, "B D"]:
        """Return the projected features of what `preprocessing` returns."""
        pooled = self.network.vision_model(pixel_values=pixels.to(self.network.device)).pooler_output
        features: Tensor = self.network.visual_projection(pooled)
        return features

    @torch.inference_mode()
    def embed_prompts(self, prompts: Sequence[str]) -> Float[Tensor, "B D"]:
        """Return the projected features of prompts. One that is longer than CLIP's context is cut, with a warning."""
        context = self.network.config.text_config.max_position_embeddings
        lengths = [len(ids) for ids in self.tokenizer(list(prompts), verbose=False)["input_ids"]]
        if max(lengths) > context:
            warnings.warn(f"CLIP reads the first {context} tokens of a prompt; some prompts are longer", stacklevel=3)
        features = []
        for start in range(0, len(prompts), BATCH):
            tokens = self.tokenizer(
                list(prompts[start : start + BATCH]),
                truncation=True,
                max_length=context,
                padding=True,
                return_tensors="pt",
            ).to(self.network.device)
            pooled = self.network.text_model(
                input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
            ).pooler_output
            features.append(self.network.text_projection(pooled))
        return torch.cat(features)


def _check_folder(folder: Path) -> None:
    """Raise AbsentError for a folder of another model: transformers would fill what it lacks with random numbers."""
    if not folder.is_dir():
        raise AbsentError(f"{folder} is not a folder")
    try:
        kind = parse_json(read_file((folder / "config.json").resolve(), JSON_LIMIT), "config.json").get("model_type")
    except (OSError, StoreError, AttributeError):
        raise AbsentError(f"{folder} has no config.json of a model that transformers has saved") from None
    if kind != "clip":
        raise AbsentError(f"{folder} holds a model of type {str(kind)[:40]!r}; a CLIPModel (type 'clip') is accepted")
    present = {path.name for path in folder.iterdir()}
    if not any(vocabulary <= present for vocabulary in _VOCABULARIES):  # transformers would read each text as empty
        raise AbsentError(f"{folder} has no tokenizer: tokenizer.json, or vocab.json and merges.txt, is needed")


def _load_parts(folder: Path) -> tuple[Any, Any]:
    """Return the CLIPModel and the CLIPProcessor of a folder."""
    import compute.torchvision_ops  # noqa: F401  (transformers' image processors import torchvision)
    from transformers import CLIPModel, CLIPProcessor, logging  # isort: skip

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with torch.random.fork_rng(devices=[]):
            network, report = CLIPModel.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, dtype=torch.float32, output_loading_info=True
            )
        processor = CLIPProcessor.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # transformers passes on any exception of what it reads
        reason = str(error).strip().partition("\n")[0][:200]
        raise AbsentError(f"{folder} can't be read as a CLIPModel with its CLIPProcessor: {reason}") from error
    if missing := sorted(report["missing_keys"]):
        raise AbsentError(f"{folder} lacks weights of a CLIPModel, such as {missing[0]}")
    return network, processor


def _folder_digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in _READ and path.is_file():
            digest.update(f"{path.name} {file_digest(path)}\n".encode())
    return digest.hexdigest()
