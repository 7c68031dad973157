"""The public face of `plastic.ep`: networks made by function and by hand, own activations, buffers, and misuse."""

import dataclasses

import numpy as np
import pytest
from ep.lines import command
from numpy.testing import assert_allclose, assert_array_equal

import plastic
from plastic import check, ep, parameters, xp
from plastic.errors import PlasticError
from plastic.functions import Activation
from plastic.parameters import Affine

softsign = Activation("softsign", lambda v: v / (1 + xp.abs(v)), lambda v, rho: (1 - xp.abs(rho)) ** 2)
bent_softsign = Activation(
    "softsign", softsign.value, softsign.slope, lambda v, rho: -2 * xp.sign(v) * (1 - xp.abs(rho)) ** 3
)
MAKERS = {
    "toy": lambda phi: ep.toy((6, 5, 3), np.random.default_rng(0), phi=phi, clamp=False),
    "energy": lambda phi: ep.energy((6, 5, 4, 3), np.random.default_rng(0), phi=phi, dt=0.5, clamp=False),
    "prototypical": lambda phi: ep.prototypical((6, 5, 3), np.random.default_rng(0), phi=phi, dt=0.7),
    "convolutional": lambda phi: ep.convolutional(
        (1, 2, 3), (3,), np.random.default_rng(0), size=8, F=3, padding=1, phi=phi
    ),
}


def batch_for(net, batch=4, seed=1):
    """Inputs as rows, and one-hot targets, on the backend in use."""
    rng = np.random.default_rng(seed)
    classes = np.eye(net.wiring.outputs)
    x, y = rng.random((batch, net.wiring.inputs)), classes[rng.integers(0, len(classes), batch)]
    return xp.asarray(x), xp.asarray(y)


def leaves_of(tree):
    return [xp.asnumpy(leaf) for _, leaf in parameters.leaves(tree)]


# an own activation


@pytest.mark.parametrize("network", MAKERS)
def test_bptt_with_an_own_activation_is_the_gradient(network):
    xp.use(dtype="float64")
    net = MAKERS[network](bent_softsign)
    x, y = batch_for(net)
    grads, _ = ep.bptt(net, x, y, T=6, steps=6)
    check.gradient(
        lambda tree: np.sum((ep.predict(net, x, T=6) - y) ** 2) / (2 * len(x)),
        net.parameters,
        grads,
        max_entries=20,
    )


@pytest.mark.parametrize("network", MAKERS)
def test_without_a_curvature_only_bptt_through_an_energy_is_refused(network, monkeypatch):
    xp.use(dtype="float64")
    net, bent = MAKERS[network](softsign), MAKERS[network](bent_softsign)
    x, y = batch_for(net)
    calls = [lambda net: ep.eqprop(net, x, y, T=6, K=3, beta=0.1)]
    through_time = [
        lambda net: ep.bptt(net, x, y, T=6, steps=3),
        lambda net: ep.Comparison(net, x, y, T=6, K=3, beta=0.1).neurons(),
    ]
    if isinstance(net, ep.EnergyNetwork):
        with monkeypatch.context() as patch:
            patch.setattr(ep.EnergyNetwork, "step", None)  # it is told before the free phase
            for call in through_time:
                with pytest.raises(PlasticError, match="softsign has no curvature"):
                    call(net)
    else:
        calls += through_time
    for call in calls:
        for a, b in zip(leaves_of(call(net)), leaves_of(call(bent)), strict=True):
            assert_array_equal(a, b)


def test_an_activation_by_its_name():
    net = ep.energy((6, 5, 3), np.random.default_rng(0), phi="hardsigm")
    assert net.phi is plastic.functions.hardsigm
    with pytest.raises(PlasticError, match="did you mean sigm"):
        ep.energy((6, 5, 3), np.random.default_rng(0), phi="sgim")


# what is made is whole


