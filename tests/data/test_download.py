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


# servers that mean no good


def test_a_connection_that_is_dropped_before_the_answer_is_tried_again(get, site):
    site.faults[f"/one/{FILE}"] = [("drop",), ("drop",), ("break", 10), ("drop",)]
    assert get() == [(f"/one/{FILE}", asked) for asked in (None, None, None, "bytes=10-", "bytes=10-")]


def test_a_server_that_always_drops_the_connection_is_given_up(get, site):
    site.faults[f"/one/{FILE}"] = [("drop",)] * 100
    assert get() == [(f"/one/{FILE}", None)] * 5 + [(f"/two/{FILE}", None)]


def test_nobody_is_asked_once(get, site, into, monkeypatch):
    asked = []
    monkeypatch.setattr(
        download, "_Request", lambda url, have, make=download._Request: asked.append(url) or make(url, have)
    )
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{unused.getsockname()[1]}"
    with pytest.raises(PlasticError, match="refused"):
        download.fetch("mnist", FILE, SHA256, [nobody], into)
    assert asked == [f"{nobody}/{FILE}"]


@pytest.mark.parametrize(
    "place",
    [
        "http://[",
        "http://[::1",
        "http://a b:99999/",
        "http://x:port/",
        "http://" + "a" * 300 + "/",
        "http://..../",
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "http://127.0.0.1:0/",
        "\udcff://x",
    ],
)
def test_a_redirect_to_what_is_no_address(get, site, place):
    site.faults[f"/one/{FILE}"] = [("raw", b"HTTP/1.0 302 Found\r\nLocation: " + os.fsencode(place) + b"\r\n\r\n")]
    assert get() == [(f"/one/{FILE}", None), (f"/two/{FILE}", None)]


def test_a_mirror_that_is_no_address(get, monkeypatch):
    monkeypatch.setenv("PLASTIC_MIRROR", "http://[")
    assert get() == [(f"/one/{FILE}", None)]


def test_redirects_are_followed_and_not_for_ever(get, site):
    site.faults[f"/one/{FILE}"] = [("redirect", f"/two/{FILE}")]
    assert get() == [(f"/one/{FILE}", None), (f"/two/{FILE}", None)]


def test_redirects_in_a_circle(get, site):
    site.faults[f"/one/{FILE}"] = [("redirect", f"/one/{FILE}")] * 100
    assert get()[-1] == (f"/two/{FILE}", None)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"no HTTP at all\r\n\r\n",
        b"HTTP/1.0 abc OK\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: many\r\n\r\nxyz",
        b"HTTP/1.0 200 OK\r\nContent-Length: -5\r\n\r\nxyz",
        b"HTTP/1.0 200 OK\r\nContent-Length: 5, 7\r\n\r\nxyz",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nxyz",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nxyz",
        b"HTTP/1.0 200 OK\r\n" + b"x: y\r\n" * 1000 + b"\r\nxyz",
        b"HTTP/1.0 200 OK\r\nx: " + b"y" * 100_000 + b"\r\n\r\nxyz",
    ],
)
def test_an_answer_that_is_none(get, site, answer):
    site.faults[f"/one/{FILE}"] = [("raw", answer)] * 5
    assert get()[-1][0] == f"/two/{FILE}"


def failure(into, *mirrors, **options):
    with pytest.raises(PlasticError) as error:
        download.fetch("mnist", FILE, SHA256, mirrors, into, **options)
    return str(error.value)


def test_what_a_server_says_never_reaches_the_terminal_as_it_is(site, into):
    site.faults[f"/{FILE}"] = [("raw", b"HTTP/1.0 503 \x1b]0;owned\x07\x9b31m " + b"x" * 10_000 + b"\r\n\r\n")]
    message = failure(into, site.url)
    assert r"(503 \x1b]0;owned\x07\x9b31m xxx" in message and message.isprintable() and len(message) < 1000


def test_no_more_is_taken_than_the_catalogue_knows_of(site, into):
    site.files[f"/{FILE}"] = BODY
    assert "more than the 75,000 bytes that are expected at most" in failure(into, site.url, megabytes=0.05)
    assert not list(into.iterdir())  # it was refused by its length
    site.faults[f"/{FILE}"] = [("endless",)]
    assert "more than the 1,500,000 bytes that are expected at most" in failure(into, site.url, megabytes=1)
    assert sum(each.stat().st_size for each in into.iterdir()) == 0
    assert download.fetch("mnist", FILE, SHA256, [site.url], into, 0.07).read_bytes() == BODY


