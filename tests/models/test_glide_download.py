"""Checkpoints are downloaded once: resumed, checked, and offline afterwards; every fault is one line."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from compute.models.glide.convert import commands as commands_module
from compute.models.glide.convert import download as download_module
from compute.models.glide.convert.download import Download
from compute.models.glide.convert.sizes import ConversionError
from compute.user_cache import user_cache
from store.errors import StoreFull
from tests.models.glide_checkpoints import merges_file, saved

CONTENT = bytes(range(256)) * 10_000


@dataclass
class Behaviour:
    """What the server does, and the Range header of each request that came."""

    content: bytes = CONTENT
    tag: str = '"1"'
    ranges: bool = True
    cut: int | None = None
    """After so many bytes of an answer the connection is closed."""
    status: int | None = None
    length: bool = True
    requests: list[str] = field(default_factory=list)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Behaviour, str]]:
    """A server of one file on this machine, and the file's address."""
    behaviour = Behaviour()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range", "")
            behaviour.requests.append(asked)
            if behaviour.status is not None:
                self.send_error(behaviour.status)
                return
            start = 0
            same = self.headers.get("If-Range") in (None, behaviour.tag)
            if asked and behaviour.ranges and same:
                start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])  # type: ignore[index]
                if start >= len(behaviour.content):
                    self.send_error(416)
                    return
                self.send_response(206)
                last, total = len(behaviour.content) - 1, len(behaviour.content)
                self.send_header("Content-Range", f"bytes {start}-{last}/{total}")
            else:
                self.send_response(200)
            body = behaviour.content[start:]
            if behaviour.tag:
                self.send_header("ETag", behaviour.tag)
            if behaviour.length:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: behaviour.cut])

        def log_message(self, *args: Any) -> None:
            """Print nothing."""

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield behaviour, f"http://127.0.0.1:{running.server_port}/base.pt"
        running.shutdown()
        thread.join()


def download(url: str, folder: Path) -> Download:
    return Download(option="--base", url=url, path=folder / "cache" / "base.pt")


def test_downloaded_once_and_offline_afterwards(server: tuple[Behaviour, str], tmp_path: Path) -> None:
    behaviour, url = server
    path = download(url, tmp_path).fetch()
    assert path.read_bytes() == CONTENT
    assert json.loads((path.parent / "base.pt.json").read_text())["bytes"] == len(CONTENT)
    assert sorted(file.name for file in path.parent.iterdir()) == ["base.pt", "base.pt.json"]
    behaviour.status = 500
    assert download(url, tmp_path).fetch() == path
    assert behaviour.requests == [""]


def test_a_truncated_download_says_so_and_is_resumed(server: tuple[Behaviour, str], tmp_path: Path) -> None:
    behaviour, url = server
    behaviour.cut = 1_000_000
    with pytest.raises(ConversionError, match=r"is truncated: the connection ended after 1000000 of 2560000 bytes"):
        download(url, tmp_path).fetch()
    assert not (tmp_path / "cache" / "base.pt").exists()
    with pytest.raises(ConversionError, match="after 2000000 of 2560000 bytes"):
        download(url, tmp_path).fetch()
    behaviour.cut = None
    assert download(url, tmp_path).fetch().read_bytes() == CONTENT
    assert behaviour.requests == ["", "bytes=1000000-", "bytes=2000000-"]


@pytest.mark.parametrize("change", ["ranges", "tag", "no tag"])
def test_where_resuming_is_impossible_it_begins_anew(
    change: str, server: tuple[Behaviour, str], tmp_path: Path
) -> None:
    """The server knows no ranges, has another file by now, or does not tell versions apart."""
    behaviour, url = server
    behaviour.cut = 1_000_000
    behaviour.tag = "" if change == "no tag" else behaviour.tag
    with pytest.raises(ConversionError):
        download(url, tmp_path).fetch()
    behaviour.cut = None
    if change == "ranges":
        behaviour.ranges = False
    elif change == "tag":
        behaviour.tag, behaviour.content = '"2"', CONTENT[::-1]
    assert download(url, tmp_path).fetch().read_bytes() == behaviour.content


