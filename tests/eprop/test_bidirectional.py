"""Bidirectional layers: BPTT against finite differences, e-prop against networks of one direction, and of one layer."""

import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose

from plastic import parameters, xp
from plastic.eprop import (
    LSTMNetwork,
    Neurons,
    RNNNetwork,
    SpikingNetwork,
    bidirectional,
    bptt_gradients,
    decay,
    eprop_gradients,
    signals,
    simulate,
)
from plastic.eprop.bidirectional import BidirectionalNetwork
from plastic.eprop.spiking import sweep
from plastic.errors import PlasticError
from plastic.functions import softmax_cross_entropy
from plastic.parameters import Affine

N_IN, N, N_OUT, F, BATCH = 3, 4, 3, 6, 2
REFRACTORY = {"n_ref": 2, "unmasked": True}


def draw(rng, *shape, scale=1.0):
    return xp.asarray(scale * rng.standard_normal(shape))


def lstm_cells(rng, n_in, lead=()):
    return bidirectional.cells(
        kernel=Affine(draw(rng, *lead, n_in + N, 4 * N, scale=0.6), draw(rng, *lead, 1, 4 * N, scale=0.3)),
        w=tuple(draw(rng, *lead, 1, N, scale=0.5) for _ in range(3)),
    )


def tanh_units(rng, n_in, lead=()):
    kernel = Affine(draw(rng, *lead, n_in + N, N, scale=0.6), draw(rng, *lead, 1, N, scale=0.3))
    return bidirectional.cells(kernel=kernel, gates=False)


