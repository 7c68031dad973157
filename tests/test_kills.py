"""A few of the kills of tests/kills.py, with a fixed seed: about a minute of them, over the commands that train."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import plastic


@pytest.mark.skipif(not hasattr(os, "fork"), reason="each start is a fork")
@pytest.mark.parametrize("by", ["kill", "signals"])
@pytest.mark.parametrize("family", plastic.FAMILIES)
def test_what_is_killed_goes_on_to_the_bit(family, by):
    """In a process of its own, which has one thread and can fork."""
    command = [sys.executable, Path(__file__).with_name("kills.py"), "12", f"--family={family}", f"--by={by}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    assert int(re.match(r"(\d+) kills of ", done.stdout)[1]) >= 12
