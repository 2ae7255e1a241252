"""Digests of a UNet's weights in memory.

A policy holds them, so that it is applied only to the network that it was made for.
"""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn

from compute.unet.numeric_settings import numeric_settings
from store.errors import SkipscopeError

DtypeName = Literal["float32", "float16", "bfloat16"]
DTYPES: dict[DtypeName, torch.dtype] = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_ROW = 512
_cache: weakref.WeakKeyDictionary[nn.Module, tuple[str, dict[torch.dtype, str]]] = weakref.WeakKeyDictionary()


class WeightsError(SkipscopeError):
    """Weights without a digest; the message says how to load them instead."""


def dtype_name(unet: nn.Module) -> DtypeName:
    """Return the name of the dtype of a UNet's weights; where some are kept in float32, that of the others.

    Raises WeightsError for weights with a dtype that is not in DTYPES, and for weights with two half precisions.
    """
    dtypes = {tensor.dtype for _, tensor in _tensors(unet) if tensor.is_floating_point()}
    below_float32 = dtypes - {torch.float32}
    for name, dtype in DTYPES.items():
        if below_float32 == {dtype} or (not below_float32 and dtype == torch.float32):
            return name
    names = ", ".join(sorted(str(dtype).removeprefix("torch.") for dtype in dtypes))
    raise WeightsError(f"weights: the UNet's are {names}; one of {', '.join(DTYPES)} is accepted")


def parameter_digests(unet: nn.Module) -> dict[DtypeName, str]:
    """Return the digest of a float32 UNet's weights, and those of its weights rounded to the other DTYPES, by name.

    With them the same weights are recognised in a pipeline that is loaded in half precision. Raises WeightsError for
    a UNet that is not in float32.
    """
    if (own := dtype_name(unet)) != "float32":
        raise WeightsError(f"weights: the UNet's are {own}; load it in float32 to take its digests")
    return {name: parameter_digest(unet, dtype) for name, dtype in DTYPES.items()}


def known_digests(unet: nn.Module) -> dict[DtypeName, str]:
    """Return the digests by which a UNet's weights are recognised: `parameter_digests`, or that of a half precision."""
    own = dtype_name(unet)
    return parameter_digests(unet) if own == "float32" else {own: parameter_digest(unet, DTYPES[own])}


def parameter_digest(unet: nn.Module, dtype: torch.dtype) -> str:
    """Return the SHA-256 over the names, shapes and little-endian bytes of all parameters and buffers, sorted by name.

    Scales of LoRA adapters and FreeU's settings follow where they are set: they change the numbers as weights do.
    Floating-point tensors are rounded to `dtype` before. A digest that was computed before is returned where sums over
    all bytes are as they were then, so no change goes unnoticed, whatever code made it. Raises WeightsError for weights
    on the meta device.
    """
    sums = _sums(unet)
    entry = _cache.get(unet)
    if entry is None or entry[0] != sums:
        entry = (sums, {})
        _cache[unet] = entry
    digests = entry[1]
    if dtype not in digests:
        digests[dtype] = _digest(unet, dtype)
    return digests[dtype]


def _tensors(unet: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from unet.named_parameters()
    yield from unet.named_buffers()


def _sums(unet: nn.Module) -> str:
    """Return a digest of sums over all bytes of the tensors, which are made where the tensors are.

    The words of a tensor are laid out in rows, and summed by row and by column, modulo 2**64. A change of one word
    changes both sums, an exchange of two at least one.
    """
    digest = hashlib.sha256("\n".join(numeric_settings(unet)).encode())
    parts: dict[torch.device, list[Tensor]] = {}
    for name, tensor in sorted(_tensors(unet), key=lambda item: item[0]):
        if tensor.is_meta:
            raise WeightsError(f"weights: {name} is on the meta device; apply the policy before offloading the UNet")
        digest.update(f"{name} {list(tensor.shape)} {tensor.dtype}\n".encode())
        data = _bytes(tensor.detach())
        whole = data.numel() // (8 * _ROW) * 8 * _ROW
        if whole:
            rows = data[:whole].view(torch.int64).view(-1, _ROW)
            parts.setdefault(tensor.device, []).extend(rows.sum(axis).view(torch.uint8) for axis in (0, 1))
        parts.setdefault(tensor.device, []).append(data[whole:])
    for tensors in parts.values():
        digest.update(torch.cat(tensors).cpu().numpy().data)
    return digest.hexdigest()


def _bytes(tensor: Tensor) -> Tensor:
    """Return a tensor's bytes, without a copy where its memory is dense; those of convolutions may be channels-last."""
    if tensor.ndim == 4 and not tensor.is_contiguous():
        tensor = tensor.permute(0, 2, 3, 1)
    data = tensor.reshape(-1).view(torch.uint8)
    return data if data.storage_offset() % 8 == 0 else data.clone()


def _digest(unet: nn.Module, dtype: torch.dtype) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(_tensors(unet), key=lambda item: item[0]):
        rounded = tensor.detach().to(device="cpu", dtype=dtype if tensor.is_floating_point() else tensor.dtype)
        digest.update(f"{name} {list(tensor.shape)}\n".encode())
        digest.update(rounded.reshape(-1).view(torch.uint8).numpy().data)
    digest.update("\n".join(numeric_settings(unet)).encode())
    return digest.hexdigest()
