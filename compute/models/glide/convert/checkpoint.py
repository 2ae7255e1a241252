"""Reads checkpoints of PyTorch without running what they contain, a part at a time."""

from __future__ import annotations

import math
import re
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from compute.models.glide.convert.layout import GlideSizes
from compute.models.glide.convert.sizes import ConversionError, listed, sizes_of

DTYPES = {"float16": torch.float16, "float32": torch.float32}
_ZIP = b"PK\x03\x04"
_MAPPED = 64 << 20  # bytes of a file that are mapped at once, about
_SHARE_MAPPED = 8  # and at most this part of a small file
_REFUSED = re.compile(r"GLOBAL ([\w.]*\w)")
"""The name of what torch refuses to load, among its advice to load it nevertheless."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint of GLIDE whose parameters are as its sizes say."""

    name: str
    """What messages call it."""
    path: Path
    sizes: GlideSizes
    dtype: torch.dtype
    """That of most of its numbers."""
    numbers: int

    def tensors(self, names: Sequence[str]) -> Iterator[tuple[str, Tensor]]:
        """Yield parameters, each as a view of the file that must not be kept.

        The file is mapped anew after some of it: the pages of a mapping that were read count as this process's memory.
        A file in the format before PyTorch 1.6 cannot be mapped; it is read whole.
        """
        waiting = list(names)
        is_mapped = zipfile.is_zipfile(self.path)
        limit = min(_MAPPED, self.path.stat().st_size // _SHARE_MAPPED) if is_mapped else math.inf
        while waiting:
            state, read = _state_of(self.name, self.path), 0
            while waiting and read <= limit:
                tensor = state[waiting[0]]
                yield waiting.pop(0), tensor
                read += tensor.nbytes
            del state, tensor


def open_checkpoint(option: str, path: Path) -> Checkpoint:
    """Return the checkpoint in a file, of which `option` is the command's. Raises ConversionError.

    Refused are files that are missing or truncated, hold another model or anything but tensors, and would run code.
    """
    name = f"{option}: {path}"
    state = _state_of(name, path)
    sizes = sizes_of(name, {key: tuple(tensor.shape) for key, tensor in state.items()})
    counts: dict[torch.dtype, int] = {}
    for tensor in state.values():
        counts[tensor.dtype] = counts.get(tensor.dtype, 0) + tensor.numel()
    if strange := sorted(str(dtype) for dtype in counts if dtype not in DTYPES.values()):
        raise ConversionError(f"{name}: its numbers are of {listed(strange)}; {' and '.join(DTYPES)} are accepted")
    dtype = max(counts, key=lambda key: counts[key])
    return Checkpoint(name=name, path=path, sizes=sizes, dtype=dtype, numbers=sum(counts.values()))


def _state_of(name: str, path: Path) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint by name, mapped where its format allows. Raises ConversionError."""
    state = _loaded(name, path)
    if not isinstance(state, dict) or not state or not all(isinstance(key, str) for key in state):
        raise ConversionError(f"{name}: holds a {type(state).__name__}; a state dict, of tensors by name, is accepted")
    if strange := [key for key, value in state.items() if not _is_plain_tensor(value)]:
        raise ConversionError(f"{name}: holds something else than tensors: {listed(strange)}; a state dict is accepted")
    if sum(tensor.nbytes for tensor in state.values()) > path.stat().st_size:
        raise ConversionError(
            f"{name}: its tensors are larger than the file: it is no checkpoint that torch.save wrote"
        )
    return state


def _is_plain_tensor(value: Any) -> bool:
    return isinstance(value, Tensor) and value.layout is torch.strided and value.device.type == "cpu"


def _loaded(name: str, path: Path) -> Any:
    with _load_errors(name):
        with path.open("rb") as file:
            begins_as_zip = file.read(len(_ZIP)) == _ZIP
        is_zip = zipfile.is_zipfile(path)
        if begins_as_zip and not is_zip:
            raise ConversionError(
                f"{name}: is truncated: its beginning is a checkpoint's, its end is missing ({path.stat().st_size} "
                "bytes are there); copy or download it again"
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of unusual pickles, which are refused with a message of our own
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True if is_zip else None)


@contextmanager
def _load_errors(name: str) -> Iterator[None]:
    """Raise ConversionError for what torch and the operating system say of an unreadable file."""
    try:
        yield
    except ConversionError:
        raise
    except OSError as error:
        raise ConversionError(f"{name}: cannot be read: {error.strerror or error}") from error
    except Exception as error:  # a foreign file can make torch's reader fail in any way
        if (found := _REFUSED.search(str(error))) is None:
            raise ConversionError(f"{name}: is truncated, or no checkpoint of PyTorch") from error
        raise ConversionError(
            f"{name}: holds code or objects besides tensors ({found.group(1)[:80]}), which are not loaded; "
            "a state dict is accepted"
        ) from error
