"""A store's documents: plain names, regular files and a size limit."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.errors import StoreError
from store.folder import documents
from store.folder.documents import DOCUMENT_LIMIT, document_names, document_path, read_document, write_document

ESCAPING = ["", ".", "..", "../a", "a/b", "/etc/passwd", ".hidden", "-rf", "a\n", "a\0b", "a" * 101, "ä", "a b", "a\\b"]


@pytest.mark.parametrize("name", ESCAPING)
def test_names_of_other_folders_are_refused(tmp_path: Path, name: str) -> None:
    for use in (
        lambda: document_path(tmp_path, "policies", name),
        lambda: read_document(tmp_path, "policies", name),
        lambda: write_document(tmp_path, "policies", name, b"x"),
    ):
        with pytest.raises(StoreError, match="is not a document's name") as refusal:
            use()
        assert str(refusal.value).isprintable() and len(str(refusal.value)) < 300
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("folder", ["units", "", "..", "/tmp", "policies/x", "x" * 500])
def test_other_folders_are_refused(tmp_path: Path, folder: Any) -> None:
    with pytest.raises(StoreError, match="is not a document's name"):
        document_path(tmp_path, folder, "a.json")


@given(st.text(max_size=30))
def test_any_name_gives_a_file_of_the_folder_or_is_refused(name: str) -> None:
    root = Path("/store")
    try:
        path = document_path(root, "reports", name)
    except StoreError:
        return
    assert path.parent == root / "reports" and os.path.normpath(path) == str(path)


def test_written_documents_are_read_and_listed(tmp_path: Path) -> None:
    assert document_names(tmp_path, "policies", ".json") == []
    for name in ("b.json", "a.json", "a.png"):
        assert write_document(tmp_path, "policies", name, name.encode()) == tmp_path / "policies" / name
    write_document(tmp_path, "reports", "c.json", b"")
    write_document(tmp_path, "policies", "a.json", b"again")
    assert document_names(tmp_path, "policies", ".json") == ["a.json", "b.json"]
    assert read_document(tmp_path, "policies", "a.json") == b"again"
    assert sorted(os.listdir(tmp_path / "policies")) == ["a.json", "a.png", "b.json"]


def test_only_regular_files_are_listed_and_read(tmp_path: Path) -> None:
    folder = tmp_path / "policies"
    folder.mkdir()
    (tmp_path / "secret").write_text("secret")
    (folder / "link.json").symlink_to(tmp_path / "secret")
    (folder / "dangling.json").symlink_to(tmp_path / "nowhere")
    (folder / "folder.json").mkdir()
    os.mkfifo(folder / "pipe.json")
    (folder / ".hidden.json").write_text("{}")
    (folder / "a b.json").write_text("{}")
    assert document_names(tmp_path, "policies", ".json") == []
    for name in ("link.json", "dangling.json", "folder.json", "pipe.json", "missing.json"):
        with pytest.raises(StoreError, match=name) as refusal:
            read_document(tmp_path, "policies", name)
        assert "\n" not in str(refusal.value)


def test_a_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "policies").symlink_to(tmp_path / "elsewhere")
    for use in (
        lambda: document_names(tmp_path, "policies", ".json"),
        lambda: read_document(tmp_path, "policies", "a.json"),
        lambda: write_document(tmp_path, "policies", "a.json", b"x"),
    ):
        with pytest.raises(StoreError, match="is a symbolic link"):
            use()
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "policies").write_text("x")
    for use in (
        lambda: document_names(tmp_path, "policies", ".json"),
        lambda: read_document(tmp_path, "policies", "a.json"),
        lambda: write_document(tmp_path, "policies", "a.json", b"x"),
    ):
        with pytest.raises(StoreError, match="policies"):
            use()


def test_a_document_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert DOCUMENT_LIMIT == 4 << 20
    monkeypatch.setattr(documents, "DOCUMENT_LIMIT", 10)
    write_document(tmp_path, "reports", "small.json", b"x" * 10)
    assert read_document(tmp_path, "reports", "small.json") == b"x" * 10
    (tmp_path / "reports" / "large.json").write_bytes(b"x" * 11)
    with pytest.raises(StoreError, match="11 bytes are more than the 10 that are accepted"):
        read_document(tmp_path, "reports", "large.json")
    with pytest.raises(StoreError, match="11 bytes"):
        write_document(tmp_path, "reports", "large2.json", b"x" * 11)