def test_a_part_that_is_complete_already(server: tuple[Behaviour, str], tmp_path: Path) -> None:
    """The process was killed between the last byte and the new name."""
    behaviour, url = server
    path = download(url, tmp_path).fetch()
    path.rename(path.with_name("base.pt.part"))
    path.with_name("base.pt.part.json").write_text(json.dumps({"version": behaviour.tag}))
    assert download(url, tmp_path).fetch().read_bytes() == CONTENT


def test_a_changed_file_is_refused(server: tuple[Behaviour, str], tmp_path: Path) -> None:
    _, url = server
    path = download(url, tmp_path).fetch()
    path.write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(ConversionError, match=r"its SHA-256 is \w{12}…, \w{12}… was recorded when it was downloaded"):
        download(url, tmp_path).fetch()
    path.with_name("base.pt.json").unlink()
    with pytest.raises(ConversionError, match="there is no record of its download: remove it to download it again"):
        download(url, tmp_path).fetch()


def test_a_server_that_has_no_such_file(server: tuple[Behaviour, str], tmp_path: Path) -> None:
    behaviour, url = server
    behaviour.status = 404
    with pytest.raises(ConversionError, match=r"base\.pt: the server answers 404 Not Found; try later, or give the"):
        download(url, tmp_path).fetch()


def test_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(ConversionError, match="cannot be reached: Connection refused; check the network"):
        download("http://127.0.0.1:9/base.pt", tmp_path).fetch()


def test_without_a_length_the_end_is_believed(server: tuple[Behaviour, str], tmp_path: Path) -> None:
    behaviour, url = server
    behaviour.length = False
    assert download(url, tmp_path).fetch().read_bytes() == CONTENT


def test_an_interruption_keeps_what_came(
    server: tuple[Behaviour, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    behaviour, url = server

    class Interrupted:
        def advance(self, *args: Any, **kwargs: Any) -> None:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(download_module, "_BLOCK", 1 << 19)
        patch.setattr("compute.progress._PlainBar.advance", Interrupted.advance)
        with pytest.raises(KeyboardInterrupt):
            download(url, tmp_path).fetch()
    assert (tmp_path / "cache" / "base.pt.part").stat().st_size == 1 << 19
    assert download(url, tmp_path).fetch().read_bytes() == CONTENT
    assert behaviour.requests == ["", f"bytes={1 << 19}-"]


def test_no_space(server: tuple[Behaviour, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, url = server
    monkeypatch.setattr(download_module, "free_bytes", lambda path: 1000)
    with pytest.raises(StoreFull, match="no space left: 2560000 bytes are needed, 1000 are free"):
        download(url, tmp_path).fetch()


def test_another_process_downloads_it(server: tuple[Behaviour, str], tmp_path: Path) -> None:
    _, url = server
    with download(url, tmp_path)._lock(), pytest.raises(ConversionError, match="another process downloads"):
        download(url, tmp_path).fetch()


def test_the_command_by_name(server: tuple[Behaviour, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    behaviour, url = server
    behaviour.content = saved(tmp_path).read_bytes()
    monkeypatch.setenv("SKIPSCOPE_CACHE", str(tmp_path / "own"))
    monkeypatch.setattr(commands_module, "URLS", {"base": url})
    monkeypatch.chdir(tmp_path)
    (base,) = commands_module.convert_glide({"--base": "base"}, tmp_path / "glide", merges=merges_file(tmp_path))
    assert (base / "model_index.json").is_file()
    assert (tmp_path / "own" / "glide" / "base.pt").read_bytes() == behaviour.content


def test_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SKIPSCOPE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert user_cache() == Path("/caches/skipscope")
    monkeypatch.setenv("SKIPSCOPE_CACHE", "/own")
    assert user_cache() == Path("/own")
    names = {name: url.rsplit("/", 1)[1] for name, url in commands_module.URLS.items()}
    assert names["base-inpaint"] == "base_inpaint.pt" and names["upsample"] == "upsample.pt"
