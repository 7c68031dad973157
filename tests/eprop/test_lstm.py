"""LSTM cells: the equations as they are written, both rules against finite differences, and e-prop by two routes."""

import dataclasses

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from plastic import check, parameters, xp
from plastic.eprop import (
    LSTMNetwork,
    LSTMState,
    bptt_gradients,
    eprop_gradients,
    lstm,
    online_gradients,
    simulate,
    traces_after,
)
from plastic.eprop.lstm_cells.sweep import sweep
from plastic.eprop.sequences import learning_signals
from plastic.errors import PlasticError
from plastic.functions import logistic, softmax_cross_entropy
from plastic.parameters import Affine

RULES = (eprop_gradients, online_gradients)
peepholes = pytest.mark.parametrize("peepholes", [False, True], ids=["plain", "peepholes"])


def make(peepholes=True, seed=0, n_in=4, n=5, n_out=3, T=7, batch=2, biases=True):
    """A network with biases that are not zero, an input, labels, weights of the samples, and a state to begin with."""
    rng = np.random.default_rng(seed)
    net = lstm((n_in, n, n_out), rng, peepholes=peepholes)
    for affine in (net.kernel, net.readout):
        affine.b = xp.asarray(0.3 * rng.standard_normal(affine.b.shape)) if biases else None
    x = xp.asarray(rng.standard_normal((T, batch, n_in)))
    labels, weights = xp.asarray(rng.integers(0, n_out, (T, batch))), xp.asarray(rng.random((T, batch)))
    return net, x, labels, weights, LSTMState(*(xp.asarray(rng.standard_normal((batch, n))) for _ in range(2)))


def error_of(record, labels, weights):
    """A weighted cross-entropy: the loss, and its derivative at the logits."""
    losses, err = softmax_cross_entropy(record.output, labels)
    return xp.sum(losses * weights), err * weights[..., None]


def close(found, expected, tolerance=1e-12):
    """Compare two trees, each leaf relative to its largest entry."""
    pairs = zip(parameters.leaves(found), parameters.leaves(expected), strict=True)
    for (path, a), (other, b) in pairs:
        assert path == other and a.shape == b.shape
        scale = np.abs(xp.asnumpy(b)).max()
        assert_allclose(xp.asnumpy(a), xp.asnumpy(b), rtol=0, atol=tolerance * scale, err_msg=path)


def cell(net, x, c, h):
    """One step in plain NumPy, as the papers write it; returns c, h."""
    u = np.concatenate([x, h], axis=-1) @ net.kernel.W + (0 if net.kernel.b is None else net.kernel.b)
    u_i, u_j, u_f, u_o = np.split(u, 4, axis=-1)
    w_i, w_f, w_o = (0 if w is None else w for w in (net.w_i, net.w_f, net.w_o))
    new = sig(u_f + 1 + w_f * c) * c + sig(u_i + w_i * c) * np.tanh(u_j)
    return new, sig(u_o + w_o * new) * np.tanh(new)


def sig(u):
    return 1 / (1 + np.exp(-u))


# the cells


@peepholes
@pytest.mark.parametrize("biases", [False, True])
def test_the_cells_do_what_the_papers_write(peepholes, biases):
    xp.use(dtype="float64")
    net, x, _, _, start = make(peepholes, biases=biases)
    record = simulate(net, x, state=start)
    c, h = start.c, start.h
    for t in range(len(x)):
        c, h = cell(net, x[t], c, h)
        assert_allclose(record.c[t], c, rtol=1e-12)
        assert_allclose(record.h[t], h, rtol=1e-12)
        assert_allclose(record.output[t], h @ net.readout.W + (net.readout.b if biases else 0), rtol=1e-12, atol=1e-13)
    assert_array_equal(record.state.c, record.c[-1])
    assert_array_equal(record.state.h, record.h[-1])
    zero = LSTMState(np.zeros_like(start.c), np.zeros_like(start.h))
    assert_array_equal(simulate(net, x).output, simulate(net, x, state=zero).output)


