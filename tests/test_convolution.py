"""Convolution and pooling against literal loops, and each adjoint against the map it belongs to."""

import hypothesis
import numpy as np
import pytest
import strict
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import signal

from plastic import check, xp
from plastic.convolution import (
    conv,
    conv_adjoint,
    crop,
    gather,
    kernel_gradient,
    pad,
    patches,
    pool,
    strided_adjoint,
    unpool,
)
from plastic.errors import PlasticError

ROUNDING = {"float64": 1e-13, "float32": 1e-5}  # of sums of products of order 1

sizes = st.integers(1, 3)
seeds = st.integers(0, 2**32 - 1)


def normal(seed, *shapes):
    """Host arrays of normal draws that float32 holds exactly, so that both precisions start from the same numbers."""
    generator = np.random.default_rng(seed)
    return [generator.standard_normal(shape, dtype="float32").astype("float64") for shape in shapes]


def moved(host):
    """A device array with its own memory: xp.asarray need not copy."""
    return xp.asarray(host.copy())


def filled(shape, value=np.nan, dtype=None):
    return xp.full(shape, value, dtype=dtype or xp.float_dtype)


def call(function, *arguments, **buffers):
    """Call a function on host arrays; return its result on the host.

    The arguments must come out as they went in, and the result must have the working precision.
    """
    device = [moved(each) if isinstance(each, np.ndarray) else each for each in arguments]
    result = function(*device, **buffers)
    for before, after in zip(arguments, device, strict=True):
        if isinstance(before, np.ndarray):
            assert_array_equal(xp.asnumpy(after), before)
    for each in result if isinstance(result, tuple) else (result,):
        assert each.dtype in (xp.float_dtype, "uint8")
    return tuple(map(xp.asnumpy, result)) if isinstance(result, tuple) else xp.asnumpy(result)


def assert_adjoint(forward, x, adjoint, z):
    """<forward(x), z> = <x, adjoint(z)>, up to the rounding of the longer of the two sums."""
    left, right = forward * z, x * adjoint
    assert left.shape == z.shape == forward.shape and right.shape == x.shape == adjoint.shape
    noise = ROUNDING[str(xp.float_dtype)] * max(1, np.abs(left).sum(), np.abs(right).sum())
    assert_allclose(left.sum(dtype="float64"), right.sum(dtype="float64"), rtol=0, atol=noise)


# convolution


@st.composite
def convolutions(draw):
    """Shapes of a map, a kernel that fits into it, and their convolution."""
    batch, n_in, n_out, F, h, w = (draw(sizes) for _ in range(6))
    return (batch, h + F - 1, w + F - 1, n_in), (F, F, n_in, n_out), (batch, h, w, n_out)


def conv_by_loops(x, K):
    F = K.shape[0]
    batch, H, W, _ = x.shape
    out = np.zeros((batch, H - F + 1, W - F + 1, K.shape[3]))
    for b, r, c, o in np.ndindex(out.shape):
        out[b, r, c, o] = np.sum(x[b, r : r + F, c : c + F] * K[..., o])
    return out


@hypothesis.given(convolutions(), seeds)
def test_conv_is_its_sum(precision, shapes, seed):
    x, K = normal(seed, *shapes[:2])
    found = call(conv, x, K)
    assert found.shape == shapes[2]
    assert_allclose(found, conv_by_loops(x, K), rtol=0, atol=20 * ROUNDING[precision])


def test_conv_is_scipys_correlation(backend):
    x, K = normal(1, (2, 9, 7, 3), (3, 3, 3, 4))
    found = call(conv, x, K)
    for b, o in np.ndindex(2, 4):
        expected = sum(signal.correlate(x[b, :, :, i], K[:, :, i, o], "valid") for i in range(3))
        assert_allclose(found[b, :, :, o], expected, rtol=0, atol=1e-12)


def test_conv_by_hand(precision):
    """A kernel of a single one picks the map, shifted: rows by p, columns by q; it is not flipped."""
    x = np.arange(24.0).reshape(1, 4, 3, 2)
    K = np.zeros((2, 2, 2, 1))
    K[1, 0, 1, 0] = 1
    assert_array_equal(call(conv, x, K)[0, :, :, 0], x[0, 1:, :2, 1])


