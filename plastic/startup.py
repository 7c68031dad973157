"""The first module of the package that is imported: from here on a signal is told in one line.

`python -m plastic.gait` imports modules for half a second before its command line can be looked at. Before this module
Python itself starts, and answers a signal in its own way. Only what is built into Python is imported here.
"""

import _signal
import os
import sys

SIGNALS = [getattr(_signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(_signal, name)]
"""Those that interrupt a program."""
EXIT_CODE = 130
"""That of a program that ends by Ctrl-C, as shells have it."""


def heeded() -> list[int]:
    """Return the signals that the process does not ignore; None is a handler in C, which is left alone."""
    return [each for each in SIGNALS if _signal.getsignal(each) not in (_signal.SIG_IGN, None)]


def end_at_once(number: int, frame: object) -> None:
    """End the process in one line: nothing is unwound, since half an import may catch whatever is raised."""
    try:
        os.write(2, b"interrupted; nothing was written\n")
    finally:
        os._exit(EXIT_CODE)


def _is_program() -> bool:
    """Whether the process was started as `python -m plastic...`, and is about to find that module."""
    if sys.argv[:1] != ["-m"]:
        return False
    word = sys.orig_argv[-len(sys.argv)]  # the module, or -mplastic
    name = word[word.find("m") + 1 :] if word.startswith("-") else word
    return name.split(".")[0] == "plastic"


if _is_program():
    for _number in heeded():
        _signal.signal(_number, end_at_once)
