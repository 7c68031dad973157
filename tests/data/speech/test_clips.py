import shutil
import zlib

import h5py
import numpy as np
import pytest

from plastic import files
from plastic.data.speech import clips
from plastic.errors import PlasticError
from plastic.files import UnusableError

RATE = 40
DATA = np.random.default_rng(0).integers(-(2**15), 2**15, (5, RATE)).astype(np.int16)
NAMES = [f"word/{'x' * i}.wav" for i in range(5)]
NOISE = [np.arange(50, dtype=np.int16), np.arange(-60, 10, dtype=np.int16)]


def write(path, data=DATA):
    clips.write(path, RATE, NAMES, [clips.checksum(clip) for clip in DATA], NOISE, iter(data))


@pytest.fixture
def path(tmp_path):
    write(tmp_path / "set.h5")
    return tmp_path / "set.h5"


def test_reads_clips_in_any_order_and_again(path):
    stored = clips.read(path)
    assert (stored.rate, stored.names) == (RATE, tuple(NAMES))
    for each, noise in zip(stored.noise, NOISE, strict=True):
        np.testing.assert_array_equal(each, noise, strict=True)
    rows = np.array([4, 0, 0, 2])
    np.testing.assert_array_equal(stored.read(rows), DATA[rows], strict=True)
    assert stored.read(rows[:0]).shape == (0, RATE)


def test_no_noise(tmp_path):
    clips.write(tmp_path / "set.h5", RATE, NAMES, [0] * 5, [], DATA)
    assert clips.read(tmp_path / "set.h5").noise == ()


def test_other_programs_can_read_it(path):
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["clips"][()], DATA, strict=True)
        assert file["checksums"][()].tolist() == [zlib.crc32(clip.tobytes()) for clip in DATA]
        assert [name.decode() for name in file["names"]] == NAMES
        assert file["noise_lengths"][()].tolist() == [50, 70]


def test_every_damaged_byte_is_noticed(path):
    """Where it is in a clip, when that is read; everywhere else at once."""
    whole, start = path.read_bytes(), clips.read(path).start
    for position in range(0, len(whole), 11):
        path.write_bytes(whole[:position] + bytes((whole[position] ^ 0x81,)) + whole[position + 1 :])
        row = (position - start) // (2 * RATE)
        if not 0 <= row < len(DATA):
            with pytest.raises(UnusableError, match=r"set\.h5 is damaged or of another format: "):
                clips.read(path)
            continue
        stored = clips.read(path)
        others = [each for each in range(5) if each != row]
        np.testing.assert_array_equal(stored.read(others), DATA[others])
        with pytest.raises(PlasticError, match=rf"{path} is damaged at {NAMES[row]}; delete it, and it is made again"):
            stored.read([row])


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"!", lambda data: data[512:]])
def test_a_file_of_another_length(path, change):
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(UnusableError, match=r"set\.h5 is damaged"):
        clips.read(path)


def test_a_file_cut_short_while_in_use(path):
    stored = clips.read(path)
    path.write_bytes(path.read_bytes()[: stored.start + RATE])
    with pytest.raises(PlasticError, match=r"is damaged at word/\.wav"):
        stored.read([0])
    path.unlink()
    with pytest.raises(PlasticError, match=r"cannot read .*: No such file"):
        stored.read([0])


def test_its_repr_is_one_line(path):
    assert repr(clips.read(path)) == "Clips of set.h5: 5 at 40 Hz"


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(UnusableError, match=r"set\.h5 is not there$"):
        clips.read(tmp_path / "set.h5")
    with pytest.raises(PlasticError, match="Is a directory"):
        clips.read(tmp_path)


def test_a_file_of_another_format(path, monkeypatch):
    monkeypatch.setattr(clips, "FORMAT", clips.FORMAT + 1)
    with pytest.raises(UnusableError, match=r"has another format, \d+, than the \d+ of this version$"):
        clips.read(path)


@pytest.mark.parametrize(
    "change",
    [
        {"rate": 0},
        {"rate": -RATE},
        {"rate": 2**62},
        {"rate": "x"},
        {"names": np.array([b"\xff"] * 5)},
        {"names": np.ones(5)},
        {"checksums": np.zeros(4, np.uint32)},
        {"checksums": np.zeros((5, 1), np.uint32)},
        {"checksums": np.zeros(5)},
        {"checksums": np.uint32(0)},
        {"noise": np.zeros(120)},
        {"noise": np.int16(0)},
        {"noise": np.zeros(119, np.int16)},
        {"noise_lengths": np.array([-50, 170])},
        {"noise_lengths": np.array([50.5, 69.5])},
        {"noise_lengths": np.array([50])},
    ],
)
def test_a_sealed_file_of_something_else(path, change):
    arrays, attributes, _ = files.read_around(path)
    attributes |= {name: value for name, value in change.items() if name == "rate"}
    arrays |= {name: value for name, value in change.items() if name != "rate"}
    files.stream_hdf5(path, arrays, "clips", DATA.shape, DATA, **attributes)
    with pytest.raises(UnusableError, match="does not hold clips as this version lays them out"):
        clips.read(path)


def test_equal_clips_give_equal_files_over_what_was_left_behind(path):
    whole = path.read_bytes()
    path.with_name(".set.h5.part").write_bytes(b"left by a killed process")
    write(path)
    assert path.read_bytes() == whole
    assert [each.name for each in path.parent.iterdir()] == ["set.h5"]


def test_a_failure_half_way_leaves_what_was_there(path):
    whole = path.read_bytes()

    def breaks():
        yield DATA[0]
        raise PlasticError("the archive is damaged")

    with pytest.raises(PlasticError, match="the archive is damaged"):
        write(path, breaks())
    assert path.read_bytes() == whole
    assert [each.name for each in path.parent.iterdir()] == ["set.h5"]


def test_a_full_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 0, 100))
    with pytest.raises(PlasticError, match=rf"cannot write to {tmp_path}: .* GB are needed and 0.0 GB are free"):
        write(tmp_path / "set.h5")
    assert not list(tmp_path.iterdir())
