"""A softmax readout and its cross-entropy, by finite differences, at rest, and as the equations are written."""

import functools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from plastic import check, ep, parameters, xp
from plastic.errors import PlasticError

KINDS = {
    "energy": functools.partial(ep.energy, (7, 6, 5, 3), phi="tanh", clamp=False, dt=0.5),
    "prototypical": functools.partial(ep.prototypical, (7, 6, 5, 3), phi="tanh"),
    "leaky": functools.partial(ep.prototypical, (7, 6, 5, 3), dt=0.4),
    "one hidden layer": functools.partial(ep.prototypical, (7, 6, 3)),
    "untied": functools.partial(ep.prototypical, (7, 6, 5, 3), phi="tanh", angle=40.0),
    "conv": functools.partial(ep.convolutional, (1, 2, 3), (4, 3), size=11, F=3, phi="tanh"),
    "conv, no other classifier": functools.partial(ep.convolutional, (1, 2), (3,), size=6, F=3, phi="tanh"),
}


def make(kind, **more):
    """A network, and a batch of inputs and one-hot targets."""
    rng = np.random.default_rng(1)
    net = KINDS[kind](np.random.default_rng(0), loss="cel", **more)
    x = xp.asarray(rng.random((4, net.wiring.inputs)))
    return net, x, xp.asarray(np.eye(3)[rng.integers(0, 3, 4)])


def flat(tree):
    return np.concatenate([xp.asnumpy(leaf).ravel() for _, leaf in parameters.leaves(tree)])


