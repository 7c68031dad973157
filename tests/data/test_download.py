import errno
import hashlib
import os
import socket

import numpy as np
import pytest

from plastic.data import download
from plastic.errors import PlasticError

BODY = np.random.default_rng(0).bytes(100_000)
SHA256 = hashlib.sha256(BODY).hexdigest()
FILE = "train-images.gz"


@pytest.fixture
def into(tmp_path):
    return tmp_path / "raw" / "mnist"


@pytest.fixture
def get(site, into):
    """Fetch FILE from the mirrors one/ and two/ of the site, both of which hold it, and check what is in place then."""
    site.files |= {f"/one/{FILE}": BODY, f"/two/{FILE}": BODY}

    def fetch(digest=SHA256):
        path = download.fetch("mnist", FILE, digest, [f"{site.url}/one", f"{site.url}/two/"], into)
        assert path == into / FILE
        assert path.read_bytes() == BODY
        assert [each.name for each in into.iterdir()] == [FILE]
        return site.log

    return fetch


def leave_part(into, data):
    into.mkdir(parents=True)
    (into / f"{FILE}.part").write_bytes(data)


def test_fetches_once(get):
    assert get() == [(f"/one/{FILE}", None)]
    assert len(get()) == 1  # the file is there and right: nothing is asked for


def test_md5(get):
    get(hashlib.md5(BODY).hexdigest())


def test_goes_on_from_a_part(get, into):
    leave_part(into, BODY[:40_000])
    assert get() == [(f"/one/{FILE}", "bytes=40000-")]


def test_a_part_that_is_whole_needs_no_request(get, into):
    leave_part(into, BODY)
    assert get() == []


def test_goes_on_where_the_server_breaks_off(get, site):
    site.faults[f"/one/{FILE}"] = [("break", 30_000), ("break", 50_000), ("break", 0)]
    assert get() == [(f"/one/{FILE}", asked) for asked in (None, "bytes=30000-", "bytes=80000-", "bytes=80000-")]


def test_gives_a_server_up_that_always_breaks_off(get, site):
    site.faults[f"/one/{FILE}"] = [("break", 1)] * 100
    log = get()
    assert len([path for path, _ in log if path.startswith("/one")]) == 5
    assert log[-1] == (f"/two/{FILE}", "bytes=5-")


@pytest.mark.parametrize("beginning", [BODY[:40_000], b"something else"])
def test_a_server_that_ignores_ranges(get, site, into, beginning):
    leave_part(into, beginning)
    site.faults[f"/one/{FILE}"] = [("ignore range",)] * 9
    assert len(get()) == 1


def test_a_server_that_loses_its_place(get, site, into):
    leave_part(into, BODY[:40_000])
    site.faults[f"/one/{FILE}"] = [("wrong range",)]
    assert get() == [(f"/one/{FILE}", "bytes=40000-"), (f"/one/{FILE}", None)]


def test_a_part_longer_than_the_file(get, into):
    leave_part(into, BODY + b"more")
    assert get() == [(f"/one/{FILE}", "bytes=100004-"), (f"/one/{FILE}", None)]


def test_a_part_that_begins_wrongly(get, into):
    leave_part(into, b"x" * 40_000)
    assert get() == [(f"/one/{FILE}", "bytes=40000-"), (f"/one/{FILE}", None)]


def test_takes_the_bytes_as_they_are_sent(get, site):
    site.faults[f"/one/{FILE}"] = [("encoded",)]  # some servers call a .gz file an encoding of what is in it
    assert len(get()) == 1


@pytest.mark.parametrize("code", [404, 500, 403])
def test_the_next_mirror_when_one_refuses(get, site, code):
    site.faults[f"/one/{FILE}"] = [("status", code)]
    assert get() == [(f"/one/{FILE}", None), (f"/two/{FILE}", None)]


def test_the_next_mirror_when_one_has_wrong_bytes(get, site):
    site.files[f"/one/{FILE}"] = BODY[:-1] + b"!"
    assert get() == [(f"/one/{FILE}", None), (f"/two/{FILE}", None)]


@pytest.mark.parametrize("data", [b"", BODY[:1000], BODY + b"!"])
def test_a_damaged_file_in_place_is_fetched_again(get, into, data, capsys):
    into.mkdir(parents=True)
    (into / FILE).write_bytes(data)
    assert len(get()) == 1
    assert f"{into / FILE} has wrong bytes" in capsys.readouterr().err


def test_own_mirror_goes_first_as_url(get, site, monkeypatch):
    monkeypatch.setenv("PLASTIC_MIRROR", f"{site.url}/own/")
    site.files[f"/own/mnist/{FILE}"] = BODY
    assert get() == [(f"/own/mnist/{FILE}", None)]


def test_own_mirror_goes_first_as_folder(get, tmp_path, monkeypatch):
    monkeypatch.setenv("PLASTIC_MIRROR", str(tmp_path / "own"))
    (tmp_path / "own" / "mnist").mkdir(parents=True)
    (tmp_path / "own" / "mnist" / FILE).write_bytes(BODY)
    assert get() == []


@pytest.mark.parametrize("content", [None, BODY[:-1]])
def test_a_bad_own_mirror_is_passed_over(get, tmp_path, monkeypatch, content):
    monkeypatch.setenv("PLASTIC_MIRROR", str(tmp_path))
    if content:
        (tmp_path / "mnist").mkdir()
        (tmp_path / "mnist" / FILE).write_bytes(content)
    assert len(get()) == 1


def test_when_everything_fails_the_message_says_what_was_tried_and_what_to_do(site, into, tmp_path, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{unused.getsockname()[1]}"
    monkeypatch.setenv("PLASTIC_MIRROR", str(tmp_path / "own"))
    site.files[f"/wrong/{FILE}"] = b"wrong"
    site.files[f"/breaks/{FILE}"] = BODY
    site.faults[f"/breaks/{FILE}"] = [("break", 0)] * 9
    mirrors = [f"{site.url}/absent", f"{site.url}/wrong", f"{site.url}/breaks", nobody]
    with pytest.raises(PlasticError) as error:
        download.fetch("mnist", FILE, SHA256, mirrors, into)
    message = str(error.value)
    wrong = hashlib.sha256(b"wrong").hexdigest()
    assert "\n" not in message
    for each in (
        f"{tmp_path}/own/mnist/{FILE} (no such file)",
        f"/absent/{FILE} (404 Not Found)",
        f"/wrong/{FILE} (wrong bytes: sha256 {wrong})",
        f"/breaks/{FILE} (broke off",
        f"{nobody}/{FILE} (",
        "refused",
        f"by hand at {into / FILE} (sha256 {SHA256})",
        "PLASTIC_MIRROR",
        "glyphs needs no download",
    ):
        assert each in message
    assert not (into / FILE).exists()


def test_a_folder_that_cannot_be_made(site, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(PlasticError, match=f"cannot write to {tmp_path}/file/raw: Not a directory"):
        download.fetch("mnist", FILE, SHA256, [site.url], tmp_path / "file" / "raw")


def test_a_full_disk(get, into, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PlasticError, match=f"cannot write to {into}: No space left on device"):
        get()
    assert not (into / FILE).exists()