@pytest.mark.parametrize("network", MAKERS)
def test_a_relaxation_is_at_its_beginning_once_it_is_made(backend, network):
    net = MAKERS[network]("tanh")
    x, y = batch_for(net)
    w = ep.Relaxation(net, x)
    w.run(7)
    assert_array_equal(xp.asnumpy(w.output), xp.asnumpy(ep.predict(net, x, T=7)))
    assert_array_equal(xp.asnumpy(w.output), xp.asnumpy(ep.bptt(net, x, y, T=7, steps=2)[1]))
    w.begin(x + 1)
    w.begin(x)
    w.run(7)
    assert_array_equal(xp.asnumpy(w.output), xp.asnumpy(ep.predict(net, x, T=7)))


@pytest.mark.parametrize("network", MAKERS)
def test_a_relaxation_begins_with_the_parameters_as_they_are(backend, network):
    """Replaced by other arrays, or changed in place."""
    net = MAKERS[network]("sigm")
    x, y = batch_for(net)
    other = net.with_parameters(parameters.map(lambda leaf: 0.5 * leaf, net.parameters))
    expected = [leaves_of(ep.eqprop(each, x, y, T=5, K=2, beta=0.1)) for each in (other, net)]
    work = ep.Relaxation(net, x)
    work.run(1)
    for name, part in other.wiring.parameters.items():
        setattr(net.wiring, name, part)
    replaced = leaves_of(ep.eqprop(net, x, y, T=5, K=2, beta=0.1, work=work))
    parameters.map(lambda leaf: leaf.__imul__(2), net.parameters)
    in_place = leaves_of(ep.eqprop(net, x, y, T=5, K=2, beta=0.1, work=work))
    for found, wanted in zip((replaced, in_place), expected, strict=True):
        for a, b in zip(found, wanted, strict=True):
            assert_array_equal(a, b)


