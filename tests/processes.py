"""Whether other processes are there, or end soon."""

import contextlib
import os
import pathlib
import time


def alive(process):
    """Whether a process, by its number, is there and is not waiting to be buried."""
    with contextlib.suppress(OSError):
        stat = pathlib.Path(f"/proc/{process}/stat")
        if stat.parent.parent.is_dir() and pathlib.Path("/proc/self/stat").exists():
            return stat.read_text().rpartition(")")[2].split()[0] != "Z"
        os.kill(process, 0)
        return True
    return False


def ends(process, seconds=120):
    """Whether a process ends soon."""
    until = time.monotonic() + seconds
    while alive(process) and time.monotonic() < until:
        time.sleep(0.02)
    return not alive(process)
