"""Digests of a UNet's weights in memory.

A policy holds them, so that it is applied only to the network that it was made for.
"""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn

from store.errors import SkipscopeError

DtypeName = Literal["float32", "float16", "bfloat16"]
DTYPES: dict[DtypeName, torch.dtype] = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_Versions = tuple[tuple[Any, ...], ...]
_cache: weakref.WeakKeyDictionary[nn.Module, tuple[_Versions, dict[torch.dtype, str]]] = weakref.WeakKeyDictionary()


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


def parameter_digest(unet: nn.Module, dtype: torch.dtype) -> str:
    """Return the SHA-256 over the names, shapes and little-endian bytes of all parameters and buffers, sorted by name.

    Floating-point tensors are rounded to `dtype` before. A digest is computed again only where a tensor was replaced
    or changed in place; changes through `.data` are not detected. Raises WeightsError for weights on the meta device.
    """
    versions = _versions(unet)
    entry = _cache.get(unet)
    if entry is None or versions is None or entry[0] != versions:
        entry = (versions or (), {})
        _cache[unet] = entry
    digests = entry[1]
    if dtype not in digests:
        digests[dtype] = _digest(unet, dtype)
    return digests[dtype]


def _tensors(unet: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from unet.named_parameters()
    yield from unet.named_buffers()


def _versions(unet: nn.Module) -> _Versions | None:
    """Return values that change when a tensor does; None where torch does not count changes (inference tensors)."""
    tensors = list(_tensors(unet))
    if any(tensor.is_inference() for _, tensor in tensors):
        return None
    return tuple((name, tensor.data_ptr(), tensor._version, tensor.dtype, tensor.device) for name, tensor in tensors)


def _digest(unet: nn.Module, dtype: torch.dtype) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(_tensors(unet), key=lambda item: item[0]):
        if tensor.is_meta:
            raise WeightsError(f"weights: {name} is on the meta device; apply the policy before offloading the UNet")
        rounded = tensor.detach().to(device="cpu", dtype=dtype if tensor.is_floating_point() else tensor.dtype)
        digest.update(f"{name} {list(tensor.shape)}\n".encode())
        digest.update(rounded.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
