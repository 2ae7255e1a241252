"""Downloads a checkpoint once: resumed where it was interrupted, with its SHA-256 recorded and checked on reuse."""

from __future__ import annotations

import errno
import fcntl
import http.client
import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from compute.file_digest import file_digest
from compute.models.glide.convert.sizes import ConversionError
from compute.progress import bar
from store.errors import StoreFull
from store.folder.files import free_bytes, replace_file

_BLOCK = 1 << 20  # bytes
_TIMEOUT = 60.0  # seconds without a byte
_PARTIAL, _UNSATISFIABLE = 206, 416
_AGAIN = "the same command goes on from there"


@dataclass(frozen=True, kw_only=True)
class Download:
    """A file of the web and its place in the user's cache. `option` is the command's, for messages."""

    option: str
    url: str
    path: Path

    @property
    def part(self) -> Path:
        """The file that grows while it is downloaded; another beside it says of which version it is."""
        return self.path.with_name(f"{self.path.name}.part")

    @property
    def record(self) -> Path:
        """The file that holds size and SHA-256 of the finished download."""
        return self.path.with_name(f"{self.path.name}.json")

    def fetch(self) -> Path:
        """Return the path of the file, downloaded now or before; in the second case the network is not used.

        Raises ConversionError for a file that changed since its download, an address that cannot be read, a download
        that ends early (what came is kept) and one that another process is making; StoreFull.
        """
        if self.path.is_file():
            self._check_record()
            return self.path
        with _file_errors(self), self._lock() as part:
            self._complete(part)
            self._finish()
        return self.path

    def _check_record(self) -> None:
        if (recorded := _json(self.record).get("sha256")) is None:
            problem = "there is no record of its download"
        elif recorded != (digest := file_digest(self.path)):
            problem = f"its SHA-256 is {digest[:12]}…, {str(recorded)[:12]}… was recorded when it was downloaded"
        else:
            return
        raise ConversionError(
            f"{self.option}: {self.path}: {problem}: remove it to download it again, or give its path to use it so"
        )

    @contextmanager
    def _lock(self) -> Iterator[IO[bytes]]:
        """Open the growing file for this process alone."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.part.open("ab") as part:
            try:
                fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise ConversionError(f"{self.option}: another process downloads {self.url}; wait for it") from error
            yield part

    def _complete(self, part: IO[bytes]) -> None:
        """Append what is missing of the file."""
        have = os.fstat(part.fileno()).st_size
        version = str(_json(self._version_file).get("version", ""))
        request = urllib.request.Request(self.url)
        if have and version:
            request.add_header("Range", f"bytes={have}-")
            request.add_header("If-Range", version)
        elif have:
            have = _emptied(part)  # it cannot be told whether the server still has the same file
        with _web_errors(self), self._opened(request, part) as answer:
            if answer.status != _PARTIAL:
                have = _emptied(part)
                replace_file(self._version_file, json.dumps({"version": _version(answer)}).encode())
            total = _total(answer, have)
            self._check_space(total, have)
            self._receive(answer, part, have, total)

    @contextmanager
    def _opened(self, request: urllib.request.Request, part: IO[bytes]) -> Iterator[http.client.HTTPResponse]:
        """Open an address; where the server has nothing after what was received, anew from the beginning."""
        try:
            answer = urllib.request.urlopen(request, timeout=_TIMEOUT)
        except urllib.error.HTTPError as error:
            if error.code != _UNSATISFIABLE:
                raise
            _emptied(part)
            answer = urllib.request.urlopen(self.url, timeout=_TIMEOUT)
        with answer:
            yield answer

    def _receive(self, answer: http.client.HTTPResponse, part: IO[bytes], have: int, total: int | None) -> None:
        """Append an answer's bytes, and check that all have come."""
        with bar(f"download {self.path.name}", _mebibytes(total or 0), done=_mebibytes(have), unit="MiB") as progress:
            while block := answer.read(_BLOCK):
                part.write(block)
                progress.advance(count=_mebibytes(have + len(block)) - _mebibytes(have))
                have += len(block)
        part.flush()
        os.fsync(part.fileno())
        if total is not None and have != total:
            raise ConversionError(
                f"{self.option}: {self.url} is truncated: the connection ended after {have} of {total} bytes; {_AGAIN}"
            )

    def _check_space(self, total: int | None, have: int) -> None:
        free = free_bytes(self.path.parent)
        if total is not None and total - have > free:
            raise StoreFull(self.part, total - have, free)

    @property
    def _version_file(self) -> Path:
        return self.part.with_name(f"{self.part.name}.json")

    def _finish(self) -> None:
        """Record the digest of the complete file, and give the file its name."""
        record = {"url": self.url, "bytes": self.part.stat().st_size, "sha256": file_digest(self.part)}
        replace_file(self.record, json.dumps(record, indent=1).encode())
        self.part.rename(self.path)
        self._version_file.unlink(missing_ok=True)


def _emptied(part: IO[bytes]) -> int:
    part.truncate(0)
    return 0


def _version(answer: http.client.HTTPResponse) -> str:
    """Return what tells one version of the file from another; "" where the server says nothing that is reliable."""
    tag = answer.headers.get("ETag", "")
    return (tag if not tag.startswith("W/") else "") or answer.headers.get("Last-Modified", "")


def _total(answer: http.client.HTTPResponse, have: int) -> int | None:
    """Return the size of the whole file, where the server says it."""
    if found := re.fullmatch(r"bytes \d+-\d+/(\d+)", answer.headers.get("Content-Range", "")):
        return int(found.group(1))
    length = answer.headers.get("Content-Length", "")
    return have + int(length) if length.isdigit() else None


def _mebibytes(count: int) -> int:
    return count >> 20


@contextmanager
def _web_errors(download: Download) -> Iterator[None]:
    """Raise ConversionError for what goes wrong between here and the server."""
    where = f"{download.option}: {download.url}"
    by_path = "or give the file's path"
    try:
        yield
    except urllib.error.HTTPError as error:
        raise ConversionError(
            f"{where}: the server answers {error.code} {error.reason}; try later, {by_path}"
        ) from error
    except urllib.error.URLError as error:
        reason = getattr(error.reason, "strerror", None) or error.reason
        raise ConversionError(f"{where}: cannot be reached: {reason}; check the network, {by_path}") from error
    except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
        have = download.part.stat().st_size
        what = str(error) or type(error).__name__
        raise ConversionError(f"{where}: the download was interrupted after {have} bytes ({what}); {_AGAIN}") from error


@contextmanager
def _file_errors(download: Download) -> Iterator[None]:
    """Raise StoreFull where no space is left for the file, and ConversionError where the cache cannot be written."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreFull(download.part, _BLOCK, free_bytes(download.path.parent)) from error
        raise ConversionError(
            f"{download.option}: {download.path.parent}: cannot be written: {error.strerror or error}; SKIPSCOPE_CACHE "
            "names another folder"
        ) from error


def _json(path: Path) -> dict[str, Any]:
    """Return a JSON object, an empty one where the file is missing or damaged."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
