"""A digest of a UNet's weights as they are in memory, so that a policy is applied to the network it was made for."""

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
_Stamp = tuple[tuple[Any, ...], ...]
_known: weakref.WeakKeyDictionary[nn.Module, tuple[_Stamp, dict[torch.dtype, str]]] = weakref.WeakKeyDictionary()


class WeightsError(SkipscopeError):
    """Weights of which no digest can be taken; the text says how to load them instead."""


def dtype_name(unet: nn.Module) -> DtypeName:
    """The name of the dtype that a UNet's weights have: the half precision where only some are kept in float32.

    Raises WeightsError for weights of any other dtype.
    """
    found = {tensor.dtype for _, tensor in _tensors(unet) if tensor.is_floating_point()}
    half = found - {torch.float32}
    for name, dtype in DTYPES.items():
        if half == {dtype} or (not half and dtype == torch.float32):
            return name
    kinds = ", ".join(sorted(str(dtype).removeprefix("torch.") for dtype in found))
    raise WeightsError(f"weights: the UNet's are {kinds}; one of {', '.join(DTYPES)} is accepted")


def parameter_digests(unet: nn.Module) -> dict[DtypeName, str]:
    """The digests of a UNet in float32 as it would be in each of DTYPES, by name.

    A pipeline that is loaded in half precision rounds once, from the same float32 values, and is recognised by them.
    Raises WeightsError for a UNet in another dtype, of which the float32 values are not known any more.
    """
    if (own := dtype_name(unet)) != "float32":
        raise WeightsError(f"weights: the UNet's are {own}; load it in float32 to take its digests")
    return {name: parameter_digest(unet, dtype) for name, dtype in DTYPES.items()}


def parameter_digest(unet: nn.Module, dtype: torch.dtype) -> str:
    """SHA-256 over the names, shapes and little-endian bytes of all parameters and buffers, sorted by name.

    Floating-point ones are taken as rounded to `dtype`. A digest is kept until a tensor is replaced or written to by an
    ordinary operation; what writes through `.data` is not seen. Raises WeightsError.
    """
    stamp = _stamp(unet)
    known = _known.get(unet)
    if known is None or stamp is None or known[0] != stamp:
        known = (stamp or (), {})
        _known[unet] = known
    if dtype not in known[1]:
        known[1][dtype] = _digest(unet, dtype)
    return known[1][dtype]


def _tensors(unet: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from unet.named_parameters()
    yield from unet.named_buffers()


def _stamp(unet: nn.Module) -> _Stamp | None:
    """What changes when a weight does, without reading any; None where torch counts no changes (inference tensors)."""
    tensors = list(_tensors(unet))
    if any(tensor.is_inference() for _, tensor in tensors):
        return None
    return tuple((name, tensor.data_ptr(), tensor._version, tensor.dtype, tensor.device) for name, tensor in tensors)


def _digest(unet: nn.Module, dtype: torch.dtype) -> str:
    whole = hashlib.sha256()
    for name, tensor in sorted(_tensors(unet), key=lambda item: item[0]):
        if tensor.is_meta:
            raise WeightsError(f"weights: {name} is on the meta device; apply the policy before offloading the UNet")
        rounded = tensor.detach().to(device="cpu", dtype=dtype if tensor.is_floating_point() else tensor.dtype)
        whole.update(f"{name} {list(tensor.shape)}\n".encode())
        whole.update(rounded.reshape(-1).view(torch.uint8).numpy().data)
    return whole.hexdigest()
