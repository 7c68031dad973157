"""Fetch a raw file from the first mirror that has it: resumed where it broke off, checked, moved into place."""

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from plastic import files
from plastic.data import store
from plastic.errors import PlasticError

_ATTEMPTS = 5  # at one mirror, each going on where the one before broke off
_PAUSE = 1.0  # seconds between them
_TIMEOUT = (10, 30)  # seconds to connect, and between two pieces of the answer
_PIECE = 1 << 16


class _FailedError(Exception):
    """This place does not have the file; the message says why."""


def fetch(
    dataset: str, file: str, digest: str | Callable[[Path], str], mirrors: Sequence[str], into: str | os.PathLike[str]
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

    Returns:
        The path `into/file`.

    Raises:
        PlasticError: if every place failed, saying why each did, or `into` cannot be written.
    """
    into = Path(into)
    target = into / file
    part = target.with_name(f"{file}.part")
    tried = []
    with store.writing(into):
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            fault = _fault(target, digest)
            if not fault:
                return target
            tried.append(f"{target} ({fault})")
            store.note(f"{target} has {fault}: fetching it again")
        for place in _places(dataset, mirrors):
            source = f"{place.rstrip('/')}/{file}"
            try:
                if "://" in source:
                    _download(source, part, digest)
                else:
                    _copy(source, part, digest)
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
    return [
        f"{own.rstrip('/')}/{dataset}" if "://" in own else os.path.join(os.path.expanduser(own), dataset),
        *mirrors,
    ]


def _copy(source: str, part: Path, digest: Any) -> None:
    if not os.path.isfile(source):
        raise _FailedError("no such file")
    shutil.copyfile(source, part)
    _check(part, digest)


def _download(url: str, part: Path, digest: Any) -> None:
    """Bring `part` to the file with this digest, or raise _FailedError."""
    if part.exists() and not _fault(part, digest):
        return
    for attempt in range(_ATTEMPTS):
        time.sleep(_PAUSE * bool(attempt))
        have = part.stat().st_size if part.exists() else 0
        trouble = _go_on(url, part, have)
        if not trouble:
            if not have:
                _check(part, digest)
            if not _fault(part, digest):
                return
            part.unlink()  # what was there before may not belong to what came now: start over
            trouble = "wrong bytes"
    raise _FailedError(f"{trouble}, {_ATTEMPTS} times")


def _go_on(url: str, part: Path, have: int) -> str:
    """Ask for the file from byte `have` on and add to `part`. Return what cut this short, or "" if nothing did."""
    import requests

    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
            status = response.status_code
            if have and status == 416:
                part.unlink()  # it is longer than the file: start over
                return f"no bytes from {have:,} on"
            if status != 200 and not (have and status == 206):
                raise _FailedError(f"{status} {response.reason}")
            return _save(response, part, have if status == 206 else 0)  # 200: the whole file, whatever was asked for
    except requests.RequestException as error:
        raise _FailedError(_reason(error)) from None


def _save(response: Any, part: Path, have: int) -> str:
    """Write an answer to `part` from byte `have` on. Return how the server broke off, or "" if it did not."""
    from tqdm import tqdm
    from urllib3.exceptions import HTTPError

    total = have + (response.raw.length_remaining or 0)  # unknown where the server does not say
    progress = tqdm(desc=part.stem, initial=have, total=total or None, unit="B", unit_scale=True, disable=None)
    with open(part, "ab" if have else "wb") as file, progress:
        try:
            for piece in response.raw.stream(_PIECE, decode_content=False):  # the file is gzip and stays so
                file.write(piece)
                progress.update(len(piece))
        except HTTPError as error:
            return f"broke off: {error}"
        return "broke off" if file.tell() < total else ""


def _check(part: Path, digest: Any) -> None:
    if fault := _fault(part, digest):
        part.unlink()
        raise _FailedError(fault)


def _fault(path: Path, digest: Any) -> str:
    """Return what is wrong with a file, "" if nothing; `digest` as in `fetch`."""
    if callable(digest):
        return digest(path)
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, _algorithm(digest)).hexdigest()
    return "" if found == digest else f"wrong bytes: {_algorithm(digest)} {found}"


def _algorithm(digest: str) -> str:
    return "md5" if len(digest) == 32 else "sha256"


def _reason(error: Exception) -> str:
    """Return the innermost message of an exception of requests, which wraps several layers."""
    cause = error.args[0] if error.args else error
    return str(getattr(cause, "reason", None) or cause).rpartition("): ")[2]
