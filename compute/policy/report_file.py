"""A report as a JSON file with a digest of its own content: written atomically, read without trusting it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

from pydantic import ValidationError

from compute.config.messages import error_lines
from compute.config.plain_text import printable
from store.errors import SkipscopeError, StoreError
from store.folder.files import JSON_LIMIT, parse_json, read_file, save_file
from store.folder.own_digest import with_digest, without_digest
from store.paths import expanded
from store.records import Record, canonical_json


class ReportFile(Record):
    """Base of reports; a kind of report has a field `format` with one accepted value, its default."""

    _whole: ClassVar[str]
    """What messages call the report as a whole."""
    _document: ClassVar[str]
    """The page that describes it."""
    _accepted: ClassVar[str]
    """The end of the line about a file that is something else: what it is not, and what is accepted."""
    _refused: ClassVar[type[SkipscopeError]]
    """The error for a file that cannot be used."""

    def dumps(self) -> str:
        """Return the report as JSON text, with a digest of its content."""
        return canonical_json(with_digest(self.model_dump(mode="json")))

    def save(self, path: Path) -> None:
        """Write the report atomically. Raises StoreError."""
        save_file(expanded(path), (self.dumps() + "\n").encode("ascii"))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a report without trusting it. Raises the error of its kind, with a line for each mistake."""
        where = printable(path)
        try:
            document = parse_json(read_file(expanded(path), JSON_LIMIT), where)
            if not isinstance(document, dict) or document.get("format") != cls.model_fields["format"].default:
                raise cls._refused(f"{where}: {cls._accepted}")
            return cls.model_validate_json(canonical_json(without_digest(document)))
        except FileNotFoundError:
            raise cls._refused(f"{where}: there is no such file") from None
        except ValidationError as error:
            lines = error_lines(error, cls, whole=cls._whole, document=cls._document)
            raise cls._refused("\n".join(f"{where}: {line}" for line in lines)) from None
        except (StoreError, ValueError) as error:
            raise cls._refused(str(error) if where in str(error) else f"{where}: {error}") from None
