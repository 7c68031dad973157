"""What a run computes on: choosing it for the time of a run, and writing it down."""

import contextlib
import datetime
import functools
import importlib
import os
import pathlib
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import plastic
from plastic import terminal, xp
from plastic.errors import PlasticError

_MOST_THREADS = 1024


@contextlib.contextmanager
def environment(device: str | int | None = None, dtype: str = "float32", threads: int = 1) -> Iterator[None]:
    """Choose device, working precision and BLAS threads for a `with` block, and put back afterwards what was there.

    Args:
        device: "cpu", "gpu" (the first one), the number of a GPU, or "auto", which is the first GPU where CuPy proves
            to work and else the CPU, and says which on stderr; None takes the environment variable PLASTIC_DEVICE, or
            else "cpu".
        dtype: "float32" or "float64".
        threads: the number of BLAS threads; more than one pays on a quiet machine only.

    Yields:
        Nothing.

    Raises:
        PlasticError: if the device does not exist or cannot be used, the dtype is unknown, or threads are out of range.

    Example:
        >>> with environment(dtype="float64"):
        ...     xp.asarray([1.0]).dtype
        dtype('float64')
    """
    backend, number = _parse_device(device)
    if isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= _MOST_THREADS:
        raise PlasticError(f"threads is {threads!r}; it must be a whole number from 1 to {_MOST_THREADS}")
    previous = xp.current.backend, xp.float_dtype
    if backend == "auto":
        _use_best(dtype)
    else:
        xp.use(backend, device=number, dtype=dtype)
    try:
        with blas_threads(threads):
            yield
    finally:
        xp.use(previous[0], dtype=previous[1])


def blas_threads(threads: int) -> Any:
    """Return a context manager that limits the threads of BLAS for a `with` block."""
    return _blas_libraries().limit(limits=threads, user_api="blas")


def describe() -> dict[str, Any]:
    """Return what the process computes on, and how it was called, as a dict for config.json."""
    return {
        "versions": _versions(),
        "revision": _revision(pathlib.Path(plastic.__file__)),
        "device": _device_name(),
        "dtype": xp.float_dtype.name,
        "blas": _blas(),
        "platform": platform.platform(),
        # as typed, but `python` without the folder it lies in
        "command": shlex.join([pathlib.Path(sys.orig_argv[0]).name, *sys.orig_argv[1:]]) if sys.orig_argv else "",
        "started": now(),
    }


def in_words() -> str:
    """Return what the process computes on, in a line: device, precision, versions, BLAS and its kernels."""
    found = _versions()
    versions = ", ".join(f"{name} {found[name]}" for name in found if name not in ("h5py", "scipy"))
    blas = sorted({f"{each['library']} {each['version']}, {each['architecture']} kernels" for each in _blas()})
    return "; ".join([f"{_device_name()}, {xp.float_dtype.name}", versions, *blas])


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return, in words, what differs between two `describe()` in a way that may change results in the last bits."""
    names = ("revision", "device", "dtype")
    pairs: list[tuple[str, Any, Any]] = [(name, before.get(name), after[name]) for name in names]
    versions = before.get("versions", {}), after["versions"]
    packages = (set(versions[0]) | set(versions[1])) - {"h5py"}
    pairs += [(name, versions[0].get(name), versions[1].get(name)) for name in sorted(packages)]
    for name in ("library", "version", "architecture", "threads"):
        lists = [sorted({str(blas[name]) for blas in record.get("blas", [])}) for record in (before, after)]
        then, at_present = (" and ".join(values) or None for values in lists)
        pairs.append((f"BLAS {name}", then, at_present))
    return [f"{name} {old} then, {new} now" for name, old, new in pairs if old != new]


def now() -> str:
    """Return the time as text, UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _parse_device(device):
    name, value = "device", device
    if device is None:
        name, value = "PLASTIC_DEVICE", os.environ.get("PLASTIC_DEVICE") or "cpu"
    text = str(value).strip().lower()
    if text == "auto":
        return "auto", 0
    if text == "cpu":
        return "numpy", 0
    if text == "gpu":
        return "cupy", 0
    if text.isascii() and text.isdecimal() and len(text) < 5:
        return "cupy", int(text)
    raise PlasticError(f"{name} is {value!r}; it must be cpu, gpu, the number of a GPU (0, 1, ...) or auto")


def _use_best(dtype):
    try:
        xp.use("cupy", dtype=dtype)
    except PlasticError as reason:
        xp.use("numpy", dtype=dtype)
        terminal.warn(f"device: cpu ({reason})")
    else:
        terminal.warn(f"device: {_device_name()}")


def _device_name():
    if xp.backend() != "cupy":
        return "cpu"
    number = xp.cuda.Device().id
    return f"gpu {number}: {xp.cuda.runtime.getDeviceProperties(number)['name'].decode()}"


def _versions():
    names = ["plastic", "numpy", "scipy", "h5py"] + (["cupy"] if xp.backend() == "cupy" else [])
    return {"python": platform.python_version()} | {name: importlib.import_module(name).__version__ for name in names}


@functools.cache  # looking through all libraries that are loaded takes milliseconds
def _blas_libraries() -> Any:
    """Return the BLAS of NumPy and that of SciPy, to be limited and looked at."""
    import scipy.linalg  # noqa: F401  it brings a BLAS of its own, which must be there
    import threadpoolctl

    return threadpoolctl.ThreadpoolController().select(user_api="blas")


def _blas():
    libraries = [
        {
            "library": info["internal_api"],
            "version": info["version"],
            "architecture": info.get("architecture"),
            "threads": info["num_threads"],
        }
        for info in _blas_libraries().info()
    ]
    return sorted(libraries, key=str)


@functools.cache  # of a process, which runs what it has imported; git takes longer than a small run
def _revision(package: pathlib.Path) -> str | None:
    """Return the git revision of the checkout that plastic runs from, with "+changes" where it was edited, or None."""

    def git(*arguments):
        variables = os.environ | {"GIT_OPTIONAL_LOCKS": "0"}  # looking must not write to the index
        command = ["git", "-C", package.parent, *arguments]
        return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=20, check=True).stdout

    try:
        git("ls-files", "--error-unmatch", package.name)  # an installed copy inside some other checkout
        return git("describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+changes").strip()
    except (OSError, subprocess.SubprocessError):
        return None
