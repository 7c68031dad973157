"""Networks as the constructors make them, the rules against the lower level and theory, and what is refused."""

import dataclasses
import functools
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from plastic import check, eprop, parameters, xp
from plastic.eprop import Neurons, SpikingNetwork, signals
from plastic.errors import PlasticError
from plastic.functions import softmax_cross_entropy
from plastic.parameters import Affine

SIZES, T, BATCH = (5, 6, 3), 12, 4
networks = pytest.mark.parametrize("name", eprop.NETWORKS)


def make(name, seed=0, **constants):
    """Networks that spike, in a few steps."""
    short = {} if name in ("lstm", "rnn") else {"tau_v": 5.0, "tau_out": 5.0, "n_ref": 2}
    return eprop.NETWORKS[name](SIZES, np.random.default_rng(seed), **(short | constants))


def batch(seed=1):
    rng = np.random.default_rng(seed)
    return xp.asarray(1.5 * rng.random((T, BATCH, 5))), xp.asarray(rng.standard_normal((T, BATCH, 3)))


def close(found, expected, tolerance=1e-13):
    expected = dict(parameters.leaves(expected))
    for path, leaf in parameters.leaves(found):
        wanted = xp.asnumpy(expected[path])
        assert_allclose(xp.asnumpy(leaf), wanted, rtol=0, atol=tolerance * np.abs(wanted).max(), err_msg=path)


# networks


@pytest.mark.parametrize("name", ["lif", "lsnn"])
def test_weights_are_normal_over_the_root_of_their_number_in_the_documented_order(precision, name):
    net = eprop.NETWORKS[name]((40, 100, 2), np.random.default_rng(3))
    rng = np.random.default_rng(3)
    for weights, shape in (("W_in", (40, 100)), ("W_rec", (100, 100)), ("W_out", (100, 2))):
        expected = xp.asarray(rng.standard_normal(shape) / math.sqrt(shape[0]))
        assert_array_equal(xp.asnumpy(getattr(net, weights)), xp.asnumpy(expected))
    assert net.b_out is None


def test_the_constants_are_those_of_evidence_accumulation():
    xp.use(dtype="float64")
    net = eprop.lsnn((40, 100, 2), np.random.default_rng(0))
    neurons, alpha, rho = net.neurons, math.exp(-1 / 20), math.exp(-1 / 2000)
    found = (
        neurons.alpha,
        neurons.rho,
        neurons.theta,
        neurons.gamma,
        neurons.gain,
        neurons.n_ref,
        net.kappa,
        net.g_out,
    )
    assert_allclose(found, (alpha, rho, 0.6, 0.3, 1, 5, alpha, 1 - alpha), rtol=1e-14)
    assert_array_equal(neurons.beta[0, :50], 0)
    assert_allclose(neurons.beta[0, 50:], 0.017424185109823985, rtol=1e-14)
    plain = eprop.lif((40, 100, 2), np.random.default_rng(0))
    assert plain.neurons.beta is None
    assert_array_equal(plain.W_rec, net.W_rec)


def test_the_strength_of_the_adaptation_and_the_number_of_its_neurons():
    net = eprop.lsnn((4, 5, 2), np.random.default_rng(0), n_adaptive=2, beta=0.5)
    assert_array_equal(net.neurons.beta, np.float32([[0, 0, 0, 0.5, 0.5]]))
    assert np.count_nonzero(eprop.lsnn((4, 5, 2), np.random.default_rng(0)).neurons.beta) == 2
    none = eprop.lsnn((4, 5, 2), np.random.default_rng(0), n_adaptive=0)
    x = np.ones((9, 1, 4), np.float32)
    assert_array_equal(eprop.predict(none, x), eprop.predict(eprop.lif((4, 5, 2), np.random.default_rng(0)), x))


