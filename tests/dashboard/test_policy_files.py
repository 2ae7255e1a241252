"""Policy files and their pictures, read without trusting them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.data.policy_files import FILE_LIMIT, one_line, parse_policy, policy_files
from dashboard.data.validation_pictures import parse_png
from store.errors import StoreError
from store.folder.documents import document_path
from tests.analysis.synthetic_sweeps import made_sweep
from tests.dashboard.validated_policies import HOSTILE_FILES, tile_png, validation, write_policy


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small sweep without policies."""
    return made_sweep(tmp_path / "sweep", switched=()).store.root


def test_every_hostile_file_has_a_one_line_problem_and_the_others_are_read(root: Path) -> None:
    write_policy(root, "fine", validation())
    for stem, data in HOSTILE_FILES.items():
        document_path(root, "policies", f"{stem}.json").write_bytes(data)
    document_path(root, "policies", "link.json").symlink_to("/etc/passwd")
    files = {file.stem: file for file in policy_files(root)}
    assert files.keys() == {*HOSTILE_FILES, "fine"}
    assert files.pop("fine").validated
    for file in files.values():
        assert file.policy is None and not file.validated
        assert file.problem.isprintable() and 0 < len(file.problem) <= 400


@given(st.text(max_size=900))
def test_one_line_of_an_error_is_printable_and_short(message: str) -> None:
    line = one_line(StoreError(message))
    assert line.isprintable() and len(line) <= 400 and line == line.strip()
    assert one_line(StoreError("a\x1b[31m\u202eb\nc\nd")) == "a [31m b (and 2 more)"


@given(st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
def test_no_bytes_make_parsing_fail(data: bytes) -> None:
    assert parse_policy("any.json", data).stem == "any"


def test_the_number_of_files_is_limited(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert FILE_LIMIT >= 100
    monkeypatch.setattr("dashboard.data.policy_files.FILE_LIMIT", 2)
    for number in range(3):
        write_policy(root, f"p{number}", None)
    assert [file.stem for file in policy_files(root)] == ["p0", "p1"]


def test_a_png_is_split_into_its_tiles() -> None:
    pictures = parse_png(tile_png(3, ["a cat", "a dog"]), "p.png")
    assert list(pictures.tiles) == ["full", "policy", "fewer_steps"]
    assert pictures.conditions == (("a cat", 0), ("a dog", 1))
    for row, tiles in enumerate(pictures.tiles.values()):
        for column, tile in enumerate(tiles):
            assert tile.shape == (4, 4, 3) and (tile == (row, column, 7)).all()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"no picture", "is not a readable PNG"),
        (tile_png(2, ["a cat"])[:60], "p.png: "),
        (tile_png(2, ["a cat"], rows=["full"]), "is 4 x 8 pixels, but 1 x 1 tiles"),
        (tile_png(2, ["a cat"], rows=["full", "full"]), "rows: a run appears twice"),
        (tile_png(2, ["a cat"], rows=["full", "../../etc"]), "rows"),
        (tile_png(2, ["a cat"], tile=[0, 4]), "tile"),
    ],
)
def test_a_png_that_contradicts_its_description_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(StoreError, match=message) as caught:
        parse_png(data, "p.png")
    assert "\n" not in str(caught.value)


def test_a_png_of_too_many_pixels_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.data.validation_pictures._PIXEL_LIMIT", 31)
    with pytest.raises(StoreError, match="4 x 8 pixels are more than the 31"):
        parse_png(tile_png(2, ["a cat"]), "p.png")
