"""Replicas of large networks, which take turns: each is a network alone."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from plastic import parameters, xp
from plastic.errors import PlasticError
from plastic.parameters import Affine
from plastic.pc import Network, pc, residual, turns


@pytest.fixture(autouse=True)
def every_network_is_large(monkeypatch):
    xp.use("numpy", dtype="float64")
    monkeypatch.setattr(turns, "_LARGE", 1)


def make(replicas, kind):
    rng = np.random.default_rng(0)

    def draw(*shape):
        return rng.standard_normal((*replicas, *shape))

    if kind == "residual":
        net = residual((4, 3, 3, 2), np.random.default_rng(1), phi="tanh")
        for layer in net.layers:
            layer.W = draw(*layer.W.shape)
    else:
        net = Network([Affine(draw(4, 3), draw(1, 3)), Affine(draw(3, 2), draw(1, 2))], "tanh", kind == "after")
    return net, draw


@pytest.mark.parametrize("replicas", [(3,), (2, 2)])
@pytest.mark.parametrize("kind", ["before", "after", "residual"])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("solver", ["steps", "errors"])
def test_replicas_in_turn_are_networks_alone(replicas, kind, shared, solver):
    net, draw = make(replicas, kind)
    rng = np.random.default_rng(2)
    x, y = (rng.standard_normal((5, n)) if shared else draw(5, n) for n in (4, 2))
    gamma = np.linspace(0.05, 0.4, np.prod(replicas)).reshape(*replicas, 1, 1)
    assert turns.pay(net, x)
    out = parameters.zeros_like(net.parameters)
    how = {"T": 7, "discount": 0.5, "solver": solver}
    grads, output = pc(net, x, y, gamma=gamma, out=out, **how)
    assert grads is out and output.shape == (*replicas, 5, 2)
    for at in np.ndindex(replicas):
        alone = type(net)([Affine(each.W[at], None if each.b is None else each.b[at]) for each in net.layers], net.phi)
        alone.after = net.after
        mine = [each if shared else each[at] for each in (x, y)]
        expected, its_output = pc(alone, *mine, gamma=gamma[at].item(), **how)
        assert_allclose(output[at], its_output, rtol=1e-12)
        for one, other in zip(grads["layers"], expected["layers"], strict=True):
            assert_allclose(one.W[at], other.W, rtol=1e-12, atol=1e-15)
            assert other.b is None or np.allclose(one.b[at], other.b, rtol=1e-12)


def test_what_is_wrong_is_told_before_any_turn():
    net, _ = make((3,), "before")
    x, y = np.ones((5, 4)), np.ones((5, 2))
    for how, message in (
        ({"gamma": np.ones((2, 1, 1))}, "gamma has 2"),
        ({"gamma": -1.0}, "gamma is -1"),
        ({"out": {"layers": []}}, "out is another tree"),
    ):
        with pytest.raises(PlasticError, match=message):
            pc(net, x, y, T=3, **how)
    for bad in (y[:3], y[:, :1], y[None, None]):
        with pytest.raises(PlasticError, match=r"y has|replica axes"):
            pc(net, x, bad, T=3)
