"""Read the files of a .tar.gz archive one after the other, trusting nothing in it and unpacking nothing to the disk."""

import gzip
import os
import struct
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import IO, Any, cast

from plastic import system
from plastic.errors import PlasticError

_FILE = 1 << 24  # the most bytes of one file; the longest recording that we know of takes 3 MB
_WHOLE = 1 << 33  # the most bytes of everything together; Speech Commands takes 3.5 GB
_DAMAGE = (OSError, EOFError, zlib.error, tarfile.TarError, struct.error, ValueError, OverflowError, RecursionError)


def files(
    path: str | os.PathLike[str], wanted: Callable[[PurePosixPath], object], most: int = _FILE
) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Yield files of a .tar.gz archive, one after the other; one at a time is in memory.

    Args:
        path: the archive.
        wanted: a function of a path in the archive that says whether the file is to be yielded.
        most: the most bytes of one file.

    Yields:
        (its path in the archive, its bytes) of each file.

    Raises:
        PlasticError: when the iteration gets there, if the archive is missing, truncated or damaged; if any member is a
            link or a device, has an absolute path or one with "..", or holds more than `most`; or if all of it is
            more than 8 GB.
    """
    tar: Any
    try:
        with system.open_regular(path) as packed, gzip.open(packed) as unzipped:
            stream = _Forward(unzipped, most)
            with tarfile.open(fileobj=cast(IO[bytes], stream), mode="r:") as tar:
                while (member := tar.next()) is not None:
                    tar.members = []  # tarfile would remember all of them
                    name = _checked(path, member, most)
                    if member.isreg() and wanted(name):
                        yield name, tar.extractfile(member).read()
            stream.finish()
    except _DAMAGE as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise PlasticError(f"{path} cannot be read as a .tar.gz archive: {reason}") from None


def _checked(path: str | os.PathLike[str], member: tarfile.TarInfo, most: int) -> PurePosixPath:
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts:
        fault = "leads out of its folder"
    elif not (member.isdir() or member.isreg()) or member.issparse():
        fault = "is a link or a special file"
    elif not 0 <= member.size <= most:
        fault = f"claims to hold {member.size:,} bytes; no file in it may hold more than {most:,}"
    else:
        return name
    raise PlasticError(f"{path} is refused: its member {member.name!r} {fault}")


class _Forward:
    """The unzipped bytes as tarfile may have them: forwards only, so that it ends, and never much at a time.

    A header can claim any size, and a few kilobytes of gzip can stand for gigabytes.
    """

    def __init__(self, file: gzip.GzipFile, most: int) -> None:
        self._file, self._most, self._last = file, most, b""

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int) -> bytes:
        if not 0 <= size <= self._most:
            raise tarfile.ReadError(f"a header claims {size:,} bytes")
        self._bound(self.tell() + size)
        self._last = self._file.read(size)
        return self._last

    def seek(self, position: int) -> None:
        if position < self.tell():
            raise tarfile.ReadError("a header leads back")
        self._bound(position)
        self._file.seek(position)

    def finish(self) -> None:
        """Check that tarfile stopped at a block of zeros, not at a damaged header, and read on to the gzip checksum."""
        if self._last != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError(f"unexpected end or header at byte {self.tell():,}")
        while self._file.read(1 << 16):
            self._bound(self.tell())

    def _bound(self, position: int) -> None:
        if position > _WHOLE:
            raise tarfile.ReadError(f"it unpacks to more than {_WHOLE:,} bytes")
