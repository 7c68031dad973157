"""The convolutional predictive coding network: its maps are linear with true adjoints, its gradients those of F."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from plastic import check, parameters, xp
from plastic.errors import PlasticError
from plastic.parameters import Affine
from plastic.pc import ConvolutionalNetwork, State, bp, convolutional, equilibrium, infer, predict, tp
from plastic.pc.maps import perform

SHAPE, BATCH = (7, 6, 2), 3


def make(stride=2, padding=1, F=3):
    rng = np.random.default_rng(0)
    rows, columns = ((n + 2 * padding - F) // stride + 1 for n in SHAPE[:2])
    layers = [
        Affine(xp.asarray(rng.standard_normal((F, F, 2, 3)) / 3)),
        Affine(xp.asarray(rng.standard_normal((rows * columns * 3, 4)) / 4), xp.asarray(rng.standard_normal((1, 4)))),
        Affine(xp.asarray(rng.standard_normal((4, 2)))),
    ]
    network = ConvolutionalNetwork(layers, "tanh", shape=SHAPE, stride=stride, padding=padding)
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
    perform(network.maps()[0].up(x, found))
    assert_allclose(xp.asnumpy(found), expected.reshape(BATCH, -1), atol=1e-13)


@pytest.mark.parametrize(("stride", "padding", "F"), GEOMETRIES)
def test_the_way_down_is_the_adjoint_and_the_gradient_that_of_the_kernel(backend, stride, padding, F):
    network, x, _ = make(stride, padding, F)
    each, units = network.maps()[0], np.prod(network.shapes[1])
    z = xp.asarray(np.random.default_rng(1).standard_normal((BATCH, units)))
    up, down = xp.zeros_like(z), xp.zeros_like(x)
    perform([*each.up(x, up), *each.down(z, down)])
    product = float(xp.asnumpy(xp.sum(up * z)))
    assert_allclose(float(xp.asnumpy(xp.sum(x * down))), product, rtol=1e-12)
    grad = parameters.zeros_like(network.layers[0])
    each.gradient(x, z, grad)
    assert_allclose(float(xp.asnumpy(xp.sum(grad.W * each.K))), -product / BATCH, rtol=1e-12)


def test_backpropagation_against_finite_differences(backend):
    network, x, y = make()
    grads, output = bp(network, x, y)
    assert_allclose(xp.asnumpy(output), xp.asnumpy(predict(network, x)), rtol=1e-12)
    check.gradient(lambda _: 0.5 * xp.sum((y - predict(network, x)) ** 2) / BATCH, network.parameters, grads)


def test_inference_gradients_against_finite_differences(backend):
    network, x, y = make()
    state = State(network, x, y, gamma=0.1)
    infer(network, state, x, 5)

    def energy(_):
        infer(network, state, x, 0)
        return state.F

    check.gradient(lambda _: energy(_) / BATCH, network.parameters, state.weight_gradients())
    energy(None)
    check.gradient(energy, state.x, state.gradient().copy())


def test_a_new_network_is_that_of_the_paper(precision):
    net = convolutional((3, 4, 5), (6, 2), np.random.default_rng(0), size=8)
    assert [layer.W.shape for layer in net.layers] == [(3, 3, 3, 4), (3, 3, 4, 5), (20, 6), (6, 2)]
    assert [layer.b is None for layer in net.layers] == [True, True, False, False]
    assert net.sizes == (192, 64, 20, 6, 2) and repr(net) == "ConvolutionalNetwork 8x8x3-4x4x4-2x2x5-6-2, relu"
    for layer, n in zip(net.layers, (27, 36, 20, 6), strict=True):
        for _, leaf in parameters.leaves(layer):
            assert leaf.dtype == precision
            assert 0 < np.abs(xp.asnumpy(leaf)).max() <= n**-0.5 * (1 + 1e-6)


def _convolutional(**constants):
    return convolutional((1, 2), (3, 2), np.random.default_rng(0), **{"size": 6} | constants)


def _with_bias(layers):
    return ConvolutionalNetwork([Affine(layers[0].W, layers[0].W[0, 0, :1]), *layers[1:]], "tanh", shape=SHAPE)


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        ("takes 2 channels, but gets 5", lambda layers: ConvolutionalNetwork(layers, "tanh", shape=(7, 6, 5))),
        ("need a layer of 216 inputs", lambda layers: ConvolutionalNetwork(layers, "tanh", False, None, SHAPE, 1, 2)),
        ("come first, then layers", lambda layers: ConvolutionalNetwork(layers[:1], "tanh", shape=SHAPE)),
        ("come first, then layers", lambda layers: ConvolutionalNetwork(layers[1:], "tanh", shape=SHAPE)),
        ("come first, then layers", lambda layers: ConvolutionalNetwork(layers[::-1], "tanh", shape=SHAPE)),
        ("shape is", lambda layers: ConvolutionalNetwork(layers, "tanh")),
        ("stride is 0", lambda layers: ConvolutionalNetwork(layers, "tanh", shape=SHAPE, stride=0)),
        ("padding is -1", lambda layers: ConvolutionalNetwork(layers, "tanh", shape=SHAPE, padding=-1)),
        ("has no bias", _with_bias),
        ("nothing is left", lambda _: _convolutional(F=11)),
        ("F is 2.5", lambda _: _convolutional(F=2.5)),
        ("size is 0", lambda _: _convolutional(size=0)),
        ("channels is", lambda _: convolutional((1,), (3, 2), np.random.default_rng(0))),
        ("has no replicas", lambda _: convolutional((1, 2), (3, 2), [np.random.default_rng(0)])),
        ("phi has 1 activations, but there are 2", lambda _: _convolutional(phi=["tanh"])),
    ],
)
def test_what_does_not_fit_is_refused(words, refused):
    with pytest.raises(PlasticError, match=words):
        refused(make()[0].layers)


def test_what_needs_matrices_says_so(backend):
    network, x, y = make()
    linear = ConvolutionalNetwork(network.layers, "linear", shape=SHAPE)
    for rule in (tp, equilibrium):
        with pytest.raises(PlasticError, match="this one has convolutions"):
            rule(linear, x, y)


def test_blocks_of_images_that_take_turns_make_the_whole(backend, monkeypatch):
    """Blocks of one, one and two images, where the cache holds no more, against all four at once."""
    network, x, y = make()
    x, y = (xp.concatenate([each, 0.5 * each[:1]]) for each in (x, y))
    state = State(network, x, y, gamma=0.3)
    whole = [infer(network, state, x, 6), state.x.copy(), state.weight_gradients()["layers"][0].W]
    asked = []

    def turns(images, bytes_of_one):
        asked.append(images)
        return [slice(0, 1), slice(1, 2), slice(2, images)]

    monkeypatch.setattr(xp, "turns", turns)
    state = State(network, x, y, gamma=0.3)
    parts = [infer(network, state, x, 6), state.x.copy(), state.weight_gradients()["layers"][0].W]
    assert set(asked) == {4} and len(asked) > 1
    for one, other in zip(parts, whole, strict=True):
        assert_allclose(xp.asnumpy(one), xp.asnumpy(other), rtol=1e-10, atol=1e-12)


def test_the_adjoint_takes_turns_too(backend, monkeypatch):
    network, _, _ = make()
    each, units = network.maps()[0], np.prod(network.shapes[1])
    z = xp.asarray(np.random.default_rng(1).standard_normal((BATCH, units)))
    whole, parts = (xp.full((BATCH, int(np.prod(SHAPE))), 7.0, dtype=xp.float_dtype) for _ in range(2))
    perform(each.down(z, whole))
    monkeypatch.setattr(xp, "turns", lambda images, bytes_of_one: [slice(0, 2), slice(2, images)])
    perform(each.down(z, parts))
    assert_allclose(xp.asnumpy(parts), xp.asnumpy(whole), rtol=1e-12)