def test_gates_by_hand(precision):
    """One cell: u_i = log 3, u_j = log 2, u_f + 1 = -log 3, u_o = 0 give i = 3/4, j = 3/5, f = 1/4, o = 1/2."""
    W = np.zeros((2, 4))
    b = np.array([[np.log(3), np.log(2), -np.log(3) - 1, 0.0]])
    net = LSTMNetwork(Affine(xp.asarray(W), xp.asarray(b)), Affine(xp.asarray(np.array([[2.0]])), None))
    start = LSTMState(*(xp.asarray(np.array([[value]])) for value in (2.0, 9.0)))
    record = simulate(net, xp.asarray(np.array([[[5.0]]])), state=start)
    found = [xp.asnumpy(each).item() for each in (record.i, record.j, record.f, record.o, record.c, record.output)]
    assert_allclose(found, [3 / 4, 3 / 5, 1 / 4, 1 / 2, 0.95, np.tanh(0.95)], rtol=3e-6)


def test_a_state_carries_over(backend):
    net, x, *_, start = make()
    whole = simulate(net, x, state=start)
    first = simulate(net, x[:3], state=start)
    second = simulate(net, x[3:], state=first.state)
    for name in ("c", "h", "output", "i", "f"):
        halves = [xp.asnumpy(getattr(half, name)) for half in (first, second)]
        assert_allclose(np.concatenate(halves), xp.asnumpy(getattr(whole, name)), rtol=1e-12, atol=1e-14)
    close([second.state.c, second.state.h], [whole.state.c, whole.state.h])


def test_large_inputs_overflow_nowhere(precision):
    net, x, labels, weights, _ = make()
    record = simulate(net, x * 1e4)
    _, err = error_of(record, labels, weights)
    for grads in (bptt_gradients(net, record, err), eprop_gradients(net, record, err)):
        assert all(np.isfinite(xp.asnumpy(leaf)).all() for _, leaf in parameters.leaves(grads))


# gradients


@peepholes
@pytest.mark.parametrize("biases", [False, True])
def test_bptt_is_the_gradient_of_the_loss(backend, peepholes, biases):
    net, x, labels, weights, start = make(peepholes, biases=biases)

    def loss(tree):
        return error_of(simulate(net, x, state=start), labels, weights)[0]  # the parameters are moved in place

    record = simulate(net, x, state=start)
    grads = bptt_gradients(net, record, error_of(record, labels, weights)[1])
    found = check.gradient(loss, net.parameters, grads, max_entries=60 if backend == "numpy" else 4)
    assert len(found) == 2 + 2 * biases + 3 * peepholes


@peepholes
@pytest.mark.parametrize("random", [False, True], ids=["symmetric", "random"])
def test_eprop_is_the_gradient_where_no_signal_passes_through_h(peepholes, random):
    """With h^{t-1} into the gates held as it was, E = sum of err^t (h^t B + b_out), err fixed: nothing else changes."""
    xp.use(dtype="float64")
    net, x, labels, weights, start = make(peepholes)
    record = simulate(net, x, state=start)
    err = error_of(record, labels, weights)[1]
    B = np.random.default_rng(9).standard_normal(net.readout.W.shape) if random else net.readout.W.copy()
    h_before = np.concatenate([start.h[None], record.h[:-1]])

    def loss(tree):
        c, total = start.c, np.zeros(())
        for t in range(len(x)):
            c, h = cell(net, x[t], c, h_before[t])
            total += np.sum(err[t] * (h @ B + record.h[t] @ net.readout.W + net.readout.b))
        return total

    check.gradient(loss, net.parameters, eprop_gradients(net, record, err, feedback=B))


@peepholes
def test_the_sweep_gives_the_gradient_of_the_input(backend, peepholes):
    """For layers below: dE/dx = delta W_x^T."""
    net, x, labels, weights, start = make(peepholes)

    def loss(x):
        return error_of(simulate(net, x, state=start), labels, weights)[0]

    record = simulate(net, x, state=start)
    L = learning_signals(error_of(record, labels, weights)[1], net.readout.W)
    delta = sweep(net, record, L, recurrent=True)
    gradient = delta @ xp.swapaxes(net.W_x, -1, -2)
    check.gradient(loss, x, gradient, max_entries=60 if backend == "numpy" else 8)


