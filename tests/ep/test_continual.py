"""Continual EP against EP, with which it agrees while the weights stand still, or nearly."""

import functools

import numpy as np
import pytest
from numpy.testing import assert_allclose

from plastic import ep, parameters, xp
from plastic.errors import PlasticError
from plastic.optimizers import SGD

KINDS = {
    "energy": functools.partial(ep.energy, (7, 6, 5, 3)),
    "toy": functools.partial(ep.toy, (7, 6, 3)),
    "prototypical": functools.partial(ep.prototypical, (7, 6, 5, 3)),
    "untied": functools.partial(ep.prototypical, (7, 6, 5, 3), angle=50.0, dt=0.7),
    "conv": functools.partial(ep.convolutional, (1, 2, 3), (3,), size=11, F=3, phi="tanh"),
}
HOW = {"T": 20, "K": 6, "beta": 0.4}


def make(kind):
    """A network, and a batch of inputs and one-hot targets."""
    rng = np.random.default_rng(1)
    net = KINDS[kind](np.random.default_rng(0))
    x = xp.asarray(rng.random((4, net.wiring.inputs)))
    return net, x, xp.asarray(np.eye(3)[rng.integers(0, 3, 4)])


def flat(tree):
    return np.concatenate([xp.asnumpy(leaf).ravel() for _, leaf in parameters.leaves(tree)])


def steps(net, x, y, rate=None):
    """Make the nudged steps; return the sum of their gradients, the weights moving with a rate or standing still."""
    state = ep.Relaxation(net, x)
    state.run(HOW["T"])
    optimizer, total = SGD(rate), 0.0
    for _ in range(HOW["K"]):
        grads, output = ep.step(net, state, y, beta=HOW["beta"])
        total = total + flat(grads)
        if rate is not None:
            optimizer.step(net.parameters, grads, {})
    return total, output


@pytest.mark.parametrize("kind, T", [*((kind, 20) for kind in KINDS if kind != "untied"), ("conv", 1)])
def test_of_weights_that_stand_still_the_steps_add_up_to_ep(backend, kind, T, monkeypatch):
    """Early, the switches of maps flip from step to step."""
    monkeypatch.setitem(HOW, "T", T)
    net, x, y = make(kind)
    expected = flat(ep.eqprop(net, x, y, **HOW)[0])
    before = flat(net.parameters)
    total, _ = steps(net, x, y)
    assert_allclose(total, expected, rtol=1e-8, atol=1e-11)
    assert np.array_equal(flat(net.parameters), before)


def test_in_a_vector_field_they_do_so_in_the_limit_of_a_small_nudge(monkeypatch):
    """Each step has senders of its own, which differ from those of the two ends by as much as the nudge moves them."""
    xp.use(dtype="float64")
    found = []
    for beta in (1e-2, 1e-3):
        monkeypatch.setitem(HOW, "beta", beta)
        monkeypatch.setitem(HOW, "T", 400)
        net, x, y = make("untied")
        expected = flat(ep.eqprop(net, x, y, **HOW)[0])
        found.append(np.linalg.norm(steps(net, x, y)[0] - expected) / np.linalg.norm(expected))
    assert found[0] < 0.01 and 8 < found[0] / found[1] < 12


@pytest.mark.parametrize("kind", ["energy", "prototypical", "conv"])
def test_with_a_small_rate_the_weights_move_as_in_ep(kind):
    """The relative difference of the two changes falls as the rate does."""
    xp.use(dtype="float64")
    apart = []
    for rate in (1e-3, 1e-4):
        net, x, y = make(kind)
        expected = -rate * flat(ep.eqprop(net, x, y, **HOW)[0])
        before = flat(net.parameters)
        steps(net, x, y, rate)
        change = flat(net.parameters) - before
        apart.append(np.linalg.norm(change - expected) / np.linalg.norm(expected))
    assert 0 < apart[1] < apart[0] < 0.05 and apart[0] / apart[1] == pytest.approx(10, rel=0.1)


@pytest.mark.parametrize("kind", ["energy", "prototypical", "conv"])
def test_a_step_takes_the_weights_as_they_are_now(backend, kind):
    net, x, y = make(kind)
    state = ep.Relaxation(net, x)
    state.run(5)
    before = state.state()
    parameters.map(lambda leaf: leaf.__imul__(0.5), net.parameters)
    _, output = ep.step(net, state, y, beta=0.3)
    anew = ep.Relaxation(net, x)
    anew.restore(before)
    anew.run(1, beta=0.3, y=y)
    assert_allclose(xp.asnumpy(state.s), xp.asnumpy(anew.s), rtol=1e-12)
    assert_allclose(xp.asnumpy(output), xp.asnumpy(anew.output), rtol=1e-12)


def test_gradients_may_be_written_into_a_tree():
    net, x, y = make("prototypical")
    state, out = ep.Relaxation(net, x), parameters.zeros_like(net.parameters)
    state.run(5)
    before = state.state()
    grads, _ = ep.step(net, state, y, beta=0.3, out=out)
    assert grads is out
    state.restore(before)
    assert_allclose(flat(out), flat(ep.step(net, state, y, beta=0.3)[0]))
    with pytest.raises(PlasticError, match="out"):
        ep.step(net, state, y, beta=0.3, out={})


def test_what_is_not_the_state_of_the_network_is_refused():
    net, x, y = make("prototypical")
    other, _, _ = make("energy")
    for state in (None, x, ep.Relaxation(other, x)):
        with pytest.raises(PlasticError, match="state must be a Relaxation of this network"):
            ep.step(net, state, y, beta=0.3)
    for beta in (0, float("nan"), None, True):
        with pytest.raises(PlasticError, match="beta"):
            ep.step(net, ep.Relaxation(net, x), y, beta=beta)
    with pytest.raises(PlasticError, match="y"):
        ep.step(net, ep.Relaxation(net, x), y[:2], beta=0.3)
