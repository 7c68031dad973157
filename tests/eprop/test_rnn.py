"""Tanh units: the equations as they are written, both rules against finite differences, and e-prop by two routes."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from plastic import check, parameters, xp
from plastic.eprop import (
    RNNNetwork,
    RNNState,
    bptt_gradients,
    eprop_gradients,
    online_gradients,
    rnn,
    simulate,
    traces_after,
)
from plastic.eprop.rnn_cells.sweep import of_cells
from plastic.eprop.sequences import learning_signals
from plastic.errors import PlasticError
from plastic.functions import softmax_cross_entropy
from plastic.parameters import Affine

biased = pytest.mark.parametrize("biases", [False, True])


def make(seed=0, n_in=4, n=5, n_out=3, T=7, batch=2, biases=True):
    """A network with biases that are not zero, an input, labels, and a state to begin with."""
    rng = np.random.default_rng(seed)
    net = rnn((n_in, n, n_out), rng)
    for each in (net.kernel, net.readout):
        each.b = xp.asarray(0.3 * rng.standard_normal(each.b.shape)) if biases else None
    x, start = (xp.asarray(rng.standard_normal(shape)) for shape in ((T, batch, n_in), (batch, n)))
    return net, x, xp.asarray(rng.integers(0, n_out, (T, batch))), RNNState(start)


def error_of(record, labels):
    losses, err = softmax_cross_entropy(record.output, labels)
    return xp.sum(losses), err


@biased
def test_the_units_do_what_the_equations_say(biases):
    xp.use(dtype="float64")
    net, x, _, start = make(biases=biases)
    record, h = simulate(net, x, state=start), start.h
    for t in range(len(x)):
        h = np.tanh(x[t] @ net.kernel.W[:4] + h @ net.kernel.W[4:] + (net.kernel.b if biases else 0))
        assert_allclose(record.h[t], h, rtol=1e-12)
        assert_allclose(record.output[t], h @ net.readout.W + (net.readout.b if biases else 0), rtol=1e-12, atol=1e-13)
    assert_array_equal(record.state.h, record.h[-1])
    zero = RNNState(np.zeros_like(start.h))
    assert_array_equal(simulate(net, x).output, simulate(net, x, state=zero).output)
    halves = simulate(net, x[:3], state=start)
    assert_allclose(simulate(net, x[3:], state=halves.state).output, record.output[3:], rtol=1e-12)


def test_the_first_weights_are_those_of_glorot():
    net = rnn((30, 50, 4), np.random.default_rng(0))
    bound = np.sqrt(6 / (80 + 50))
    assert 0.98 * bound < np.abs(xp.asnumpy(net.kernel.W)).max() <= bound * (1 + 1e-6)
    assert_allclose(xp.asnumpy(net.readout.W).std(), 50**-0.5, rtol=0.1)
    assert not net.kernel.b.any() and not net.readout.b.any()


@biased
def test_bptt_is_the_gradient_of_the_loss(backend, biases):
    net, x, labels, start = make(biases=biases)
    record = simulate(net, x, state=start)
    grads = bptt_gradients(net, record, error_of(record, labels)[1])
    found = check.gradient(
        lambda tree: error_of(simulate(net, x, state=start), labels)[0],
        net.parameters,
        grads,
        max_entries=60 if backend == "numpy" else 4,
    )
    assert len(found) == 2 + 2 * biases


@pytest.mark.parametrize("random", [False, True], ids=["symmetric", "random"])
def test_eprop_is_the_gradient_where_no_signal_passes_through_h(random):
    """With h^{t-1} into the units held as it was, E = sum of err^t (h^t B + b_out), err fixed."""
    xp.use(dtype="float64")
    net, x, labels, start = make()
    record = simulate(net, x, state=start)
    err = error_of(record, labels)[1]
    B = np.random.default_rng(9).standard_normal(net.readout.W.shape) if random else net.readout.W.copy()
    p = np.concatenate([x, np.concatenate([start.h[None], record.h[:-1]])], axis=-1)

    def loss(tree):
        h = np.tanh(p @ net.kernel.W + net.kernel.b)
        return np.sum(err * (h @ B + record.h @ net.readout.W + net.readout.b))

    check.gradient(loss, net.parameters, eprop_gradients(net, record, err, feedback=B))


@pytest.mark.parametrize("rule", ["eprop", "bptt"])
def test_the_sweep_gives_the_gradient_of_the_input(rule):
    """Of one step both rules are the gradient; of several BPTT is."""
    xp.use(dtype="float64")
    net, x, labels, start = make(T=1 if rule == "eprop" else 5)
    record = simulate(net, x, state=start)
    L = learning_signals(error_of(record, labels)[1], net.readout.W)
    _, dx = of_cells(net, record, L, rule == "bptt", True)
    check.gradient(lambda x: error_of(simulate(net, x, state=start), labels)[0], x, dx)
    assert of_cells(net, record, L, rule == "bptt", False)[1] is None


@hypothesis.given(
    seed=st.integers(0, 10_000),
    sizes=st.tuples(*[st.integers(1, 6)] * 5),
    biases=st.booleans(),
    random=st.booleans(),
)
def test_eprop_online_and_by_the_sweep_are_equal(seed, sizes, biases, random):
    xp.use(dtype="float64")
    n_in, n, n_out, T, batch = sizes
    net, x, _, start = make(seed, n_in, n, n_out, T, batch, biases)
    rng = np.random.default_rng(seed)
    record = simulate(net, x, state=start if seed % 2 else None)
    err = rng.standard_normal(record.output.shape)
    B = rng.standard_normal((n, n_out)) if random else net.readout.W
    found, expected = (rule(net, record, err, feedback=B) for rule in (online_gradients, eprop_gradients))
    for (path, a), (_, b) in zip(*map(parameters.leaves, (found, expected)), strict=True):
        assert_allclose(a, b, rtol=1e-12, atol=1e-12 * T * batch, err_msg=path)


def test_chunks_need_no_traces():
    """The state is all that a chunk leaves; gradients of e-prop of chunks add up to that of the whole."""
    xp.use(dtype="float64")
    net, x, labels, start = make()
    whole, total, state = simulate(net, x, state=start), None, start
    for part in (slice(0, 3), slice(3, 7)):
        record = simulate(net, x[part], state=state)
        grads = eprop_gradients(net, record, error_of(record, labels[part])[1], traces=None)
        total = grads if total is None else parameters.map(lambda a, b: a + b, total, grads)
        state = record.state
        assert traces_after(net, record) is None
    expected = eprop_gradients(net, whole, error_of(whole, labels)[1])
    for (path, a), (_, b) in zip(parameters.leaves(total), parameters.leaves(expected), strict=True):
        assert_allclose(a, b, rtol=1e-12, atol=1e-13, err_msg=path)
    with pytest.raises(PlasticError, match="traces is a RNNState"):
        eprop_gradients(net, whole, whole.output, traces=start)


@pytest.mark.parametrize(
    ("kernel", "readout", "named"),
    [
        ((7, 5), (4, 2), "kernel.W"),
        ((4, 4), (4, 2), "kernel.W has 4 rows"),
        ((7, 4), (4,), "readout is a Affine without a matrix"),
    ],
)
def test_parts_that_do_not_fit_are_refused(kernel, readout, named):
    with pytest.raises(PlasticError, match=named):
        RNNNetwork(Affine(xp.zeros(kernel)), Affine(xp.zeros(readout)))
    net, x, *_ = make()
    for more in ({"done": np.zeros(x.shape[:2])}, {"keep": ("h",)}, {"out": simulate(net, x)}):
        with pytest.raises(PlasticError, match="are for spiking networks"):
            simulate(net, x, **more)