def softmax(a):
    e = np.exp(a - a.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("kind", KINDS)
def test_bptt_is_the_gradient_of_the_cross_entropy(backend, kind):
    net, x, y = make(kind)

    def loss(tree):
        output = ep.predict(net, x, T=5)
        return -xp.sum(xp.log(xp.sum(output * y, axis=-1))) / len(x)

    grads, output = ep.bptt(net, x, y, T=5, steps=5)
    check.gradient(loss, net.parameters, grads, max_entries=40 if backend == "numpy" else 4)
    assert_allclose(float(xp.asnumpy(net.loss(output, y))), float(xp.asnumpy(loss(None))), rtol=1e-12)


def test_the_loss_of_an_output_that_is_sure_and_wrong():
    """The logarithm of what it gives the class, which is taken as far as numbers go."""
    xp.use(dtype="float64")
    net, output = make("prototypical")[0], np.array([[1e-9, 1 - 1e-9, 0], [0, 1, 0]])
    assert_allclose(net.loss(output[:1], np.eye(3)[:1]), -np.log(1e-9))
    assert_allclose(net.loss(output[1:], np.eye(3)[:1]), -np.log(np.finfo(float).tiny))


@pytest.mark.parametrize("kind", ["energy", "prototypical", "leaky", "one hidden layer"])
def test_ep_at_rest_is_bptt_up_to_the_square_of_the_nudge(kind):
    """Also in prototypical networks, whose published nudge of an output layer lies outside rho."""
    xp.use(dtype="float64")
    net, x, y = make(kind)
    exact = flat(ep.bptt(net, x, y, T=2000, steps=400)[0])
    apart = []
    for beta in (0.2, 0.02):
        found = flat(ep.eqprop(net, x, y, T=2000, K=400, beta=beta, centered=True)[0])
        apart.append(np.linalg.norm(found - exact) / np.linalg.norm(exact))
    assert apart[1] < 1e-3 and apart[0] / apart[1] == pytest.approx(100, rel=0.1)


@pytest.mark.parametrize("dt", [1.0, 0.3])
def test_a_nudged_step_of_a_prototypical_network_as_it_is_written(backend, dt):
    rng = np.random.default_rng(3)
    net = ep.prototypical((7, 6, 5, 3), np.random.default_rng(0), phi="tanh", dt=dt, loss="cel")
    x, y = xp.asarray(rng.random((4, 7))), xp.asarray(np.eye(3)[[0, 2, 1, 1]])
    w = ep.Relaxation(net, x)
    w.run(3)
    s_1, s_2 = (xp.asnumpy(each).copy() for each in net.wiring.split(w.s))
    w.run(1, beta=0.7, y=y)
    (W_1, b_1), (W_2, b_2), (W, b) = (
        (xp.asnumpy(layer.W), xp.asnumpy(layer.b)) for layer in (*net.wiring.layers, net.readout)
    )
    pull = (xp.asnumpy(y) - softmax(s_2 @ W + b)) @ W.T
    ends = np.tanh(xp.asnumpy(x) @ W_1 + b_1 + s_2 @ W_2.T), np.tanh(s_1 @ W_2 + b_2 + 0.7 * pull)
    for found, end, before in zip(net.wiring.split(w.s), ends, (s_1, s_2), strict=True):
        assert_allclose(xp.asnumpy(found), (1 - dt) * before + dt * end, rtol=1e-11)
    assert_allclose(xp.asnumpy(w.output), softmax(xp.asnumpy(w.top) @ W + b), rtol=1e-11)


def test_a_nudged_step_of_an_energy_based_network_as_it_is_written(backend):
    net, x, y = make("energy")
    w = ep.Relaxation(net, x)
    w.run(3)
    s_1, s_2 = (xp.asnumpy(each).copy() for each in net.wiring.split(w.s))
    w.run(1, beta=0.7, y=y)
    (_, _), (W_2, b_2), (W, b) = (
        (xp.asnumpy(layer.W), xp.asnumpy(layer.b)) for layer in (*net.wiring.layers, net.readout)
    )
    pull = (xp.asnumpy(y) - softmax(s_2 @ W + b)) @ W.T
    g = (1 - np.tanh(s_2) ** 2) * (np.tanh(s_1) @ W_2 + b_2) - s_2 + 0.7 * pull
    assert_allclose(xp.asnumpy(w.top), s_2 + 0.5 * g, rtol=1e-11)


@pytest.mark.parametrize("centered", [False, True])
def test_the_readout_learns_where_the_nudge_has_led(backend, centered):
    net, x, y = make("prototypical")
    out = parameters.zeros_like(net.parameters)
    grads, _ = ep.eqprop(net, x, y, T=20, K=5, beta=0.5, centered=centered, out=out)
    assert grads is out
    W, b = xp.asnumpy(net.readout.W), xp.asnumpy(net.readout.b)
    expected = []
    for beta in (0.5, -0.5) if centered else (0.5,):
        w = ep.Relaxation(net, x)
        w.run(20)
        w.run(5, beta=beta, y=y)
        top = xp.asnumpy(w.top)
        expected.append(top.T @ (softmax(top @ W + b) - xp.asnumpy(y)) / 4)
    assert_allclose(xp.asnumpy(out["readout"].W), np.mean(expected, axis=0), rtol=1e-9, atol=1e-12)


def test_the_weights_are_those_of_the_network_without_a_readout():
    net, _, _ = make("prototypical")
    plain = KINDS["prototypical"](np.random.default_rng(0))
    for layer, other in zip([*net.wiring.layers, net.readout], plain.wiring.layers, strict=True):
        assert_array_equal(layer.W, other.W)
        assert_array_equal(layer.b, other.b)
    assert repr(net) == "PrototypicalNetwork 7-6-5 and softmax 3, tanh, dt 1"


@pytest.mark.parametrize("solver", ["steps", "anderson", "layerwise"])
@pytest.mark.parametrize("kind", ["prototypical", "one hidden layer", "conv, no other classifier"])
def test_every_solver_comes_to_the_same_rest(kind, solver):
    xp.use(dtype="float64")
    net, x, y = make(kind)
    how = {"T": 1000, "K": 1000, "beta": 0.3}
    expected = flat(ep.eqprop(net, x, y, **how)[0])
    found = flat(ep.eqprop(net, x, y, **how, solver=solver, tolerance=1e-12)[0])
    assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


def test_curves_and_continual_ep_are_refused():
    net, x, y = make("prototypical")
    with pytest.raises(PlasticError, match="readout"):
        ep.Comparison(net, x, y, T=5, K=3, beta=0.1)
    with pytest.raises(PlasticError, match="readout"):
        ep.step(net, ep.Relaxation(net, x), y, beta=0.1)