@hypothesis.given(convolutions(), seeds)
def test_patches_are_what_the_kernel_sees(precision, shapes, seed):
    (x,), F = normal(seed, shapes[0]), shapes[1][0]
    found = call(patches, x, F)
    assert found.shape == (*shapes[2][:3], *shapes[1][:3])
    for b, r, c in np.ndindex(found.shape[:3]):
        assert_array_equal(found[b, r, c], x[b, r : r + F, c : c + F])


@pytest.mark.parametrize("F", [6, 7])
def test_a_kernel_larger_than_the_map_is_refused(backend, F):
    """Patches are views of memory by strides: none may lie outside of the map."""
    x = moved(np.ones((2, 5, 9, 1)))
    with pytest.raises(PlasticError, match=f"x has maps of 5 x 9; the kernel, {F} x {F}, is larger"):
        patches(x, F)


@hypothesis.given(convolutions(), st.integers(1, 3), st.integers(0, 2), seeds)
def test_a_strided_convolution_is_the_dense_one_at_every_other_place_and_has_its_adjoint(
    precision, shapes, stride, more, seed
):
    """Rows and columns at the end that no patch reaches get 0."""
    (batch, H, W, n_in), kernel, _ = shapes
    x, K = normal(seed, (batch, H + more, W + more, n_in), kernel)
    found = call(conv, x, K, stride=stride)
    assert_allclose(found, conv_by_loops(x, K)[:, ::stride, ::stride], rtol=0, atol=20 * ROUNDING[precision])
    (z,) = normal(seed + 1, found.shape)
    out = filled(x.shape)
    assert_adjoint(found, x, call(strided_adjoint, z, K, stride, out=out), z)
    if stride == 1:
        assert_allclose(xp.asnumpy(out), call(conv_adjoint, z, K), rtol=0, atol=20 * ROUNDING[precision])


@hypothesis.given(convolutions(), seeds)
def test_conv_adjoint_is_the_adjoint(precision, shapes, seed):
    x, K, z = normal(seed, *shapes)
    assert_adjoint(call(conv, x, K), x, call(conv_adjoint, z, K), z)


@hypothesis.given(convolutions(), seeds)
def test_the_kernel_gradient_is_the_adjoint_in_the_kernel(precision, shapes, seed):
    x, K, z = normal(seed, *shapes)
    assert_adjoint(call(conv, x, K), K, call(kernel_gradient, x, z), z)


def test_gradients_of_a_loss(backend):
    """Not only on average, as by the inner products: of every entry, by finite differences."""
    x, K, z = map(xp.asarray, normal(2, (2, 5, 6, 2), (3, 3, 2, 3), (2, 3, 4, 3)))
    check.gradient(lambda K: xp.sum(z * conv(x, K)), K, kernel_gradient(x, z))
    check.gradient(lambda x: xp.sum(z * conv(x, K)), x, conv_adjoint(z, K))


def test_views_convolve_as_their_copies(precision):
    """A part of a larger map, and a kernel with its axes turned."""
    big, turned, z = normal(3, (2, 8, 9, 3), (4, 3, 2, 2), (2, 5, 5, 4))
    x, K = big[:, 1:7, 2:8], turned.T
    part, kernel = moved(big)[:, 1:7, 2:8], moved(turned).T
    for found, expected in [
        (conv(part, kernel), call(conv, x, K)),
        (conv_adjoint(moved(z), kernel), call(conv_adjoint, z, K)),
        (kernel_gradient(part, moved(z)), call(kernel_gradient, x, z)),
    ]:
        assert_allclose(xp.asnumpy(found), expected, rtol=0, atol=20 * ROUNDING[precision])


@hypothesis.given(convolutions(), seeds)
def test_convolutions_write_over_what_their_buffers_held(precision, shapes, seed):
    x, K, z = normal(seed, *shapes)
    columns = (*shapes[2][:3], *shapes[1][:3])
    for function, arguments, shape in [
        (conv, (x, K), shapes[2]),
        (conv_adjoint, (z, K), shapes[0]),
    ]:
        expected, out = call(function, *arguments), filled(shape)
        assert_array_equal(call(function, *arguments, out=out, columns=filled(columns)), expected)
        assert_array_equal(xp.asnumpy(out), expected)
        assert function(*map(moved, arguments), out=out) is out
        assert_array_equal(xp.asnumpy(out), expected)
        assert_array_equal(call(function, *arguments, columns=filled(columns)), expected)
    assert_array_equal(call(kernel_gradient, x, z, columns=filled(columns)), call(kernel_gradient, x, z))
    out = filled(columns)
    assert patches(moved(x), shapes[1][0], out) is out
    assert_array_equal(xp.asnumpy(out), call(patches, x, shapes[1][0]))


