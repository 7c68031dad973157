"""Files that are whole or absent: replaced atomically, sealed, and refused before HDF5 sees them where they are not."""

import errno
import gc
import os
import struct
import sys
import time
import zlib

import h5py
import numpy as np
import pytest

from plastic import files, xp
from plastic.errors import PlasticError

ARRAYS = {
    "layers/0/W": np.arange(6.0, dtype=np.float32).reshape(2, 3),
    "empty": np.empty((0, 3), np.int64),
    "names": np.array(["a", "bcd"], "S"),
}
ROWS = np.random.default_rng(0).integers(-(2**15), 2**15, (5, 40)).astype(np.int16)


def stream(path, rows=ROWS):
    files.stream_hdf5(path, ARRAYS, "rows", ROWS.shape, iter(rows), format=3)


@pytest.fixture(params=["whole", "streamed"])
def path(request, tmp_path):
    path = tmp_path / "set.h5"
    if request.param == "whole":
        files.write_hdf5(path, ARRAYS, format=3)
    else:
        stream(path)
    return path


def read(path):
    """Return the arrays and attributes of a file of either kind."""
    return (files.read_around if b"but for bytes" in path.read_bytes()[:512] else files.read_hdf5)(path)[:2]


def assert_same(found):
    arrays, attributes = found
    assert arrays.keys() == ARRAYS.keys() and attributes == {"format": 3}
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array, strict=True)


def test_what_was_written_is_read(path):
    assert_same(read(path))
    assert [each.name for each in path.parent.iterdir()] == ["set.h5"]


def test_a_device_array_is_brought_to_the_host(backend, tmp_path):
    files.write_hdf5(tmp_path / "a.h5", {"W": xp.asarray(np.eye(3))})
    np.testing.assert_array_equal(files.read_hdf5(tmp_path / "a.h5")[0]["W"], np.eye(3))


def test_the_streamed_rows_lie_at_the_start_that_is_told(tmp_path):
    stream(tmp_path / "set.h5")
    start = files.read_around(tmp_path / "set.h5")[2]
    data = (tmp_path / "set.h5").read_bytes()[start : start + ROWS.nbytes]
    np.testing.assert_array_equal(np.frombuffer(data, "<i2").reshape(ROWS.shape), ROWS)
    with h5py.File(tmp_path / "set.h5") as file:
        np.testing.assert_array_equal(file["rows"][()], ROWS, strict=True)


def test_other_programs_can_read_it(path):
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["layers/0/W"][()], ARRAYS["layers/0/W"], strict=True)
        assert file.attrs["format"] == 3


def test_no_file_keeps_the_time_at_which_it_was_made(tmp_path):
    """HDF5 would store seconds since 1970 in four bytes of each data set: equal content would give other bytes."""
    begun = int(time.time())
    files.write_hdf5(tmp_path / "whole.h5", ARRAYS, format=3)
    stream(tmp_path / "streamed.h5")
    times = [struct.pack("<I", second) for second in range(begun, int(time.time()) + 1)]
    for path in tmp_path.iterdir():
        assert not any(second in path.read_bytes() for second in times)


def damaged_versions(data):
    yield from (data[:cut] for cut in (0, 1, 100, 511, 512, 513, len(data) // 2, len(data) - 1))
    yield from (data + b"\0", b"\0" * len(data), b"nonsense", data[512:])
    for position in range(0, len(data), 13):
        yield data[:position] + bytes((data[position] ^ 0x41,)) + data[position + 1 :]


def test_a_damaged_file_never_reaches_hdf5(path, monkeypatch):
    """Some of these files would crash the library, and the whole process with it."""
    data = path.read_bytes()
    around = b"but for bytes" in data[:512]
    start = files.read_around(path)[2] if around else len(data)
    kind = files.read_around if around else files.read_hdf5

    def never(*_, **__):
        raise AssertionError("HDF5 saw a damaged file")

    with monkeypatch.context() as patch:
        patch.setattr(h5py, "File", never)
        refused = 0
        for damaged in damaged_versions(data):
            if (
                len(damaged) == len(data)
                and damaged[:start] == data[:start]
                and (damaged[start + ROWS.nbytes :] == data[start + ROWS.nbytes :])
            ):
                continue  # within the streamed rows, which whoever reads them checks
            path.write_bytes(damaged)
            with pytest.raises(files.UnusableError, match=r"set\.h5 is damaged or of another format: its content"):
                kind(path)
            refused += 1
        assert refused > 150
    path.write_bytes(data)
    assert_same(read(path))


@pytest.mark.parametrize("read", [files.read_hdf5, files.read_around])
def test_a_missing_file_and_a_folder(tmp_path, read):
    for missing in (tmp_path / "set.h5", tmp_path / "nowhere" / "set.h5"):
        with pytest.raises(files.UnusableError, match=r"set\.h5 is not there$"):
            read(missing)
    with pytest.raises(PlasticError, match=f"cannot read {tmp_path}: Is a directory") as error:
        read(tmp_path)
    assert not isinstance(error.value, files.UnusableError)


WRITERS = {
    "write": lambda path: files.write(path, b"new"),
    "write_json": lambda path: files.write_json(path, {"a": 1}),
    "write_hdf5": lambda path: files.write_hdf5(path, ARRAYS),
    "stream_hdf5": stream,
}


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch, call, name):
    (tmp_path / "a").write_bytes(b"old")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, full)
    with pytest.raises(PlasticError, match=f"cannot write {tmp_path}/a: No space left on device"):
        WRITERS[name](tmp_path / "a")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("a", b"old")]