@hypothesis.given(
    seed=st.integers(0, 10_000),
    sizes=st.tuples(*[st.integers(1, 6)] * 5),
    peepholes=st.booleans(),
    biases=st.booleans(),
    random=st.booleans(),
)
def test_eprop_online_and_by_the_sweep_are_equal(seed, sizes, peepholes, biases, random):
    xp.use(dtype="float64")
    n_in, n, n_out, T, batch = sizes
    net, x, *_, start = make(peepholes, seed, n_in, n, n_out, T, batch, biases)
    rng = np.random.default_rng(seed)
    record = simulate(net, x, state=start if seed % 2 else None)
    err = rng.standard_normal(record.output.shape)
    B = rng.standard_normal((n, n_out)) if random else net.readout.W
    found, expected = (rule(net, record, err, feedback=B) for rule in RULES)
    for (path, a), (_, b) in zip(*map(parameters.leaves, (found, expected)), strict=True):
        assert_allclose(a, b, rtol=1e-12, atol=1e-12 * T * batch, err_msg=path)


@peepholes
def test_eprop_online_on_every_backend(precision, peepholes):
    net, x, labels, weights, start = make(peepholes, T=4)
    record = simulate(net, x, state=start)
    err = error_of(record, labels, weights)[1]
    found, expected = (rule(net, record, err) for rule in RULES)
    assert all(leaf.dtype == precision for _, leaf in parameters.leaves(found))
    close(found, expected, 1e-12 if precision == "float64" else 1e-5)


@peepholes
def test_eprop_is_bptt_without_recurrent_weights(backend, peepholes):
    net, x, labels, weights, start = make(peepholes)
    for recurrent in (True, False):
        if not recurrent:
            net.W_h[...] = 0.0
        record = simulate(net, x, state=start)
        err = error_of(record, labels, weights)[1]
        found, expected = eprop_gradients(net, record, err), bptt_gradients(net, record, err)
        if recurrent:
            assert np.abs(xp.asnumpy(found["kernel"].W - expected["kernel"].W)).max() > 1e-3
        else:
            close(found, expected)
            assert np.abs(xp.asnumpy(found["kernel"].W[-5:])).max() > 1e-3  # they would learn


@peepholes
def test_gradients_have_the_tree_of_the_parameters(precision, peepholes):
    for biases in (True, False):
        net, x, *_ = make(peepholes, biases=biases)
        record = simulate(net, x)
        err = record.output
        for grads in (bptt_gradients(net, record, err), *(rule(net, record, err) for rule in RULES)):
            parameters.map(lambda p, g: _check_like(p, g), net.parameters, grads)


def _check_like(p, g):
    assert (g.shape, g.dtype) == (p.shape, p.dtype)
    return g


# chunks of a sequence


def in_chunks(rule, net, x, err, lengths, state, feedback):
    """The sum of a rule's gradients over chunks of some lengths, and the traces that the last one leaves."""
    total, traces, start = None, None, 0
    for length in lengths:
        part = slice(start, start + length)
        record = simulate(net, x[..., part, :, :], state=state)
        grads = rule(net, record, err[..., part, :, :], feedback=feedback, traces=traces)
        total = grads if total is None else parameters.map(lambda a, b: a + b, total, grads)
        state, traces, start = record.state, traces_after(net, record, traces), part.stop
    return total, traces


@peepholes
@pytest.mark.parametrize("biases", [True, False])
@pytest.mark.parametrize("lengths", [(7,), (1, 6), (3, 1, 3), (1,) * 7], ids=str)
def test_gradients_of_chunks_add_up_to_that_of_the_whole(backend, peepholes, biases, lengths):
    net, x, labels, weights, start = make(peepholes, biases=biases)
    record = simulate(net, x, state=start)
    err = error_of(record, labels, weights)[1]
    B = xp.asarray(np.random.default_rng(5).standard_normal(net.readout.W.shape))
    whole, left = online_gradients(net, record, err, feedback=B), traces_after(net, record)
    for rule in RULES:
        found, traces = in_chunks(rule, net, x, err, lengths, start, B)
        close(found, whole)
        if peepholes:
            close(traces, left)
        else:
            close(traces.eps, left.eps)
    with pytest.raises(PlasticError, match="LSTMState"):
        eprop_gradients(net, record, err, traces=start)
    with pytest.raises(PlasticError, match=r"traces\.eps_wi has shape"):
        traces_after(net, record, traces_after(net, simulate(net, x[:, :1])))


