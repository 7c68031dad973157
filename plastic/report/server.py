"""Serving the page to browsers on this machine, at 127.0.0.1 and nowhere else; nothing is written."""

import threading
import time
from typing import Any

from plastic import terminal
from plastic.errors import PlasticError, told
from plastic.report.document import Report

_HOST = "127.0.0.1"
_PAUSE, _SHARE = 1.0, 0.1  # seconds between two looks at the folder at least, and the share of time that all may take


class Site:
    """What is served of a report: its version and its page, made anew where something has changed.

    Args:
        report: the report.
    """

    def __init__(self, report: Report) -> None:
        self._report, self._lock = report, threading.Lock()
        self._version, self._page, self._next, self._of = "", "", -float("inf"), ""

    def version(self) -> str:
        """Return what is another text once something has changed, as of a second ago, or of longer for many runs."""
        with self._lock:
            return self._look()

    def page(self) -> str:
        """Return the page of that version."""
        with self._lock:
            version = self._look()
            if self._of != version:
                start = time.monotonic()
                self._page, self._of = self._report.page(version), version
                self._rest_from(start)
            return self._page

    def _look(self) -> str:
        if time.monotonic() >= self._next:
            start = time.monotonic()
            self._version = self._report.look()
            self._rest_from(start)
        return self._version

    def _rest_from(self, start: float) -> None:
        """Do nothing for a while, after work that was begun at a time."""
        end = time.monotonic()
        self._next = end + max(_PAUSE, (end - start) / _SHARE)


def server(report: Report, port: int) -> Any:
    """Return a server of a report, which has begun to listen.

    Args:
        report: the report.
        port: of its address; 0 for any that is free.

    Raises:
        PlasticError: if the port is out of range or cannot be had.
    """
    import http.server

    if not 0 <= port < 2**16:
        raise PlasticError(f"port is {port}; it must be from 0 to {2**16 - 1}")

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True  # an answer that is under way does not hold up the end

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Say nothing of a browser that went away."""

    try:
        return Server((_HOST, port), _handler(Site(report)))
    except OSError as error:
        reason = error.strerror or error
        raise PlasticError(
            f"cannot serve at {_HOST}:{port}: {reason}; --port takes another, 0 any that is free"
        ) from None


def serve(report: Report, port: int) -> None:
    """Serve a report until Ctrl-C, and say where.

    Args:
        report: the report.
        port: as `server` takes it.

    Raises:
        PlasticError: as `server`.
    """
    with server(report, port) as listening:
        terminal.say(f"http://{_HOST}:{listening.server_port}/ shows the runs below {report.folder}; Ctrl-C ends it")
        try:
            listening.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            terminal.say("ended")


def _handler(site: Site) -> type:
    """Return the class that answers requests."""
    import http.server

    answers = {"/": ("text/html", site.page), "/version": ("text/plain", site.version)}

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version, sys_version = "plastic", ""
        timeout = 30

        def do_GET(self) -> None:
            """Answer with the page or its version, to who asks for this machine by its name."""
            hosts = [f"{name}:{self.server.server_port}" for name in (_HOST, "localhost")]  # type: ignore[attr-defined]
            if self.headers.get_all("Host") not in [[host] for host in hosts]:  # a name that leads here is somebody's
                self._answer(403, "text/plain", f"this is http://{hosts[0]}/ and nothing else\n")
            elif self.path not in answers:
                self._answer(404, "text/plain", "there is only /\n")
            else:
                kind, made = answers[self.path]
                try:
                    code, text = 200, made()
                except Exception as error:  # of one look; the next may do
                    code, kind, text = 500, "text/plain", told(error)
                self._answer(code, kind, text)

        do_HEAD = do_GET

        def _answer(self, code: int, kind: str, text: str) -> None:
            body = text.encode()
            self.send_response(code)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Cross-Origin-Resource-Policy", "same-origin")
            self.send_header("Content-Security-Policy", "frame-ancestors 'none'")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Say nothing of requests."""

    return Handler