def spiking_cells(rng, n_in, lead=()):
    beta = np.repeat([0.0, 0.1], N // 2)[None]
    neurons = Neurons(decay(5), 0.4, decay(30), xp.asarray(beta), **REFRACTORY)
    return bidirectional.cells(neurons, W_in=draw(rng, *lead, n_in, N), W_rec=draw(rng, *lead, N, N, scale=0.4))


def make(kind=lstm_cells, layers=1, lead=(), seed=0, all_layers=True, **constants):
    rng = np.random.default_rng(seed)
    pairs = [tuple(kind(rng, N_IN if k == 0 else 2 * N, lead) for _ in range(2)) for k in range(layers)]
    seen = 2 * N * (layers if all_layers else 1)
    readout = Affine(draw(rng, *lead, seen, N_OUT), draw(rng, *lead, 1, N_OUT))
    net = BidirectionalNetwork(pairs, readout, all_layers=all_layers, **constants)
    return net, draw(rng, F, BATCH, N_IN, scale=1.5), xp.asarray(rng.integers(0, N_OUT, (F, BATCH)))


def error_of(record, labels):
    losses, err = softmax_cross_entropy(record.output, labels)
    return xp.sum(losses), err


def close(found, expected, tolerance=1e-12):
    for (path, a), (other, b) in zip(parameters.leaves(found), parameters.leaves(expected), strict=True):
        assert path == other and a.shape == b.shape
        assert_allclose(a, b, rtol=0, atol=tolerance * np.abs(b).max(), err_msg=path)


@pytest.fixture(autouse=True)
def precise():
    xp.use(dtype="float64")


@pytest.mark.parametrize("dropped", [False, True], ids=["all kept", "dropout"])
@pytest.mark.parametrize("all_layers", [False, True], ids=["last layer", "all layers"])
@pytest.mark.parametrize(
    "constants", [{}, {"steps": 2, "kappa": 0.6}, {"steps": 2, "kappa": 0.6, "filter_first": True}], ids=str
)
@pytest.mark.parametrize("kind", [lstm_cells, tanh_units])
def test_bptt_is_the_gradient_by_finite_differences(kind, constants, all_layers, dropped):
    net, x, labels = make(kind, layers=2, all_layers=all_layers, **constants)
    masks = bidirectional.dropout(net, F, BATCH, 0.7, np.random.default_rng(1)) if dropped else None
    record = bidirectional.simulate(net, x, masks)
    grads = dict(parameters.leaves(bidirectional.bptt(net, record, error_of(record, labels)[1])))
    leaves = parameters.leaves(net.parameters)
    assert [path for path, _ in leaves] == list(grads)
    rng, step = np.random.default_rng(2), 1e-5
    for path, leaf in leaves:
        for flat in rng.choice(leaf.size, min(leaf.size, 4), replace=False):
            place, values = np.unravel_index(flat, leaf.shape), []
            for change in (step, -step):
                before, leaf[place] = leaf[place], leaf[place] + change
                values.append(error_of(bidirectional.simulate(net, x, masks), labels)[0])
                leaf[place] = before
            assert_allclose(
                grads[path][place], (values[0] - values[1]) / (2 * step), rtol=1e-5, atol=1e-7, err_msg=path
            )


def of_one_direction(net, k):
    """The network of one direction with its rows of the readout, without bias."""
    cells, W = net.layers[0][k], net.readout.W[k * N : (k + 1) * N]
    if isinstance(cells, RNNNetwork):
        return RNNNetwork(cells.kernel, Affine(W))
    if isinstance(cells, LSTMNetwork):
        return LSTMNetwork(cells.kernel, Affine(W), cells.w_i, cells.w_f, cells.w_o)
    return SpikingNetwork(cells.W_in, cells.W_rec, W, cells.neurons, kappa=0.0, g_out=1.0)


@pytest.mark.parametrize("symmetric", [True, False], ids=["symmetric", "random"])
@pytest.mark.parametrize("rule", ["eprop", "bptt"])
@pytest.mark.parametrize("kind", [lstm_cells, tanh_units, spiking_cells])
def test_one_layer_is_two_networks_whose_outputs_are_summed(kind, rule, symmetric):
    net, x, labels = make(kind)
    record = bidirectional.simulate(net, x)
    nets = [of_one_direction(net, k) for k in range(2)]
    records = [simulate(nets[0], x), simulate(nets[1], x[::-1])]
    assert_allclose(record.output, records[0].output + records[1].output[::-1] + net.readout.b, atol=1e-12)
    err = error_of(record, labels)[1]
    B = None if symmetric or rule == "bptt" else draw(np.random.default_rng(5), 2 * N, N_OUT)
    R, more = None, [{}, {}]
    if kind is spiking_cells:
        R = [tuple(signals.rate_penalty(z, 0.1, 3.0)[1] for z in record.spikes[0])]
        more = [{"R": each} for each in R[0]]
    if rule == "bptt":
        grads = bidirectional.bptt(net, record, err, R)
    else:
        grads = bidirectional.eprop(net, record, err, R, feedback=B)
        its = [{"feedback": None if B is None else B[k * N : (k + 1) * N]} for k in range(2)]
        more = [each | other for each, other in zip(more, its, strict=True)]
    function = bptt_gradients if rule == "bptt" else eprop_gradients
    both = [function(nets[k], records[k], err if k == 0 else err[::-1], **more[k]) for k in range(2)]
    for k, name in enumerate(("forward", "backward")):
        found = grads["layers"][0][name]
        close(found, {path: both[k][path] for path in found})
    W_out = [each["W_out"] if kind is spiking_cells else each["readout"].W for each in both]
    close(grads["readout"], Affine(np.concatenate(W_out), err.sum(axis=(0, 1))[None]))


def test_a_frame_of_several_steps_is_filtered_after_or_before_the_mean():
    for first in (False, True):
        net, x, _ = make(spiking_cells, steps=3, kappa=0.5, filter_first=first)
        record = bidirectional.simulate(net, x)
        z = np.concatenate([record.spikes[0][0], record.spikes[0][1][::-1]], axis=-1).astype(float)
        assert z.shape == (3 * F, BATCH, 2 * N) and 0 < z.mean() < 1
        assert (record.layers[0][0].x == np.repeat(x, 3, axis=0)).all()
        values, wanted = np.zeros(z.shape[1:]), []
        for f in range(F):
            steps = z[3 * f : 3 * f + 3]
            if first:
                sums = []
                for each in steps:
                    values = 0.5 * values + each
                    sums.append(values)
                wanted.append(np.mean(sums, axis=0))
            else:
                values = 0.5 * values + steps.mean(axis=0)
                wanted.append(values)
        assert_allclose(record.seen, wanted, atol=1e-13)
        assert_allclose(record.output, np.array(wanted) @ net.readout.W + net.readout.b, atol=1e-12)


@pytest.mark.parametrize("recurrent", [False, True], ids=["eprop", "bptt"])
def test_what_spiking_cells_ask_of_their_input_is_what_they_ask_of_its_weights(recurrent):
    """With one input i at one step, G_in has one row, x gain mu^t, and dE/dx^t = gain mu^t W_in^T."""
    rng = np.random.default_rng(3)
    cells = spiking_cells(rng, N_IN)
    cells.neurons = dataclasses.replace(cells.neurons, gain=0.8)
    background = draw(rng, F, BATCH, N_IN, scale=0.3)
    L = draw(rng, F, BATCH, N)
    record = simulate(cells, background)
    _, dx = sweep.of_cells(cells, record, L, recurrent, True)
    assert np.abs(dx).min(axis=-1).max(axis=0).min() > 0
    for t, b in np.ndindex(F, BATCH):
        x = np.zeros((F, BATCH, N_IN))
        x[t, b, 1] = 2.0
        record.x = x
        grads, _ = sweep.of_cells(cells, record, L, recurrent, False)
        assert not grads["W_in"][[0, 2]].any()
        assert_allclose(dx[t, b], grads["W_in"][1] / 2 @ cells.W_in.T, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("downwards", [None, False])
def test_eprop_of_spiking_layers_goes_down_through_the_inputs_as_published(downwards):
    net, x, labels = make(spiking_cells, layers=2)
    record = bidirectional.simulate(net, x)
    err = error_of(record, labels)[1]
    grads = bidirectional.eprop(net, record, err, downwards=downwards)
    L = np.split(err @ net.readout.W.T, 4, axis=-1)
    upper = [
        sweep.of_cells(net.layers[1][k], record.layers[1][k], L[2 + k][:: 1 - 2 * k], False, True) for k in range(2)
    ]
    if downwards is None:
        dx = upper[0][1] + upper[1][1][::-1]
        assert np.abs(dx).max() > 0
        L = [L[0] + dx[..., :N], L[1] + dx[..., N:]]
    for k, name in enumerate(("forward", "backward")):
        close(grads["layers"][1][name], upper[k][0])
        lower = eprop_gradients(net.layers[0][k], record.layers[0][k], np.zeros((F, BATCH, 0)), L[k][:: 1 - 2 * k])
        close(grads["layers"][0][name], {path: lower[path] for path in ("W_in", "W_rec")})


def test_eprop_of_lstm_layers_stops_at_their_inputs_as_published():
    """Without recurrent weights e-prop that goes down is BPTT; as published the lower layer is like one alone."""
    net, x, labels = make(layers=2)
    for pair in net.layers:
        for cells in pair:
            cells.kernel.W[-N:] = 0
    record = bidirectional.simulate(net, x)
    err = error_of(record, labels)[1]
    exact = bidirectional.bptt(net, record, err)
    close(bidirectional.eprop(net, record, err, downwards=True), exact)
    published = bidirectional.eprop(net, record, err)
    close(published["layers"][1], exact["layers"][1])
    alone = BidirectionalNetwork(net.layers[:1], Affine(net.readout.W[: 2 * N]))
    close(published["layers"][0], bidirectional.eprop(alone, bidirectional.simulate(alone, x), err)["layers"][0])


@pytest.mark.parametrize("kind", [lstm_cells, tanh_units, spiking_cells])
def test_replicas_are_like_networks_of_their_own(kind):
    net, x, labels = make(kind, layers=2, lead=(2,), steps=2, kappa=0.5)
    record = bidirectional.simulate(net, x)
    err = error_of(record, labels)[1]
    grads = bidirectional.eprop(net, record, err)
    for k in range(2):
        alone, _, _ = make(kind, layers=2, steps=2, kappa=0.5)
        for (_, leaf), (_, whole) in zip(
            parameters.leaves(alone.parameters), parameters.leaves(net.parameters), strict=True
        ):
            leaf[...] = whole[k]
        its = bidirectional.simulate(alone, x)
        assert_allclose(record.output[k], its.output, atol=1e-12)
        close(parameters.map(lambda leaf, k=k: leaf[k], grads), bidirectional.eprop(alone, its, err[k]), 1e-10)


def test_dropout_keeps_the_mean_and_the_probability():
    net, _, _ = make(spiking_cells, layers=2, steps=2)
    masks = bidirectional.dropout(net, 500, 8, 0.7, np.random.default_rng(0))
    assert [each.shape for each in masks.inputs] == [(1000, 8, N_IN), (1000, 8, 2 * N)]
    assert masks.readout.shape == (500, 8, 4 * N)
    for each in (*masks.inputs, masks.readout):
        assert_allclose(np.unique(each), [0, 1 / 0.7], rtol=1e-6)
        assert abs(each.mean() - 1) < 5 * np.sqrt(0.3 / 0.7 / each.size)
    ones = bidirectional.dropout(net, 5, 2, 1.0, np.random.default_rng(0))
    assert all((each == 1).all() for each in (*ones.inputs, ones.readout))


MISUSE = {
    "no layers": (lambda net, x, err: BidirectionalNetwork([], net.readout), "layers is empty"),
    "steps 0": (lambda net, x, err: BidirectionalNetwork(net.layers, net.readout, steps=0), "steps is 0"),
    "kappa 1": (lambda net, x, err: BidirectionalNetwork(net.layers, net.readout, kappa=1.0), "kappa"),
    "another readout": (lambda net, x, err: BidirectionalNetwork(net.layers, Affine(xp.ones((3, 2)))), "sees 16 cells"),
    "sizes": (lambda net, x, err: BidirectionalNetwork(net.layers[:1] * 2, net.readout), "layer 1 has .* of 8 inputs"),
    "two kinds": (
        lambda net, x, err: BidirectionalNetwork(
            [(spiking_cells(np.random.default_rng(0), N_IN), net.layers[0][1])], Affine(xp.ones((8, 2)))
        ),
        "one kind",
    ),
    "with readouts": (
        lambda net, x, err: BidirectionalNetwork([(of_one_direction(net, 0),) * 2], Affine(xp.ones((8, 2)))),
        "without readout",
    ),
    "x of another width": (lambda net, x, err: bidirectional.predict(net, x[..., :2]), "shape"),
    "err of another shape": (
        lambda net, x, err: bidirectional.bptt(net, bidirectional.simulate(net, x), err[:3]),
        "err has shape",
    ),
    "a regulariser": (
        lambda net, x, err: bidirectional.bptt(net, bidirectional.simulate(net, x), err, [(0, 0)] * 2),
        "a regulariser sees spikes",
    ),
    "masks of another length": (
        lambda net, x, err: bidirectional.simulate(
            net, x, bidirectional.dropout(net, F + 1, BATCH, 0.5, np.random.default_rng(0))
        ),
        r"masks.inputs\[0\]",
    ),
    "keep 0": (lambda net, x, err: bidirectional.dropout(net, F, BATCH, 0.0, np.random.default_rng(0)), "keep"),
    "a record of another network": (
        lambda net, x, err: bidirectional.bptt(make()[0], bidirectional.simulate(net, x), err),
        "not of this network",
    ),
    "unseen layers": (
        lambda net, x, err: bidirectional.eprop(
            other := BidirectionalNetwork(net.layers, Affine(xp.ones((8, N_OUT))), all_layers=False),
            bidirectional.simulate(other, x),
            err,
        ),
        "no learning signal reaches layer 0",
    ),
}


LSTM = lstm_cells(np.random.default_rng(0), N_IN)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: bidirectional.cells(), "kernel is a NoneType without a matrix W"),
        (lambda: bidirectional.cells(kernel=xp.ones((7, 16))), "kernel is a ndarray"),
        (lambda: bidirectional.cells(Neurons(0.9, 0.6), W_in=xp.ones((3, 4))), "W_rec is a NoneType"),
        (lambda: BidirectionalNetwork([LSTM], Affine(xp.ones((8, 2)))), "a tuple"),
        (lambda: BidirectionalNetwork([(LSTM,)], Affine(xp.ones((4, 2)))), "a tuple"),
        (lambda: BidirectionalNetwork([(LSTM, LSTM)], xp.ones((8, 2))), "readout is a ndarray"),
    ],
)
def test_layers_that_are_none_are_told(make, named):
    with pytest.raises(PlasticError, match=named):
        make()