@pytest.mark.parametrize("name", WRITERS)
def test_a_folder_that_is_not_there(tmp_path, name):
    with pytest.raises(PlasticError, match=r"cannot write .*nowhere/a: "):
        WRITERS[name](tmp_path / "nowhere" / "a")


@pytest.mark.parametrize("rows", [ROWS[:-1], np.concatenate([ROWS, ROWS[:1]]), ROWS[:, 1:]])
def test_rows_that_do_not_fill_their_place_leave_the_old_file(tmp_path, rows):
    (tmp_path / "set.h5").write_bytes(b"old")
    with pytest.raises(ValueError, match=r"the rows of rows do not fill the shape \(5, 40\)"):
        stream(tmp_path / "set.h5", rows)
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("set.h5", b"old")]


def test_a_failure_while_rows_come_leaves_the_old_file(tmp_path):
    (tmp_path / "set.h5").write_bytes(b"old")

    def breaks():
        yield ROWS[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stream(tmp_path / "set.h5", breaks())
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("set.h5", b"old")]


def test_what_a_killed_process_left_is_written_over_or_removed(tmp_path):
    (tmp_path / ".set.h5.part").write_bytes(b"x" * 10_000)
    stream(tmp_path / "set.h5")
    whole = (tmp_path / "set.h5").read_bytes()
    stream(tmp_path / "set.h5")
    assert (tmp_path / "set.h5").read_bytes() == whole
    (tmp_path / ".a.7.part").touch()
    files.remove_temporary(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["set.h5"]


def test_a_checkpoint_sealed_by_an_earlier_version_is_read(tmp_path):
    """Its seal is the same: that of a file without streamed rows."""
    files.write_hdf5(tmp_path / "a.h5", ARRAYS, format=3)
    data = (tmp_path / "a.h5").read_bytes()
    seal = f"plastic: HDF5 after 512 bytes, crc32 {zlib.crc32(data[512:]):08x}\n".encode().ljust(512, b"\0")
    assert data[:512] == seal


def test_json(tmp_path):
    files.write_json(tmp_path / "a.json", {"rate": np.float32(0.5), "layers": (1, 2)})
    assert files.read_json(tmp_path / "a.json") == {"rate": 0.5, "layers": [1, 2]}
    (tmp_path / "a.json").write_text((tmp_path / "a.json").read_text().replace("0.5", "0.6"))
    with pytest.raises(PlasticError, match=r"a\.json is damaged or was edited"):
        files.read_json(tmp_path / "a.json")
    with pytest.raises(TypeError, match="a set cannot be written as JSON"):
        files.to_json({1})


def test_nothing_is_left_open_or_exported(tmp_path, recwarn):
    """A buffer that is closed while a view of it lives is an error that nobody can catch: Python shows it on stderr."""
    unraisable = []
    before, sys.unraisablehook = sys.unraisablehook, unraisable.append
    try:
        for name, write in WRITERS.items():
            write(tmp_path / name)
        files.read_hdf5(tmp_path / "write_hdf5")
        files.read_around(tmp_path / "stream_hdf5")
        for write in WRITERS.values():  # a view would live on in the traceback
            with pytest.raises(PlasticError):
                write(tmp_path / "nowhere" / "a")
        gc.collect()
    finally:
        sys.unraisablehook = before
    assert not unraisable and not recwarn.list
