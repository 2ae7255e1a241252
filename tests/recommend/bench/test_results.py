"""Files of outcomes: read back as they were written, or reported as damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compute.recommend.bench.results import Outcome, ResultFolder
from store.errors import StoreError

KEY = "ab" * 32
RNG = np.random.default_rng(1)
OUTCOME = Outcome(
    pictures=RNG.integers(0, 256, (3, 3, 4, 4)).astype(np.uint8),
    fidelity={"all": np.array([1, 0, np.nan], np.float32)},
    features=RNG.standard_normal((3, 5)).astype(np.float32),
    seconds=np.array([0.25]),
)


def same(a: Outcome, b: Outcome) -> bool:
    pairs = [(a.pictures, b.pictures), (a.features, b.features), (a.seconds, b.seconds)]
    pairs += [(a.fidelity[name], b.fidelity[name]) for name in a.fidelity]
    return a.fidelity.keys() == b.fidelity.keys() and all(
        x.dtype == y.dtype and np.array_equal(x, y, equal_nan=x.dtype.kind == "f") for x, y in pairs
    )


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a file."""
    folder = tmp_path_factory.mktemp("outcomes")
    ResultFolder(folder, pytest.fail).write(KEY, OUTCOME)
    return (folder / f"{KEY}.outcome").read_bytes()


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    folder = ResultFolder(tmp_path / "new", pytest.fail)
    assert KEY not in folder and folder.read(KEY) is None
    folder.write(KEY, OUTCOME)
    read = folder.read(KEY)
    assert KEY in folder and read is not None and same(read, OUTCOME)
    assert [path.name for path in (tmp_path / "new").iterdir()] == [f"{KEY}.outcome"]


@given(share=st.floats(0, 1, exclude_max=True), bit=st.integers(1, 255), cut=st.booleans())
def test_a_changed_file_is_reported_and_removed(
    share: float, bit: int, cut: bool, content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """One byte changed, or the end cut off."""
    place, lines = int(share * len(content)), list[str]()
    path = tmp_path_factory.mktemp("damaged") / f"{KEY}.outcome"
    rest = b"" if cut else bytes([content[place] ^ bit]) + content[place + 1 :]
    path.write_bytes(content[:place] + rest)
    assert ResultFolder(path.parent, lines.append).read(KEY) is None
    assert len(lines) == 1 and "is damaged and made again" in lines[0] and not path.exists()


def test_outcomes_of_parts_are_joined_in_their_order() -> None:
    joined = Outcome.joined([OUTCOME, OUTCOME])
    assert joined.pictures.shape == (6, 3, 4, 4) and joined.seconds.shape == (2,)
    assert np.array_equal(joined.features[3:], OUTCOME.features)


def test_a_name_that_is_no_key_does_not_become_a_path(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is not a unit key"):
        ResultFolder(tmp_path, pytest.fail).read("../outside")