def test_a_part_that_grows_too_large(site, into):
    leave_part(into, b"y" * 200_000)
    site.files[f"/{FILE}"] = BODY
    assert download.fetch("mnist", FILE, SHA256, [site.url], into, 0.1).read_bytes() == BODY
    assert site.log == [(f"/{FILE}", None)]


def test_a_mirror_of_ones_own_that_is_too_large(get, tmp_path, monkeypatch):
    monkeypatch.setenv("PLASTIC_MIRROR", str(tmp_path))
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / FILE).touch()
    os.truncate(tmp_path / "mnist" / FILE, 10**13)
    assert len(get()) == 1


@pytest.mark.parametrize("head", [b"", b"HTTP/1.0 200 OK\r\nContent-Length: 100000\r\n\r\n"])
def test_a_server_that_sends_a_byte_now_and_then_is_left(get, site, monkeypatch, head):
    """Each byte comes before the timeout; all of them would take hours."""
    monkeypatch.setattr(download, "_GRACE", 2)  # which the other server needs, too, where the machine is busy
    drip = [head, *(bytes([each]) for each in b"HTTP/1.0 200 OK\r\n" + BODY)]
    site.faults[f"/one/{FILE}"] = [("pieces", drip, 0.02)]
    assert get() == [(f"/one/{FILE}", None), (f"/two/{FILE}", None)]


def test_a_slow_server_is_told(site, into, monkeypatch):
    monkeypatch.setattr(download, "_GRACE", 0.2)
    site.faults[f"/{FILE}"] = [("pieces", [b"x"] * 1000, 0.02)]
    assert "(too slow: 0 bytes in 0 s)" in failure(into, site.url)


def test_a_server_as_slow_as_the_slowest_is_waited_for(get, site, monkeypatch):
    monkeypatch.setattr(download, "_GRACE", 0.5)
    monkeypatch.setattr(download, "_PIECE", 1000)
    head = b"HTTP/1.0 200 OK\r\nContent-Length: 100000\r\n\r\n"
    pieces = [head, *(BODY[i : i + 1000] for i in range(0, len(BODY), 1000))]
    monkeypatch.setattr(download, "_SLOWEST", 20_000)  # it sends 1,000 bytes in 1/50 s at most
    site.faults[f"/one/{FILE}"] = [("pieces", pieces, 0.015)]
    assert get() == [(f"/one/{FILE}", None)]


# what lies in the way


@pytest.mark.parametrize("kind", ["link", "pipe"])
@pytest.mark.parametrize("mirror", [False, True])
def test_nothing_is_written_through_what_lies_in_the_way(get, into, tmp_path, monkeypatch, kind, mirror):
    victim = tmp_path / "victim"
    victim.write_bytes(BODY[:1000])
    into.mkdir(parents=True)
    part = into / f"{FILE}.part"
    part.symlink_to(victim) if kind == "link" else os.mkfifo(part)
    if mirror:
        monkeypatch.setenv("PLASTIC_MIRROR", str(tmp_path / "own"))
        (tmp_path / "own" / "mnist").mkdir(parents=True)
        (tmp_path / "own" / "mnist" / FILE).write_bytes(BODY)
    assert get() == ([] if mirror else [(f"/one/{FILE}", None)])
    assert victim.read_bytes() == BODY[:1000]


@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_a_file_in_place_that_is_none(site, into, kind):
    into.mkdir(parents=True)
    (into / FILE).mkdir() if kind == "folder" else os.mkfifo(into / FILE)
    assert f"{into / FILE} is no regular file; remove it" in failure(into, site.url)


def test_a_mirror_of_a_user_without_a_home(into, monkeypatch):
    monkeypatch.setenv("PLASTIC_MIRROR", "~/mirror")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert "PLASTIC_MIRROR is '~/mirror', but no home folder is known" in failure(into)


def test_a_proxy_that_does_not_answer_is_named(into, monkeypatch):
    """On a cluster the proxy is what is wrong, and not the mirror; nothing is left of the words of urllib3."""
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(PlasticError, match=r"\(the proxy: Failed to establish a new connection: [^()\"']*\)\. Put the"):
        download.fetch("set", FILE, "0" * 64, ["https://a.example/set"], into)
