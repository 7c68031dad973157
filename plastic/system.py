"""What the machine is asked for: regular files, names for temporary ones, the home folder, free memory, its processor.

It is asked with distrust. A path may name anything: a FIFO, at which a reader waits forever, a symbolic link that
somebody has put where a file is about to be written, a folder below a home that does not exist.
"""

import contextlib
import errno
import os
import pathlib
import platform
import secrets
import stat
import warnings
from collections.abc import Iterator
from typing import IO, Any, TypeAlias

from plastic.errors import PlasticError

Path: TypeAlias = str | os.PathLike[str]

_NO_WAIT = getattr(os, "O_NONBLOCK", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_LONGEST = 50  # characters of a name that its temporary file repeats


def open_regular(path: Path, mode: str = "rb", **options: Any) -> Any:
    """Open a regular file as `open` does, and nothing else; to be written, no symbolic link either.

    Args:
        path: the file.
        mode, options: those of `open`.

    Returns:
        The file.

    Raises:
        OSError: if there is none, or it is a folder, a FIFO or a device; nothing waits for the other end of a FIFO.
    """
    writes = any(letter in mode for letter in "wax+")

    def opener(name: str, flags: int) -> int:
        try:
            descriptor = os.open(name, flags | _NO_WAIT | (_NO_LINK if writes else 0), 0o666)
        except OSError as error:
            if error.errno == errno.ELOOP and writes:
                refuse_link(name)
            raise
        kind = os.fstat(descriptor).st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):  # `open` itself refuses a folder
            os.close(descriptor)
            raise OSError(errno.EINVAL, "it is no regular file", name)
        return descriptor

    try:
        return open(path, mode, opener=opener, **options)
    except ValueError as error:  # a zero byte in the name
        raise OSError(errno.EINVAL, str(error), os.fspath(path)) from None


def refuse_link(path: Path) -> None:
    """Refuse a symbolic link, which leads a writer to a file of somebody's choice.

    Args:
        path: what is about to be written.

    Raises:
        OSError: if it is one.
    """
    if os.path.islink(path):
        raise OSError(errno.ELOOP, "it is a symbolic link, which is not followed", os.fspath(path))


def acquire(lock: Any, **options: Any) -> None:
    """Take a lock of filelock, through no symbolic link.

    Args:
        lock: the lock.
        options: those of its `acquire`.

    Raises:
        OSError: if it cannot be taken, filelock's Timeout if another process has it.
        NotImplementedError: of filelock before 3.24, if the file system has no locks. Later ones then take the
            existence of the file for a lock.
    """
    refuse_link(lock.lock_file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of these, that they do
        lock.acquire(**options)


@contextlib.contextmanager
def temporary(path: Path) -> Iterator[tuple[pathlib.Path, IO[bytes]]]:
    """Create a file of a name that nobody can know before, in the folder of `path`; it is removed after the block.

    A block that gives it another name keeps it.

    Args:
        path: the file that it is to become.

    Yields:
        (its path, the file, open to be written and read).

    Raises:
        OSError: if it cannot be created.
    """
    path = pathlib.Path(path)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)  # exclusive: no link is followed
    while True:
        part = path.with_name(f".{path.name[:_LONGEST]}.{secrets.token_hex(8)}.part")
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(part, flags, 0o666)
            break
    try:
        with open(descriptor, "r+b") as file:
            yield part, file
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def leftovers(folder: Path, name: str | None = None) -> list[pathlib.Path]:
    """Return the temporary files that killed processes left behind in a folder.

    Args:
        folder: the folder.
        name: of the file that they were to become; by default any.
    """
    start = "." if name is None else f".{name[:_LONGEST]}."
    with os.scandir(folder) as entries:
        return [
            pathlib.Path(each.path) for each in entries if each.name.startswith(start) and each.name.endswith(".part")
        ]


def expanded(path: Path, said: str) -> pathlib.Path:
    """Return a path with its ~ or ~user replaced by the home folder.

    Args:
        path: the path.
        said: what named it, "PLASTIC_RESULTS" for instance.

    Returns:
        The path.

    Raises:
        PlasticError: if there is no such home (no folder named ~ is ever made), or the path holds a zero byte.
    """
    if "\0" in os.fspath(path):
        raise PlasticError(f"{said} is {os.fspath(path)!r}; no path holds a zero byte")
    found = os.path.expanduser(path)
    if os.fspath(found).startswith("~"):
        first = pathlib.Path(found).parts[0]
        raise PlasticError(
            f"{said} is {os.fspath(path)!r}, but no home folder is known for {first}; write the folder in full, "
            f"or ./{first} for a folder of that name"
        )
    return pathlib.Path(found)


def free_memory() -> float:
    """Return how many bytes of memory can still be had: what the kernel says, or the limit of the container.

    Infinite where neither is known.
    """
    found = float("inf")
    with contextlib.suppress(OSError, ValueError), open("/proc/meminfo", encoding="ascii") as file:
        for line in file:
            if line.startswith("MemAvailable:"):
                found = 1024 * int(line.split()[1])
    with contextlib.suppress(OSError, ValueError), open("/sys/fs/cgroup/memory.max", encoding="ascii") as file:
        found = min(found, int(file.read()))  # "max" is no number: there is no limit
    return found


def require_memory(path: Path, needed: int) -> None:
    """Refuse a file whose content does not fit the free memory.

    Args:
        path: the file.
        needed: bytes of memory.

    Raises:
        PlasticError: if there are fewer.
    """
    free = free_memory()
    if needed > free:
        raise PlasticError(
            f"{os.fspath(path)} needs {needed / 1e9:,.1f} GB of memory, but only {free / 1e9:,.1f} GB are free"
        )


def processor() -> str:
    """Return what the processor is called, as far as the system tells; "" where it does not.

    Example:
        >>> isinstance(processor(), str)
        True
    """
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor()
