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

from plastic import files, system, xp
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


def leave_behind(path):
    """Leave what a process leaves that is killed while it writes a file."""
    with system.temporary(path) as (part, file):
        file.write(b"x" * 10_000)
        file.flush()
        os.link(part, part.with_name(part.name.replace(".part", "~.part")))
    return part.with_name(part.name.replace(".part", "~.part"))


def test_what_a_killed_process_left_is_removed(tmp_path):
    (tmp_path / ".set.h5.part").write_bytes(b"x" * 10_000)  # of an earlier version
    leave_behind(tmp_path / "set.h5")
    stream(tmp_path / "set.h5")
    assert [each.name for each in tmp_path.iterdir()] == ["set.h5"]
    other = leave_behind(tmp_path / "other.h5")
    stream(tmp_path / "set.h5")
    files.remove_temporary(tmp_path, "set.h5")
    assert other.exists()
    files.remove_temporary(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["set.h5"]


@pytest.mark.parametrize("name", WRITERS)
def test_no_link_is_followed_from_a_temporary_name(tmp_path, monkeypatch, name):
    """Somebody who may write to the folder puts a link where the temporary file will be."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    tokens = ["guessed", "guessed", "other"]
    monkeypatch.setattr(system.secrets, "token_hex", lambda _: tokens.pop(0))
    for guess in (".a.guessed.part", f".a.{os.getpid()}.part", ".a.other.part"[:7]):
        (tmp_path / guess).symlink_to(victim)
    if name == "stream_hdf5":  # removes them first, being told that no other process writes the file
        tokens[:2] = []
    WRITERS[name](tmp_path / "a")
    assert victim.read_bytes() == b"precious" and not (tmp_path / "a").is_symlink()


def test_a_name_as_long_as_names_can_be(tmp_path):
    path = tmp_path / ("ä" * 127)
    for write in WRITERS.values():
        write(path)
    assert list(tmp_path.iterdir()) == [path]
    for long in (tmp_path / ("x" * 300), tmp_path / "y" / ("x" * 300)):
        for write in WRITERS.values():
            with pytest.raises(PlasticError, match=r"cannot write .*(File name too long|No such file)"):
                write(long)
        for read in (files.read_hdf5, files.read_around, files.read_json):
            with pytest.raises(PlasticError, match=r"cannot read .*File name too long|is not there|No such file"):
                read(long)


@pytest.mark.parametrize("read", [files.read_hdf5, files.read_around, files.read_json])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, read):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(PlasticError, match=f"cannot read {path}: it is no regular file"):
            read(path)
    with pytest.raises(PlasticError, match="embedded null byte"):
        read("a\0b")


def test_nothing_is_written_through_a_link_or_into_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "victim")
    for mode in ("wb", "ab", "rb+"):
        with pytest.raises(OSError, match="it is a symbolic link"):
            system.open_regular(tmp_path / "link", mode)
        with pytest.raises(OSError, match="pipe"):
            system.open_regular(tmp_path / "pipe", mode)
    assert not (tmp_path / "victim").exists()


def test_the_order_of_a_dict_is_no_content(tmp_path):
    for name, arrays in (("a", ARRAYS), ("b", dict(reversed(ARRAYS.items())))):
        files.write_hdf5(tmp_path / name, arrays, **dict(sorted({"z": 1, "c": "2"}.items(), reverse=name == "b")))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


# crafted files: sealed, and not of our making


SECRET = b"what another file holds"


def external(file, path):
    (path.parent / "secret").write_bytes(SECRET)
    file.create_dataset("x", (len(SECRET),), "u1", external=[(str(path.parent / "secret"), 0, len(SECRET))])


def external_link(file, path):
    with h5py.File(path.parent / "other.h5", "w") as other:
        other["x"] = np.ones(3)
    file["x"] = h5py.ExternalLink(str(path.parent / "other.h5"), "/x")


def soft_link(file, _):
    file["y"] = np.ones(3)
    file["deep/x"] = h5py.SoftLink("/y")


def virtual(file, path):
    with h5py.File(path.parent / "other.h5", "w") as other:
        other["x"] = np.ones(3)
    layout = h5py.VirtualLayout((3,), "f8")
    layout[:] = h5py.VirtualSource(str(path.parent / "other.h5"), "x", shape=(3,))
    file.create_virtual_dataset("x", layout)


def second_name(file, _):
    file["x"] = np.ones(3)
    file["y"] = file["x"]


def circle(file, _):
    file.create_group("c")
    file["c/b"] = file["c"]


def late(file, _):
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_alloc_time(h5py.h5d.ALLOC_TIME_LATE)
    h5py.h5d.create(file.id, b"x", h5py.h5t.IEEE_F64LE, h5py.h5s.create_simple((10**15,)), plan)


def reference_attribute(file, _):
    file["x"] = np.ones(3)
    file.attrs["x"] = file["x"].ref


CRAFTED = {
    "external storage": (external, "x lies in another file"),
    "external link": (external_link, "x is a link"),
    "soft link": (soft_link, "deep/x is a link"),
    "virtual": (virtual, "x lies in another file"),
    "compound": (lambda file, _: file.create_dataset("x", (3,), [("a", "f8"), ("b", "i4")]), "x holds "),
    "complex": (lambda file, _: file.create_dataset("x", (3,), "c16"), "x holds complex"),
    "text of any length": (lambda file, _: file.create_dataset("x", (3,), h5py.string_dtype()), "x holds object"),
    "lists": (lambda file, _: file.create_dataset("x", (3,), h5py.vlen_dtype("f8")), "x holds object"),
    "references": (lambda file, _: file.create_dataset("x", (3,), h5py.ref_dtype), "x holds object"),
    "nothing": (lambda file, _: file.create_dataset("x", data=h5py.Empty("f8")), "x holds float64"),
    "compressed": (lambda file, _: file.create_dataset("x", data=np.zeros(10**6), compression=9), "not stored in one"),
    "claims a petabyte": (late, "not stored in one"),
    "two names": (second_name, "an object under two names"),
    "a circle": (circle, "an object under two names"),
    "a type": (lambda file, _: file.__setitem__("x", np.dtype("f8")), "x is no dataset"),
    "a list as attribute": (lambda file, _: file.attrs.update(x=[1, 2]), "the attribute x is neither"),
    "a reference as attribute": (reference_attribute, "the attribute x is neither"),
}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("name", CRAFTED)
def test_a_crafted_file_is_refused(tmp_path, name, streamed):
    craft, message = CRAFTED[name]
    path = tmp_path / "set.h5"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["a"] = np.arange(100, dtype="<i2")
        start = file["a"].id.get_offset()
        craft(file, path)
    with open(path, "rb+") as file:
        files.sealed._write_seal(file, *((start, start + 200) if streamed else ()))
    for read in (files.read_hdf5, files.read_around):
        with pytest.raises(
            files.UnusableError, match=r"set\.h5 is refused, since plastic wrote no such file: "
        ) as error:
            read(path)
        assert message in str(error.value)


def test_datasets_that_overlap_are_not_read(tmp_path):
    """Small files could stand for large arrays."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["x0"] = np.ones(1000)
        address = struct.pack("<Q", file["x0"].id.get_offset() - 512)
        for name in (b"x1", b"x2", b"x3"):
            plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            plan.set_alloc_time(h5py.h5d.ALLOC_TIME_LATE)
            h5py.h5d.create(file.id, name, h5py.h5t.IEEE_F64LE, h5py.h5s.create_simple((1000,)), plan)
    data, size = path.read_bytes(), struct.pack("<Q", 8000)
    assert data.count(b"\xff" * 8 + size) == 3  # they have no address yet
    path.write_bytes(data.replace(b"\xff" * 8 + size, address + size))
    with h5py.File(path) as file:  # HDF5 itself finds nothing wrong
        assert all((file[f"x{i}"][()] == 1).all() for i in range(4))
    with open(path, "rb+") as file:
        files.sealed._write_seal(file)
    with pytest.raises(files.UnusableError, match=r"wrote no such file: its datasets are larger than the file"):
        files.read_hdf5(path)


def test_sealed_rubbish_is_unusable(tmp_path):
    files.write_hdf5(tmp_path / "a.h5", ARRAYS)
    data = (tmp_path / "a.h5").read_bytes()
    for rubbish in (b"", data[512:700], b"\0" * 1000):
        (tmp_path / "a.h5").write_bytes(b"\0" * 512 + rubbish)
        with open(tmp_path / "a.h5", "rb+") as file:
            files.sealed._write_seal(file)
        with pytest.raises(files.UnusableError, match="wrote no such file"):
            files.read_hdf5(tmp_path / "a.h5")


def test_a_file_larger_than_the_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    files.write_hdf5(tmp_path / "a.h5", ARRAYS)
    os.truncate(tmp_path / "a.h5", 10**13)  # takes no room on the disk
    with pytest.raises(PlasticError, match=r"a\.h5 needs 10,000\.0 GB of memory, but only .* GB are free"):
        files.read_hdf5(tmp_path / "a.h5")
    (tmp_path / "b.h5").touch()
    os.truncate(tmp_path / "b.h5", 10**13)
    with pytest.raises(files.UnusableError, match=r"b\.h5 is damaged or of another format"):
        files.read_hdf5(tmp_path / "b.h5")


# the home folder, and text of others in messages


@pytest.mark.parametrize("path", ["~", "~/x", "~nobody-of-this-name/x"])
def test_a_home_that_is_not_there_makes_no_folder_of_its_name(tmp_path, monkeypatch, path):
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(system.os.path, "expanduser", lambda path: path)  # as where no user has this number
    with pytest.raises(PlasticError, match=r"PLASTIC_X is '~.*', but no home folder is known for ~.*; write .* \./~"):
        system.expanded(path, "PLASTIC_X")
    with pytest.raises(PlasticError, match=r"results is .a.x00b.; no path holds a zero byte"):
        system.expanded("a\0b", "results")
    assert system.expanded("./~/x", "PLASTIC_X") == system.pathlib.Path("~/x")


def test_a_home_that_is_there(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert system.expanded("~/x", "it") == tmp_path / "x" and system.expanded("a/~", "it").parts == ("a", "~")


def test_messages_show_what_does_not_print():
    error = PlasticError("503 \x1b]0;owned\x07 \u202egnp.exe \udcff\n\n\r\x9b1m é")
    assert str(error) == r"503 \x1b]0;owned\x07 \u202egnp.exe \udcff   \x9b1m é"
    assert str(PlasticError(str(error))) == str(error)
    assert str(files.UnusableError("a\x1b", "is not there")) == r"a\x1b is not there"


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
