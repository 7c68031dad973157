import gzip
import os
import struct

import numpy as np
import pytest

from plastic import system
from plastic.data import idx
from plastic.errors import PlasticError

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
HEADER = bytes((0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4))
CONTENT = HEADER + IMAGES.tobytes()


def write(tmp_path, content, compress=gzip.compress):
    path = tmp_path / "images.gz"
    path.write_bytes(compress(content))
    return path


def test_reads_images_and_labels(tmp_path):
    np.testing.assert_array_equal(idx.read(write(tmp_path, CONTENT), 3), IMAGES)
    labels = idx.read(write(tmp_path, struct.pack(">II5B", 0x801, 5, 7, 0, 9, 1, 1)), 1)
    np.testing.assert_array_equal(labels, [7, 0, 9, 1, 1])
    assert labels.dtype == np.uint8


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (CONTENT[:-1], "2 x 3 x 4 bytes, but there are 23"),
        (CONTENT + b"\0", "2 x 3 x 4 bytes, but there are 25"),
        (HEADER[:10], "ends within its header"),
        (b"", "ends within its header"),
        (HEADER[:7] + b"\3" + CONTENT[8:], "3 x 3 x 4 bytes, but there are 24"),
        (b"\0\0\x0d\3" + CONTENT[4:], "starts with 00 00 0d 03"),  # floats
        (b"\0\0\x08\1" + CONTENT[4:], "starts with 00 00 08 01"),  # labels where images are due
    ],
)
def test_refuses_other_content(tmp_path, content, message):
    path = write(tmp_path, content)
    with pytest.raises(PlasticError, match=message) as error:
        idx.read(path, 3)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-9],  # within the compressed bytes
        lambda data: data[:-4],  # within the closing length
        lambda data: data[:5],
        lambda data: data[:-8] + bytes((data[-8] ^ 1,)) + data[-7:],  # the checksum
        lambda data: data + b"rubbish",
        lambda data: b"<html>not found</html>",
    ],
)
def test_refuses_damaged_gzip(tmp_path, damage):
    path = write(tmp_path, CONTENT, lambda content: damage(gzip.compress(content)))
    with pytest.raises(PlasticError, match=r"images\.gz is not a whole gzip file"):
        idx.read(path, 3)


def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch):
    """A gigabyte of zeros takes a megabyte of gzip."""
    bomb = gzip.compress(HEADER + bytes(50_000_000))
    (tmp_path / "images.gz").write_bytes(bomb)
    with pytest.raises(PlasticError, match="2 x 3 x 4 bytes, but there are 1,048,600 or more"):
        idx.read(tmp_path / "images.gz", 3)
    claims = struct.pack(">4B3I", 0, 0, 8, 3, 60_000, 60_000, 60_000)
    (tmp_path / "images.gz").write_bytes(gzip.compress(claims + bytes(1000)))
    with pytest.raises(PlasticError, match=r"60000 x 60000 x 60000 bytes, but there are .* at most"):
        idx.read(tmp_path / "images.gz", 3)
    claims = struct.pack(">4B3I", 0, 0, 8, 3, 50, 1000, 1000)
    (tmp_path / "images.gz").write_bytes(gzip.compress(claims + bytes(50_000_000)))
    monkeypatch.setattr(system, "free_memory", lambda: 4e7)
    with pytest.raises(PlasticError, match=r"images\.gz needs 0\.1 GB of memory, but only 0\.0 GB are free"):
        idx.read(tmp_path / "images.gz", 3)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "images.gz")
    with pytest.raises(PlasticError, match="no regular file"):
        idx.read(tmp_path / "images.gz", 3)


def test_a_missing_file(tmp_path):
    with pytest.raises(PlasticError, match=r"nothing\.gz is missing"):
        idx.read(tmp_path / "nothing.gz", 1)