def test_chunks_of_replicas():
    """Replicas whose inputs are their own, and replicas that share them."""
    xp.use(dtype="float64")
    sizes = {"n_in": 3, "n": 3, "n_out": 3, "batch": 3, "T": 6}
    nets, xs, *_ = zip(*(make(True, seed, **sizes) for seed in range(3)), strict=True)
    together = LSTMNetwork(**parameters.stack([net.parameters for net in nets]))
    rng = np.random.default_rng(8)
    err, B = rng.standard_normal((3, 6, 3, 3)), rng.standard_normal((3, 3, 3))
    for x in (np.stack(xs), xs[0]):
        found = in_chunks(eprop_gradients, together, x, err, (2, 4), None, B)
        for r in range(3):
            own = x[r] if x.ndim == 4 else x
            expected = in_chunks(online_gradients, nets[r], own, err[r], (4, 2), None, B[r])
            close(parameters.map(lambda leaf, r=r: leaf[r], list(found)), list(expected), 1e-10)


# replicas, precision, buffers


def all_rules(net, x, err_of, start, B):
    """The logits and the last state, and the gradients of all rules, as one tree."""
    record = simulate(net, x, state=start)
    err = err_of(record)
    rules = [bptt_gradients(net, record, err)]
    rules += [rule(net, record, err, feedback=feedback) for rule in RULES for feedback in (None, B)]
    return [record.output, record.state.c, record.state.h, rules]


@peepholes
@pytest.mark.parametrize("shared", [False, True], ids=["own data", "shared data"])
def test_replicas_equal_separate_runs(backend, peepholes, shared):
    """With as many replicas as samples, inputs, cells and outputs, where wrong broadcasting hides."""
    sizes = {"n_in": 3, "n": 3, "n_out": 3, "batch": 3, "T": 10}
    each = [make(peepholes, seed, **sizes) for seed in range(3)]
    if shared:
        each = [(net, *each[0][1:]) for net, *_ in each]
    nets, xs, labels, weights, starts = zip(*each, strict=True)
    B = [xp.asarray(np.random.default_rng(seed).standard_normal((3, 3))) for seed in range(3)]
    together = LSTMNetwork(**parameters.stack([net.parameters for net in nets]))
    if shared:
        x, label, weight, start = xs[0], labels[0], weights[0], starts[0]
    else:
        x, label, weight, start = (_stack(each) for each in (xs, labels, weights, starts))

    found = all_rules(together, x, lambda record: error_of_replicas(record, label, weight), start, xp.stack(B))
    for r in range(3):
        expected = all_rules(
            nets[r], xs[r], lambda record, r=r: error_of(record, labels[r], weights[r])[1], starts[r], B[r]
        )
        close(parameters.map(lambda leaf, r=r: leaf[r], found), expected, 1e-10)
    if not shared:
        record = simulate(together, x)
        for r in range(3):
            close(record.output[r], simulate(nets[r], xs[r]).output, 1e-10)


def error_of_replicas(record, labels, weights):
    return softmax_cross_entropy(record.output, labels)[1] * weights[..., None]


def _stack(members):
    if isinstance(members[0], LSTMState):
        return LSTMState(*(xp.stack([getattr(member, name) for member in members]) for name in ("c", "h")))
    return xp.stack(list(members))


def test_a_grid_of_replicas():
    """Two replica axes, and data that vary along one of them."""
    xp.use(dtype="float64")
    nets = [[make(seed=2 * row + column)[0] for column in range(2)] for row in range(2)]
    grid = LSTMNetwork(**parameters.stack([parameters.stack([net.parameters for net in row]) for row in nets]))
    x = np.stack([make(seed=column)[1] for column in range(2)])
    record = simulate(grid, x)
    found = bptt_gradients(grid, record, record.output)
    for row in range(2):
        for column in range(2):
            net = nets[row][column]
            single = simulate(net, x[column])
            expected = bptt_gradients(net, single, single.output)
            close(parameters.map(lambda leaf, at=(row, column): leaf[at], found), expected, 1e-10)


