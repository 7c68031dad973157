"""Fetch a raw file from the first mirror that has it: resumed where it broke off, checked, moved into place.

Servers are not trusted: what arrives is bounded in size, by what the catalogue knows of it, and in time, by the slowest
connection that anybody would wait for.
"""

import hashlib
import os
import queue
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from plastic import files, system, terminal
from plastic.data import store
from plastic.errors import PlasticError

_ATTEMPTS = 5  # at one mirror, each going on where the one before broke off
_PAUSE = 1.0  # seconds between them
_TIMEOUT = (10, 30)  # seconds to connect, and between two pieces of the answer
_PIECE = 1 << 16
_GRACE = 60.0  # seconds that an answer may take whatever its size,
_SLOWEST = 10_000  # and the bytes per second, on average, that must come after them
_MARGIN = 1.5  # a file may be larger than what is known of it by this factor


class _FailedError(Exception):
    """This place does not have the file; the message says why."""


class _SlowError(Exception):
    """An answer takes too long."""


def fetch(
    dataset: str,
    file: str,
    digest: str | Callable[[Path], str],
    mirrors: Sequence[str],
    into: str | os.PathLike[str],
    megabytes: float = 100,
) -> Path:
    """Return the path of a raw file, fetching it where needed.

    Call it from one process at a time (`store.arrays_of` does). A download that broke off leaves `file.part`, and the
    next call goes on from there.

    Args:
        dataset: the folder of the data set in a mirror of the user's, for instance "fashion-mnist".
        file: the name of the file.
        digest: sha256 (64 hexadecimal digits) or md5 (32) of its bytes; or, for an archive that is packed on demand so
            that only its contents are always the same, a function of the path that returns what is wrong with it, "" if
            nothing.
        mirrors: URLs of public folders that hold the file. The environment variable PLASTIC_MIRROR, a URL or a folder
            that holds `dataset/file`, goes first.
        into: the folder where the file belongs.
        megabytes: how large the file is at most, about; no more than one and a half times as much is taken.

    Returns:
        The path `into/file`.

    Raises:
        PlasticError: if every place failed, saying why each did, or `into` cannot be written.
    """
    into = Path(into)
    target = into / file
    part = target.with_name(f"{file}.part")
    most = int(_MARGIN * megabytes * 1e6)
    tried = []
    with store.writing(into):
        target.parent.mkdir(parents=True, exist_ok=True)
        if os.path.exists(target):
            if not os.path.isfile(target):
                raise PlasticError(f"{target} is no regular file; remove it, and it is fetched again")
            fault = _fault(target, digest)
            if not fault:
                return target
            tried.append(f"{target} ({fault})")
            store.note(f"{target} has {fault}: fetching it again")
        for place in _places(dataset, mirrors):
            source = f"{place.rstrip('/')}/{file}"
            try:
                _remove_unless_sound(part, most)
                if "://" in source:
                    _download(source, part, digest, most)
                else:
                    _copy(source, part, digest, most)
            except _FailedError as reason:
                tried.append(f"{source} ({reason})")
            else:
                files.settle(part, target)
                return target
    expected = "" if callable(digest) else f" ({_algorithm(digest)} {digest})"
    raise PlasticError(
        f"cannot fetch {dataset}/{file}. Tried {', '.join(tried)}. Put the file by hand at {target}{expected}, "
        "or set PLASTIC_MIRROR to a folder or URL that holds it; the data set glyphs needs no download"
    )


def _places(dataset: str, mirrors: Sequence[str]) -> list[str]:
    own = os.environ.get("PLASTIC_MIRROR")
    if not own:
        return list(mirrors)
    if "://" in own:
        return [f"{own.rstrip('/')}/{dataset}", *mirrors]
    return [os.path.join(system.expanded(own, "PLASTIC_MIRROR"), dataset), *mirrors]


def _remove_unless_sound(part: Path, most: int) -> None:
    """Remove what lies where the file is to be written, unless it can be the beginning of the file."""
    if os.path.lexists(part) and (os.path.islink(part) or not os.path.isfile(part) or part.stat().st_size > most):
        part.unlink()


def _copy(source: str, part: Path, digest: Any, most: int) -> None:
    if not os.path.isfile(source):
        raise _FailedError("no such file")
    if (size := os.path.getsize(source)) > most:
        raise _FailedError(f"{size:,} bytes, where at most {most:,} are expected")
    try:
        origin = system.open_regular(source)
    except OSError as error:
        raise _FailedError(error.strerror) from None
    with origin, system.open_regular(part, "wb") as copy:
        shutil.copyfileobj(origin, copy, _PIECE)
    _check(part, digest)


def _download(url: str, part: Path, digest: Any, most: int) -> None:
    """Bring `part` to the file with this digest, or raise _FailedError."""
    if part.exists() and not _fault(part, digest):
        return
    for attempt in range(_ATTEMPTS):
        time.sleep(_PAUSE * bool(attempt))
        have = part.stat().st_size if part.exists() else 0
        trouble = _go_on(url, part, have, most)
        if not trouble:
            if not have:
                _check(part, digest)
            if not _fault(part, digest):
                return
            part.unlink()  # what was there before may not belong to what came now: start over
            trouble = "wrong bytes"
    raise _FailedError(f"{trouble}, {_ATTEMPTS} times")