def test_every_tree_of_a_comparison_is_its_own():
    xp.use(dtype="float64")
    net = MAKERS["energy"]("tanh")
    x, y = batch_for(net)
    points = list(ep.Comparison(net, x, y, T=9, K=4, beta=0.1).synapses())
    for lag, (N, _) in enumerate(points, 1):
        for a, b in zip(leaves_of(N), leaves_of(ep.bptt(net, x, y, T=9, steps=lag)[0]), strict=True):
            assert_allclose(a, b, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(("network", "scale", "seed", "late"), [("energy", 6, 2, (0, 1)), ("toy", 4, 0, (0, 0))])
def test_dS_is_the_change_per_unit_of_time_and_0_of_a_clamped_state(network, scale, seed, late):
    """And 0 as long as no signal of the nudge has come to a layer, but in the toy model."""
    xp.use(dtype="float64")
    net = ep.NETWORKS[network]((6, 5, 3), np.random.default_rng(seed), dt=0.5)
    for layer in net.wiring.layers:
        layer.b *= scale  # so that some states come to 0 or 1 while they are nudged
    rng = np.random.default_rng(1)
    x, y = rng.random((4, 6)), rng.random((4, 3))
    dS = ep.Comparison(net, x, y, T=3, K=3, beta=1.5).neurons()[1]
    w = ep.Relaxation(net, x)
    w.run(3)
    s = np.concatenate([w.record(3, beta=1.5, y=y).s, w.s[None]])
    change, held = np.diff(s, axis=0), (s[1:] == 0) | (s[1:] == 1)
    assert np.any(change[held])
    g = net.wiring.split(np.where(held, 0, change / 0.5))[::-1]  # the output first
    for found, layer, first in zip(dS, g, late, strict=True):
        expected = -layer.sum(axis=1) / (1.5 * 4)
        expected[:first] = 0
        assert_allclose(found, expected, rtol=0, atol=1e-13)


def test_one_line_says_what_an_object_is():
    rng = np.random.default_rng(0)
    energy = ep.energy((784, 512, 10), rng)
    x, y = batch_for(energy, batch=2)
    w = ep.Relaxation(energy, x)
    comparison = ep.Comparison(energy, x, y, T=3, K=2, beta=0.1)
    shown = {
        "EnergyNetwork 784-512-10, sigm, dt 0.2": energy,
        "EnergyNetwork 5-4-3 and 5-3, tanh, dt 0.08, unclamped, consistent": ep.toy(
            (5, 4, 3), rng, phi="tanh", dt=0.08, clamp=False
        ),
        "PrototypicalNetwork 5-4-3, sigm, dt 1, replicas (2,)": ep.prototypical((5, 4, 3), [rng, rng]),
        "PrototypicalNetwork 28x28x1-12x12x32-4x4x64-10, sigm, dt 1": ep.convolutional((1, 32, 64), (10,), rng),
        "FullyConnected 784-512-10": energy.wiring,
        "Relaxation of EnergyNetwork 784-512-10, sigm, dt 0.2, 2 rows": w,
        "Trajectory of 3 steps": w.record(3),
        "Comparison of EP and BPTT on EnergyNetwork 784-512-10, sigm, dt 0.2, K 2": comparison,
    }
    for text, each in shown.items():
        assert repr(each) == text


# inputs


@pytest.mark.parametrize("channels", [1, 3])
def test_images_may_be_rows(backend, channels):
    net = ep.convolutional((channels, 2, 3), (4, 3), np.random.default_rng(0), size=8, F=3, padding=1)
    x, y = batch_for(net)
    images = x.reshape(4, 8, 8, channels)
    for call in (
        lambda x: ep.predict(net, x, T=5),
        lambda x: ep.eqprop(net, x, y, T=5, K=3, beta=0.1),
        lambda x: ep.bptt(net, x, y, T=5, steps=3),
        lambda x: ep.Comparison(net, x, y, T=5, K=3, beta=0.1).neurons(),
    ):
        for a, b in zip(leaves_of(call(x)), leaves_of(call(images)), strict=True):
            assert_array_equal(a, b)


@pytest.mark.parametrize(
    "shape, hint",
    [
        ((4, 8, 8), r"x\[..., None\]"),
        ((4, 3, 8, 8), r"xp.moveaxis\(x, 1, -1\)"),
        ((8, 8, 3), r"x\[None\]"),
        ((4, 8, 8, 1), r"images \(batch, 8, 8, 3\), or rows \(batch, 192\)"),
        ((2, 4, 8, 8, 3), "images"),
        ((2, 4, 192), "images"),
        ((192,), "images"),
        ((0, 192), "empty"),
    ],
)
def test_what_is_wrong_with_images(shape, hint):
    net = ep.convolutional((3, 2), (3,), np.random.default_rng(0), size=8, F=3, padding=1)
    with pytest.raises(PlasticError, match=hint):
        ep.predict(net, xp.zeros(shape, dtype=xp.float_dtype), T=2)


def test_replicas_may_share_inputs_and_targets(backend):
    """Axes of replicas that are absent, or of length 1, are those of all."""
    generators = [np.random.default_rng(seed) for seed in range(3)]
    net, alone = ep.energy((6, 5, 3), generators), ep.energy((6, 5, 3), np.random.default_rng(2))
    x, y = batch_for(net)
    expected = leaves_of(ep.eqprop(alone, x, y, T=5, K=2, beta=0.1))
    many_x, many_y = (xp.stack([each] * 3) for each in (x, y))
    for some_x in (x, x[None], many_x):
        for some_y in (y, y[None], many_y):
            grads, output = ep.eqprop(net, some_x, some_y, T=5, K=2, beta=0.1)
            for found, wanted in zip(leaves_of((grads, output)), expected, strict=True):
                assert_allclose(found[2], wanted, rtol=1e-12, atol=1e-14)
    several = ep.predict(alone, many_x, T=5)  # a network without replicas predicts several batches, but learns from one
    assert_allclose(xp.asnumpy(several[1]), xp.asnumpy(ep.predict(alone, x, T=5)), rtol=1e-12)
    with pytest.raises(PlasticError, match="x has the replica axes"):
        ep.bptt(alone, many_x, many_y, T=5, steps=2)


def test_numbers_of_numpy_keep_the_precision():
    """A float64 scalar does not make a float32 network one of float64."""
    net = ep.energy((6, 5, 3), np.random.default_rng(0), dt=np.float64(0.5))
    x, y = batch_for(net)
    eqprop = ep.eqprop(net, x, y, T=np.int64(5), K=2, beta=np.float64(0.1), tolerance=np.float64(1e-9), centered=True)
    bptt = ep.bptt(net, x, y, T=5, steps=np.int32(3))
    comparison = ep.Comparison(net, x, y, T=5, K=2, beta=np.float64(0.1))
    for leaf in leaves_of([eqprop, bptt, comparison.neurons(), list(comparison.synapses())]):
        assert leaf.dtype == np.float32


# misuse: the message names the argument


@pytest.mark.parametrize(
    "name, changed",
    [
        ("T", {"T": 0}),
        ("K", {"K": 0}),
        ("beta", {"beta": 0}),
        ("beta", {"beta": float("nan")}),
        ("beta", {"beta": np.zeros((), dtype=np.float32)}),
        ("beta", {"beta": np.ones((4, 1), dtype=np.float32)}),
        ("beta", {"beta": np.ones((1, 1))}),
        ("tolerance", {"tolerance": -1}),
        ("tolerance", {"tolerance": np.zeros(4, dtype=np.float32)}),
        ("centered", {"centered": 2}),
        ("work", {"work": 3}),
        ("out", {"out": []}),
        ("out at layers/0/W", {"out": {"layers": [Affine(1.0, 2.0), Affine(3.0, 4.0)]}}),
        ("out at layers/0/W", {"out": {"layers": [Affine(np.zeros((6, 5)), np.zeros((1, 5)))] * 2}}),
    ],
    ids=str,
)
def test_a_wrong_constant_is_named(name, changed):
    net = ep.energy((6, 5, 3), np.random.default_rng(0))
    x, y = batch_for(net)
    before = leaves_of(parameters.copy(net.parameters))
    with pytest.raises(PlasticError, match=rf"^{name}\b"):
        ep.eqprop(net, x, y, **{"T": 5, "K": 2, "beta": 0.1} | changed)
    for a, b in zip(leaves_of(net.parameters), before, strict=True):
        assert_array_equal(a, b)


def test_curves_need_as_many_free_steps_as_nudged_ones():
    net = ep.energy((6, 5, 3), np.random.default_rng(0))
    with pytest.raises(PlasticError, match="K is 4, but T is 3"):
        ep.Comparison(net, *batch_for(net), T=3, K=4, beta=0.1)


def test_a_workspace_of_another_network_or_batch_is_refused():
    net, other = (ep.energy((6, 5, 3), np.random.default_rng(0)) for _ in range(2))
    x, y = batch_for(net)
    with pytest.raises(PlasticError, match="work must be a Relaxation of this network"):
        ep.bptt(net, x, y, T=5, steps=2, work=ep.Relaxation(other, x))
    with pytest.raises(PlasticError, match="the relaxation was made for"):
        ep.bptt(net, x, y, T=5, steps=2, work=ep.Relaxation(net, x[:3]))


def _layer(n_in, n_out, dtype="float32", leading=()):
    return Affine(np.ones((*leading, n_in, n_out), dtype), np.ones((*leading, 1, n_out), dtype))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: ep.PrototypicalNetwork(ep.FullyConnected([_layer(3, 2)]), "sigm"), "hidden layer"),
        (lambda: ep.PrototypicalNetwork(ep.Convolutional([_kernel(3, 1, 2)], [], 5), "sigm"), "hidden layer"),
        (lambda: ep.FullyConnected([]), "layers"),
        (lambda: ep.FullyConnected(None), "layers"),
        (lambda: ep.FullyConnected([_layer(3, 2), np.ones((2, 2))]), "layers/1 is a ndarray"),
        (lambda: ep.FullyConnected([_layer(3, 2), _layer(4, 2)]), "a layer has 2 units"),
        (lambda: ep.FullyConnected([_layer(3, 2), _layer(2, 2, "float64")]), "precision"),
        (lambda: ep.FullyConnected([_layer(3, 2, "int64"), _layer(2, 2, "int64")]), "precision"),
        (lambda: ep.FullyConnected([_layer(3, 2), _layer(2, 2, leading=(3,))]), "replica axes"),
        (lambda: ep.FullyConnected([_layer(3, 2), Affine(np.ones((2, 2), "float32"))]), "layers/1/b"),
        (lambda: ep.FullyConnected([_layer(3, 2), Affine(*[np.ones((2, 2), "float32")] * 2)]), "layers/1 has W"),
        (lambda: ep.FullyConnected([_layer(3, 2), _layer(2, 2)], skip=_layer(2, 2)), "inputs"),
        (lambda: ep.FullyConnected([_layer(3, 2), _layer(2, 2)], skip=_layer(3, 1)), "output of skip"),
        (lambda: ep.Convolutional([], [_layer(3, 2)], 5), "a convolution"),
        (lambda: ep.Convolutional([_layer(3, 2)], [_layer(3, 2)], 5), "convolutions/0"),
        (lambda: ep.Convolutional([_kernel(3, 1, 2)], [_layer(3, 2)], 5), "classifier"),
        (lambda: ep.Convolutional([_kernel(3, 1, 2), _kernel(2, 2, 2)], [_layer(2, 2)], 9), "filters"),
        (lambda: ep.Convolutional([_kernel(3, 1, 2), _kernel(3, 3, 2)], [_layer(2, 2)], 9), "2 units"),
        (lambda: ep.EnergyNetwork([_layer(3, 2), _layer(2, 2)], "sigm"), "wiring"),
        (lambda: ep.PrototypicalNetwork(ep.FullyConnected([_layer(3, 2), _layer(2, 2)]), "sigm", 2.0), "dt"),
        (lambda: ep.convolutional((1, 2), (3,), [np.random.default_rng(0)]), "generator"),
    ],
)
def test_parts_that_do_not_fit_are_refused(make, message):
    with pytest.raises(PlasticError, match=message):
        make()