@peepholes
def test_nothing_that_is_given_changes_and_no_result_depends_on_memory(precision, peepholes, monkeypatch):
    net, x, labels, weights, start = make(peepholes, T=4)
    B = xp.asarray(np.random.default_rng(1).standard_normal(net.readout.W.shape))
    record = simulate(net, x, state=start)
    given = [
        net.parameters,
        x,
        dataclasses.asdict(start),
        B,
        dataclasses.asdict(record),
        error_of(record, labels, weights)[1],
    ]
    before = parameters.copy(given)

    def results():
        err = given[-1]
        again = simulate(net, x, state=start)
        rules = [bptt_gradients(net, record, err), *(rule(net, record, err, feedback=B) for rule in RULES)]
        return [dataclasses.asdict(again), rules]

    expected = results()
    for filling in (np.nan, 1e30):
        with monkeypatch.context() as patch:
            patch.setattr(xp, "empty", lambda shape, dtype, filling=filling: xp.full(shape, filling, dtype=dtype))
            patch.setattr(xp, "empty_like", lambda a, filling=filling: xp.full(a.shape, filling, dtype=a.dtype))
            found = results()
        for (path, a), (_, b) in zip(*map(parameters.leaves, (found, expected)), strict=True):
            assert a.dtype == precision
            assert_array_equal(xp.asnumpy(a), xp.asnumpy(b), err_msg=path)
    for (path, a), (_, b) in zip(*map(parameters.leaves, (given, before)), strict=True):
        assert_array_equal(xp.asnumpy(a), xp.asnumpy(b), err_msg=path)


def test_a_state_is_a_copy():
    record = simulate(*make()[:2])
    state = record.state
    state.c[...] = state.h[...] = 7.0
    assert np.abs(record.c).max() < 7 and np.abs(record.h).max() < 7


@peepholes
def test_float32_agrees_with_float64(peepholes):
    found = {}
    for dtype in ("float64", "float32"):
        xp.use(dtype=dtype)
        net, x, labels, weights, start = make(peepholes, n=20, T=40, batch=4)
        B = xp.asarray(np.random.default_rng(1).standard_normal(net.readout.W.shape))
        found[dtype] = all_rules(net, x, lambda record, data=(labels, weights): error_of(record, *data)[1], start, B)
    close(found["float32"], found["float64"], 2e-5)


# networks


@peepholes
def test_a_new_network(precision, peepholes):
    net = lstm((30, 50, 7), np.random.default_rng(3), peepholes=peepholes)
    shapes = {path: leaf.shape for path, leaf in parameters.leaves(net.parameters)}
    expected = {"kernel/W": (80, 200), "kernel/b": (1, 200), "readout/W": (50, 7), "readout/b": (1, 7)}
    assert shapes == expected | ({name: (1, 50) for name in ("w_i", "w_f", "w_o")} if peepholes else {})
    assert all(leaf.dtype == precision for _, leaf in parameters.leaves(net.parameters))
    assert net.forget_bias == 1
    kernel, readout = xp.asnumpy(net.kernel.W), xp.asnumpy(net.readout.W)
    bound = np.sqrt(6 / (80 + 200))
    assert 0.99 * bound < kernel.max() <= bound and -bound <= kernel.min() < -0.99 * bound
    assert_allclose(kernel.std(), bound / np.sqrt(3), rtol=0.02)
    assert_allclose(readout.std(), 1 / np.sqrt(50), rtol=0.15)
    assert not xp.asnumpy(net.kernel.b).any() and not xp.asnumpy(net.readout.b).any()
    if peepholes:
        for w in (net.w_i, net.w_f, net.w_o):
            assert 0.7 * np.sqrt(3 / 50) < np.abs(xp.asnumpy(w)).max() <= np.sqrt(3 / 50)
        plain = lstm((30, 50, 7), np.random.default_rng(3))
        assert_array_equal(xp.asnumpy(plain.kernel.W), kernel)
        assert_array_equal(xp.asnumpy(plain.readout.W), readout)


