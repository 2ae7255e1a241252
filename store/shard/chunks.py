"""Reading arrays whose file is not trusted: what a read takes in memory is known, and limited, before it is made.

HDF5 unpacks a chunk to whatever its packed bytes hold, however small the chunk claims to be, so chunks are unpacked
here, each to its own size and no further.
"""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from store.errors import ShardDamaged

PICTURE_LIMIT = 1 << 28  # bytes of one picture or latent of one sample
READ_LIMIT = 1 << 31  # bytes that one read may take
_SMALL = 1 << 26  # bytes that any shard may unpack to
_RATIO = 300  # shards are deflated at level 1, which packs even a constant no more than 230 times
_PIPELINES = ((), (h5py.h5z.FILTER_DEFLATE,), (h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE))


def unpacked_size(dataset: h5py.Dataset) -> int:
    """The bytes of all values."""
    return math.prod(dataset.shape) * dataset.dtype.itemsize


def check_total(datasets: Sequence[h5py.Dataset], file_size: int, source: str) -> None:
    """Raise ShardDamaged where a shard's arrays unpack to far more than arrays of its size that were written by us."""
    total = sum(map(unpacked_size, datasets))
    if total > max(_SMALL, _RATIO * file_size):
        raise ShardDamaged(f"{source}: unpacks to {total} bytes, more than {_RATIO} times its own {file_size}")


def layout_problem(dataset: h5py.Dataset) -> str | None:
    """What is wrong with how a dataset is stored; None for contiguous values, and for chunks of one picture each."""
    filters = _filters(dataset)
    if filters not in _PIPELINES:
        return "is packed with a filter that shards do not use"
    if dataset.chunks is None:
        stored = dataset.id.get_storage_size()
        return None if stored == unpacked_size(dataset) else f"{stored} bytes are stored of {unpacked_size(dataset)}"
    picture = (*(1 for _ in dataset.shape[:-3]), *dataset.shape[-3:])
    if len(picture) < 4 or dataset.chunks != picture:
        return f"chunks of shape {dataset.chunks}; one picture each is accepted"
    return None


def read_values(dataset: h5py.Dataset, selection: tuple[int | slice, ...], source: str) -> npt.NDArray[Any]:
    """Read a dataset without a `layout_problem`, or what `selection` takes of its first axes; errors name `source`.

    Raises ShardDamaged for more than READ_LIMIT bytes and for a chunk of another size than its picture's.
    """
    shape = dataset.shape
    picked = [*selection, *(slice(None) for _ in shape[len(selection) :])]
    ranges = [
        range(*part.indices(length)) if isinstance(part, slice) else (part,)
        for part, length in zip(picked, shape, strict=True)
    ]
    size = math.prod(map(len, ranges)) * dataset.dtype.itemsize
    if size > READ_LIMIT:
        raise ShardDamaged(f"{source}: {size} bytes are more than the {READ_LIMIT} that are read at once")
    if dataset.chunks is None:
        contiguous: npt.NDArray[Any] = dataset[selection]
        return contiguous
    leading = ranges[: len(shape) - 3]
    pictures = np.empty((math.prod(map(len, leading)), *shape[-3:]), dataset.dtype)
    for place, index in enumerate(itertools.product(*leading)):
        pictures[place] = _chunk(dataset, index, source)
    kept = [len(part) for part, given in zip(leading, picked, strict=False) if isinstance(given, slice)]
    return pictures.reshape(*kept, *shape[-3:])


def _filters(dataset: h5py.Dataset) -> tuple[int, ...]:
    properties = dataset.id.get_create_plist()
    return tuple(properties.get_filter(index)[0] for index in range(properties.get_nfilters()))


def _chunk(dataset: h5py.Dataset, index: tuple[int, ...], source: str) -> npt.NDArray[Any]:
    offset = (*index, 0, 0, 0)
    shape, itemsize = dataset.shape[-3:], dataset.dtype.itemsize
    size = math.prod(shape) * itemsize
    stored = dataset.id.get_chunk_info_by_coord(offset)
    if stored.byte_offset is None or not 0 < stored.size <= size + (size >> 3) + 1024:
        raise ShardDamaged(f"{source}: the picture at {index} is not stored, or takes more bytes than it has")
    mask, packed = dataset.id.read_direct_chunk(offset)  # HDF5 leaves a filter out that does not make a chunk smaller
    filters = [name for place, name in enumerate(_filters(dataset)) if not mask >> place & 1]
    data = _inflated(packed, size) if h5py.h5z.FILTER_DEFLATE in filters else packed
    if data is None or len(data) != size:
        raise ShardDamaged(f"{source}: the picture at {index} does not unpack to its {size} bytes")
    values = np.frombuffer(data, np.uint8)
    if h5py.h5z.FILTER_SHUFFLE in filters:
        values = np.ascontiguousarray(values.reshape(itemsize, -1).T)
    return values.view(dataset.dtype).reshape(shape)


def _inflated(packed: bytes, size: int) -> bytes | None:
    """The bytes of a deflated chunk; None where there are more than `size`, or the packed bytes are damaged."""
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(packed, size + 1)
    except zlib.error:
        return None
    return data if unpacker.eof else None