def test_reprs_are_of_one_line():
    generators = [np.random.default_rng(seed) for seed in (0, 1)]
    net, cells = eprop.lsnn(SIZES, generators), eprop.lstm(SIZES, generators, peepholes=True)
    x, units = np.ones((T, BATCH, 5), bool), eprop.rnn(SIZES, generators)
    record, other, third = (eprop.simulate(each, x) for each in (net, cells, units))
    assert repr(net) == "SpikingNetwork 5-6-3, 3 adaptive, theta 0.6, n_ref 5, 2 replicas"
    assert repr(cells) == "LSTMNetwork 5-6-3, peepholes, 2 replicas"
    assert repr(net.neurons) == "Neurons alpha 0.9512, theta 0.6, rho 0.9995, beta (1, 6), gamma 0.3, n_ref 5"
    assert repr(record) == "SpikingRecord 5-6-3, T 12, batch 4, 2 replicas"
    assert repr(record.state) == "SpikingState of 6 neurons, batch 4, 2 replicas"
    assert repr(other) == "LSTMRecord 5-6-3, T 12, batch 4, 2 replicas"
    assert repr(other.state) == "LSTMState of 6 cells, batch 4, 2 replicas"
    found = [repr(units), repr(third), repr(third.state)]
    assert found == [
        "RNNNetwork 5-6-3, 2 replicas",
        "RNNRecord 5-6-3, T 12, batch 4, 2 replicas",
        "RNNState of 6 units, batch 4, 2 replicas",
    ]
    assert repr(next(eprop.eligibility_traces(net, record))) == "Traces of 11 x 6 synapses, batch 4, 2 replicas"


def test_numbers_of_numpy_keep_the_precision(precision):
    """A NumPy scalar would turn float32 into float64, unseen."""
    alpha, one = np.exp(-1 / np.float64(20)), np.int64(1)
    neurons = Neurons(alpha, np.float64(0.6), alpha, np.float64(0.1), np.float64(0.3), np.float64(1), 2 * one)
    net = make("lif")
    net = SpikingNetwork(net.W_in, net.W_rec, net.W_out, neurons, alpha, 1 - alpha)
    record = eprop.simulate(net, batch()[0])
    grads = eprop.eprop_gradients(net, record, record.output)
    assert {leaf.dtype for _, leaf in parameters.leaves([record.output, record.psi, grads])} == {np.dtype(precision)}


# predict and the rules


@networks
def test_predictions_go_on_from_a_state(backend, name):
    net, (x, _) = make(name), batch()
    whole, first = eprop.predict(net, x), eprop.simulate(net, x[:7])
    second = eprop.predict(net, x[7:], state=first.state)
    assert_allclose(xp.asnumpy(second), xp.asnumpy(whole[7:]), rtol=1e-12, atol=1e-14)
    assert np.abs(xp.asnumpy(eprop.predict(net, x[7:]) - second)).max() > 1e-3


@networks
def test_booleans_are_0_and_1(backend, name):
    net, (x, y) = make(name), batch()
    spikes = x > 0.7
    for rule in eprop.RULES.values():
        found, expected = rule(net, spikes, y), rule(net, spikes.astype("float64"), y)
        close(found, expected, 1e-14)


@pytest.mark.parametrize("name", ["lif", "lsnn"])
@pytest.mark.parametrize("rule", eprop.RULES)
def test_a_rule_is_simulation_loss_regulariser_and_gradient(backend, name, rule):
    net, (x, y) = make(name), batch()
    B = xp.asarray(np.random.default_rng(5).standard_normal((6, 3)))
    more = {} if rule == "bptt" else {"feedback": B}
    penalty = functools.partial(signals.rate_penalty, target=0.1, strength=3.0)
    record = eprop.simulate(net, x)
    _, err = signals.regression(record.output, y)
    _, R = penalty(record.z)
    expected = getattr(eprop, f"{rule}_gradients")(net, record, err, R, **more)
    grads, output = eprop.RULES[rule](net, x, y, regulariser=penalty, **more)
    close(grads, expected, 0)
    assert_array_equal(xp.asnumpy(output), xp.asnumpy(record.output))
    without, _ = eprop.RULES[rule](net, x, y, **more)
    assert np.abs(xp.asnumpy(grads["W_rec"] - without["W_rec"])).max() > 1e-6


@networks
def test_eprop_is_the_same_online_and_by_the_sweep(backend, name):
    net, (x, y) = make(name), batch()
    for B in (None, xp.asarray(np.random.default_rng(5).standard_normal((6, 3)))):
        close(eprop.online(net, x, y, feedback=B)[0], eprop.eprop(net, x, y, feedback=B)[0], 1e-12)


def regression(output, y):
    return signals.regression(output, y)


def own(output, y):
    """The fourth power of the difference, a mean over batch and time."""
    scale = output.shape[-2] * output.shape[-3]
    return xp.sum((output - y) ** 4) / scale, 4 * (output - y) ** 3 / scale


@pytest.mark.parametrize("loss", [regression, own])
@pytest.mark.parametrize("peepholes", [False, True])
def test_bptt_of_lstm_cells_is_the_gradient_of_the_loss(loss, peepholes):
    xp.use(dtype="float64")
    net, (x, y) = eprop.lstm(SIZES, np.random.default_rng(0), peepholes=peepholes), batch()
    grads, _ = eprop.bptt(net, x, y, loss=loss)
    check.gradient(lambda tree: loss(eprop.predict(net, x), y)[0], net.parameters, grads, max_entries=20)


