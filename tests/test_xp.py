"""The array namespace: name lookup, the two crossings, LU, fused chains, generators, and backends that are missing."""

import builtins
import dataclasses
import dis
import inspect
import subprocess
import sys
import types

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import strict

import plastic
from plastic import xp
from plastic.errors import PlasticError
from plastic.xp import on_cupy, on_numpy

# Names


def test_a_borrowed_name_becomes_a_global_and_is_forgotten_by_use():
    xp.use("numpy")
    assert "tanh" not in vars(xp)
    assert xp.tanh is np.tanh
    assert vars(xp)["tanh"] is np.tanh
    xp.use(strict.backend)
    assert "tanh" not in vars(xp)
    assert isinstance(xp.tanh(xp.ones(3)), strict.StrictArray)
    xp.use("numpy")
    assert xp.tanh is np.tanh


def test_own_names_win_and_survive_use(backend):
    own = {
        name: getattr(xp, name) for name in ("asarray", "asnumpy", "lu_factor", "fuse", "generator", "use", "backend")
    }
    xp.use("numpy")
    assert all(getattr(xp, name) is value for name, value in own.items())
    assert xp.asarray is not np.asarray


def test_constants_and_types_are_borrowed_too(backend):
    assert xp.pi == np.pi
    assert xp.float32 == np.float32
    assert xp.newaxis is None


@pytest.mark.parametrize("name", ["random", "load", "save"])
def test_refused_names_say_why(backend, name):
    with pytest.raises(AttributeError, match=rf"xp\.{name} is not part of the namespace: "):
        getattr(xp, name)
    assert not hasattr(xp, name)


@pytest.mark.parametrize("name", ["no_such_function", "_private", "__wrapped__"])
def test_unknown_names_raise_attribute_errors(backend, name):
    with pytest.raises(AttributeError, match=name):
        getattr(xp, name)


def test_the_name_of_the_backend(backend):
    assert xp.backend() == backend


# use


@pytest.mark.parametrize("bad", ["torch", "", "gpu", None, 3, np])
def test_an_unknown_backend_is_refused_and_changes_nothing(bad):
    xp.use(strict.backend, dtype="float64")
    with pytest.raises(PlasticError, match=r"unknown array backend .*take numpy or cupy"):
        xp.use(bad, dtype="float32")
    assert (xp.backend(), xp.float_dtype) == ("strict", np.float64)


@pytest.mark.parametrize("bad", ["float16", "int32", "double precision", np.int64, "complex64"])
def test_an_unknown_precision_is_refused_and_changes_nothing(bad):
    xp.use(strict.backend, dtype="float64")
    with pytest.raises(PlasticError, match="take float32 or float64"):
        xp.use("numpy", dtype=bad)
    assert (xp.backend(), xp.float_dtype) == ("strict", np.float64)


def test_the_precision_stays_unless_it_is_chosen():
    xp.use("numpy", dtype="float64")
    xp.use(strict.backend)
    assert xp.float_dtype == np.float64
    xp.use("numpy", dtype=np.dtype("float32"))
    assert xp.float_dtype == np.float32


# Crossings


def test_floating_values_take_the_working_precision(precision):
    device = xp.asarray([1.0])
    for values in [
        1.0,
        [1.0, 2.0],
        (0.5,),
        np.ones(3),
        np.ones(3, "float32"),
        np.ones(3, "float16"),
        np.float64(1),
        device,
    ]:
        assert xp.asarray(values).dtype == precision
    for dtype in ("float32", "float64"):
        assert xp.asarray(np.ones(2, dtype), dtype=dtype).dtype == dtype
        assert xp.asarray(device, dtype=dtype).dtype == dtype


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "bool"])
def test_integers_and_booleans_keep_their_type(precision, dtype):
    assert xp.asarray(np.zeros(3, dtype)).dtype == dtype
    assert xp.asarray(xp.asarray(np.zeros(3, dtype))).dtype == dtype
    assert xp.asarray([1, 2]).dtype == xp.asarray(7).dtype == "int64"
    assert xp.asarray([True]).dtype == "bool"


def test_there_and_back(precision):
    values = np.random.default_rng(0).normal(size=(2, 3)).astype(precision)
    back = xp.asnumpy(xp.asarray(values))
    assert type(back) is np.ndarray and back.dtype == precision
    np.testing.assert_array_equal(back, values)
    xp.synchronize()


