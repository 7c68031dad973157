import io
import os
import struct
import subprocess
import sys
import zipfile
import zlib

import numpy as np
import pytest

from plastic import data, system
from plastic.errors import PlasticError


def arrays(**changed):
    plain = {
        "x_train": np.array([[0.0, -4.0], [1.0, 2.0], [3.0, 1.0]]),
        "y_train": np.array([0, 2, 1]),
        "x_test": np.array([[8.0, 0.0], [1.0, 1.0]]),
        "y_test": np.array([1, 3]),
    }
    return plain | changed


@pytest.fixture
def load(tmp_path):
    def save_and_load(values, **options):
        path = tmp_path / "mine.npz"
        np.savez(path, **values)
        return data.load(str(path), **options)

    return save_and_load


def test_own_arrays(load, tmp_path):
    dataset = load(arrays(), dtype="float64")
    assert dataset.name == str(tmp_path / "mine.npz") and dataset.validation is None
    np.testing.assert_array_equal(dataset.train[0], [[0, -1], [0.25, 0.5], [0.75, 0.25]])  # over max |x_train| = 4
    np.testing.assert_array_equal(dataset.test[0], [[2, 0], [0.25, 0.25]])
    np.testing.assert_array_equal(dataset.train[1], np.array([0, 2, 1]), strict=True)
    assert dataset.classes == 4  # the test set has one that the training set has not


@pytest.mark.parametrize("kind", [np.uint8, np.int8, bool, np.float32])
def test_labels_and_samples_of_any_real_type(load, kind):
    signs = np.array([[1, 0], [0, 1], [1, 1]]).astype(kind)
    dataset = load(arrays(x_train=signs, y_train=np.array([0, 1, 1]).astype(kind), y_test=np.array([1, 0])))
    assert dataset.train[1].tolist() == [0, 1, 1]
    assert dataset.train[1].dtype == np.int64
    assert dataset.train[0].dtype == np.float32


def test_the_most_negative_integer(load):
    dataset = load(arrays(x_train=np.array([[-128], [0], [64]], np.int8), x_test=np.array([[1], [2]])))
    assert dataset.train[0].ravel().tolist() == [-1, 0, 0.5]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x_test": np.array([[np.nan, 0], [1, 1]])}, "x_test has values that are not finite"),
        ({"x_train": np.array([[np.inf, 0], [1, 1], [0, 0]])}, "x_train has values that are not finite"),
        ({"y_train": np.array([0, 1, np.nan])}, "y_train has values that are not finite"),
        ({"x_train": np.array([[1j, 0], [1, 1], [0, 0]])}, "x_train has type complex128"),
        ({"x_train": np.array([["a", "b"]] * 3)}, "x_train has type <U1"),
        ({"x_train": np.array([[None, 1]] * 3)}, "cannot be read as an .npz file of plain arrays"),
        ({"y_test": np.array(["cat", "dog"])}, "y_test has type <U3"),
        ({"x_train": np.arange(3.0)}, "x_train has shape (3,); two axes"),
        ({"x_test": np.zeros((0, 2)), "y_test": np.zeros(0)}, "x_test has shape (0, 2); two axes"),
        ({"y_train": np.array([0, 1])}, "y_train has shape (2,); 3 samples need one label each"),
        ({"y_train": np.eye(3)}, "y_train has shape (3, 3); 3 samples need one label each"),
        ({"y_test": np.array([0, -1])}, "y_test has the label -1; labels are whole numbers from 0"),
        ({"y_test": np.array([0, 0.5])}, "y_test has the label 0.5"),
        ({"y_test": np.array([0, 1e30])}, "y_test has the label 1e+30"),
        ({"x_test": np.zeros((2, 3))}, "shapes (3, 2) and (2, 3)"),
        ({"x_train": np.zeros((3, 2))}, "max |x_train| is 0.0"),
        ({"x_train": np.full((3, 2), 1e300)}, "max |x_train| is inf in float32"),
        ({"x_test": np.full((2, 2), 1e300)}, "has to stay finite"),
        ({"x_train": np.full((3, 2), 1e-42)}, "max |x_train| is 1.0005"),
        ({"x_train": np.full((3, 2), 1e-30), "x_test": np.full((2, 2), 1e10)}, "has to stay finite"),
        ({"x_train": np.zeros((0, 2)), "y_train": np.zeros(0)}, "x_train has shape (0, 2); two axes"),
        ({"y_test": np.array([np.nan, 0])}, "y_test has values that are not finite"),
        ({"y_train": np.array([2, 2, 2])}, "y_train has no label but 2; there is nothing to learn from one class"),
        ({"y_train": np.array([False, False, False])}, "y_train has no label but 0"),
        ({"x_train": np.zeros(3, [("a", "f8")])}, "x_train has type [('a', '<f8')]; real numbers are needed"),
        ({"x_train": np.zeros((3, 2), "M8[s]")}, "x_train has type datetime64[s]"),
        ({"y_test": np.array(1)}, "y_test has shape (); 2 samples need one label each"),
        (
            {"y_train": np.array([1, 2, 3])},
            "classes run from 1 to 3, but no sample has 0; number the classes from 0 to 2",
        ),
        ({"y_train": np.array([0, 5, 2])}, "the labels of 5 classes run from 0 to 5, but no sample has 4; number"),
        ({"y_test": np.array([0, 65535])}, "but no sample has 3; number the classes from 0 to 3"),
        ({"y_test": np.array([0, 65536])}, "y_test has the label 65536; labels are whole numbers from 0 to 65535"),
    ],
)
def test_refuses_with_a_reason(load, changed, message):
    with pytest.raises(PlasticError) as error:
        load(arrays(**changed))
    assert message in str(error.value)
    assert "mine.npz" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["x_train", "y_train", "x_test", "y_test"])
