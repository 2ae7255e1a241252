"""The policy files of a sweep, read without trusting them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from compute.policy.skip_policy import SkipPolicy
from store.errors import SkipscopeError, StoreError
from store.folder.documents import document_names, read_document

FILE_LIMIT = 500
_MESSAGE_LIMIT = 400  # characters


@dataclass(frozen=True, kw_only=True)
class PolicyFile:
    """A file of the store's policies folder: its policy, or in `problem` one line on why it cannot be read."""

    stem: str
    data: bytes
    policy: SkipPolicy | None = None
    problem: str = ""

    @property
    def validated(self) -> bool:
        """Whether the policy was validated; only such policies are offered."""
        return self.policy is not None and self.policy.validation is not None


def policy_files(root: Path) -> tuple[PolicyFile, ...]:
    """Return the policy files of a store by name, the first FILE_LIMIT. Raises StoreError if they cannot be listed."""
    try:
        names = document_names(root, "policies", ".json")
    except OSError as error:
        raise StoreError(f"{root}: its policies cannot be listed: {error.strerror or error}") from error
    return tuple(_read(root, name) for name in names[:FILE_LIMIT])


def _read(root: Path, name: str) -> PolicyFile:
    try:
        return parse_policy(name, read_document(root, "policies", name))
    except SkipscopeError as error:
        return PolicyFile(stem=name.removesuffix(".json"), data=b"", problem=one_line(error))


def parse_policy(name: str, data: bytes) -> PolicyFile:
    """Return the policy file of that name and content. Raises nothing: `problem` says why it holds no policy."""
    stem = name.removesuffix(".json")
    try:
        return PolicyFile(stem=stem, data=data, policy=SkipPolicy.loads(data, name))
    except SkipscopeError as error:
        return PolicyFile(stem=stem, data=data, problem=one_line(error).removeprefix(f"{name}: "))


def one_line(error: Exception) -> str:
    """Return the first line of an error's message, printable and at most 400 characters long."""
    first, *others = str(error).splitlines() or [""]
    text = " ".join("".join(character if character.isprintable() else " " for character in first).split())
    text = f"{text} (and {len(others)} more)".strip() if others else text
    return text if len(text) <= _MESSAGE_LIMIT else text[: _MESSAGE_LIMIT - 1] + "…"