def a_view(shape, axis):
    """A buffer that is a part of a larger array, all of nan."""
    whole = filled([n + 2 * (place == axis) for place, n in enumerate(shape)])
    return whole[(slice(None),) * axis + (slice(1, 1 + shape[axis]),)]


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_buffers_may_be_views_of_larger_arrays(precision, axis):
    """No reshape of such a buffer is a view of it: what is written into that would be lost."""
    x, K, z = normal(11, (2, 5, 6, 3), (2, 2, 3, 4), (2, 4, 5, 4))
    for function, arguments in [(conv, (x, K)), (conv_adjoint, (z, K))]:
        expected = call(function, *arguments)
        out, columns = a_view(expected.shape, axis), a_view((2, 4, 5, 2, 2, 3), axis)
        assert function(*map(moved, arguments), out=out, columns=columns) is out
        assert_array_equal(xp.asnumpy(out), expected)
    columns = a_view((2, 4, 5, 2, 2, 3), axis)
    assert_array_equal(call(kernel_gradient, x, z, columns=columns), call(kernel_gradient, x, z))
    out = a_view(x.shape, axis)
    assert_allclose(call(strided_adjoint, z, K, 1, out=out), call(conv_adjoint, z, K), atol=20 * ROUNDING[precision])
    maximum, switch = call(pool, x, 2)
    out = a_view(maximum.shape, axis)
    assert pool(moved(x), 2, out=out)[0] is out
    assert_array_equal(xp.asnumpy(out), maximum)
    out = a_view(maximum.shape, axis)
    assert_array_equal(call(gather, x, switch, 2, out=out), maximum)
    out = a_view(x.shape, axis)
    out[...] = 0
    assert_array_equal(
        call(unpool, maximum, switch, 2, out=out), call(unpool, maximum, switch, 2, out=filled(x.shape, 0.0))
    )


# padding


@hypothesis.given(convolutions(), st.integers(0, 2), seeds)
def test_crop_is_the_adjoint_of_pad(precision, shapes, P, seed):
    (x,), (batch, H, W, C) = normal(seed, shapes[0]), shapes[0]
    (y,) = normal(seed + 1, (batch, H + 2 * P, W + 2 * P, C))
    padded = call(pad, x, P)
    assert_array_equal(padded, np.pad(x, ((0, 0), (P, P), (P, P), (0, 0))))
    assert_array_equal(call(crop, padded, P), x)
    assert_adjoint(padded, x, call(crop, y, P), y)


@pytest.mark.parametrize("P", [1, 2])
def test_pad_writes_over_all_but_the_rim_of_its_buffer(precision, P):
    (x,) = normal(4, (2, 3, 4, 2))
    out = filled((2, 3 + 2 * P, 4 + 2 * P, 2), 0.0)
    crop(out, P)[...] = np.nan  # crop is a view
    assert np.isnan(xp.asnumpy(out)).sum() == x.size
    assert pad(moved(x), P, out=out) is out
    assert_array_equal(xp.asnumpy(out), call(pad, x, P))


def test_without_padding_the_map_is_passed_on(backend):
    x = moved(np.ones((1, 2, 2, 1)))
    assert pad(x, 0) is x and crop(x, 0).shape == x.shape


# pooling


@st.composite
def maps(draw):
    """(map, F): small whole numbers, so that many windows hold equals; sides with and without rows left over."""
    F = draw(st.integers(1, 3))
    batch, C, H, W = draw(sizes), draw(sizes), draw(st.integers(F, 3 * F)), draw(st.integers(F, 3 * F))
    values = st.integers(-2, 2) if draw(st.booleans()) else st.floats(-9, 9, width=32)
    count = batch * H * W * C
    entries = draw(st.lists(values, min_size=count, max_size=count))
    return np.array(entries, float).reshape(batch, H, W, C) + 0.0, F  # no -0