@networks
def test_the_readout_has_the_gradient_of_the_loss(name):
    """It does not matter how the spikes came about."""
    xp.use(dtype="float64")
    net, (x, y) = make(name), batch()
    for loss, target in ((signals.regression, y), (functools.partial(signals.classification, window=5), [0, 2, 1, 1])):
        target = np.asarray(target)
        grads, _ = eprop.eprop(net, x, target, loss=loss)
        readout, gradient = (net.W_out, grads["W_out"]) if "W_out" in grads else (net.readout, grads["readout"])
        error = check.gradient(lambda tree, t=target, f=loss: f(eprop.predict(net, x), t)[0], readout, gradient)
        assert error


def test_means_are_the_published_sum_over_time_and_batch():
    """The published loss is a sum over both: its gradient is T batch times ours."""
    xp.use(dtype="float64")
    net, (x, y) = make("lsnn"), batch()
    grads, output = eprop.bptt(net, x, y)
    record = eprop.simulate(net, x)
    summed = eprop.bptt_gradients(net, record, output - y)
    close(parameters.map(lambda leaf: leaf * (T * BATCH), grads), summed)


def test_feedback_may_differ_between_replicas(backend):
    net, (x, y) = eprop.lif(SIZES, [np.random.default_rng(0)] * 2, tau_v=5.0, n_ref=2), batch()
    B = xp.asarray(np.random.default_rng(5).standard_normal((2, 6, 3)))
    one = dataclasses.replace(net, W_in=net.W_in[1], W_rec=net.W_rec[1], W_out=net.W_out[1])
    found = eprop.eprop(net, x, y, feedback=B)[0]
    close(
        {name: leaf[1] for name, leaf in found.items() if leaf is not None},
        eprop.eprop(one, x, y, feedback=B[1])[0],
        1e-12,
    )


@networks
def test_input_of_nothing_raises_nothing_under_a_strict_errstate(precision, name):
    net = make(name)
    x, y = xp.zeros((T, BATCH, 5), dtype=bool), xp.zeros((T, BATCH, 3), dtype=xp.float_dtype)
    with np.errstate(all="raise"):
        record = eprop.simulate(net, x)
        for gradients in (eprop.eprop_gradients, eprop.online_gradients, eprop.bptt_gradients):
            gradients(net, record, y + 1e-30)
        if isinstance(net, SpikingNetwork):
            for _ in eprop.eligibility_traces(net, record):
                pass
            eprop.factorised_gradients(net, record, eprop.ideal_learning_signals(net, record, y + 1e-30))
            signals.running_rate_penalty(record.z, 1e-30, 1e-30)


# what is refused

BAD = (math.nan, math.inf, -1.0, "1", None, True, [1.0])
CONSTANTS = {
    "tau_v": (*BAD, 0.0),
    "tau_out": (*BAD, 0),
    "thr": (*BAD, 0.0),
    "gamma": (*BAD, 0.0),
    "n_ref": (0, -1, 1.5, 2.0, True, None, "2"),
    "tau_a": (*BAD, 0.0),
    "beta": tuple(each for each in BAD if each is not None),
    "n_adaptive": (-1, 7, 2.0, True, "3"),
}


@pytest.mark.parametrize("constant", CONSTANTS)
def test_constants_out_of_range_are_refused(constant):
    for name in ("lif", "lsnn") if constant not in ("tau_a", "beta", "n_adaptive") else ("lsnn",):
        for value in CONSTANTS[constant]:
            with pytest.raises(PlasticError, match=constant) as told:
                eprop.NETWORKS[name](SIZES, np.random.default_rng(0), **{constant: value})
            assert "\n" not in str(told.value)


@networks
def test_four_sizes_are_refused(name):
    with pytest.raises(PlasticError, match="sizes"):
        eprop.NETWORKS[name]((5, 6, 6, 3), np.random.default_rng(0))


@pytest.mark.parametrize("constants", [{"peepholes": 1.5}, {"peepholes": "yes"}, {"forget_bias": None}])
def test_constants_of_lstm_cells_are_checked(constants):
    with pytest.raises(PlasticError, match=next(iter(constants))):
        eprop.lstm(SIZES, np.random.default_rng(0), **constants)


