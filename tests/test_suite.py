"""The suite itself: it runs where nothing can be written beside it."""

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent
NOWHERE = os.path.join(os.devnull, "folder")


def test_it_runs_in_a_checkout_that_cannot_be_written():
    """Neither pytest nor Hypothesis can keep there what failed, and both warn; warnings are errors."""
    words = ["-v", "-o", f"cache_dir={NOWHERE}", "tests/test_bootstrap.py"]
    variables = os.environ | {"HYPOTHESIS_STORAGE_DIRECTORY": NOWHERE}
    command = [sys.executable, "-m", "pytest", *words]
    done = subprocess.run(command, cwd=TESTS.parent, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout + done.stderr
