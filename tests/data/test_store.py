import errno
import hashlib
import json
import os
import signal
import subprocess
import sys

import filelock
import h5py
import numpy as np
import pytest

from plastic import files
from plastic.data import store
from plastic.errors import PlasticError
from plastic.files import UnusableError

ARRAYS = {
    "x_train": np.arange(24, dtype=np.uint8).reshape(6, 2, 2),
    "y_train": np.array([0, 1, 2, 0, 1, 2], np.uint8),
    "x_test": np.full((3, 2, 2), 7, np.uint8),
    "y_test": np.array([2, 1, 0], np.uint8),
}


def never():
    raise AssertionError("made again")


def assert_same(arrays):
    assert list(arrays) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "sets" / "tiny.h5"
    assert_same(store.arrays_of(path, lambda: ARRAYS))
    return path


def test_made_once_then_read(path, capsys):
    capsys.readouterr()
    assert_same(store.arrays_of(path, never))
    assert sorted(each.name for each in path.parent.iterdir()) == ["tiny.h5", "tiny.h5.lock"]
    assert capsys.readouterr().err == ""


def test_a_good_file_needs_no_writable_folder(path, monkeypatch):
    monkeypatch.setattr(store, "_only_one", never)
    assert_same(store.arrays_of(path, never))


def flip(path, what):
    """Flip one bit in the stored bytes of an array."""
    with h5py.File(path) as file:
        offset = file[what].id.get_offset()
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def edit(path, change):
    with h5py.File(path, "r+") as file:
        change(file)


def swap_axes(file):
    values = file["x_train"][()].reshape(2, 6, 2)
    del file["x_train"]
    file["x_train"] = values


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:100]),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(b"<html>" + path.read_bytes()[6:]),
        lambda path: flip(path, "x_train"),
        lambda path: flip(path, "y_test"),
        lambda path: edit(path, lambda file: file.pop("y_test")),
        lambda path: edit(path, lambda file: file.attrs.pop("versions")),
        lambda path: path.write_bytes(path.read_bytes()[512:]),  # still an HDF5 file
        lambda path: edit(path, swap_axes),
    ],
)
def test_a_damaged_file_is_made_again(path, damage, capsys):
    whole = path.read_bytes()
    damage(path)
    capsys.readouterr()
    assert_same(store.arrays_of(path, lambda: ARRAYS))
    assert path.read_bytes() == whole
    assert f"note: {path} " in capsys.readouterr().err


def test_a_file_of_another_format_is_made_again(path, monkeypatch, capsys):
    monkeypatch.setattr(store, "FORMAT", store.FORMAT + 1)
    capsys.readouterr()
    with pytest.raises(AssertionError, match="made again"):
        store.arrays_of(path, never)
    wanted = (
        f"note: {path} has another format, {store.FORMAT - 1}, than the {store.FORMAT} of this version; making it\n"
    )
    assert capsys.readouterr().err == wanted
    assert_same(store.arrays_of(path, lambda: ARRAYS))
    assert_same(store.arrays_of(path, never))


@pytest.mark.parametrize(
    "changed",
    [
        {"x_train": np.zeros(6)},
        {"x_train": np.zeros((5, 2, 2))},
        {"y_test": np.zeros((3, 1))},
        {"x_test": np.zeros((0, 2, 2)), "y_test": np.zeros(0)},
    ],
)
def test_a_sealed_file_of_other_arrays_is_made_again(path, changed, capsys):
    files.write_hdf5(path, ARRAYS | changed, format=store.FORMAT)
    capsys.readouterr()
    assert_same(store.arrays_of(path, lambda: ARRAYS))
    assert "does not hold samples and labels" in capsys.readouterr().err
    files.write_hdf5(path, {"x_train": ARRAYS["x_train"]}, format=store.FORMAT)
    assert_same(store.arrays_of(path, lambda: ARRAYS))


def test_a_crafted_file_is_made_again(path, tmp_path, capsys):
    (tmp_path / "secret").write_bytes(b"precious")
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset("x_train", (8,), "u1", external=[(str(tmp_path / "secret"), 0, 8)])
        file.attrs["format"] = store.FORMAT
    with open(path, "rb+") as file:
        files.sealed._write_seal(file)
    assert_same(store.arrays_of(path, lambda: ARRAYS))
    assert "is refused, since plastic wrote no such file: x_train lies in another file; making it" in (
        capsys.readouterr().err
    )


def test_a_lock_that_is_a_link_is_refused(tmp_path):
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "tiny.h5.lock").symlink_to(tmp_path / "victim")
    with pytest.raises(PlasticError, match=f"cannot write to {tmp_path}: it is a symbolic link"):
        store.arrays_of(tmp_path / "tiny.h5", lambda: ARRAYS)
    assert (tmp_path / "victim").read_bytes() == b"precious"


def test_what_a_killed_process_left_is_removed(path):
    (path.parent / ".tiny.h5.0123456789abcdef.part").touch()
    path.unlink()
    store.arrays_of(path, lambda: ARRAYS)
    assert sorted(each.name for each in path.parent.iterdir()) == ["tiny.h5", "tiny.h5.lock"]


def test_a_sealed_file_of_something_else_is_made_again(path, capsys):
    files.write_hdf5(path, {"W": np.ones(3)})
    capsys.readouterr()
    assert_same(store.arrays_of(path, lambda: ARRAYS))
    assert "has another format, None, than the" in capsys.readouterr().err


