"""What is said to the user: lines that any terminal can show, and whose failure spoils nothing that is done."""

import contextlib
import os
import sys
from typing import Any

from plastic.errors import printable


def say(line: str) -> None:
    """Print a line on stdout. A terminal that has gone away, is full or closed is left in peace.

    Args:
        line: the text; what is not printable in it is written as an escape, as `printable` does.
    """
    _write(sys.stdout, line)


def warn(line: str) -> None:
    """Print a line on stderr, where there is one; otherwise as `say`.

    Args:
        line: the text.
    """
    _write(sys.stderr, line)


def progress(**options: Any) -> Any:
    """Return a progress bar of tqdm, which shows nothing where stderr is no terminal or is closed.

    Args:
        options: those of `tqdm.tqdm`.
    """
    from tqdm import tqdm

    return tqdm(**options, disable=True if sys.stderr is None else None)


def silence(stream: Any) -> None:
    """Let what is still written to a stream that failed go nowhere: Python would complain of it at exit.

    Args:
        stream: sys.stdout or sys.stderr.
    """
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _write(stream: Any, line: str) -> None:
    if stream is None:  # a process may be started without
        return
    text = printable(line)
    try:
        try:
            print(text, file=stream, flush=True)
        except UnicodeEncodeError:
            print(text.encode("ascii", "backslashreplace").decode(), file=stream, flush=True)
    except (OSError, ValueError):
        silence(stream)
