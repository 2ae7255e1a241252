"""Arguments for one call of a UNet, as its configuration asks for them. They have shapes, but no values."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from compute.unet.blocks import UnsupportedUNet

DEFAULT_SIZE = 64
"""Height and width of the sample where the configuration has none."""
FRAMES = 4
BATCH = 1
_META = torch.device("meta")


def default_inputs(unet: Any, sample_size: int | tuple[int, int] | None, sequence_length: int) -> dict[str, Any]:
    """Return the keyword arguments of one call of a UNet for a batch of one, on the meta device.

    Raises UnsupportedUNet for a model whose forward requires an argument that is not known here.
    """
    if not callable(getattr(unet, "forward", None)) or not hasattr(unet, "config"):
        raise UnsupportedUNet(f"a {type(unet).__name__} is no diffusers UNet; a UNet2DConditionModel is, for example")
    size = sample_size or getattr(unet.config, "sample_size", None) or DEFAULT_SIZE
    height, width = (size, size) if isinstance(size, int) else (int(side) for side in size)
    call = _Call(unet=unet, height=height, width=width, tokens=sequence_length, dtype=unet.dtype)
    inputs: dict[str, Any] = {}
    for name, parameter in list(inspect.signature(type(unet).forward).parameters.items())[1:]:
        if name in _BUILDERS:
            inputs[name] = _BUILDERS[name](call)
        elif parameter.default is inspect.Parameter.empty and parameter.kind == parameter.POSITIONAL_OR_KEYWORD:
            raise UnsupportedUNet(
                f"the UNet ({type(unet).__name__}) cannot be read without a pipeline's call: its argument {name} is "
                "not known; read its graph with the arguments of a real call (docs/models.md)"
            )
    return inputs


@dataclass(frozen=True, kw_only=True)
class _Call:
    """A UNet and the sizes of the call."""

    unet: Any
    height: int
    width: int
    tokens: int
    dtype: torch.dtype

    def empty(self, *shape: int) -> Tensor:
        return torch.empty(BATCH, *shape, dtype=self.dtype, device=_META)

    def get(self, name: str) -> Any:
        """Return a value of the configuration, as an attribute: an IP-Adapter that was loaded changes only that."""
        return getattr(self.unet.config, name, None)

    def number(self, name: str) -> int:
        return int(getattr(self.unet.config, name))

    def width_of_text(self, index: int = 0) -> int | None:
        """Return the width of the text, or of the second one (`index` 1) where blocks attend to two."""
        width = self.get("encoder_hid_dim") or self.get("cross_attention_dim")
        if isinstance(width, (list, tuple)):  # one for each block, used in those with attention
            blocks = zip(self.unet.config.down_block_types, width, strict=False)
            width = next((of_block for block, of_block in blocks if "Attn" in block), None)
        if isinstance(width, (list, tuple)):  # one for each text; None is self-attention
            texts = [of_text for of_text in width if of_text is not None]
            width = texts[min(index, len(texts) - 1)]
        return None if width is None else int(width)


def _sample(call: _Call) -> Tensor:
    channels = call.number("in_channels")
    picture = (call.height, call.width)
    if call.get("addition_embed_type") == "image_hint":  # its encoder's channels are appended to the sample
        channels -= call.unet.add_embedding.input_hint_block[-1].out_channels
    kind = type(call.unet).__name__
    if kind == "UNetSpatioTemporalConditionModel":
        return call.empty(FRAMES, channels, *picture)
    if kind in ("UNet3DConditionModel", "UNetMotionModel", "I2VGenXLUNet"):
        return call.empty(channels, FRAMES, *picture)
    return call.empty(channels, *picture)


def _timestep(call: _Call) -> Tensor:
    return torch.zeros((), dtype=torch.int64, device=_META)


def _text(call: _Call) -> Tensor | None:
    width = call.width_of_text()
    if width is None or call.get("encoder_hid_dim_type") == "image_proj":
        return None
    if type(call.unet).__name__ == "UNetSpatioTemporalConditionModel":
        return call.empty(1, width)
    if type(call.unet).__name__ == "UNetMotionModel":  # a text for each frame
        return call.empty(call.tokens, width).repeat_interleave(FRAMES, 0)
    return call.empty(call.tokens, width)


def _text_mask(call: _Call) -> Tensor | None:
    return call.empty(call.tokens) if type(call.unet).__name__ == "Kandinsky3UNet" else None


def _second_text(call: _Call) -> Tensor | None:
    width = call.width_of_text(index=1)
    return None if width is None else call.empty(call.tokens, width)


def _class_labels(call: _Call) -> Tensor | None:
    kind = call.get("class_embed_type")
    if kind is None:
        has_classes = call.get("num_class_embeds") is not None
        return torch.zeros(BATCH, dtype=torch.int64, device=_META) if has_classes else None
    if kind == "timestep":
        return call.empty()
    if kind == "identity":
        return call.empty(call.unet.time_embedding.linear_2.out_features)
    return call.empty(call.number("projection_class_embeddings_input_dim"))


def _guidance_embedding(call: _Call) -> Tensor | None:
    width = call.get("time_cond_proj_dim")
    return None if width is None else call.empty(width)


def _added_conditions(call: _Call) -> dict[str, Any] | None:
    kind, text_width = call.get("addition_embed_type"), call.width_of_text()
    conditions: dict[str, Any] = {}
    if kind == "text_time":
        times, text = _ids_and_rest(call)
        conditions |= {"text_embeds": call.empty(text), "time_ids": call.empty(times)}
    elif kind == "text_image":
        conditions["text_embeds"] = call.empty(call.number("cross_attention_dim"))
    elif kind == "image_hint":
        conditions["hint"] = call.empty(3, 8 * call.height, 8 * call.width)
    projection = call.get("encoder_hid_dim_type")
    if projection == "ip_image_proj":
        conditions["image_embeds"] = [_image_prompt(call, layer) for layer in _image_projections(call.unet)]
    elif kind == "text_image" or projection == "text_image_proj":
        conditions["image_embeds"] = call.empty(call.number("cross_attention_dim"))
    elif kind in ("image", "image_hint") or projection == "image_proj":
        conditions["image_embeds"] = call.empty(text_width or 1)
    return conditions or None


def _ids_and_rest(call: _Call) -> tuple[int, int]:
    """Return the number of time ids and the width of the pooled text: together they fill the projection's input."""
    width, each = call.number("projection_class_embeddings_input_dim"), call.number("addition_time_embed_dim")
    times = min(6, (width - 1) // each)
    return times, width - times * each


def _image_projections(unet: Any) -> Any:
    return unet.encoder_hid_proj.image_projection_layers


def _image_prompt(call: _Call, projection: Any) -> Tensor:
    """Return the embedding of an IP-Adapter's picture: one vector, or a sequence of those of its patches."""
    if hasattr(projection, "image_embeds"):
        return call.empty(1, projection.image_embeds.in_features)
    if hasattr(projection, "proj_in"):
        return call.empty(1, call.tokens, projection.proj_in.in_features)
    raise UnsupportedUNet(
        f"encoder_hid_proj ({type(projection).__name__}) cannot be read without a pipeline's call; read the UNet's "
        "graph with the arguments of a real call (docs/models.md)"
    )


def _time_ids(call: _Call) -> Tensor:
    return call.empty(call.number("projection_class_embeddings_input_dim") // call.number("addition_time_embed_dim"))


def _picture_latents(call: _Call) -> Tensor:
    return call.empty(call.number("in_channels"), FRAMES, call.height, call.width)


_BUILDERS: dict[str, Callable[[_Call], Any]] = {
    "sample": _sample,
    "timestep": _timestep,
    "encoder_hidden_states": _text,
    "encoder_hidden_states_1": _second_text,
    "encoder_attention_mask": _text_mask,
    "class_labels": _class_labels,
    "timestep_cond": _guidance_embedding,
    "added_cond_kwargs": _added_conditions,
    "added_time_ids": _time_ids,
    "fps": lambda call: call.empty(),
    "image_latents": _picture_latents,
    "image_embeddings": lambda call: call.empty(call.width_of_text() or 1),
}