def changed(name, value):
    return lambda arrays: arrays.update({name: value})


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: arrays.pop("y_test"),
        changed("x_train", np.full((6, 2, 2), b"7")),
        changed("x_train", np.full((6, 2, 2), True)[:, :, :0]),
        changed("x_train", np.ones(6)),
        changed("x_train", np.full((6, 2, 2), np.nan)),
        changed("x_test", np.full((3, 2, 2), np.inf, np.float32)),
        changed("x_test", np.ones((3, 2, 3))),
        changed("x_test", np.ones((4, 2, 2))),
        changed("y_train", np.zeros(6)),
        changed("y_train", np.full(6, b"1")),
        changed("y_train", np.full(6, -1)),
        changed("y_train", np.full(6, 1 << 16)),
        changed("y_train", np.zeros((6, 1), np.uint8)),
        lambda arrays: arrays.update(x_test=np.ones((0, 2, 2)), y_test=np.ones(0, np.uint8)),
    ],
)
def test_a_sealed_file_of_other_samples_is_made_again(path, capsys, change):
    arrays, attributes = files.read_hdf5(path)
    change(arrays)
    files.write_hdf5(path, arrays, **attributes)
    capsys.readouterr()
    assert_same(store.arrays_of(path, lambda: ARRAYS))
    assert "does not hold samples and labels in x_train, y_train, x_test, y_test; making it" in capsys.readouterr().err


def test_a_file_of_format_1_is_made_again(path, capsys):
    """Its seal was of another kind."""
    data = path.read_bytes()[512:]
    head = f"plastic data set, format 1, sha256 of all after byte 512: {hashlib.sha256(data).hexdigest()}\n"
    path.write_bytes(head.encode().ljust(512) + data)
    capsys.readouterr()
    assert_same(store.arrays_of(path, lambda: ARRAYS))
    assert f"note: {path} is damaged or of another format: " in capsys.readouterr().err
    assert_same(store.arrays_of(path, never))


def test_other_programs_can_read_it(path):
    with h5py.File(path) as file:
        assert "numpy" in file.attrs["versions"]
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(file[name][()], array, strict=True)


def test_a_file_that_cannot_be_read(path):
    path.unlink()
    path.mkdir()
    with pytest.raises(PlasticError, match=f"cannot read {path}: Is a directory"):
        store.arrays_of(path, never)


def test_a_damaged_file_is_never_used_nor_replaced_by_less(path):
    flip(path, "x_test")
    damaged = path.read_bytes()

    def fail():
        raise PlasticError("no network")

    for _ in range(2):  # the lock is free again
        with pytest.raises(PlasticError, match="no network"):
            store.arrays_of(path, fail)
    assert path.read_bytes() == damaged


def test_every_damaged_byte_is_noticed(path):
    """Before HDF5 reads it: some of these files would crash the library."""
    whole = path.read_bytes()
    for position in range(0, len(whole), 31):
        path.write_bytes(whole[:position] + bytes((whole[position] ^ 0x81,)) + whole[position + 1 :])
        with pytest.raises(UnusableError):
            store._read(path)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(PlasticError, match=f"cannot write to {tmp_path}/file: .*PLASTIC_DATASETS"):
        store.arrays_of(tmp_path / "file" / "tiny.h5", never)


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    monkeypatch.setattr(filelock.FileLock, "acquire", without_locks)
    with pytest.raises(PlasticError, match=f"cannot lock {tmp_path}: its file system has no locks; PLASTIC_DATASETS"):
        store.arrays_of(tmp_path / "tiny.h5", never)


def without_locks(*_, **__):
    raise NotImplementedError  # as filelock before 3.24 does


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_no_file_in_place(tmp_path, monkeypatch, call):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(PlasticError, match=f"cannot write {tmp_path}/tiny.h5: No space left on device"):
        store.arrays_of(tmp_path / "tiny.h5", lambda: ARRAYS)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.h5.lock"]


LOADER = """
import functools, hashlib, json, sys, time
from pathlib import Path
from plastic.data import catalogue, store
digests, mirror, folder = json.loads(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
make = functools.partial(catalogue.make_idx, folder / "raw", "mnist", digests, [mirror])
def make_slowly():
    time.sleep(0.5)  # so that the others come while this one is at work
    print("making")
    return make()
arrays = store.arrays_of(folder / "tiny.h5", make_slowly)
print(hashlib.sha256(b"".join(arrays[name].tobytes() for name in store.ARRAYS)).hexdigest())
"""


def test_two_processes_at_once_make_one_file(site, small_set, tmp_path):
    raw, digests, arrays = small_set
    site.files |= {f"/{name}": data for name, data in raw.items()}
    command = [sys.executable, "-c", LOADER, json.dumps(digests), site.url, str(tmp_path / "sets")]
    loaders = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    printed = sorted(loader.communicate(timeout=300)[0].split() for loader in loaders)
    checksum = hashlib.sha256(b"".join(array.tobytes() for array in arrays.values())).hexdigest()
    assert printed == sorted([["making", checksum], [checksum], [checksum]])
    assert [loader.returncode for loader in loaders] == [0, 0, 0]
    assert sorted(path for path, _ in site.log) == sorted(f"/{name}" for name in raw)  # each asked for once
    assert sorted(each.name for each in (tmp_path / "sets").iterdir()) == ["raw", "tiny.h5", "tiny.h5.lock"]


HOLDER = """
import sys, time
from pathlib import Path
from plastic.data import store
def make():
    Path(sys.argv[1] + ".part").write_bytes(b"half a file")
    print("holding", flush=True)
    time.sleep(60)
store.arrays_of(Path(sys.argv[1]), make)
"""


def test_a_killed_process_leaves_neither_a_lock_nor_a_file(tmp_path):
    path = tmp_path / "tiny.h5"
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "holding\n"
        os.kill(holder.pid, signal.SIGKILL)
    assert not path.exists()
    assert_same(store.arrays_of(path, lambda: ARRAYS))
    assert_same(store.arrays_of(path, never))
