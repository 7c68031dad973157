"""A web server on the loopback interface that misbehaves as told, small sets in the format of MNIST, and archives."""

import contextlib
import gzip
import hashlib
import http.server
import io
import itertools
import struct
import tarfile
import threading
import time

import numpy as np
import pytest

from plastic.data import download, glyphs

ENDLESS = itertools.chain([b"HTTP/1.0 200 OK\r\n\r\n"], itertools.repeat(b"x" * 50_000))
PREFIXES = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")


@pytest.fixture(autouse=True)
def _no_mirror_no_pause(monkeypatch):
    for name in ("PLASTIC_MIRROR", "PLASTIC_DATASETS", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(download, "_PAUSE", 0)


class Site(http.server.ThreadingHTTPServer):
    """files: path -> bytes. faults: path -> list of faults, one used up per request. log: (path, Range header or None).

    Faults: ("break", n) sends n bytes of the answer and hangs up; ("status", code); ("ignore range",);
    ("wrong range",) answers a range from another place; ("encoded",) claims Content-Encoding: gzip; ("drop",) hangs up
    before it answers; ("redirect", url); ("raw", bytes) answers so; ("pieces", [bytes], seconds) too, and waits after
    each; ("endless",) sends without end, and does not say how much.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.faults, self.log = {}, {}, []
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        site, path, asked = self.server, self.path, self.headers.get("Range")
        site.log.append((path, asked))
        kind, *value = site.faults[path].pop(0) if site.faults.get(path) else ("",)
        body = site.files.get(path)
        if kind in ("drop", "raw", "pieces", "endless"):
            self.close_connection = True
            return self._write(*{"drop": [[]], "raw": [value], "endless": [ENDLESS]}.get(kind, value))
        if kind == "redirect":
            self.send_response(302)
            self.send_header("Location", value[0])
            self.send_header("Content-Length", "0")
            return self.end_headers()
        if kind == "status" or body is None:
            return self.send_error(value[0] if value else 404)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and kind != "ignore range" else 0
        if start >= len(body):
            return self.send_error(416)
        if kind == "wrong range":
            start -= 1
        self.send_response(206 if asked and kind != "ignore range" else 200)
        if asked and kind != "ignore range":
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if kind == "encoded":
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        self.wfile.write(body[start:][: value[0] if kind == "break" else None])

    def _write(self, pieces, pause=0):
        with contextlib.suppress(OSError):  # the other side has had enough
            for piece in pieces:
                self.wfile.write(piece)
                time.sleep(pause)

    def log_message(self, *_):
        pass


@pytest.fixture
def site():
    with Site() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _idx(array):
    """The IDX file of a uint8 array, gzip-compressed, written from the description of the format."""
    return gzip.compress(struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes(), mtime=0)


@pytest.fixture(scope="session")
def fields():
    """The distance fields of the undeformed digits, which take the longest to make."""
    return glyphs._distance_fields()


@pytest.fixture
def idx_bytes():
    return _idx


@pytest.fixture
def small_set():
    """({file: bytes}, [sha256, ...], arrays) of a set with 30 training and 20 test images."""
    rng = np.random.default_rng(3)
    arrays = {}
    for split, n in (("train", 30), ("test", 20)):
        arrays[f"x_{split}"] = rng.integers(0, 201, (n, 28, 28)).astype(np.uint8)
        arrays[f"y_{split}"] = (np.arange(n) % 10).astype(np.uint8)
    files = {f"{prefix}-ubyte.gz": _idx(a) for prefix, a in zip(PREFIXES, arrays.values(), strict=True)}
    return files, [hashlib.sha256(data).hexdigest() for data in files.values()], arrays


def _tar(entries, format=tarfile.PAX_FORMAT):
    """A tar archive of {path: bytes, or None for a folder, or a TarInfo of any kind}."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as tar:
        for name, content in entries.items():
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            if content is None:
                info.type = tarfile.DIRTYPE
            if isinstance(content, bytes):
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            else:  # the header alone, whatever size it claims, which `addfile` refuses since Python 3.13
                header = info.tobuf(tar.format, tar.encoding, tar.errors)
                tar.fileobj.write(header)
                tar.offset += len(header)
    return buffer.getvalue()


@pytest.fixture
def tar():
    return _tar


@pytest.fixture
def tar_gz(tmp_path):
    """Write a .tar.gz archive of {path: bytes} and return its path."""

    def write(entries, name="archive.tar.gz"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(_tar(entries), 1, mtime=0))
        return path

    return write