NEURONS = {
    "alpha": (2, 1, -0.1, math.nan, None, np.full((4, 6), 0.5), np.full(6, 0.5), np.full((1, 5), 0.5), np.array(0.5)),
    "theta": (0, -1.0, math.inf, np.zeros((1, 6))),
    "rho": (1, 1.5, -0.1),
    "beta": (-0.1, np.full((4, 6), 0.1), np.full((4, 1), 0.1), np.full((1, 5), 0.1), np.full((2, 1, 6), 0.1), "0.1"),
    "gamma": (0, -0.3, np.full((1, 6), 0.3)),
    "gain": (0, -1.0),
    "n_ref": (0, 1.5, True),
    "unmasked": ("yes", 2),
}


@pytest.mark.parametrize("name", NEURONS)
def test_neurons_out_of_range_or_of_another_shape_are_refused(name):
    xp.use(dtype="float64")
    net, good = make("lif"), {"alpha": 0.9, "theta": 0.6, "rho": 0.9, "beta": 0.1}
    for value in NEURONS[name]:
        with pytest.raises(PlasticError, match=name) as told:
            dataclasses.replace(net, neurons=Neurons(**(good | {name: value})))
        assert "\n" not in str(told.value)
    with pytest.raises(PlasticError, match="float32"):
        dataclasses.replace(net, neurons=Neurons(0.9, 0.6, 0.9, np.full((1, 6), 0.1, np.float32)))


PARTS = {
    "kappa": (1, -0.1, math.nan, "0.9", np.full((1, 3), 0.9), np.full((2, 1, 1), 0.9), np.array(0.9)),
    "g_out": (math.nan, None, np.full((1, 3), 0.9)),
    "W_in": (np.ones((6, 5)), np.ones(5), None, np.ones((5, 6), np.float32), np.ones((5, 6), int)),
    "W_rec": (np.ones((6, 5)), np.ones((2, 6, 6)), [[1.0] * 6] * 6),
    "W_out": (np.ones((3, 6)), np.ones((2, 6, 3))),
    "b_out": (np.ones(3), np.ones((1, 2)), np.ones((1, 3), np.float32)),
    "neurons": (None, 0.9),
}


@pytest.mark.parametrize("name", PARTS)
def test_parts_of_a_network_that_do_not_fit_are_refused(name):
    xp.use(dtype="float64")
    net = make("lif")
    for value in PARTS[name]:
        with pytest.raises(PlasticError) as told:
            dataclasses.replace(net, **{name: value})
        assert "\n" not in str(told.value)


def test_parts_of_lstm_cells_that_do_not_fit_are_refused():
    xp.use(dtype="float64")
    net = eprop.lstm(SIZES, np.random.default_rng(0), peepholes=True)
    kernel, readout = net.kernel, net.readout
    for bad in (
        {"kernel": Affine(kernel.W[:, :-1], kernel.b)},
        {"kernel": Affine(kernel.W, kernel.b[0])},
        {"kernel": Affine(kernel.W[:6], kernel.b)},
        {"kernel": kernel.W},
        {"readout": Affine(readout.W.astype("float32"), readout.b)},
        {"readout": Affine(readout.W[None], readout.b)},
        {"readout": None},
        {"w_i": net.w_i[0]},
        {"w_f": net.w_f[:, :1]},
        {"forget_bias": math.nan},
    ):
        with pytest.raises(PlasticError) as told:
            dataclasses.replace(net, **bad)
        assert "\n" not in str(told.value)


def test_misuse_of_a_simulation_is_told():
    xp.use(dtype="float64")
    net, cells, (x, _) = make("lsnn"), make("lstm"), batch()
    state, other = eprop.simulate(net, x).state, eprop.simulate(cells, x).state
    wrong = dataclasses.replace
    for word, call in (
        ("state", lambda: eprop.simulate(net, x, state=other)),
        ("state", lambda: eprop.simulate(cells, x, state=state)),
        ("state.v", lambda: eprop.simulate(net, x[:, :2], state=state)),
        ("state.y", lambda: eprop.simulate(net, x, state=wrong(state, y=state.v))),
        ("state.a", lambda: eprop.simulate(net, x, state=wrong(state, a=state.a.astype("float32")))),
        ("state.z", lambda: eprop.simulate(net, x, state=wrong(state, z=state.z[None].repeat(2, axis=0)))),
        ("state.r", lambda: eprop.simulate(net, x, state=wrong(state, r=0))),
        ("done", lambda: eprop.simulate(net, x, done=np.zeros((BATCH, T)))),
        ("done", lambda: eprop.simulate(net, x, done=np.zeros(T))),
        ("done", lambda: eprop.simulate(net, x, done=np.full((T, BATCH), 0.5))),
        ("done", lambda: eprop.simulate(net, x, done=[[0] * BATCH] * T)),
        ("done", lambda: eprop.simulate(cells, x, done=np.zeros((T, BATCH)))),
        ("out", lambda: eprop.simulate(net, x, out=eprop.simulate(cells, x))),
        ("out", lambda: eprop.simulate(net, x, out=eprop.simulate(net, x).psi)),
        ("out", lambda: eprop.simulate(cells, x, out=eprop.simulate(cells, x))),
        ("keep", lambda: eprop.simulate(net, x, keep=("volts",))),
        ("keep", lambda: eprop.simulate(net, x, keep="v")),
        ("keep", lambda: eprop.simulate(cells, x, keep=("c",))),
        ("net", lambda: eprop.simulate(net.neurons, x)),
        ("replica", lambda: eprop.predict(eprop.lif(SIZES, [np.random.default_rng(0)] * 2), np.stack([x] * 3))),
    ):
        with pytest.raises(PlasticError, match=word) as told:
            call()
        assert "\n" not in str(told.value)


