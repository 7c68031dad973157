"""The convolutional predictive coding network: its maps are linear with true adjoints, its gradients those of F."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from plastic import check, functions, parameters, xp
from plastic.errors import PlasticError
from plastic.parameters import Affine
from plastic.pc import Inference, bp, infer, predict
from plastic.pc.convolutional import ConvolutionalNetwork
from plastic.pc.rules import Rate

SHAPE, BATCH = (7, 6, 2), 3


def make(stride=2, padding=1, F=3):
    rng = np.random.default_rng(0)
    rows, columns = ((n + 2 * padding - F) // stride + 1 for n in SHAPE[:2])
    layers = [
        Affine(xp.asarray(rng.standard_normal((F, F, 2, 3)) / 3)),
        Affine(xp.asarray(rng.standard_normal((rows * columns * 3, 4)) / 4), xp.asarray(rng.standard_normal((1, 4)))),
        Affine(xp.asarray(rng.standard_normal((4, 2)))),
    ]
    network = ConvolutionalNetwork(layers, functions.tanh, shape=SHAPE, stride=stride, padding=padding)
    x = xp.asarray(rng.standard_normal((BATCH, 7 * 6 * 2)))
    return network, x, xp.asarray(rng.standard_normal((BATCH, 2)))


GEOMETRIES = [(1, 0, 3), (2, 1, 3), (2, 0, 2), (3, 1, 3), (1, 1, 2)]


@pytest.mark.parametrize(("stride", "padding", "F"), GEOMETRIES)
def test_a_convolution_is_that_of_its_definition(backend, stride, padding, F):
    network, x, _ = make(stride, padding, F)
    host, K = (xp.asnumpy(each) for each in (x, network.layers[0].W))
    image = np.pad(host.reshape(BATCH, *SHAPE), [(0, 0), (padding, padding), (padding, padding), (0, 0)])
    rows, columns, n = network.shapes[1]
    expected = np.zeros((BATCH, rows, columns, n))
    for r in range(rows):
        for c in range(columns):
            patch = image[:, stride * r : stride * r + F, stride * c : stride * c + F]
            expected[:, r, c] = np.einsum("bpqi,pqio->bo", patch, K)
    found = xp.zeros((BATCH, rows * columns * n), dtype=xp.float_dtype)
    network.maps()[0].up(x, found)
    assert_allclose(xp.asnumpy(found), expected.reshape(BATCH, -1), atol=1e-13)


@pytest.mark.parametrize(("stride", "padding", "F"), GEOMETRIES)
def test_the_way_down_is_the_adjoint_and_the_gradient_that_of_the_kernel(backend, stride, padding, F):
    network, x, _ = make(stride, padding, F)
    each, units = network.maps()[0], np.prod(network.shapes[1])
    z = xp.asarray(np.random.default_rng(1).standard_normal((BATCH, units)))
    up, down = xp.zeros_like(z), xp.zeros_like(x)
    each.up(x, up)
    each.down(z, down)
    product = float(xp.asnumpy(xp.sum(up * z)))
    assert_allclose(float(xp.asnumpy(xp.sum(x * down))), product, rtol=1e-12)
    grad = parameters.zeros_like(network.layers[0])
    each.gradient(x, z, grad)
    assert_allclose(float(xp.asnumpy(xp.sum(grad.W * each.K))), -product, rtol=1e-12)


def test_backpropagation_against_finite_differences(backend):
    network, x, y = make()
    check.gradient(lambda _: 0.5 * xp.sum((y - predict(network, x)) ** 2), network.layers, bp(network, x, y))


def test_inference_gradients_against_finite_differences(backend):
    network, x, y = make()
    w = Inference(network, x, y)
    w.begin()
    infer(w, 5, Rate(0.1))
    w.look()
    grads = w.weight_gradients(parameters.zeros_like(network.layers))

    def energy(_):
        w.look(moved=True)
        return w.F

    check.gradient(energy, network.layers, grads)
    w.look(moved=True)
    before = w.gradient().copy()
    check.gradient(energy, w.x, before)


def test_what_does_not_fit_is_refused():
    network, _, _ = make()
    with pytest.raises(PlasticError, match="takes 2 channels, but gets 5"):
        ConvolutionalNetwork(network.layers, functions.tanh, shape=(7, 6, 5))
    with pytest.raises(PlasticError, match="need a layer of 216 inputs above them"):
        ConvolutionalNetwork(network.layers[:1], functions.tanh, shape=SHAPE, padding=2, stride=1)
