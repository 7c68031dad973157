"""Fixtures of all tests: the array backends, the working precision, and the golden files.

A test that takes `backend` runs on NumPy, on the strict stand-in and on CuPy (skipped without a GPU), in float64; one
that takes `precision` runs in float64 and in float32 on each. Every test is left with NumPy in float32, the default.

A test that takes `golden` runs once per file that the pattern `GOLDEN` of its module finds, `GOLDEN = "gait_*.npz"`
for instance, in tests/golden or in the directory of `--golden=DIR`.
"""

import functools
import os
import signal
from pathlib import Path

# Read once, when NumPy loads its BLAS: results must not depend on the number of cores.
os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", MPLBACKEND="Agg")
import hypothesis
import pytest
import strict

from plastic import xp
from plastic.errors import PlasticError

TESTS = Path(__file__).resolve().parent

# No test asserts a time, so neither does Hypothesis; the fixtures here mean the same in each of its examples.
hypothesis.settings.register_profile(
    "plastic",
    deadline=None,
    max_examples=50,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture, hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("plastic")


def pytest_addoption(parser):
    parser.addoption("--golden", metavar="DIR", help="directory of golden files (default: tests/golden)")


def pytest_configure(config):
    folder = config.getoption("golden")
    if folder and not Path(folder).is_dir():
        raise pytest.UsageError(f"--golden={folder} is not a directory")
    # Tests send these, and processes inherit that they are ignored, as in the background of a shell and under nohup.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)


def pytest_generate_tests(metafunc):
    if "golden" in metafunc.fixturenames:
        folder = Path(metafunc.config.getoption("golden") or TESTS / "golden").resolve()
        pattern = metafunc.module.GOLDEN
        paths = sorted(folder.glob(pattern)) or [folder / pattern]
        metafunc.parametrize("golden", paths, ids=[path.stem for path in paths], indirect=True)


@pytest.fixture
def golden(request):
    """The path of one golden file. No file at all fails in tests/golden and skips in a directory of the user's."""
    path = request.param
    if not path.is_file():
        absent = f"no {path.name} in {path.parent}"
        if request.config.getoption("golden"):
            pytest.skip(absent)
        pytest.fail(absent)
    return path


@functools.cache
def _why_no_gpu():
    try:
        xp.use("cupy")
    except PlasticError as error:
        return str(error)
    xp.use("numpy")
    return None


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu") and _why_no_gpu():
        pytest.skip(_why_no_gpu())


@pytest.fixture(autouse=True)
def _default_backend():
    yield
    xp.use("numpy", dtype="float32")


@pytest.fixture(params=["numpy", "strict", pytest.param("cupy", marks=pytest.mark.gpu)])
def backend(request):
    """Use one array backend, in float64; the value is its name."""
    xp.use(strict.backend if request.param == "strict" else request.param, dtype="float64")
    return request.param


@pytest.fixture(params=["float64", "float32"])
def precision(request, backend):
    """Use one working precision on the chosen backend; the value is its name."""
    xp.use(strict.backend if backend == "strict" else backend, dtype=request.param)
    return request.param


@pytest.fixture
def figures_too():
    """For a test of a command that wants the figures drawn; see `command_lines.in_an_empty_folder`."""