def test_misuse_of_a_record_is_told():
    xp.use(dtype="float64")
    net, cells, (x, _) = make("lsnn"), make("lstm"), batch()
    record, other = eprop.simulate(net, x), eprop.simulate(cells, x)
    err, R = record.output, np.zeros((1, 1, 6))
    wide = eprop.lsnn((5, 7, 3), np.random.default_rng(0))
    calls = [
        ("record", lambda rule: rule(net, other, err)),
        ("record", lambda rule: rule(cells, record, err)),
        ("record", lambda rule: rule(wide, record, err)),
        ("record", lambda rule: rule(net, None, err)),
        ("net", lambda rule: rule(record, record, err)),
        ("err", lambda rule: rule(net, record, err[:, :1])),
        ("err", lambda rule: rule(net, record, err[-1])),
        ("err", lambda rule: rule(net, record, err[None])),
        ("err", lambda rule: rule(net, record, err.astype("float32"))),
        ("err", lambda rule: rule(net, record, 0.0)),
        ("R", lambda rule: rule(net, record, err, 0.0)),
        ("R", lambda rule: rule(net, record, err, R[0, 0])),
        ("R", lambda rule: rule(net, record, err, R[..., :1])),
        ("R", lambda rule: rule(net, record, err, np.zeros((T + 1, BATCH, 6)))),
        ("R", lambda rule: rule(net, record, err, np.zeros((2, T, BATCH, 6)))),
        ("R", lambda rule: rule(net, record, err, R.astype("float32"))),
        ("regulariser", lambda rule: rule(cells, other, other.output, R)),
    ]
    for rule in (eprop.eprop_gradients, eprop.online_gradients, eprop.bptt_gradients):
        for word, call in calls:
            with pytest.raises(PlasticError, match=word) as told:
                call(rule)
            assert "\n" not in str(told.value)
    for word, call in (
        ("net", lambda: eprop.eligibility_traces(cells, other)),
        ("record", lambda: eprop.eligibility_traces(net, other)),
        ("record", lambda: eprop.ideal_learning_signals(wide, record, err)),
        ("err", lambda: eprop.ideal_learning_signals(net, record, err[0])),
        ("signals", lambda: eprop.factorised_gradients(net, record, err)),
        ("signals", lambda: eprop.factorised_gradients(net, record, R)),
    ):
        with pytest.raises(PlasticError, match=word):
            call()


def test_misuse_of_loss_regulariser_and_feedback_is_told(backend):
    for name in eprop.NETWORKS:
        net, (x, y) = make(name), batch()
        B = xp.zeros((6, 3), dtype="float64")
        calls = [
            ("loss", {"loss": "mse"}),
            ("loss", {"loss": lambda output, y: output - y}),
            ("err", {"loss": softmax_of_first_step}),
            ("regulariser", {"regulariser": 3.0 if isinstance(net, SpikingNetwork) else signals.rates}),
            ("regulariser", {"regulariser": signals.rates}),
        ]
        feedbacks = [B.T, B[0], "symmetric", B.astype("float32"), xp.stack([B] * 2), 1.0]
        for rule in eprop.RULES.values():
            for word, more in calls + (
                [] if rule is eprop.bptt else [("feedback", {"feedback": f}) for f in feedbacks]
            ):
                with pytest.raises(PlasticError, match=word) as told:
                    rule(net, x, y, **more)
                assert "\n" not in str(told.value)


def softmax_of_first_step(output, y):
    return softmax_cross_entropy(output[0], xp.argmax(y[0], axis=-1))