def test_a_missing_array(load, name):
    values = arrays()
    del values[name]
    with pytest.raises(PlasticError, match=f"has no array {name}; it needs x_train, y_train, x_test, y_test"):
        load(values)


def test_a_missing_file(tmp_path):
    for function in (data.require, data.load):
        with pytest.raises(PlasticError, match=r"the data file .*nothing\.npz does not exist"):
            function(str(tmp_path / "nothing.npz"))


def one_array(path):
    with open(path, "wb") as file:
        np.save(file, np.zeros((3, 3)))


@pytest.mark.parametrize(
    "damage",
    [
        one_array,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"text"),
        lambda path: path.write_bytes(path.read_bytes()[:-50]),
        lambda path: path.write_bytes(path.read_bytes()[:200].ljust(250, b"?") + path.read_bytes()[250:]),
    ],
)
def test_a_damaged_file(tmp_path, damage):
    path = tmp_path / "mine.npz"
    np.savez(path, **arrays())
    damage(path)
    with pytest.raises(PlasticError, match=r"mine\.npz cannot be read as an .npz file of plain arrays"):
        data.load(path)


@pytest.mark.parametrize("scale", [1e-30, 1e-320])
def test_small_numbers_in_the_precision_asked_for(load, scale):
    values = arrays(x_train=scale * np.array([[1.0], [2.0], [-4.0]]), x_test=scale * np.ones((2, 1)))
    if scale == 1e-320:
        with pytest.raises(PlasticError, match=r"max \|x_train\| is .*e-320 in float64"):
            load(values, dtype="float64")
    else:
        np.testing.assert_allclose(load(values).train[0].ravel(), [0.25, 0.5, -1], rtol=1e-6)


def test_one_test_sample_is_enough(load):
    assert len(load(arrays(x_test=np.ones((1, 2)), y_test=np.array([1]))).test[0]) == 1


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"y_train": [0, 1, 2], "y_test": [0, 1]}, "3 classes 0 to 2, but no test samples of 2"),
        (
            {"y_train": [0, 1, 0], "y_test": [2, 1]},
            "3 classes 0 to 2, but no training samples of 2, and no test samples of 0",
        ),
        ({"y_train": [0, 1, 0], "y_test": [0, 1]}, ""),
        ({"y_train": [1, 0, 1], "y_test": [1, 0]}, ""),
    ],
)
def test_classes_without_samples_are_told(load, capsys, changed, said):
    load(arrays(**{name: np.array(y) for name, y in changed.items()}))
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == bool(said)
    assert not said or err.startswith("note: ")


def test_of_many_classes_without_samples_a_few_are_told(tmp_path, capsys):
    y = np.arange(300)
    np.savez(tmp_path / "mine.npz", x_train=np.ones((300, 1)), y_train=y, x_test=np.ones((2, 1)), y_test=y[:2])
    data.load(tmp_path / "mine.npz")
    assert "4, 5, 6, 7, 8, 9, 10, 11 and 288 more" in capsys.readouterr().err


def test_a_file_sorted_by_class_leaves_all_classes_for_training_and_for_validation(load):
    y = np.repeat([0, 1, 2], [4, 6, 10])
    dataset = load(arrays(x_train=np.arange(20.0)[:, None], y_train=y, x_test=np.ones((2, 1))), validation=0.25)
    np.testing.assert_array_equal(dataset.validation[0][:, 0] * 19, [3, 8, 9, 17, 18, 19])  # 1, 1.5 and 2.5 of them
    np.testing.assert_array_equal(np.bincount(dataset.train[1]), [3, 4, 7])


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_every_layout_and_type_is_read_as_numpy_reads_it(tmp_path, save):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 30, 40))  # more than is read at a time
    y = (np.arange(200) % 3).astype(">i2")
    kinds = {"x_train": np.asfortranarray(x), "x_test": x[::2].astype(">f4").transpose(0, 1, 2), "y_train": y}
    for kind in (np.float64, np.float16, np.longdouble, ">f8"):
        path = tmp_path / "mine.npz"
        save(path, **kinds | {"x_train": np.asfortranarray(x.astype(kind)), "y_test": y[::2].astype(np.uint64)})
        loaded = data.load(path, dtype="float64")
        expected = x.astype(kind).astype(np.float64)
        np.testing.assert_array_equal(loaded.train[0], expected / np.abs(expected).max())
        np.testing.assert_array_equal(loaded.test[1], y[::2])


