"""Standard input, output and error as a command line can use them, also where they are closed or not in Unicode."""

from __future__ import annotations

import codecs
import io
import os
import sys

_ESCAPES = "skipscope.escapes"


def make_usable() -> None:
    """Replace closed standard streams by the null device, and write what a stream's encoding lacks as escapes.

    A closed descriptor is opened, too: the next file would otherwise get its number, and with it the messages of
    libraries that write to standard error.
    """
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            os.dup2(opened, descriptor)
            if opened != descriptor:
                os.close(opened)
        stream = getattr(sys, name)
        if stream is None or stream.closed:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 (as long as the process lives)
        elif mode == "w" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ESCAPES)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    r"""Return characters as `\uXXXX`, of which a JSON document stays the same document."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    data = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    units = (int.from_bytes(data[place : place + 2], "big") for place in range(0, len(data), 2))
    return "".join(f"\\u{unit:04x}" for unit in units), error.end


codecs.register_error(_ESCAPES, _escaped)