def windows_of(c, F):
    """Return the windows (batch, h, w, C, F * F), each in row-major order, by a loop."""
    batch, H, W, C = c.shape
    out = np.empty((batch, H // F, W // F, C, F * F))
    for r, s in np.ndindex(out.shape[1:3]):
        for place, (p, q) in enumerate(np.ndindex(F, F)):
            out[:, r, s, :, place] = c[:, F * r + p, F * s + q]
    return out


@hypothesis.given(maps())
def test_pool_gives_the_maximum_and_its_first_place(precision, drawn):
    c, F = drawn
    maximum, switch = call(pool, c, F)
    assert maximum.dtype == precision and switch.dtype == np.uint8
    assert_array_equal(maximum, windows_of(c, F).max(axis=-1))
    assert_array_equal(switch, windows_of(c, F).argmax(axis=-1))  # of equals NumPy's is the first
    assert_array_equal(call(gather, c, switch, F), maximum)


def test_pool_by_hand(precision):
    """Windows of 2 x 2 in a map of 3 x 5: its last row and column count nowhere, equals go to the first in the row."""
    c = np.array([[1, 2, 7, 7, 99], [4, 3, 7, 7, 99], [99, 99, 99, 99, 99]], float)[None, :, :, None]
    maximum, switch = call(pool, c, 2)
    assert_array_equal(maximum[0, :, :, 0], [[4, 7]])
    assert_array_equal(switch[0, :, :, 0], [[2, 0]])
    c[0, 0, 2] = c[0, 1, 3] = -7  # the equals left are at the right above and at the left below
    assert_array_equal(call(pool, c, 2)[1][0, :, :, 0], [[2, 1]])


@pytest.mark.parametrize("place", [0, 15, 16, 254, 255])
def test_switches_hold_the_places_of_the_largest_window(backend, place):
    c = np.zeros((1, 16, 16, 1))
    c.reshape(-1)[place] = 1
    maximum, switch = call(pool, c, 16)
    assert maximum.item() == 1 and switch.item() == place
    assert call(gather, c, switch, 16).item() == 1
    assert_array_equal(call(unpool, np.ones((1, 1, 1, 1)), switch, 16, out=filled(c.shape)), c)


def switches_for(c, F, seed):
    """Switches to any place, not only to the maximum."""
    batch, H, W, C = c.shape
    return np.random.default_rng(seed).integers(0, F * F, (batch, H // F, W // F, C)).astype("uint8")


@hypothesis.given(maps(), seeds)
def test_gather_takes_what_the_switches_point_at(precision, drawn, seed):
    c, F = drawn
    switch = switches_for(c, F, seed)
    expected = np.take_along_axis(windows_of(c, F), switch[..., None].astype(int), axis=-1)[..., 0]
    assert_array_equal(call(gather, c, switch, F), expected)


@hypothesis.given(maps(), seeds)
def test_unpool_is_the_adjoint_of_gather_and_keeps_sums(precision, drawn, seed):
    c, F = drawn
    switch = switches_for(c, F, seed)
    (s,) = normal(seed, switch.shape)
    unpooled = call(unpool, s, switch, F, out=filled(c.shape, 0.0))
    assert_adjoint(call(gather, c, switch, F), c, unpooled, s)
    assert_array_equal(windows_of(unpooled, F).sum(axis=-1), s)
    assert_array_equal(call(gather, unpooled, switch, F), s)
    assert np.count_nonzero(unpooled) <= s.size


def poisoned_in_windows(shape, F, rim):
    """A buffer that holds nan wherever a window lies, and `rim` elsewhere."""
    out = filled(shape, rim)
    out[:, : shape[1] // F * F, : shape[2] // F * F] = np.nan
    return out


@hypothesis.given(maps(), seeds)
def test_pooling_writes_over_what_its_buffers_held(precision, drawn, seed):
    c, F = drawn
    maximum, switch = call(pool, c, F)
    out, places = filled(maximum.shape), filled(maximum.shape, 255, "uint8")
    found = pool(moved(c), F, out=out, switch=places)
    assert found[0] is out and found[1] is places
    assert_array_equal(xp.asnumpy(out), maximum)
    assert_array_equal(xp.asnumpy(places), switch)

    any_switch = switches_for(c, F, seed)
    gathered, out = call(gather, c, any_switch, F), filled(maximum.shape)
    assert gather(moved(c), moved(any_switch), F, out=out) is out
    assert_array_equal(xp.asnumpy(out), gathered)

    (s,) = normal(seed, switch.shape)
    expected = call(unpool, s, any_switch, F, out=filled(c.shape, 0.0))
    assert_array_equal(call(unpool, s, any_switch, F, out=poisoned_in_windows(c.shape, F, 0.0)), expected)


def test_unpool_leaves_alone_what_no_window_covers(precision):
    out = poisoned_in_windows((2, 5, 8, 3), 3, rim=5.0)
    s, switch = normal(5, (2, 1, 2, 3))[0], np.full((2, 1, 2, 3), 4, "uint8")
    unpooled = call(unpool, s, switch, 3, out=out)
    assert (unpooled[:, 3:] == 5).all() and (unpooled[:, :, 6:] == 5).all()
    assert_array_equal(unpooled[:, 1, 1::3][:, :2], s[:, 0])
    assert np.count_nonzero(unpooled[:, :3, :6]) == s.size


# of all


def test_results_have_memory_of_their_own(precision):
    """To write into a result changes neither the arguments nor what a second call returns."""
    x, K, z = normal(6, (2, 4, 4, 2), (3, 3, 2, 2), (2, 2, 2, 2))
    for function, arguments in [
        (patches, (x, 1)),  # a window of one is the map itself
        (patches, (x, 3)),
        (conv, (x, K)),
        (conv_adjoint, (z, K)),
        (kernel_gradient, (x, z)),
        (pad, (x, 1)),
        (pool, (x, 1)),
        (pool, (x, 2)),
        (gather, (x, switches_for(x, 2, 0), 2)),
    ]:
        expected = call(function, *arguments)
        device = [moved(each) if isinstance(each, np.ndarray) else each for each in arguments]
        for _ in range(2):
            results = function(*device)
            for result, values in zip(results, expected, strict=True) if function is pool else [(results, expected)]:
                assert_array_equal(xp.asnumpy(result), values)
                result[...] = 77
        assert_array_equal(xp.asnumpy(device[0]), arguments[0])


def test_the_stand_in_knows_which_views_wait_for_the_device():
    xp.use(strict.backend)
    x = xp.asarray(np.arange(4.0))
    tricks = xp.lib.stride_tricks
    with pytest.raises(TypeError, match="sliding_window_view waits for the device"):
        tricks.sliding_window_view(x, 2)
    with strict.synchronisation_allowed():
        assert_array_equal(xp.asnumpy(tricks.sliding_window_view(x, 2)), [[0, 1], [1, 2], [2, 3]])
    view = tricks.as_strided(x, (2, 2), x.strides * 2)
    view[0, 0] = 5.0
    assert_array_equal(xp.asnumpy(view), [[5, 1], [1, 2]])
    assert_array_equal(xp.asnumpy(x), [5, 1, 2, 3])
    for wrong in (lambda: tricks.as_strided(np.ones(3), (2, 2), (8, 8)), lambda: tricks.as_strided(x, subok=True)):
        with pytest.raises(TypeError):
            wrong()
    with pytest.raises(AttributeError):
        xp.lib.scimath.sqrt(x)


# misuse


def zeros(*shape, dtype=None):
    return xp.zeros(shape, dtype=dtype or xp.float_dtype)


MISUSE = {
    "x is a list, not an array": lambda: conv([[1.0]], zeros(1, 1, 1, 1)),
    r"x has shape \(5, 5\); maps are \(batch, rows, columns, channels\)": lambda: conv(zeros(5, 5), zeros(2, 2, 1, 1)),
    "x holds uint8; make it": lambda: conv(zeros(2, 5, 5, 1, dtype="uint8"), zeros(2, 2, 1, 1)),
    "x holds bool": lambda: patches(zeros(2, 5, 5, 1, dtype=bool), 2),
    r"x has shape \(0, 5, 5, 1\): it is empty": lambda: conv(zeros(0, 5, 5, 1), zeros(2, 2, 1, 1)),
    "K is a NoneType, not an array": lambda: conv(zeros(2, 5, 5, 1), None),
    r"K has shape \(2, 3, 1, 1\); a kernel is": lambda: conv(zeros(2, 5, 5, 1), zeros(2, 3, 1, 1)),
    r"K has shape \(2, 2, 3, 1\), 3 channels in; x has 1 channels": lambda: conv(zeros(2, 5, 5, 1), zeros(2, 2, 3, 1)),
    r"K has shape \(2, 2, 1, 3\), 3 channels out; z has 1 channels": lambda: conv_adjoint(
        zeros(2, 5, 5, 1), zeros(2, 2, 1, 3)
    ),
    "K is float16, but x is float64": lambda: conv(zeros(2, 5, 5, 1), zeros(2, 2, 1, 1, dtype="float16")),
    "stride is 0; it must be at least 1": lambda: conv(zeros(2, 5, 5, 1), zeros(2, 2, 1, 1), stride=0),
    "stride is 1.5; it must be a whole number": lambda: patches(zeros(2, 5, 5, 1), 2, stride=1.5),
    "F is True; it must be a whole number": lambda: patches(zeros(2, 5, 5, 1), True),
    r"out is float64 \(2, 5, 5, 1\); what is written into it is float64 \(2, 4, 4, 1\)": lambda: conv(
        zeros(2, 5, 5, 1), zeros(2, 2, 1, 1), out=zeros(2, 5, 5, 1)
    ),
    r"out is float32 \(2, 4, 4, 1\); what is written into it is float64": lambda: conv(
        zeros(2, 5, 5, 1), zeros(2, 2, 1, 1), out=zeros(2, 4, 4, 1, dtype="float32")
    ),
    "columns is float64": lambda: conv(zeros(2, 5, 5, 1), zeros(2, 2, 1, 1), columns=zeros(2, 4, 4, 2, 2, 2)),
    "columns is float64 ": lambda: conv_adjoint(zeros(2, 5, 5, 1), zeros(2, 2, 1, 1), columns=zeros(2, 4, 4, 2, 2, 1)),
    "columns is float64  *": lambda: kernel_gradient(zeros(2, 5, 5, 1), zeros(2, 4, 4, 1), zeros(2, 5, 5, 2, 2, 1)),
    r"z has shape \(2, 4, 3, 1\); it is no convolution of x": lambda: kernel_gradient(
        zeros(2, 5, 5, 1), zeros(2, 4, 3, 1)
    ),
    r"z has shape \(3, 4, 4, 1\); it is no": lambda: kernel_gradient(zeros(2, 5, 5, 1), zeros(3, 4, 4, 1)),
    r"z has shape \(2, 6, 6, 1\); it is no": lambda: kernel_gradient(zeros(2, 5, 5, 1), zeros(2, 6, 6, 1)),
    "z is float32, but x is float64": lambda: kernel_gradient(zeros(2, 5, 5, 1), zeros(2, 4, 4, 1, dtype="float32")),
    "out has maps of 9 x 9; a convolution with a kernel of 2 x 2 at the stride 2 does not turn them into the 3 x 3": (
        lambda: strided_adjoint(zeros(2, 3, 3, 1), zeros(2, 2, 1, 1), 2, zeros(2, 9, 9, 1))
    ),
    r"out is float64 \(2, 6, 6, 5\)": lambda: strided_adjoint(
        zeros(2, 3, 3, 1), zeros(2, 2, 1, 1), 2, zeros(2, 6, 6, 5)
    ),
    "P is -1; it must be at least 0": lambda: pad(zeros(2, 5, 5, 1), -1),
    r"out is float64 \(2, 5, 5, 1\)": lambda: pad(zeros(2, 5, 5, 1), 1, out=zeros(2, 5, 5, 1)),
    "P is 0.5": lambda: crop(zeros(2, 5, 5, 1), 0.5),
    "P is 3; of maps of 5 x 5 nothing is left": lambda: crop(zeros(2, 5, 5, 1), 3),
    "c has maps of 5 x 2; the pooling window, 3 x 3, is larger": lambda: pool(zeros(2, 5, 2, 1), 3),
    "F is 17; it must be from 1 to 16": lambda: pool(zeros(2, 50, 50, 1), 17),
    "switch is float64": lambda: gather(zeros(2, 4, 4, 1), zeros(2, 2, 2, 1), 2),
    r"switch is uint8 \(1, 2, 2, 1\); it must be uint8 \(2, 2, 2, 1\)": lambda: gather(
        zeros(2, 4, 4, 1), zeros(1, 2, 2, 1, dtype="uint8"), 2
    ),
    r"s has shape \(2, 2, 2, 3\); the windows of out, \(2, 4, 4, 1\), are": lambda: unpool(
        zeros(2, 2, 2, 3), zeros(2, 2, 2, 3, dtype="uint8"), 2, zeros(2, 4, 4, 1)
    ),
    "out is float32, but s is float64": lambda: unpool(
        zeros(2, 2, 2, 1), zeros(2, 2, 2, 1, dtype="uint8"), 2, zeros(2, 4, 4, 1, dtype="float32")
    ),
    "switch is uint8": lambda: pool(zeros(2, 4, 4, 1), 2, switch=zeros(2, 3, 3, 1, dtype="uint8")),
}


@pytest.mark.parametrize("message", MISUSE)
def test_misuse_is_told(backend, message):
    with pytest.raises(PlasticError, match=message):
        MISUSE[message]()