# files that np.savez does not write


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def header(text, version=b"\1\0"):
    text = text.encode("latin1")
    size = struct.pack("<H" if version == b"\1\0" else "<I", len(text))
    return b"\x93NUMPY" + version + size + text


def archive(path, members, **options):
    with zipfile.ZipFile(path, "w", **options) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)


def crafted(path, **changed):
    archive(path, {name: npy(array) for name, array in arrays().items()} | changed)


DICT = "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }"
MEMBERS = {
    "no array": b"text",
    "nothing": b"",
    "a petabyte": header("{'descr': '<f8', 'fortran_order': False, 'shape': (10**5, 10**5, 10**5), }"),
    "a petabyte in digits": header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000, 2), }")
    + bytes(48),
    "beyond 64 bits": header("{'descr': '<f8', 'fortran_order': False, 'shape': (9" + "9" * 40 + ", 2), }"),
    "more than is there": header(DICT) + bytes(47),
    "less than is there": header(DICT) + bytes(49),
    "a negative shape": header("{'descr': '<f8', 'fortran_order': False, 'shape': (-3, -2), }") + bytes(48),
    "half a header": header(DICT)[:40],
    "an open bracket": header("{'descr': '<f8', 'shape': (3, 2"),
    "an open quote": header("{'descr': '<f8"),
    "no Python": header("{'descr': '<f8' 'fortran_order' False;}\n\t 5 = \\"),
    "code": header("__import__('os').system('true')"),
    "another type": header("[1, 2]"),
    "no such type": header(DICT.replace("<f8", "q?!")),
    "a type of commas": header(DICT.replace("<f8", ",,,")),
    "deep": header("(" * 5000 + ")" * 5000),
    "deep in two": header("-" * 60_000 + "1"),
    "a long header": header(" " * 60_000 + DICT),
    "version 9": header(DICT, b"\x09\0"),
    "bytes that are no text": header("\xff\0\1"),
    "objects": header("{'descr': '|O', 'fortran_order': False, 'shape': (3, 2), }") + b"cos\nsystem\n(S'true'\ntR.",
}


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("array", ["x_train", "y_test"])
def test_a_member_that_is_damaged_or_lies(tmp_path, name, array, recwarn):
    path = tmp_path / "mine.npz"
    crafted(path, **{array: MEMBERS[name]})
    with pytest.raises(
        PlasticError, match=rf"mine\.npz cannot be read as an \.npz file of plain arrays: {array} "
    ) as error:
        data.load(path)
    for advice in ("pickle", "secur", "adjust"):
        assert advice not in str(error.value)
    assert not recwarn.list


def test_an_array_by_its_bare_name_and_headers_of_old_are_read(tmp_path):
    old = header("{'descr': '<f8', 'fortran_order': False, 'shape': (3L, 2L), }") + npy(arrays()["x_train"])[-48:]
    crafted(tmp_path / "mine.npz", x_train=old)
    np.testing.assert_array_equal(data.load(tmp_path / "mine.npz").train[0], arrays()["x_train"] / 4)
    with zipfile.ZipFile(tmp_path / "bare.npz", "w") as file:
        for name, array in arrays().items():
            file.writestr(name, npy(array))
    np.testing.assert_array_equal(data.load(tmp_path / "bare.npz").train[0], arrays()["x_train"] / 4)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compression(tmp_path, method):
    archive(tmp_path / "mine.npz", {name: npy(array) for name, array in arrays().items()}, compression=method)
    with pytest.raises(PlasticError, match=rf"x_train is compressed by method {method}, as no \.npz file is"):
        data.load(tmp_path / "mine.npz")


def change_directory(path, at, value):
    """Write a value, a little-endian word, into every entry of the central directory, and of the local headers."""
    content = bytearray(path.read_bytes())
    for mark, shift in ((b"PK\1\2", 0), (b"PK\3\4", -2)):
        place = content.find(mark)
        while place >= 0:
            content[place + at + shift : place + at + shift + len(value)] = value
            place = content.find(mark, place + 4)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (8, b"\1\0", "x_train is encrypted"),
        (10, b"\x63\0", "x_train is compressed by method 99"),
        (24, struct.pack("<I", 2**31), "x_train claims 2,147,483,648 bytes, packed into"),
    ],
)
def test_an_archive_that_cannot_be_read(tmp_path, at, value, message):
    crafted(tmp_path / "mine.npz")
    change_directory(tmp_path / "mine.npz", at, value)
    with pytest.raises(PlasticError, match=r"mine\.npz cannot be read") as error:
        data.load(tmp_path / "mine.npz")
    assert message in str(error.value)