@pytest.mark.parametrize("misuse", MISUSE)
def test_misuse_is_told(misuse):
    call, named = MISUSE[misuse]
    net, x, labels = make(layers=2)
    err = error_of(bidirectional.simulate(net, x), labels)[1]
    with pytest.raises(PlasticError, match=named):
        call(net, x, err)


@pytest.mark.parametrize("kind", [lstm_cells, tanh_units, spiking_cells])
def test_every_backend_finds_the_same(backend, kind):
    def found():
        net, x, labels = make(kind, layers=2, steps=2, kappa=0.5, filter_first=True)
        masks = bidirectional.dropout(net, F, BATCH, 0.7, np.random.default_rng(1))
        record = bidirectional.simulate(net, x, masks)
        grads = bidirectional.bptt(net, record, error_of(record, labels)[1])
        return [xp.asnumpy(leaf) for _, leaf in parameters.leaves(grads)]

    here = found()
    xp.use("numpy", dtype="float64")
    for a, b in zip(here, found(), strict=True):
        assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", [lstm_cells, tanh_units, spiking_cells])
def test_an_input_that_is_no_number_is_seen_in_the_output_of_its_trial(kind):
    net, x, _ = make(kind, layers=2)
    x[3, 1, 0] = np.nan
    output = bidirectional.simulate(net, x).output
    assert np.isnan(xp.asnumpy(output)).any(axis=(0, 2)).tolist() == [False, True]