# LU


def draws(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def matrices(*shape):
    return draws(sum(shape), *shape) + 2 * np.eye(shape[-1])


@pytest.mark.parametrize("leading", [(), (1,), (4,), (2, 3)])
@pytest.mark.parametrize("columns", [1, 4, 7])
@pytest.mark.parametrize("transpose", [False, True])
def test_lu_solves_in_the_working_precision(precision, leading, columns, transpose):
    A, B = matrices(*leading, 4, 4), draws(5, *leading, 4, columns)
    device_A, device_B = xp.asarray(A.copy()), xp.asarray(B.copy())
    X = xp.lu_solve(xp.lu_factor(device_A), device_B, transpose=transpose)
    assert (X.shape, X.dtype) == (B.shape, precision)
    expected = np.linalg.solve(np.swapaxes(A, -1, -2) if transpose else A, B)
    tolerance = 1e-10 if precision == "float64" else 2e-4
    np.testing.assert_allclose(xp.asnumpy(X), expected, rtol=tolerance, atol=tolerance)
    np.testing.assert_array_equal(xp.asnumpy(device_A), A.astype(precision))  # the arguments are left as they were
    np.testing.assert_array_equal(xp.asnumpy(device_B), B.astype(precision))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_factors_on_the_host_have_the_type_of_the_matrix(dtype):
    _, factors = xp.lu_factor(matrices(2, 4, 4).astype(dtype))
    assert [lu.dtype for _, lu, _ in factors] == [dtype, dtype]


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("n", [12, 100])
def test_an_ill_conditioned_float32_system_is_solved_to_float32(backend, n, transpose):
    """Rounding of 6e-8 times a condition number of 5000 would leave three digits."""
    U, _, V = np.linalg.svd(draws(3, n, n))
    A = ((U * np.geomspace(1, 1 / 5000, n)) @ V).astype(np.float32)
    B = draws(4, n, 3).astype(np.float32)
    X = xp.asnumpy(xp.lu_solve(xp.lu_factor(xp.asarray(A, dtype="float32")), xp.asarray(B, dtype="float32"), transpose))
    assert X.dtype == np.float32
    exact = np.linalg.solve((A.T if transpose else A).astype(np.float64), B.astype(np.float64))
    assert np.linalg.norm(X - exact) < 1e-6 * np.linalg.norm(exact)


def test_one_factorisation_serves_both_systems_and_many_sides(backend):
    A, B = matrices(5, 5), draws(3, 5, 2)
    factors = xp.lu_factor(xp.asarray(A))
    for _ in range(2):
        for matrix, transpose in [(A, False), (A.T, True)]:
            X = xp.lu_solve(factors, xp.asarray(B), transpose=transpose)
            np.testing.assert_allclose(xp.asnumpy(X), np.linalg.solve(matrix, B), rtol=1e-10)


def test_lu_of_arrays_that_are_not_contiguous(backend):
    A, B = matrices(5, 5), draws(3, 5, 3)
    views = [(xp.asarray(A).T, A.T), (xp.asarray(A)[::-1], A[::-1]), (xp.asarray(A)[:4, 1:], A[:4, 1:])]
    for view, matrix in views:
        n = len(matrix)
        for sides, b in [(xp.asarray(B)[:n], B[:n]), (xp.asarray(B.T.copy()).T[:n], B[:n])]:
            X = xp.lu_solve(xp.lu_factor(view), sides)
            np.testing.assert_allclose(xp.asnumpy(X), np.linalg.solve(matrix, b), rtol=1e-9)


def test_pivoting(backend):
    A = np.array([[0.0, 1.0], [1.0, 0.0]])
    X = xp.lu_solve(xp.lu_factor(xp.asarray(A)), xp.asarray(np.array([[2.0], [3.0]])))
    np.testing.assert_array_equal(xp.asnumpy(X), [[3.0], [2.0]])


@pytest.mark.parametrize("transpose", [False, True])
def test_a_singular_matrix_raises_nothing_and_leaves_its_neighbours_alone(precision, transpose):
    A, B = np.stack([np.eye(3)] * 3), np.ones((3, 3, 2))
    A[1, 2, 2] = 0.0
    X = xp.asnumpy(xp.lu_solve(xp.lu_factor(xp.asarray(A)), xp.asarray(B), transpose=transpose))
    assert not np.isfinite(X[1]).all()
    np.testing.assert_array_equal(X[[0, 2]], B[[0, 2]])


# Fused chains


def chain(x, y, rate, c):
    """Change two arrays in place, the second by the new value of the first."""
    x *= c
    x += rate * y
    y -= xp.sqrt(xp.abs(x)) * c


def expected(x, y, rate, c):
    new_x = x * c + rate * y
    return new_x, y - np.sqrt(np.abs(new_x)) * c


fused = xp.fuse(chain)
BLOCK = on_numpy._BLOCK


def check_fused(x, y, rate, c):
    """Compare the fused chain with its formula computed on the whole arrays."""
    expected_x, expected_y = expected(x, y, rate, c)
    if xp.backend() != "numpy":
        x, y, rate = xp.asarray(x), xp.asarray(y), xp.asarray(rate)
    assert fused(x, y, rate, c) is None
    np.testing.assert_allclose(xp.asnumpy(x), expected_x, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(xp.asnumpy(y), expected_y, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 17])
def test_fused_equals_plain_around_the_block_size(size):
    check_fused(draws(0, size), draws(1, size), draws(2, size), 0.5)


@hypothesis.settings(max_examples=300)
@hypothesis.given(st.lists(st.integers(1, 4), max_size=4), st.data(), st.integers(1, 9), st.sampled_from("CCCFV"))
def test_fused_equals_plain_for_all_shapes_that_broadcast(shape, data, block, layout):
    rate_shape = [data.draw(st.sampled_from([1, n])) for n in shape][data.draw(st.integers(0, len(shape))) :]
    x, y, rate = draws(0, *shape), draws(1, *shape), draws(2, *rate_shape)
    if layout == "F":
        x = np.array(x, order="F")
    if layout == "V":  # a view that is not contiguous
        y = draws(1, *shape, 2)[..., 0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(on_numpy, "_BLOCK", block)
        check_fused(np.asarray(x), np.asarray(y), np.asarray(rate), 0.5)


@pytest.mark.parametrize(
    "rate", [(), (1,), (1, 1, 1), (3, 1, 1), (3, 1, 3), (1, 1, 3), (3,), (1, 3), (3, 3), (3, 3, 3)]
)
@pytest.mark.parametrize("shape", [(3, 3, 3), (1, 3, 3), (2, 3, 3), (2, 3, 3, 3), (3, 1, 1), (1, 1, 1)])
def test_replica_rates_broadcast_as_in_the_plain_chain(backend, shape, rate):
    try:
        fits = np.broadcast_shapes(shape, rate) == shape
    except ValueError:
        fits = False
    if not fits:
        return
    check_fused(draws(0, *shape), draws(1, *shape), draws(2, *rate), 0.5)


def test_an_argument_may_be_given_twice(backend):
    @xp.fuse
    def double(x, same):
        x += same

    x = xp.asarray(draws(0, 5, 7))
    double(x, x)
    np.testing.assert_array_equal(xp.asnumpy(x), 2 * draws(0, 5, 7))


def test_the_kernel_of_a_chain_has_a_name_that_means_nothing_in_cpp(monkeypatch):
    def double(x):
        x += x

    names = []

    def fuse(kernel_name):
        names.append(kernel_name)
        return lambda chain: chain

    cupy = types.ModuleType("cupy")
    cupy.fuse = fuse
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    on_cupy._kernel(double)
    assert names == ["fused_double"]


def test_fused_keeps_the_name_and_the_docstring():
    assert fused.__name__ == "chain" and fused.__doc__ == chain.__doc__


def test_fused_follows_the_backend():
    xp.use("numpy", dtype="float64")
    check_fused(draws(0, 3), draws(1, 3), draws(2, 3), 0.5)
    xp.use(strict.backend, dtype="float64")
    check_fused(draws(0, 3), draws(1, 3), draws(2, 3), 0.5)


# Generators

PURPOSES = ["init", "data", "shuffle", "task", "noise"]


def test_generators_are_distinct_by_purpose_and_by_seed():
    first = [getattr(xp.generator(seed), purpose).random(4).tobytes() for seed in range(3) for purpose in PURPOSES]
    assert len(set(first)) == 15


def test_generators_are_reproducible_and_independent_of_the_order_of_use():
    forward, backward = xp.generator(5), xp.generator(5)
    drawn = {purpose: getattr(forward, purpose).random(4) for purpose in PURPOSES}
    for purpose in reversed(PURPOSES):
        np.testing.assert_array_equal(getattr(backward, purpose).random(4), drawn[purpose])
        getattr(backward, purpose).random(100)  # and however much the others draw


def test_generators_do_not_touch_the_global_state_and_do_not_depend_on_the_backend():
    here = xp.generator(1).init.random(3)
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    xp.use(strict.backend, dtype="float64")
    np.testing.assert_array_equal(xp.generator(1).init.random(3), here)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


# CuPy that is not there, or not whole. The errors raised below are those of CuPy 14 on machines that lack the part.


class CUDARuntimeError(RuntimeError):
    pass


NO_DRIVER = CUDARuntimeError(
    "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version\nsecond line"
)
NO_SUCH_DEVICE = CUDARuntimeError("cudaErrorInvalidDevice: invalid device ordinal")
NO_CUBLAS = ImportError("libcublas.so.12: cannot open shared object file: No such file or directory")
NO_CUSOLVER = ImportError("libcusolver.so.11: cannot open shared object file: No such file or directory")
NO_NVRTC = RuntimeError("CuPy failed to load libnvrtc.so.12: OSError: libnvrtc.so.12: cannot open shared object file")


def fake_cupy(gpus=1, driver=None, device=None, multiply=None, factorise=None, reduce=None):
    """A module that fails as CuPy does: at the driver, the device, the first GEMM, LU, or kernel compiled."""

    def fail(error):
        if error is not None:
            raise error

    class Device:
        def __init__(self, number):
            self.number = number

        def use(self):
            fail(driver)
            fail(device)

    class Array:
        def __matmul__(self, other):
            fail(multiply)
            return self

        def sum(self):
            fail(reduce)
            return self

        def __float__(self):
            return 8.0

    def count():
        fail(driver)
        return gpus

    cupy = types.ModuleType("cupy")
    cupy.eye = lambda n, dtype: fail(driver) or Array()
    cupy.linalg = types.SimpleNamespace(solve=lambda A, b: fail(factorise) or b)
    cupy.asnumpy = np.asarray
    cupy.cuda = types.SimpleNamespace(Device=Device, runtime=types.SimpleNamespace(getDeviceCount=count))
    return cupy


def refusal(monkeypatch, module, device=0):
    """Return the message of use("cupy") with a broken module in CuPy's place, and see that nothing has changed."""
    xp.use(strict.backend, dtype="float64")
    borrowed = xp.tanh
    monkeypatch.setitem(sys.modules, "cupy", module)
    with pytest.raises(PlasticError) as refused:
        xp.use("cupy", device=device, dtype="float32")
    assert (xp.backend(), xp.float_dtype) == ("strict", np.float64)
    assert vars(xp)["tanh"] is borrowed
    message = str(refused.value)
    assert "\n" not in message and len(message) < 300
    return message


def test_without_cupy_the_message_names_the_extra(monkeypatch):
    message = refusal(monkeypatch, None)
    assert "not installed" in message and "pip install 'plastic-learning[gpu]'" in message


def test_without_a_gpu_or_driver(monkeypatch):
    message = refusal(monkeypatch, fake_cupy(driver=NO_DRIVER))
    assert "no GPU" in message and "cudaErrorInsufficientDriver" in message and "driver" in message


@pytest.mark.parametrize("missing", [dict(multiply=NO_CUBLAS), dict(factorise=NO_CUSOLVER), dict(reduce=NO_NVRTC)])
def test_without_its_cuda_libraries(monkeypatch, missing):
    message = refusal(monkeypatch, fake_cupy(**missing))
    assert "cannot open shared object file" in message and "pip install 'plastic-learning[gpu]'" in message


@pytest.mark.parametrize(("gpus", "device"), [(1, 1), (2, 7), (1, -1)])
def test_a_device_that_does_not_exist(monkeypatch, gpus, device):
    message = refusal(monkeypatch, fake_cupy(gpus=gpus, device=NO_SUCH_DEVICE), device=device)
    assert f"device {device} does not exist" in message and f"{gpus} GPU(s)" in message


def test_a_broken_installation(monkeypatch):
    class Broken(types.ModuleType):
        def __getattr__(self, name):
            raise ImportError("CuPy is not correctly installed.\n\nIf you are using a wheel distribution ...")

    assert "CuPy is not correctly installed" in refusal(monkeypatch, Broken("cupy"))


NO_FOLDER = PermissionError(13, "Permission denied", "/home/you/.cupy")


def refusal_as_it_starts(monkeypatch, error):
    """Return the message where `import cupy` raises this error."""
    whole = builtins.__import__

    def import_module(name, *arguments):
        if name == "cupy":
            raise error
        return whole(name, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(builtins, "__import__", import_module)
        return refusal(patch, None)


def test_no_folder_for_the_kernels(monkeypatch):
    """CuPy 14 makes its folder as it is imported, CuPy 13 with the first kernel."""
    for message in (refusal(monkeypatch, fake_cupy(reduce=NO_FOLDER)), refusal_as_it_starts(monkeypatch, NO_FOLDER)):
        assert "/home/you/.cupy" in message and "CUPY_CACHE_DIR" in message


def test_a_cupy_that_does_not_start(monkeypatch):
    message = refusal_as_it_starts(monkeypatch, AttributeError("module 'numpy' has no attribute 'bool8'"))
    assert "bool8" in message and "pip install 'plastic-learning[gpu]'" in message


def test_a_whole_cupy_is_taken(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy())
    xp.use("cupy", dtype="float64")
    assert (xp.backend(), xp.float_dtype) == ("cupy", np.float64)


def test_cupy_is_imported_only_when_asked_for():
    script = "import sys; from plastic import xp; xp.use('numpy'); xp.tanh(xp.ones(2)); print('cupy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_namespace_is_offered_by_the_package():
    assert plastic.xp is xp


# Tiny matrices of many replicas


def test_the_order_is_another_than_the_usual_one_on_numpy_only(backend):
    many, few = xp.zeros((64, 4, 4)), xp.zeros((63, 4, 4))
    orders = ("F", "T") if backend == "numpy" else ("C", "C")
    assert xp.order(many) == orders[0]
    assert xp.order(few) == xp.order(many[0]) == xp.order(many, few) == orders[1]
    assert xp.order(xp.zeros((64, 4, 5))) == xp.order(xp.zeros((2, 64, 2, 2))) == orders[1]


def test_an_order_says_what_is_innermost_in_memory():
    for order, innermost in (("C", 2), ("T", 1), ("F", 0)):
        array = xp.zeros_in(order, (5, 4, 3), np.float32)
        assert array.shape == (5, 4, 3) and array.dtype == np.float32 and not array.any()
        assert array.strides[innermost] == 4
        assert array[0, :, 1:].flags.f_contiguous == (order == "T")  # some columns are one piece of memory


def test_a_choice_is_that_of_where(precision):
    """Of one condition and of many; on NumPy one is no array, so that the result is what was given."""
    one, many = (xp.asarray(each, dtype=precision) for each in (2.0, [1.0, 2.0, 3.0]))
    found = xp.choose(many > 1.5, 10.0, 0.5, many.dtype)
    assert xp.asnumpy(found).tolist() == [0.5, 10, 10] and found.dtype == precision
    for limit, expected in ((1.5, 10.0), (2.5, 0.5)):
        assert float(xp.asnumpy(xp.choose(xp.sum(one) > limit, 10.0, 0.5, one.dtype))) == expected


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(5, 3, 1, 4), (70, 1, 2, 2), (2, 2, 4, 1)])
def test_a_short_sum_is_the_product_of_matrices(backend, shape, order):
    R, batch, n_in, n_out = shape
    rng = np.random.default_rng(0)
    x, W = (np.array(rng.standard_normal(each), order=order) for each in ((R, batch, n_in), (R, n_in, n_out)))
    out = xp.zeros((R, batch, n_out), order=order)
    xp.short_sum(xp.asarray(x), xp.asarray(W), out)
    np.testing.assert_allclose(xp.asnumpy(out), x @ W, rtol=1e-13, atol=1e-14)


# What it offers


def test_the_listing_is_of_arrays_and_nothing_else():
    xp.use("numpy")
    listed = dir(xp)
    assert listed == sorted(listed) and not [name for name in listed if name.startswith("_")]
    own = "asarray asnumpy backend float_dtype fuse generator choose lu_factor lu_solve order short_sum zeros_in "
    own += "synchronize underflow_is_ordinary use"
    assert {*own.split(), "tanh", "matmul", "float32", "ndarray", "pi", "newaxis", "linalg", "fft"} <= {*listed}
    helpers = "Any Array Backend Callable PlasticError functools inspect np types on_cupy on_numpy contextlib"
    others = "random load save savez memmap loadtxt errstate printoptions show_config lib core f2py testing test ma"
    assert not {*helpers.split(), *others.split()} & {*listed}
    assert all(hasattr(xp, name) for name in listed)


def test_the_listing_imports_nothing():
    script = "import sys; from plastic import xp; old = set(sys.modules); dir(xp); print(set(sys.modules) - old)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_listing_does_not_grow_with_use(backend):
    before = dir(xp)
    xp.tanh, xp.float64  # noqa: B018
    assert dir(xp) == before


def test_a_backend_is_shown_in_one_line():
    assert repr(strict.backend) == "Backend strict"


@pytest.mark.parametrize("values", ["text", ["a", "b"], [None], {"a": 1}, np.array([object()]), [2**70]])
def test_what_is_no_number_is_refused(values):
    with pytest.raises(PlasticError, match="an array of numbers is needed, not of"):
        xp.asarray(values)


def test_rows_of_different_lengths_are_refused():
    with pytest.raises(PlasticError, match="an array has rows of one length"):
        xp.asarray([[1.0, 2.0], [3.0]])


@pytest.mark.parametrize("seed", [-1, 1.5, "one", None, True, [1, 2]])  # of None NumPy draws a seed of its own
def test_a_seed_that_is_no_whole_number(seed):
    with pytest.raises(PlasticError, match=r"seed is .*; it must be a whole number from 0 on"):
        xp.generator(seed)


@pytest.mark.parametrize("shape", [(3,), (3, 2), (2, 3, 4)])
def test_matrices_to_factorise_are_square(backend, shape):
    with pytest.raises(PlasticError, match="square matrices"):
        xp.lu_factor(xp.ones(shape))


def test_right_hand_sides_have_the_leading_axes_of_the_matrices(backend):
    factors = xp.lu_factor(xp.asarray(matrices(2, 3, 3)))
    for shape in [(3,), (3, 1), (4, 3, 1), (1, 3, 1)]:
        with pytest.raises(PlasticError, match=r"B has shape .*; with the factors of these matrices it is \(2, n, m\)"):
            xp.lu_solve(factors, xp.ones(shape))


def test_numbers_that_do_not_fit_the_precision_are_refused():
    xp.use(dtype="float32")
    with pytest.raises(PlasticError, match=r"numbers above 3\.4e\+38 do not fit float32"):
        xp.asarray(np.array([1.0, 1e99]))
    assert np.isinf(xp.asarray(np.array([np.inf])))[0]
    assert xp.asarray(np.array([1e-99]))[0] == 0


def test_a_number_is_one_of_the_host_only_where_nothing_waits(backend):
    """On the strict stand-in anything else than the array itself would be a synchronisation, which it refuses."""
    array = xp.asarray(np.array(3.0))
    found = xp.number(array)
    assert isinstance(found, float) if backend == "numpy" else found is array
    assert xp.asnumpy(xp.asarray(2.0) ** found).item() == 8.0


@hypothesis.given(replicas=st.integers(1, 50), room=st.integers(1, 60))
def test_replicas_take_turns_in_blocks_that_fit_the_cache(replicas, room):
    """No replica is left out or taken twice, no block is too large, and none is larger than another by more than 1."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            xp.current, "backend", dataclasses.replace(on_numpy.numpy_backend(), cache=lambda: 4 * 100 * room)
        )
        blocks = xp.turns(replicas, 100)
        assert [k for block in blocks for k in range(replicas)[block]] == list(range(replicas))
        sizes = [block.stop - block.start for block in blocks]
        assert max(sizes) <= room and max(sizes) - min(sizes) <= 1
        assert len(blocks) == 1 or len(blocks) == -(-replicas // room)
        assert len(xp.turns(replicas, 10**9)) == replicas


def test_replicas_take_no_turns_where_there_is_no_cache_to_fit():
    xp.use(strict.backend)
    assert xp.turns(7, 10**15) == [slice(0, 7)]


def test_the_cache_is_the_largest_that_linux_tells_or_a_common_one(tmp_path, monkeypatch):
    monkeypatch.setattr(on_numpy, "_CACHES", tmp_path)
    assert on_numpy._cache.__wrapped__() == 32 << 20
    for index, size in enumerate(["48K", "32K", "2048K", "16384K", "odd"]):
        (tmp_path / f"index{index}").mkdir()
        (tmp_path / f"index{index}" / "size").write_text(size + "\n")
    assert on_numpy._cache.__wrapped__() == 16 << 20
    assert 1 << 16 < on_numpy.numpy_backend().cache() < 1 << 33


# Negatives, which NumPy 2.1 to 2.4 write wrongly


def views(length):
    """Arrays of so many numbers that step over 1 to 16 of them, as columns of a wider array do, of both precisions."""
    for dtype in ("float32", "float64"):
        for step in range(1, 17):
            wide = np.arange(1, length * step + 1, dtype=dtype).reshape(length, step)
            yield wide[:, 0]
            yield wide[::-1, step - 1]


@pytest.mark.parametrize("length", [1, 5, 16, 64, 133])
def test_negatives_of_any_strides(length):
    for x in views(length):
        expected = 0 - x.copy()
        np.testing.assert_array_equal(xp.negative(x), expected)
        np.testing.assert_array_equal(-x, expected)  # NumPy makes an array without gaps for it
        for step in range(1, 17):
            out = np.zeros((length, step), x.dtype)[:, step // 2]
            assert xp.negative(x, out=out) is out
            np.testing.assert_array_equal(out, expected)
        assert xp.negative(x, out=x) is x
        np.testing.assert_array_equal(x, expected)


def test_negatives_of_matrices_of_any_strides():
    """What `-x` makes of views that are columns, transposes or every so many entries of larger arrays."""
    for dtype in ("float32", "float64"):
        for step in range(1, 17):
            wide = np.arange(12.0 * 9 * step, dtype=dtype).reshape(12, 9, step)
            for x in (wide[..., 0], wide[..., 0].T, wide[::2, ::-1, 0], wide.transpose(2, 0, 1), wide[:, :1, 0]):
                np.testing.assert_array_equal(-x, 0 - x.copy())
                np.testing.assert_array_equal(xp.negative(x), 0 - x.copy())


def test_negatives_on_every_backend(precision):
    x = xp.asarray([0.0, 2.0, -3.0])
    assert xp.asnumpy(xp.negative(x)).tolist() == [0, -2, 3]
    assert xp.negative(x, out=x) is x and x.dtype == precision
    assert np.signbit(xp.asnumpy(x)).tolist() == [True, True, False]


def _globals_of(code):
    own = {each.argval for each in dis.get_instructions(code) if each.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return own.union(*(_globals_of(each) for each in code.co_consts if isinstance(each, types.CodeType)))


def test_no_name_of_a_backend_that_is_kept_takes_the_place_of_a_builtin():
    """After `xp.all`, `all` in the module would be that of the backend, which takes any generator for true."""
    functions = [value for value in vars(xp).values() if inspect.isfunction(value) and value.__module__ == xp.__name__]
    both = {name for name in {*dir(builtins)} & {*dir(np)} if name[0] != "_"}
    assert {"all", "max"} <= both
    assert not both & set().union(*(_globals_of(each.__code__) for each in functions))


def test_turns_and_order_after_the_names_of_the_backend_were_used():
    xp.use("numpy")
    assert bool(xp.all(xp.asarray([True]))) and float(xp.max(xp.asarray([1.0]))) == 1
    assert xp.turns(3, 1) == [slice(0, 3, None)]
    assert xp.order(xp.ones((2, 3))) == "T"