def test_a_member_that_ends_before_the_size_it_claims(tmp_path):
    content = header(DICT.replace("3", "6")) + bytes(48)
    archive(tmp_path / "mine.npz", {"x_train": content}, compression=zipfile.ZIP_DEFLATED)
    change_directory(tmp_path / "mine.npz", 24, struct.pack("<I", len(content) + 48))
    with zipfile.ZipFile(tmp_path / "mine.npz", "a") as file:
        for name in ("y_train", "x_test", "y_test"):
            file.writestr(f"{name}.npy", npy(arrays()[name]))
    with pytest.raises(PlasticError, match="x_train ends too early"):
        data.load(tmp_path / "mine.npz")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    """A megabyte of zeros takes a kilobyte; what does not fit the memory is not begun."""
    values = arrays(x_train=np.zeros((3, 10**6)), x_test=np.zeros((2, 10**6)))
    np.savez_compressed(tmp_path / "mine.npz", **values)
    assert os.path.getsize(tmp_path / "mine.npz") < 10**5
    monkeypatch.setattr(system, "free_memory", lambda: 5e7)
    monkeypatch.setattr(zipfile.ZipFile, "open", None)
    with pytest.raises(PlasticError, match=r"mine\.npz needs 0\.1 GB of memory, but only 0\.1 GB are free"):
        data.load(tmp_path / "mine.npz")


def test_what_does_not_fit_the_memory_after_all(tmp_path, monkeypatch):
    crafted(tmp_path / "mine.npz")

    def full(*_):
        raise MemoryError

    monkeypatch.setattr(np, "empty", full)
    with pytest.raises(PlasticError, match="plain arrays: it does not fit the memory"):
        data.load(tmp_path / "mine.npz")


def test_a_checksum_that_fails_while_the_header_is_read(tmp_path):
    empty = npy(np.zeros((0, 2)))
    crafted(tmp_path / "mine.npz", x_test=empty)
    content = (tmp_path / "mine.npz").read_bytes()
    checksum = struct.pack("<I", zlib.crc32(empty))
    assert content.count(checksum) == 2
    (tmp_path / "mine.npz").write_bytes(content.replace(checksum, b"1234"))
    with pytest.raises(PlasticError, match=r"plain arrays: Bad CRC-32 for file 'x_test\.npy'"):
        data.load(tmp_path / "mine.npz")


def test_random_damage_is_never_a_traceback(tmp_path):
    path = tmp_path / "mine.npz"
    for save in (np.savez, np.savez_compressed):
        save(path, **arrays())
        whole = path.read_bytes()
        rng = np.random.default_rng(1)
        refused = 0
        for _ in range(1500):
            content = bytearray(whole)
            for place in rng.integers(len(whole), size=rng.integers(1, 4)):
                content[place] = rng.integers(256)
            path.write_bytes(content)
            try:
                data.load(path)
            except PlasticError as error:
                refused += 1
                assert "\n" not in str(error)
        assert refused > 500


# names of files


def test_what_is_no_regular_file_is_told_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.npz")
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "device.npz").symlink_to("/dev/zero")
    for name in ("pipe", "folder", "device"):
        for function in (data.require, data.load):
            with pytest.raises(PlasticError, match=rf"the data file .*{name}\.npz is no regular file"):
                function(tmp_path / f"{name}.npz")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("x" * 300, "cannot be read: File name too long"),
        ("a\0b", "does not exist"),
        ("loop", "cannot be read: Too many"),
    ],
)
def test_names_that_cannot_be(tmp_path, name, message):
    (tmp_path / "loop.npz").symlink_to(tmp_path / "loop.npz")
    with pytest.raises(PlasticError, match=message):
        data.load(f"{tmp_path}/{name}.npz")


def test_a_file_that_may_not_be_read(tmp_path):
    """Run as nobody, whom permissions bind."""
    crafted(tmp_path / "mine.npz")
    (tmp_path / "mine.npz").chmod(0)
    code = """if True:
        import os, sys
        from plastic import data
        from plastic.data import npz
        from plastic.errors import PlasticError
        if os.getuid() == 0:
            os.setuid(65534)
        try:
            npz.read(sys.argv[1])
        except PlasticError as error:
            print(error)
    """
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "mine.npz"], capture_output=True, text=True)
    assert done.stdout.endswith("cannot be read as an .npz file of plain arrays: Permission denied\n"), done