def _go_on(url: str, part: Path, have: int, most: int) -> str:
    """Ask for the file from byte `have` on and add to `part`. Return what cut this short, or "" if nothing did."""
    request = _Request(url, have)
    try:
        status, reason, length = request.next()
        if have and status == 416:
            part.unlink()  # it is longer than the file: start over
            return f"no bytes from {have:,} on"
        if status != 200 and not (have and status == 206):
            raise _FailedError(f"{status} {reason[:100]}")
        return _save(request, part, have if status == 206 else 0, length, most)  # 200: the whole file in any case
    except _SlowError as error:
        raise _FailedError(f"too slow: {error}") from None
    except _BrokenError as error:
        if error.hopeless:
            raise _FailedError(str(error)) from None
        return f"broke off: {error}"
    finally:
        request.give_up()


def _save(request: "_Request", part: Path, have: int, length: int, most: int) -> str:
    """Write an answer to `part` from byte `have` on. Return how the server broke off, or "" if it did not.

    length: of the answer, 0 where the server does not say. Raises _FailedError where it is too much.
    """
    total = have + length
    too_much = f"more than the {most:,} bytes that are expected at most"
    if total > most:
        raise _FailedError(too_much)
    progress = terminal.progress(
        desc=part.stem, initial=have, total=total if length else None, unit="B", unit_scale=True
    )
    with system.open_regular(part, "ab" if have else "wb") as file, progress:
        while piece := request.next():
            if file.tell() + len(piece) > most:
                file.truncate(0)
                raise _FailedError(too_much)
            file.write(piece)
            progress.update(len(piece))
        return "broke off" if length and file.tell() < total else ""


class _BrokenError(Exception):
    """A request failed; `hopeless` says that it will fail again."""

    def __init__(self, error: Exception) -> None:
        from http.client import HTTPException

        from requests import exceptions
        from urllib3.exceptions import HTTPError, MaxRetryError

        super().__init__(_reason(error))
        dropped = isinstance(error, (exceptions.ConnectionError, exceptions.ReadTimeout, HTTPError, HTTPException))
        never_there = isinstance(
            error, (exceptions.ConnectTimeout, exceptions.SSLError, exceptions.ProxyError, ValueError)
        )
        # MaxRetryError: there was no connection, not one that broke
        self.hopeless = not dropped or never_there or isinstance((error.args or (None,))[0], MaxRetryError)


class _Request(threading.Thread):
    """A request for a file from byte `have` on.

    It is answered in a thread of its own, since a server that sends a byte now and then holds a reader up for hours,
    whatever the timeout between two of them; the thread may be left to itself.
    """

    def __init__(self, url: str, have: int) -> None:
        super().__init__(daemon=True)
        self._url, self._have, self._received, self._begun = url, have, 0, time.monotonic()
        self._parts: queue.Queue[Any] = queue.Queue(maxsize=16)
        self._given_up = threading.Event()
        self.start()

    def next(self) -> Any:
        """Return (status, reason, length) first, then the bytes, piece by piece, and b"" at the end.

        Raises _BrokenError where the request failed, and _SlowError where it takes too long.
        """
        waited = time.monotonic() - self._begun
        try:
            part = self._parts.get(timeout=max(0.0, _GRACE + self._received / _SLOWEST - waited))
        except queue.Empty:
            raise _SlowError(f"{self._received:,} bytes in {time.monotonic() - self._begun:,.0f} s") from None
        if isinstance(part, Exception):
            raise _BrokenError(part) from part
        if isinstance(part, bytes):
            self._received += len(part)
        return part

    def give_up(self) -> None:
        """Let the thread end when it can."""
        self._given_up.set()

    def run(self) -> None:
        """Put what `next` returns into the queue."""
        import requests

        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={self._have}-"} if self._have else {})
        try:
            with requests.get(self._url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
                length = response.raw.length_remaining or 0  # None where the server does not say
                self._put((response.status_code, str(response.reason), length))
                for piece in response.raw.stream(_PIECE, decode_content=False):  # the file is gzip and stays so
                    if self._given_up.is_set():
                        return
                    if piece:
                        self._put(piece)
            self._put(b"")
        except Exception as error:  # whatever a server can make of requests, urllib3 and the parsers of addresses
            self._put(error)

    def _put(self, part: Any) -> None:
        while not self._given_up.is_set():
            try:
                return self._parts.put(part, timeout=0.5)
            except queue.Full:
                continue


def _check(part: Path, digest: Any) -> None:
    if fault := _fault(part, digest):
        part.unlink()
        raise _FailedError(fault)


def _fault(path: Path, digest: Any) -> str:
    """Return what is wrong with a file, "" if nothing; `digest` as in `fetch`."""
    if callable(digest):
        return digest(path)
    with system.open_regular(path) as file:
        found = hashlib.file_digest(file, _algorithm(digest)).hexdigest()
    return "" if found == digest else f"wrong bytes: {_algorithm(digest)} {found}"


def _algorithm(digest: str) -> str:
    return "md5" if len(digest) == 32 else "sha256"


def _reason(error: Exception) -> str:
    """Return the innermost message of an exception of requests, which wraps several layers."""
    cause = error.args[0] if error.args else error
    cause = getattr(cause, "reason", None) or cause
    behind = getattr(cause, "original_error", None)  # of a proxy that does not answer
    text = str(behind or cause).rpartition("): ")[2] or type(error).__name__
    return f"the proxy: {text}" if behind else text
