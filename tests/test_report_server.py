"""`plastic.report --watch`: who is answered, what follows the runs, and how it ends."""

import http.client
import itertools
import os
import re
import signal
import subprocess
import sys
import threading

import pytest
from command_lines import error_of
from run_folders import learning, made

from plastic import runs
from plastic.report import server
from plastic.report.__main__ import report as command
from plastic.report.document import Report

pytest.importorskip("jinja2")


@pytest.fixture
def port(tmp_path, monkeypatch):
    """The port of a server of the runs below tmp_path, which looks at them at each request."""
    monkeypatch.setattr(server, "_PAUSE", 0.0)
    monkeypatch.setattr(server, "_SHARE", float("inf"))
    with server.server(Report(tmp_path), 0) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield listening.server_port
        finally:
            listening.shutdown()
            thread.join()


def asked(port, path="/", method="GET", hosts=None):
    """Return (code, headers, body) of a request; hosts: the Host headers, by default the right one."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    connection.putrequest(method, path, skip_host=True)
    for host in [f"127.0.0.1:{port}"] if hosts is None else hosts:
        connection.putheader("Host", host)
    connection.endheaders()
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read().decode()
    connection.close()
    return found


def test_it_serves_the_page_and_its_version(port, tmp_path):
    made(tmp_path, learning([1.0, 0.5]), name="first")
    code, headers, text = asked(port)
    _, _, version = asked(port, "/version")
    assert code == 200 and headers["Content-Type"] == "text/html; charset=utf-8" and "descent-first" in text
    assert re.search(r'<html[^>]* data-version="(\w+)"', text)[1] == version
    assert "connect-src &#39;self&#39;" in text
    assert headers["Cache-Control"] == "no-store" and "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert asked(port, "/", "HEAD")[::2] == (200, "")
    assert asked(port, "/config.json")[0] == asked(port, "/../etc/passwd")[0] == 404
    assert asked(port, "/", "POST")[0] == 501
    assert not list(tmp_path.rglob("*.html"))


def test_a_page_that_takes_long_is_made_seldom(monkeypatch):
    """Here three seconds; something has changed at every look, as where thousands of runs are under way."""
    clock, made_at = [0.0], []

    class Slow:
        def look(self):
            return str(clock[0])

        def page(self, version):
            clock[0] += 3
            made_at.append(clock[0])
            return version

    monkeypatch.setattr(server.time, "monotonic", lambda: clock[0])
    site = server.Site(Slow())
    for _ in range(100):
        assert site.page() == site.version()  # a browser that asks does not load the page again and again
        clock[0] += 1
    assert len(made_at) == 4 and all(later - sooner >= 30 for sooner, later in itertools.pairwise(made_at))


def test_several_requests_of_one_connection(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    for method in ("HEAD", "GET", "HEAD", "GET"):  # the body of the second would be that of the first
        connection.request(method, "/version")
        answer = connection.getresponse()
        assert answer.status == 200 and len(answer.read()) == (16 if method == "GET" else 0)
    connection.close()


def test_only_who_asks_for_this_machine_is_answered(port, tmp_path):
    made(tmp_path, learning([1.0]), name="secret")
    assert asked(port, hosts=[f"localhost:{port}"])[0] == 200
    for hosts in ([], ["evil.example"], [f"evil.example:{port}"], ["127.0.0.1"], [f"127.0.0.1:{port}", "evil.example"]):
        for path in ("/", "/version"):
            code, _, text = asked(port, path, hosts=hosts)
            assert code == 403 and "secret" not in text, hosts


def test_it_follows_the_runs_and_reads_again_what_has_changed_only(port, tmp_path, monkeypatch):
    from plastic.report import items

    read = []
    monkeypatch.setattr(items, "of", lambda place, of=items.of: (read.append(place.path), of(place))[1])
    assert ">0 runs" in asked(port)[2]
    first = made(tmp_path, learning([1.0]), status="running", name="first")
    second = made(tmp_path, learning([1.0]), name="second")
    versions = [asked(port, "/version")[2]]
    assert "first" in asked(port)[2] and read == [first, second]
    assert asked(port, "/version")[2] == versions[0] and asked(port)[0] == 200 and len(read) == 2
    with runs.Run.resume(first) as run:
        run.log([{"step": 10, "epoch": 1.0, "replica": 0, "seed": 1, "test_error": 0.125}])
    assert asked(port, "/version")[2] not in versions
    assert "12.50 %" in asked(port)[2] and read == [first, second, first]


def test_what_goes_wrong_is_answered_and_the_next_request_may_do(port, monkeypatch):
    monkeypatch.setattr(Report, "items", lambda self: 1 / 0)
    assert asked(port)[::2] == (500, "ZeroDivisionError: division by zero")
    monkeypatch.undo()
    assert asked(port)[0] == 200


def test_a_port_that_is_taken_is_told(port, tmp_path):
    error, _ = error_of(command, [str(tmp_path), "--watch", f"--port={port}"], "plastic.report")
    assert f"cannot serve at 127.0.0.1:{port}: " in error and "--port takes another" in error


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_it(tmp_path, number):
    made(tmp_path, learning([1.0]))
    before = sorted(tmp_path.rglob("*"))
    words = [sys.executable, "-m", "plastic.report", str(tmp_path), "--watch", "--port=0"]
    variables = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=variables) as process:
        said = process.stdout.readline()
        assert asked(int(re.match(r"http://127\.0\.0\.1:(\d+)/ ", said)[1]))[0] == 200
        process.send_signal(number)
        output, errors = process.communicate(timeout=300)
    assert (process.returncode, output, errors) == (0, "ended\n", "")
    assert sorted(tmp_path.rglob("*")) == before
