import gzip
import re
import tarfile
from pathlib import PurePosixPath

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plastic.data import archive
from plastic.errors import PlasticError

BODIES = {f"top/set/{i}.wav": np.random.default_rng(i).bytes(400 + 100 * i) for i in range(4)}


def is_wav(path):
    return path.suffix == ".wav"


def read(path, wanted=is_wav):
    return {str(name): data for name, data in archive.files(path, wanted)}


def refused(path, wanted=is_wav):
    """The message with which an archive is refused, which has one line and names the file."""
    with pytest.raises(PlasticError) as error:
        read(path, wanted)
    message = str(error.value)
    assert message.startswith(str(path)) and "\n" not in message
    return message


def test_reads_what_is_wanted_in_order(tar_gz):
    entries = {"top": None, "top/set": None, "top/README": b"?"} | BODIES
    found = list(archive.files(tar_gz(entries), is_wav))
    assert found == [(PurePosixPath(name), data) for name, data in BODIES.items()]


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_all_formats_of_tar(tmp_path, tar, format):
    path = tmp_path / "a.tar.gz"
    long = {} if format == tarfile.USTAR_FORMAT else {"a/" + "long" * 50 + ".wav": b"long"}
    path.write_bytes(gzip.compress(tar({"./a.wav": b"short", "a/b.wav": bytes(512)} | long, format)))
    assert read(path) == {"a.wav": b"short", "a/b.wav": bytes(512)} | long


def member(name, type, size=0):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = type, "a.wav", size
    return info


@pytest.mark.parametrize("name", ["../a.wav", "/etc/a.wav", "a/../../b.wav", ".."])
@pytest.mark.parametrize("content", [b"bad", None])
def test_paths_that_lead_out(tar_gz, name, content):
    path = tar_gz({"good.wav": b"", name: content})
    assert f"refused: its member {name!r} leads out of its folder" in refused(path)


@pytest.mark.parametrize(
    "type",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        tarfile.GNUTYPE_SPARSE,
        b"Z",
    ],
)
def test_links_and_special_files_even_where_not_wanted(tar_gz, type):
    path = tar_gz({"good.wav": b"", "bad": member("bad", type)})
    assert "refused: its member 'bad' is a link or a special file" in refused(path)


def test_a_member_that_claims_too_much(tar_gz):
    path = tar_gz({"bad": member("bad", tarfile.REGTYPE, 10**12)})
    assert "'bad' claims to hold 1,000,000,000,000 bytes" in refused(path)


def test_a_bomb_of_many_members(tar_gz, monkeypatch):
    path = tar_gz({f"{i}": bytes(100_000) for i in range(100)})
    assert path.stat().st_size < 100_000
    assert read(path) == {}
    monkeypatch.setattr(archive, "_WHOLE", 5_000_000)
    assert "it unpacks to more than 5,000,000 bytes" in refused(path)


def test_a_bomb_after_the_end(tmp_path, tar, monkeypatch):
    path = tmp_path / "bomb.tar.gz"
    monkeypatch.setattr(archive, "_WHOLE", 5_000_000)
    path.write_bytes(gzip.compress(tar(BODIES) + bytes(10_000_000)))
    assert "it unpacks to more than 5,000,000 bytes" in refused(path)


@pytest.mark.parametrize("type", [b"x", b"g", b"L", b"K"])
@pytest.mark.parametrize("size", [2**30, -512, 2**62])
def test_extended_headers_that_claim_too_much(tmp_path, type, size):
    info = member("header", type)
    info.size = size
    path = tmp_path / "bomb.tar.gz"
    path.write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20)))
    assert "bytes" in refused(path)


def test_a_member_of_negative_size_ends_the_reading(tmp_path):
    info = member("back", tarfile.REGTYPE, -1024)
    path = tmp_path / "back.tar.gz"
    path.write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024)))
    assert "claims to hold -1,024 bytes" in refused(path)


def test_a_long_chain_of_extended_headers(tmp_path):
    path = tmp_path / "chain.tar.gz"
    path.write_bytes(gzip.compress(member("header", b"x").tobuf(tarfile.USTAR_FORMAT) * 5000 + bytes(1024)))
    refused(path)


@pytest.mark.parametrize(
    "content", [b"", b"<html>", gzip.compress(b"", mtime=0), gzip.compress(b"text" * 500, mtime=0)]
)
def test_no_archive(tmp_path, content):
    path = tmp_path / "archive.tar.gz"
    path.write_bytes(content)
    assert "cannot be read as a .tar.gz archive: " in refused(path)


def test_a_missing_file_and_a_folder(tmp_path):
    assert refused(tmp_path / "none.tar.gz").endswith("No such file or directory")
    assert refused(tmp_path).endswith("Is a directory")


def test_every_truncation_is_noticed(tar_gz):
    path = tar_gz(BODIES)
    whole = path.read_bytes()
    for n in range(0, len(whole), 7):
        path.write_bytes(whole[:n])
        refused(path)


def test_every_damaged_byte_is_noticed_or_does_no_harm(tar_gz):
    path = tar_gz(BODIES)
    whole = path.read_bytes()
    harmless = 0  # in the header of gzip (a date, say), and in the few bits that end a block
    for position in range(0, len(whole), 5):
        path.write_bytes(whole[:position] + bytes((whole[position] ^ 0x41,)) + whole[position + 1 :])
        try:
            assert read(path) == BODIES
            harmless += 1
        except PlasticError:
            refused(path)
    assert harmless < 10


def test_every_truncation_of_the_tar_archive_within_is_noticed(tmp_path, tar):
    whole = tar(BODIES)
    end = len(whole.rstrip(b"\0")) + 512
    path = tmp_path / "archive.tar.gz"
    for n in range(0, end, 128):
        path.write_bytes(gzip.compress(whole[:n], 1))
        refused(path)


@settings(max_examples=300)
@given(changes=st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), min_size=1, max_size=8))
def test_whatever_is_in_it_gives_files_or_one_line(tmp_path, tar, changes):
    data = bytearray(tar({"pax/é.wav": b"1"} | BODIES))
    for position, value in changes:
        data[position] = value
    path = tmp_path / "fuzzed.tar.gz"
    path.write_bytes(gzip.compress(bytes(data), 1))
    try:
        assert all(isinstance(name, PurePosixPath) for name, _ in archive.files(path, is_wav))
    except PlasticError as error:
        assert re.match(rf"{re.escape(str(path))} (is refused: its member|cannot be read as) ", str(error))
        assert "\n" not in str(error)
