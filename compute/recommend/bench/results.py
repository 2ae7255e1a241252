"""What a policy made of a batch of conditions, kept on disk by the content of both."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from jaxtyping import Float, UInt8

from store.errors import StoreError
from store.folder.files import read_file, replace_file
from store.folder.layout import checked_key

_LIMIT = 1 << 30
_DIGEST_SIZE = hashlib.sha256().digest_size
_FIDELITY = "fidelity."
Report = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """What a policy made of conditions: a row of each array belongs to a condition, in their order.

    Pictures are rounded to 8 bits, as image files are. `fidelity` holds the judge's verdicts by aspect and `features`
    its features, without columns where there is no judge. `seconds` are a picture's, of each batch.
    """

    pictures: UInt8[np.ndarray, "N 3 H W"]
    fidelity: Mapping[str, Float[np.ndarray, " N"]]
    features: Float[np.ndarray, "N D"]
    seconds: Float[np.ndarray, " batches"]

    @staticmethod
    def joined(parts: list[Outcome]) -> Outcome:
        """Return the outcome on the conditions of all parts, in their order."""
        return Outcome(
            pictures=np.concatenate([part.pictures for part in parts]),
            fidelity={name: np.concatenate([part.fidelity[name] for part in parts]) for name in parts[0].fidelity},
            features=np.concatenate([part.features for part in parts]),
            seconds=np.concatenate([part.seconds for part in parts]),
        )


class ResultFolder:
    """A folder of outcomes, one a file. A file is whole or not there, whenever the process ends.

    It holds the SHA-256 of what follows, and then numpy's zip archive of the arrays.
    """

    def __init__(self, root: Path, report: Report) -> None:
        self._root, self._report = root, report

    def __contains__(self, key: str) -> bool:
        return self._path(key).is_file()

    def read(self, key: str) -> Outcome | None:
        """Return an outcome; None if there is none, or, after a line that says so, if its file is damaged."""
        path = self._path(key)
        try:
            return _parsed(read_file(path, _LIMIT))
        except FileNotFoundError:
            return None
        except (StoreError, ValueError, KeyError) as error:
            self._report(f"{path}: is damaged and made again ({str(error)[:100]})")
            path.unlink(missing_ok=True)
            return None

    def write(self, key: str, outcome: Outcome) -> None:
        """Keep an outcome. Raises StoreError, StoreFull."""
        arrays: dict[str, npt.NDArray[np.generic]] = {
            "pictures": outcome.pictures,
            "features": outcome.features,
            "seconds": outcome.seconds,
            **{_FIDELITY + name: values for name, values in outcome.fidelity.items()},
        }
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]  # its second argument is allow_pickle
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = buffer.getvalue()
        replace_file(path, hashlib.sha256(content).digest() + content)

    def _path(self, key: str) -> Path:
        return self._root / f"{checked_key(key)}.outcome"


def _parsed(data: bytes) -> Outcome:
    """Return the outcome of a file's content. Raises ValueError, KeyError for anything else."""
    digest, content = data[:_DIGEST_SIZE], data[_DIGEST_SIZE:]
    if hashlib.sha256(content).digest() != digest:
        raise ValueError("its content is not what was written")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        outcome = Outcome(
            pictures=arrays["pictures"],
            features=arrays["features"],
            seconds=arrays["seconds"],
            fidelity={
                name.removeprefix(_FIDELITY): arrays[name] for name in arrays.files if name.startswith(_FIDELITY)
            },
        )
    rows = len(outcome.pictures)
    if not all(len(values) == rows for values in (outcome.features, *outcome.fidelity.values())):
        raise ValueError("its arrays have different numbers of rows")
    return outcome
