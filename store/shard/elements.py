"""Single elements of a shard, written with the name and version of their encoding and checked when they are read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import h5py
import numpy as np
from jaxtyping import Num

from store.errors import ShardDamaged, StoreError
from store.folder.files import parse_json
from store.shard.chunks import PICTURE_LIMIT, layout_problem

COMPRESSION_LEVEL = 1  # float noise shrinks by 11% at level 1 and by 12% at level 4, which takes a fifth longer
JSON_ELEMENT_LIMIT = 1 << 23  # bytes
_ATTRIBUTE_LIMIT = 1 << 14  # bytes


def mark(element: h5py.Group | h5py.Dataset, encoding: str, version: int = 1) -> None:
    """Write the name and version of an element's encoding into its attributes."""
    element.attrs["encoding-type"] = encoding
    element.attrs["encoding-version"] = version


def write_array(
    group: h5py.Group, name: str, values: Num[np.ndarray, "..."], encoding: str, chunks: tuple[int, ...] | None
) -> None:
    """Write an array: contiguous, or with `chunks` chunked, shuffled and deflated."""
    packing: dict[str, Any] = {"chunks": chunks, "shuffle": True, "compression": "gzip"}
    packing["compression_opts"] = COMPRESSION_LEVEL
    dataset = group.create_dataset(name, data=values, **(packing if chunks else {}))
    mark(dataset, encoding)


def write_text(group: h5py.Group, name: str, text: str) -> None:
    """Write a JSON text as a scalar string of fixed length, whose size a reader knows before it reads it."""
    data = text.encode("utf-8")
    if len(data) > JSON_ELEMENT_LIMIT:
        raise StoreError(f"{name}: {len(data)} bytes of JSON; a shard holds at most {JSON_ELEMENT_LIMIT}")
    dataset = group.create_dataset(name, data=np.array(data, dtype=h5py.string_dtype("utf-8", len(data))))
    mark(dataset, "json")


