"""Masks of connectivity and signs of weights stay as they are while a network learns."""

import functools

import numpy as np
import pytest

from plastic import eprop, xp
from plastic.eprop import Wiring, signals
from plastic.errors import PlasticError
from plastic.optimizers import SGD, Adam


def wired(rng, n_in=4, n=6, n_out=2):
    """A network, and a wiring of half of its synapses in which two of three neurons are excitatory."""
    net = eprop.lsnn((n_in, n, n_out), rng, tau_v=5.0, tau_a=20.0, tau_out=5.0, n_ref=2)
    of_neurons = xp.asarray(np.where(np.arange(n) % 3 < 2, 1.0, -1.0)[:, None])
    masks = {"W_in": xp.asarray(rng.random((n_in, n)) < 0.5), "W_rec": xp.asarray(rng.random((n, n)) < 0.5)}
    return net, Wiring(masks, {"W_rec": of_neurons, "W_out": of_neurons})


@pytest.mark.parametrize("optimizer", [Adam(0.05), SGD(0.5)], ids=["adam", "sgd"])
def test_masks_and_signs_hold_for_1000_steps(backend, optimizer):
    rng = np.random.default_rng(1)
    net, wiring = wired(rng)
    wiring.keep(net.parameters)
    moments = optimizer.init(net.parameters)
    x, y = xp.asarray(1.5 * rng.random((12, 3, 4))), xp.asarray(rng.standard_normal((12, 3, 2)))
    start = {name: xp.asnumpy(leaf).copy() for name, leaf in net.parameters.items() if leaf is not None}
    pushed = 0
    for _ in range(1000):
        grads, _ = eprop.eprop(net, x, y)
        optimizer.step(net.parameters, wiring.gradients(grads), moments)
        pushed += int((xp.asnumpy(net.W_rec) * xp.asnumpy(wiring.signs["W_rec"]) < 0).sum())
        wiring.keep(net.parameters)
    for name, mask in wiring.masks.items():
        there = xp.asnumpy(mask)
        assert not xp.asnumpy(net.parameters[name])[~there].any()
        assert (xp.asnumpy(net.parameters[name]) != start[name])[there].any()
    for name, sign in wiring.signs.items():
        assert (xp.asnumpy(net.parameters[name]) * xp.asnumpy(sign) >= 0).all()
    assert pushed > 0  # without `keep` signs would have changed
    assert xp.asnumpy(net.W_in).min() < 0 < xp.asnumpy(net.W_in).max()  # what has no sign is free


def test_gradients_are_those_of_the_synapses_and_nothing_given_changes():
    xp.use(dtype="float64")
    net, wiring = wired(np.random.default_rng(2))
    x = np.random.default_rng(3).random((12, 3, 4))
    grads, _ = eprop.eprop(net, x, np.zeros((12, 3, 2)))
    before = {name: leaf.copy() for name, leaf in grads.items() if leaf is not None}
    masked = wiring.gradients(grads)
    assert masked.keys() == grads.keys() and masked["b_out"] is None
    for name, mask in wiring.masks.items():
        np.testing.assert_array_equal(masked[name][mask], grads[name][mask])
        assert not masked[name][~mask].any() and before[name][~mask].any()
    for name, leaf in before.items():
        np.testing.assert_array_equal(grads[name], leaf)
    assert masked["W_out"] is grads["W_out"]


def test_a_sparse_network_of_dale_s_law_learns():
    """Fewer errors than half of those before, under masks and signs; the criterion is loose, the task easy."""
    rng = np.random.default_rng(0)
    net = eprop.lsnn((20, 30, 2), rng, tau_a=200.0, beta=0.05, n_ref=3)
    signs = xp.asarray(np.where(np.arange(30) < 24, 1.0, -1.0)[:, None])
    wiring = Wiring({"W_rec": xp.asarray(rng.random((30, 30)) < 0.3)}, {"W_rec": signs})
    wiring.keep(net.parameters)
    draw = functools.partial(eprop.inputs.store_recall, batch=16, n_in=20, cue_length=30, delay=30, recall_length=30)
    loss = functools.partial(signals.classification, window=30)
    adam = Adam(0.01)
    moments, test = adam.init(net.parameters), draw(rng, f0=100, batch=200)

    def value():
        return float(loss(eprop.predict(net, test.x), test.labels)[0])

    before = value()
    for _ in range(60):
        trials = draw(rng, f0=100)
        grads, _ = eprop.eprop(net, trials.x, trials.labels, loss=loss)
        adam.step(net.parameters, wiring.gradients(grads), moments)
        wiring.keep(net.parameters)
    assert value() < 0.5 * before


def test_replicas_have_wirings_of_their_own():
    xp.use(dtype="float64")
    rng = np.random.default_rng(0)
    W = rng.standard_normal((3, 4, 5))
    signs, mask = rng.integers(-1, 2, (3, 4, 1)), rng.random((4, 5)) < 0.5
    weights = {"W_rec": W.copy()}
    Wiring({"W_rec": mask}, {"W_rec": signs}).keep(weights)
    np.testing.assert_array_equal(weights["W_rec"], W * mask * (W * signs >= 0))
    assert not np.signbit(weights["W_rec"][weights["W_rec"] == 0]).any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Wiring(np.ones((6, 6), bool)), "masks is a ndarray; it must be a dict"),
        (lambda: Wiring(signs=[1]), "signs is a list; it must be a dict"),
        (lambda: Wiring({"W_rec": np.ones((6, 6))}), "booleans"),
        (lambda: Wiring(signs={"W_rec": np.full((6, 1), 2.0)}), "excitatory"),
        (lambda: Wiring(signs={"W_rec": "Dale"}), "signs of W_rec"),
        (lambda: Wiring({"W_r": np.ones((6, 6), bool)}), "no weights W_r; there are W_in"),
        (lambda: Wiring({"b_out": np.ones((1, 2), bool)}), "no weights b_out"),
        (lambda: Wiring({"W_rec": np.ones((6, 1), bool)}), "shape"),
        (lambda: Wiring({"W_rec": np.ones(6, bool)}), "shape"),
        (lambda: Wiring(signs={"W_rec": np.ones((5, 1))}), "shape"),
        (lambda: Wiring(signs={"W_rec": np.ones((2, 6, 1))}), "replica"),
    ],
    ids=lambda value: value if isinstance(value, str) else "wiring",
)
def test_a_wiring_that_does_not_fit_is_refused(make, message):
    xp.use(dtype="float64")
    net, _ = wired(np.random.default_rng(0))
    with pytest.raises(PlasticError, match=message):
        make().keep(net.parameters)


def test_a_wiring_has_a_short_repr():
    assert repr(Wiring({"W_in": np.ones((2, 2), bool)})) == "Wiring of masks W_in, signs none"
