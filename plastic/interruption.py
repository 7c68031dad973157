"""Ctrl-C, SIGTERM and SIGHUP, which are one thing here, at any moment of a program.

plastic.startup      while `python -m plastic.gait` imports its first modules, it ends at once, in one line
with raised():       while a command runs, KeyboardInterrupt, also where Python could not raise it
with deferred():     around what must not be torn apart, the signal waits for the end of the block
"""

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from plastic import startup

_MOMENT = 0.01  # seconds, in which a finaliser ends


@contextlib.contextmanager
def raised() -> Iterator[None]:
    """Let each signal of the block raise KeyboardInterrupt.

    Two places are no place for it: in a finaliser Python drops the exception, and in an import the C code of a module
    may; there it is raised a moment later. A second signal interrupts an import, too.
    """
    again = _Again()

    def interrupt(number, frame):
        if not again.postpones(number, frame):
            raise KeyboardInterrupt

    def unraisable(dropped):
        if issubclass(dropped.exc_type, KeyboardInterrupt):
            again.wait()
        elif not again.came:  # a finaliser may find its object half made where an exception came in between
            hook(dropped)

    hook = sys.unraisablehook
    with _handled(interrupt) as handled:
        if handled:
            sys.unraisablehook = unraisable
        try:
            yield
        finally:
            sys.unraisablehook = hook
            again.stop()


@contextlib.contextmanager
def deferred() -> Iterator[list[int]]:
    """Let a signal wait for the end of the block, where it does what it would have done; a second one raises at once.

    Yields:
        The signals that wait: empty, or one number.
    """
    waiting: list[int] = []

    def note(number, frame):
        if waiting:
            raise KeyboardInterrupt
        waiting.append(number)

    with _handled(note):
        yield waiting
    if waiting:
        signal.raise_signal(waiting[0])


class _Again:
    """Sends a signal again, a moment after it came where nothing can be raised."""

    def __init__(self) -> None:
        self.came = False  # whether a signal came at all
        self._number = 0  # the one that came last
        self._before: Any = None  # who took SIGALRM

    def postpones(self, number, frame):
        """Note a signal; return whether it comes within an import, as the first, and is sent again."""
        self.stop()
        first, self.came, self._number = not self._number, True, number
        return first and _imports(frame) and self.wait()

    def wait(self):
        """Send the signal again; return whether the system can."""
        if not hasattr(signal, "setitimer"):  # Windows
            return False
        if self._before is None:
            self._before = signal.signal(signal.SIGALRM, self._send)
        signal.setitimer(signal.ITIMER_REAL, _MOMENT)
        return True

    def stop(self):
        """Send nothing any more."""
        if self._before is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._before)
            self._before = None

    def _send(self, *_):
        self.stop()
        number, self._number = self._number, 0
        signal.raise_signal(number or signal.SIGINT)


def _imports(frame):
    """Whether a frame is within an import."""
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


@contextlib.contextmanager
def _handled(handler: Callable[[int, Any], None]) -> Iterator[bool]:
    """Let a function handle the signals of the block, but for those that the process ignores or handles in C.

    Yields:
        Whether it does: Python handles signals in the main thread only.
    """
    if threading.current_thread() is not threading.main_thread():
        yield False
        return
    before = {each: signal.signal(each, handler) for each in startup.heeded()}
    try:
        yield True
    finally:
        for each, former in before.items():
            # with its command a program is at its end
            signal.signal(each, signal.SIG_IGN if former is startup.end_at_once else former)