class Element:
    """Checked access to an HDF5 element: its attributes and, of a group, its members. Errors name the file `source`.

    Soft and external links, external storage, virtual datasets and filters other than deflate and shuffle are refused:
    a shard from elsewhere must not make the reader open another file or load a plug-in.
    """

    def __init__(self, element: h5py.Group | h5py.Dataset, source: str) -> None:
        self._element = element
        self._source = source

    def error(self, element: str, problem: str) -> ShardDamaged:
        """The error to raise for an element."""
        return ShardDamaged(f"{self._source}: {element}: {problem}")

    def names(self, limit: int = 1000) -> list[str]:
        """The members' names, sorted. Raises ShardDamaged for more than `limit`."""
        if len(self._element) > limit:
            raise self.error(self._element.name or "/", f"{len(self._element)} members; at most {limit} are accepted")
        return sorted(self._element)

    def __contains__(self, name: str) -> bool:
        return self._element.get(name, getlink=True) is not None

    def _member(self, name: str, kind: type) -> Any:
        link = self._element.get(name, getlink=True)
        if link is None:
            raise self.error(name, "is missing")
        if not isinstance(link, h5py.HardLink):
            raise self.error(name, "is a soft or external link; shards have none")
        member = self._element[name]
        if not isinstance(member, kind):
            raise self.error(name, f"is a {type(member).__name__}, not a {kind.__name__}")
        return member

    def _dataset(self, name: str, encoding: str) -> h5py.Dataset:
        dataset: h5py.Dataset = self._member(name, h5py.Dataset)
        Element(dataset, self._source).check_encoding(name, encoding)
        if dataset.is_virtual or dataset.external:
            raise self.error(name, "keeps its values in another file; shards do not")
        return dataset

    def group(self, name: str, encoding: str) -> Element:
        """A member group of that encoding."""
        group = Element(self._member(name, h5py.Group), self._source)
        group.check_encoding(name, encoding)
        return group

    def array(self, name: str, encoding: str, dtypes: tuple[str, ...], shape: tuple[int | None, ...]) -> h5py.Dataset:
        """A dataset of that encoding, one of the types, and that shape (None: any length but 0). Reads no values."""
        dataset = self._dataset(name, encoding)
        if dataset.dtype.name not in dtypes:
            raise self.error(name, f"type {dataset.dtype}; {', '.join(dtypes)} are accepted")
        actual = dataset.shape
        if (
            actual is None
            or len(actual) != len(shape)
            or any(length == 0 or wanted not in (length, None) for length, wanted in zip(actual, shape, strict=True))
        ):
            accepted = ", ".join("any" if length is None else str(length) for length in shape)
            raise self.error(name, f"shape {actual}; ({accepted}) is accepted")
        if math.prod(actual[-3:]) * dataset.dtype.itemsize > PICTURE_LIMIT:
            raise self.error(name, f"shape {actual}: one picture is larger than {PICTURE_LIMIT} bytes")
        if (problem := layout_problem(dataset)) is not None:
            raise self.error(name, problem)
        return dataset

    def metric(self, name: str) -> h5py.Dataset:
        """A metric's dataset: one axis of float64, which is empty where the metric is absent."""
        dataset = self._dataset(name, "metric")
        if dataset.dtype.name != "float64" or dataset.shape is None or len(dataset.shape) != 1:
            raise self.error(name, f"type {dataset.dtype}, shape {dataset.shape}; one axis of float64 is accepted")
        if (problem := layout_problem(dataset)) is not None:
            raise self.error(name, problem)
        return dataset

    def json(self, name: str) -> Any:
        """The value of a JSON text."""
        dataset = self._dataset(name, "json")
        is_text = dataset.shape == () and dataset.dtype.kind == "S"
        if not is_text or dataset.dtype.itemsize > JSON_ELEMENT_LIMIT or layout_problem(dataset):
            raise self.error(name, f"is not a JSON text of at most {JSON_ELEMENT_LIMIT} bytes")
        try:
            return parse_json(bytes(dataset[()]), name)
        except StoreError as error:
            raise ShardDamaged(f"{self._source}: {error}") from error

    def attribute(self, name: str, kind: type) -> Any:
        """A scalar attribute of the type `kind`: str, int or float. Raises ShardDamaged for any other value."""
        element = f"attribute {name}"
        if name not in self._element.attrs:
            raise self.error(element, "is missing")
        stored = self._element.attrs.get_id(name)
        if stored.shape != () or stored.dtype.itemsize > _ATTRIBUTE_LIMIT:
            raise self.error(
                element, f"has shape {stored.shape} and type {stored.dtype}; a {kind.__name__} is accepted"
            )
        value = self._element.attrs[name]
        plain = value.item() if isinstance(value, np.generic) else value
        if isinstance(plain, str) and len(plain) > _ATTRIBUTE_LIMIT:
            raise self.error(element, f"has {len(plain)} characters; at most {_ATTRIBUTE_LIMIT} are accepted")
        if type(plain) is not kind or (isinstance(plain, float) and not math.isfinite(plain)):
            raise self.error(element, f"is {str(plain)[:40]!r}, not a {kind.__name__}")
        return plain

    def optional_attribute(self, name: str, kind: type) -> Any:
        """A scalar attribute, or None if the element has none of that name."""
        return self.attribute(name, kind) if name in self._element.attrs else None

    def check_encoding(self, name: str, encoding: str, newest: int = 1) -> None:
        """Raise ShardDamaged unless the element has that encoding, in a version from 1 to `newest`."""
        actual, version = self.attribute("encoding-type", str), self.attribute("encoding-version", int)
        if actual != encoding:
            raise self.error(name, f"encoding {actual[:40]!r}, not {encoding!r}")
        if not 1 <= version <= newest:
            raise self.error(name, f"encoding {encoding} version {version}; this release reads up to {newest}: upgrade")


@contextmanager
def translate_hdf5_errors(source: str) -> Iterator[None]:
    """Raise ShardDamaged, which names `source`, for any error that h5py raises on a damaged file."""
    try:
        yield
    except StoreError:
        raise
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, OverflowError, MemoryError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else repr(error)
        raise ShardDamaged(f"{source}: cannot be read: {reason}") from error
