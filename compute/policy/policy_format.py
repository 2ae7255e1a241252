"""The format and version of a policy file, checked before its fields are read."""

from __future__ import annotations

from typing import Any

from compute.config.messages import short_text
from compute.policy.strict_json import JsonRefused

FORMAT = "skipscope-policy"
VERSION = 1


def check_format(document: Any) -> None:
    """Check that a parsed JSON document is a skip policy of a version that this release reads. Raises JsonRefused."""
    accepted = f"an object whose format is {FORMAT!r} is accepted"
    if not isinstance(document, dict):
        raise JsonRefused(f"format: a {type(document).__name__} is no skip policy; {accepted}")
    if "format" not in document:
        raise JsonRefused(f"format: missing; {accepted}")
    if document["format"] != FORMAT:
        raise JsonRefused(f"format: {short_text(document['format'])} is no skip policy; {accepted}")
    version = document.get("version")
    if type(version) is int and version > VERSION:
        raise JsonRefused(
            f"is of version {short_text(version)}; this release reads version {VERSION}: upgrade skipscope"
        )
    if version is None:
        raise JsonRefused(f"version: missing; {VERSION} is accepted")
    if type(version) is not int or version < VERSION:
        raise JsonRefused(f"version: {short_text(version)} is no version of a skip policy; {VERSION} is accepted")