def test_the_forget_bias_is_one_number():
    with pytest.raises(PlasticError, match=r"forget_bias is an array of shape \(4,\); it must be one number"):
        lstm((3, 4, 2), np.random.default_rng(0), forget_bias=np.ones(4))


def test_peepholes_come_together():
    net = make()[0]
    with pytest.raises(PlasticError, match="all three"):
        dataclasses.replace(net, w_f=None)


def test_two_networks_are_a_bidirectional_one():
    """Sums of logits, the second network on reversed time and without a bias: each learns from the common errors."""
    xp.use(dtype="float64")
    (forth, x, labels, weights, _), (back, *_) = make(seed=1), make(seed=2)
    back.readout.b = None

    def run():
        records = simulate(forth, x), simulate(back, x[::-1])
        losses, err = softmax_cross_entropy(records[0].output + records[1].output[::-1], labels)
        return records, np.sum(losses * weights), err * weights[..., None]

    records, _, err = run()
    grads = [bptt_gradients(forth, records[0], err), bptt_gradients(back, records[1], err[::-1])]
    check.gradient(lambda tree: run()[1], [forth.parameters, back.parameters], grads, max_entries=30)


# functions


@hypothesis.given(st.lists(st.floats(-30, 30, width=32), min_size=1, max_size=8))
def test_the_logistic_function(precision, points):
    v = xp.asarray(np.array(points))
    before, rounding = xp.asnumpy(v).copy(), 1e-15 if precision == "float64" else 3e-7
    found = logistic(v)
    assert found.dtype == precision
    assert_allclose(xp.asnumpy(found), sig(before.astype(float)), rtol=0, atol=rounding)
    assert_array_equal(xp.asnumpy(v), before)
    out = xp.full(v.shape, np.nan, dtype=v.dtype)
    assert logistic(v, out=out) is out
    assert_array_equal(xp.asnumpy(out), xp.asnumpy(found))
    assert logistic(v, out=v) is v
    assert_array_equal(xp.asnumpy(v), xp.asnumpy(found))


def test_the_logistic_function_by_hand(precision):
    found = xp.asnumpy(logistic(xp.asarray(np.array([-1e4, -np.log(3), 0.0, np.log(3), 1e4]))))
    assert_allclose(found, [0, 1 / 4, 1 / 2, 3 / 4, 1], rtol=1e-6)


def test_cross_entropy_by_hand(precision):
    """Probabilities 1/4, 3/4 and, far out, 1 and 0: finite, and without overflow."""
    a = xp.asarray(np.array([[0.0, np.log(3)], [0.0, np.log(3)], [1e4, 0.0], [1e4, 0.0]]))
    before = xp.asnumpy(a).copy()
    losses, gradient = softmax_cross_entropy(a, xp.asarray(np.array([0, 1, 0, 1])))
    assert losses.dtype == gradient.dtype == precision
    assert_allclose(xp.asnumpy(losses), [np.log(4), np.log(4 / 3), 0, 1e4], rtol=1e-6)
    assert_allclose(xp.asnumpy(gradient), [[-3 / 4, 3 / 4], [1 / 4, -1 / 4], [0, 0], [1, -1]], rtol=1e-6, atol=1e-7)
    assert_array_equal(xp.asnumpy(a), before)


def test_the_gradient_of_cross_entropy(backend):
    """Labels that all replicas share; with as many replicas as steps, samples and classes."""
    rng = np.random.default_rng(0)
    a, labels = xp.asarray(rng.standard_normal((3, 3, 3, 3))), xp.asarray(rng.integers(0, 3, (3, 3)))
    losses, gradient = softmax_cross_entropy(a, labels)
    assert losses.shape == (3, 3, 3)
    check.gradient(lambda a: xp.sum(softmax_cross_entropy(a, labels)[0]), a, gradient, max_entries=20)
    one, _ = softmax_cross_entropy(a[1], labels)
    assert_allclose(xp.asnumpy(losses[1]), xp.asnumpy(one), rtol=1e-14)
