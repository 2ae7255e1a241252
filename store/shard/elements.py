"""Single elements of a shard: written with the name and version of their encoding, read without trusting them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from store.errors import ShardDamaged, StoreError
from store.folder.files import JSON_LIMIT, parse_json

Array = npt.NDArray[Any]
COMPRESSION_LEVEL = 1  # float noise shrinks by 11% at level 1 and by 12% at level 4, which takes a fifth longer
JSON_ELEMENT_LIMIT = min(JSON_LIMIT, 64 << 20)
PICTURE_LIMIT = 1 << 31
_FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}


def mark(element: h5py.Group | h5py.Dataset, encoding: str, version: int = 1) -> None:
    """Attach the encoding's name and version."""
    element.attrs["encoding-type"] = encoding
    element.attrs["encoding-version"] = version


def write_array(group: h5py.Group, name: str, values: Array, encoding: str, chunks: tuple[int, ...] | None) -> None:
    """Write an array: shuffled, deflated and chunked where `chunks` says so, else contiguous."""
    packed: dict[str, Any] = {"chunks": chunks, "shuffle": True, "compression": "gzip"}
    packed["compression_opts"] = COMPRESSION_LEVEL
    dataset = group.create_dataset(name, data=values, **(packed if chunks else {}))
    mark(dataset, encoding)


def write_text(group: h5py.Group, name: str, text: str) -> None:
    """Write a JSON text as a scalar string of fixed length, so that a reader knows its size before reading it."""
    data = text.encode("utf-8")
    dataset = group.create_dataset(name, data=np.array(data, dtype=h5py.string_dtype("utf-8", len(data))))
    mark(dataset, "json")


class Elements:
    """Checked access to the members of an HDF5 group; `where` names the file in errors.

    Only hard links are followed, and external storage, virtual datasets and foreign filters are refused: a shard from
    elsewhere must not make us open another file or load a plug-in.
    """

    def __init__(self, group: h5py.Group, where: str) -> None:
        self._group = group
        self._where = where

    def fail(self, element: str, what: str) -> ShardDamaged:
        """The error for an element."""
        return ShardDamaged(f"{self._where}: {element}: {what}")

    def names(self, limit: int = 1000) -> list[str]:
        """The members' names. Raises ShardDamaged for more than `limit`."""
        if len(self._group) > limit:
            raise self.fail(self._group.name or "/", f"{len(self._group)} members; at most {limit} are accepted")
        return sorted(self._group)

    def __contains__(self, name: str) -> bool:
        return self._group.get(name, getlink=True) is not None

    def _member(self, name: str, kind: type) -> Any:
        link = self._group.get(name, getlink=True)
        if link is None:
            raise self.fail(name, "is missing")
        if not isinstance(link, h5py.HardLink):
            raise self.fail(name, "is a soft or external link, which no shard of ours has")
        member = self._group[name]
        if not isinstance(member, kind):
            raise self.fail(name, f"is a {type(member).__name__}, not a {kind.__name__}")
        return member

    def group(self, name: str, encoding: str) -> Elements:
        """A member group of that encoding."""
        elements = Elements(self._member(name, h5py.Group), self._where)
        elements.check_encoding(name, encoding)
        return elements

    def array(self, name: str, encoding: str, dtypes: tuple[str, ...], shape: tuple[int | None, ...]) -> h5py.Dataset:
        """A dataset of that encoding, type and shape (None: any length but 0); none of its values are read."""
        dataset: h5py.Dataset = self._member(name, h5py.Dataset)
        Elements(dataset, self._where).check_encoding(name, encoding)
        self._check_storage(name, dataset)
        if dataset.dtype.name not in dtypes:
            raise self.fail(name, f"type {dataset.dtype}; {', '.join(dtypes)} are accepted")
        got = dataset.shape
        if (
            got is None
            or len(got) != len(shape)
            or any(b not in (a, None) or a == 0 for a, b in zip(got, shape, strict=True))
        ):
            wanted = ", ".join("any" if length is None else str(length) for length in shape)
            raise self.fail(name, f"shape {got}; ({wanted}) is accepted")
        if math.prod(got[-3:]) * dataset.dtype.itemsize > PICTURE_LIMIT:
            raise self.fail(name, f"shape {got}: one picture is larger than {PICTURE_LIMIT} bytes")
        return dataset

    def metric(self, name: str) -> h5py.Dataset:
        """A dataset of one float64 axis that may be empty: a metric's values, or none where it is absent."""
        dataset: h5py.Dataset = self._member(name, h5py.Dataset)
        Elements(dataset, self._where).check_encoding(name, "metric")
        self._check_storage(name, dataset)
        if dataset.dtype.name != "float64" or dataset.shape is None or len(dataset.shape) != 1:
            raise self.fail(name, f"type {dataset.dtype}, shape {dataset.shape}; one axis of float64 is accepted")
        return dataset

    def _check_storage(self, name: str, dataset: h5py.Dataset) -> None:
        if dataset.is_virtual or dataset.external:
            raise self.fail(name, "keeps its values in another file, which no shard of ours does")
        properties = dataset.id.get_create_plist()
        if any(properties.get_filter(index)[0] not in _FILTERS for index in range(properties.get_nfilters())):
            raise self.fail(name, "is packed with a filter that no shard of ours uses")

    def json(self, name: str) -> Any:
        """A parsed JSON element."""
        dataset: h5py.Dataset = self._member(name, h5py.Dataset)
        Elements(dataset, self._where).check_encoding(name, "json")
        self._check_storage(name, dataset)
        if dataset.shape != () or dataset.dtype.kind != "S" or dataset.dtype.itemsize > JSON_ELEMENT_LIMIT:
            raise self.fail(name, f"is no JSON text of at most {JSON_ELEMENT_LIMIT} bytes")
        try:
            return parse_json(bytes(dataset[()]), name)
        except StoreError as error:
            raise ShardDamaged(f"{self._where}: {error}") from error

    def attribute(self, name: str, kind: type) -> Any:
        """A scalar attribute: `kind` is str, int or float. Raises ShardDamaged for any other value."""
        where = f"attribute {name}"
        try:
            value = self._group.attrs[name]
        except KeyError:
            raise self.fail(where, "is missing") from None
        plain = value.item() if isinstance(value, np.generic) else value
        if type(plain) is not kind or (isinstance(plain, float) and not math.isfinite(plain)):
            raise self.fail(where, f"is {str(plain)[:40]!r}, not a {kind.__name__}")
        return plain

    def optional_attribute(self, name: str, kind: type) -> Any:
        """A scalar attribute, or None where there is none."""
        return self.attribute(name, kind) if name in self._group.attrs else None

    def check_encoding(self, name: str, encoding: str, newest: int = 1) -> None:
        """Raise ShardDamaged unless the element has that encoding, in a version that this release reads."""
        got, version = self.attribute("encoding-type", str), self.attribute("encoding-version", int)
        if got != encoding:
            raise self.fail(name, f"encoding {got[:40]!r}, not {encoding!r}")
        if not 1 <= version <= newest:
            raise self.fail(name, f"encoding {encoding} version {version}; this release reads up to {newest}: upgrade")


@contextmanager
def damage_named(where: str) -> Iterator[None]:
    """Turn what h5py raises on a damaged file into ShardDamaged."""
    try:
        yield
    except StoreError:
        raise
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, OverflowError, MemoryError) as error:
        raise ShardDamaged(
            f"{where}: cannot be read: {str(error).splitlines()[0][:200] if str(error) else error!r}"
        ) from error