def _kernel(F, n_in, n_out):
    return Affine(np.ones((F, F, n_in, n_out), "float32"), np.ones((1, n_out), "float32"))


def test_a_network_made_by_hand_is_that_of_the_function():
    net = ep.toy((6, 5, 3), np.random.default_rng(0))
    other = ep.EnergyNetwork(ep.FullyConnected(**net.parameters), "sigm", consistent=True)
    x, _ = batch_for(net)
    assert_array_equal(ep.predict(other, x, T=5), ep.predict(net, x, T=5))
    assert dataclasses.replace(net, dt=0.5).dt == 0.5


def test_predictions_of_a_run_refuse_samples_of_another_shape(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        f"{kind}_{part}": each
        for part in ("train", "test")
        for kind, each in (("x", rng.random((20, 4, 4))), ("y", np.arange(20) % 3))
    }
    np.savez(tmp_path / "toy.npz", **arrays)
    words = f"--dataset={tmp_path / 'toy.npz'} --size_tab=3,5,16 --T=4 --Kmax=2 --results={tmp_path}"
    predict = plastic.load(command(words)[0]).predict
    x = arrays["x_test"].astype("float32")
    assert predict(x).shape == predict(x.reshape(20, 16)).shape == (20, 3)
    for wrong in (x[:, :3], x[:0], x[0], np.float32(1), x.astype("uint8")):
        with pytest.raises(PlasticError, match=r"^x "):
            predict(wrong)
