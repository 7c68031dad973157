"""EP on networks whose feedback has weights of its own, against EP on tied ones and BPTT."""

import functools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from plastic import ep, parameters, xp
from plastic.errors import PlasticError
from plastic.parameters import Affine

SIZES = (7, 6, 5, 3)
KINDS = {
    "energy": functools.partial(ep.energy, phi="tanh", clamp=False, consistent=True),
    "prototypical": functools.partial(ep.prototypical, phi="tanh"),
    "leaky": functools.partial(ep.prototypical, dt=0.4),
}


def make(kind, angle, sizes=SIZES):
    """A network, and a batch of inputs and one-hot targets."""
    rng = np.random.default_rng(5)
    net = KINDS[kind](sizes, np.random.default_rng(0), angle=angle)
    return net, xp.asarray(rng.random((4, sizes[0]))), xp.asarray(np.eye(sizes[-1])[rng.integers(0, sizes[-1], 4)])


def leaves(tree):
    return {path: xp.asnumpy(leaf) for path, leaf in parameters.leaves(tree)}


@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_where_feedback_is_the_transpose_the_two_updates_add_up_to_that_of_ep(backend, kind, centered):
    how = {"T": 30, "K": 7, "beta": 0.3, "centered": centered}
    tied, x, y = make(kind, None)
    untied, _, _ = make(kind, 0.0)
    expected, output = ep.eqprop(tied, x, y, **how)
    found, same = ep.eqprop(untied, x, y, **how)
    assert_allclose(xp.asnumpy(same), xp.asnumpy(output), rtol=1e-12)
    expected, found = leaves(expected), leaves(found)
    for k in range(len(SIZES) - 1):
        both = found[f"layers/{k}/W"] + (found[f"feedback/{k - 1}/W"].T if k > 0 else 0)
        assert_allclose(both, expected[f"layers/{k}/W"], rtol=1e-8, atol=1e-12)
        assert_allclose(found[f"layers/{k}/b"], expected[f"layers/{k}/b"], rtol=1e-8, atol=1e-12)


def test_at_rest_each_of_them_is_the_gradient_in_its_own_weights():
    """Where the Jacobian is symmetric (tied values, one energy), for a small nudge: theorem 1 holds of each weight."""
    xp.use(dtype="float64")
    net, x, y = make("energy", 0.0)
    how = {"T": 3000}
    found = leaves(ep.eqprop(net, x, y, K=600, beta=1e-4, centered=True, **how)[0])
    expected = leaves(ep.bptt(net, x, y, steps=600, **how)[0])
    for path, gradient in expected.items():
        assert np.linalg.norm(found[path] - gradient) < 1e-5 * np.linalg.norm(gradient), path


def test_a_readout_alone_sends_no_feedback():
    for make_network in (ep.energy, ep.prototypical):
        with pytest.raises(PlasticError, match="there is no feedback"):
            make_network((7, 5, 3), np.random.default_rng(0), loss="cel", angle=0.0)


@pytest.mark.parametrize("angle", [0.0, 45.0, 90.0, 180.0])
def test_feedback_begins_at_the_angle_and_the_way_up_is_that_of_the_tied_network(angle):
    sizes = (9, 300, 200, 100)
    tied, _, _ = make("prototypical", None, sizes)
    net, _, _ = make("prototypical", angle, sizes)
    for layer, other in zip(net.wiring.layers, tied.wiring.layers, strict=True):
        assert_array_equal(layer.W, other.W)
        assert_array_equal(layer.b, other.b)
    for U, layer in zip(net.wiring.feedback, net.wiring.layers[1:], strict=True):
        cosine = np.sum(U.W.T * layer.W) / np.linalg.norm(U.W) / np.linalg.norm(layer.W)
        assert_allclose(cosine, np.cos(np.radians(angle)), atol=0.03)
        assert_allclose(np.std(U.W), np.std(layer.W), rtol=0.03)


def test_signals_come_down_through_the_feedback_alone(backend):
    net, x, _ = make("prototypical", 70.0)
    w = ep.Relaxation(net, x)
    w.run(3)
    r = [xp.asnumpy(each).copy() for each in net.wiring.split(w.s)]
    w.run(1)
    up, down = ([xp.asnumpy(each.W) for each in tree] for tree in (net.wiring.layers, net.wiring.feedback))
    b = [xp.asnumpy(each.b) for each in net.wiring.layers]
    sent = [xp.asnumpy(x), *r]
    for k, state in enumerate(net.wiring.split(w.s)):
        u = sent[k] @ up[k] + b[k] + (r[k + 1] @ down[k] if k < 2 else 0)
        assert_allclose(xp.asnumpy(state), np.tanh(u), rtol=1e-12)


def test_the_line_of_a_network_says_that_it_is_untied():
    assert repr(make("prototypical", 10.0)[0]) == "PrototypicalNetwork 7-6-5-3, untied, tanh, dt 1"


@pytest.mark.parametrize(
    "feedback",
    [
        [],
        [Affine(np.zeros((5, 6)))],
        [Affine(np.zeros((6, 5))), Affine(np.zeros((3, 5)))],
        [Affine(np.zeros((5, 6))), Affine(np.zeros((3, 5), np.float32))],
        [Affine(np.zeros((5, 6))), Affine(np.zeros((3, 5)), np.zeros((1, 5)))],
        [np.zeros((5, 6)), np.zeros((3, 5))],
        Affine(np.zeros((5, 6))),
        "tied",
    ],
)
def test_feedback_that_does_not_fit_is_refused(feedback):
    xp.use(dtype="float64")
    layers = ep.prototypical(SIZES, np.random.default_rng(0)).wiring.layers
    with pytest.raises(PlasticError, match="feedback"):
        ep.FullyConnected(layers, feedback=feedback)
