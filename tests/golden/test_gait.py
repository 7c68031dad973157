"""GAIT-prop against numbers of the published code, in float64 (their format: README.md beside this file).

Every size and constant comes from the files. Forward, BP, TP and the regulariser agree to rounding. For GAIT at gamma =
1e-3 the published recursion itself loses three digits per layer (k = L - 1 - l counts layers from the output), so
those tolerances grow with k and with 1 / gamma; `gait_deep` holds the exact values instead. At orthogonal weights the
regulariser is rounding noise, which another BLAS kernel draws anew: see `_noise` and `three_steps`.
"""

import copy
import functools
import os

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from plastic import data, gait, xp
from plastic.functions import accuracy, mean_squared_error, one_hot
from plastic.gait import regulariser
from plastic.gait.experiments.train import published_layers
from plastic.optimizers import Adam
from plastic.parameters import Affine

GOLDEN = "gait_*.npz"


def _gradients_of_layers(rule):
    """Return the rule as a function that returns the gradients of the layers, a list, and no output."""
    return lambda *batch, **constants: rule(*batch, **constants)[0]["layers"]


RULES = {name: _gradients_of_layers(gait.RULES[name]) for name in ("bp", "tp", "gait")}


def test_golden(golden):
    numbers = dict(np.load(golden, allow_pickle=False))
    assert all(np.isfinite(array).all() for array in numbers.values())
    xp.use(dtype="float64")
    check(numbers)


def check(numbers):
    """Run the checks of the kind of file that these numbers come from."""
    if any(name.endswith("_cfg") for name in numbers):
        check_mnist(numbers)
    else:
        next(kind for name, kind in KINDS.items() if name in numbers)(numbers)


def check_rules(numbers):
    """gait_sq_*, gait_tower_*, gait_cross: activities, targets, updates, and the parameters after three steps."""
    network = _network(numbers)
    x, y = numbers["x"][0], numbers["onehot"][0]
    activities = gait.forward(network, x)
    for layer, a in enumerate(activities):
        close(a, numbers[f"a_{layer}"], 1e-12)
    close(_target(y, activities[-1]), numbers["target"], 1e-12)
    check_targets(numbers, network, activities)
    for layer, affine in enumerate(network.layers):
        found, expected = regulariser.gradient(affine.W), numbers[f"ortho_g_{layer}"]
        assert_allclose(found, expected, rtol=0, atol=_LARGEST * _noise(affine.W))
    for name in RULES:
        check_updates(numbers, name, x, y)
        for reg in ("", "_reg"):
            if f"{name}{reg}_W3_0" in numbers:
                check_three_steps(numbers, name, reg)


def check_targets(numbers, network, activities):
    """The chains of targets, by the public inverse: TP's to rounding, GAIT's unscaled ones as they are."""
    gamma, linear = float(numbers["gamma"]), bool(numbers["linear"])
    tp_target = gait_target = numbers["target"]
    for layer in reversed(range(len(network.layers))):
        close(tp_target, numbers[f"tp_t_{layer + 1}"], 1e-11)
        close(gait_target, numbers[f"gait_t_{layer + 1}"], 1e-11)
        a, below = activities[layer + 1], activities[layer]
        d2 = 1.0 if linear else np.where(a >= 0, 1.0, 0.01)
        tp_target = gait.inverse(network, layer, tp_target, below)
        gait_target = gait.inverse(network, layer, (1 - gamma * d2) * a + gamma * d2 * gait_target, below)
    close(tp_target, numbers["tp_t_0"], 1e-11)
    close(gait_target, numbers["gait_t_0"], 1e-11)


def check_updates(numbers, name, x, y):
    network = _network(numbers)
    grads = _rule(name, numbers)(network, x, y)
    for layer, grad in enumerate(grads):
        k = len(grads) - 1 - layer
        tolerance = _tolerance(name, numbers, k)
        close(-grad.W, numbers[f"{name}_dW_{layer}"], tolerance)
        close(-grad.b[0], numbers[f"{name}_db_{layer}"], tolerance)
    lam = float(numbers["lam"])
    regulariser.add_gradient(network.layers, grads, lam)
    for layer, grad in enumerate(grads):
        expected = numbers[f"{name}_reg_dW_{layer}"]
        tolerance = _tolerance(name, numbers, len(grads) - 1 - layer) * np.abs(expected).max()
        assert_allclose(-grad.W, expected, rtol=0, atol=tolerance + lam * _LARGEST * _noise(network.layers[layer].W))


def check_three_steps(numbers, name, reg):
    network, lr = _network(numbers), float(numbers["lr"])
    optimizer = Adam.without_correction(lr)
    batches = list(zip(numbers["x"], numbers["onehot"], strict=True))
    lam, atol = float(numbers["lam"]) if reg else 0.0, (1e-3 if name == "gait" else 1e-9) * lr
    state, moved = three_steps(network, _rule(name, numbers), lam, optimizer, batches)
    for layer, affine in enumerate(network.layers):
        assert_allclose(affine.W, numbers[f"{name}{reg}_W3_{layer}"], rtol=0, atol=atol + moved[layer].W.max())
        assert_allclose(affine.b[0], numbers[f"{name}{reg}_b3_{layer}"], rtol=0, atol=atol + moved[layer].b.max())
        if f"{name}{reg}_m3_{layer}" in numbers:
            m, v = _moments(optimizer, state, layer)
            close(-m.W, numbers[f"{name}{reg}_m3_{layer}"], 1e-4)
            close(v.W, numbers[f"{name}{reg}_v3_{layer}"], 1e-4)


def three_steps(network, rule, lam, optimizer, batches):
    """Train; return the optimizer's state, and how far noise in the regulariser may move the parameters of each layer.

    A copy is trained with gradients that are off by lam times the noise of two evaluations: what Adam, dividing by the
    root of its moments, and the gradients of the next steps leave of it is seen at the end. Maxima of different draws
    differ by a factor of less than 3.
    """
    noisy, rng = copy.deepcopy(network), np.random.default_rng(0)
    state, noisy_state = optimizer.init(network.layers), optimizer.init(noisy.layers)
    for x, y in batches:
        for net, moments, size in ((network, state, 0.0), (noisy, noisy_state, 2**0.5 * lam)):
            grads = rule(net, x, y)
            regulariser.add_gradient(net.layers, grads, lam)
            for affine, grad in zip(net.layers, grads, strict=True):
                grad.W += size * _noise(affine.W) * rng.standard_normal(grad.W.shape)
            optimizer.step(net.layers, grads, moments)
    pairs = zip(network.layers, noisy.layers, strict=True)
    return state, [Affine(3 * np.abs(a.W - b.W), 3 * np.abs(a.b - b.b)) for a, b in pairs]


def check_deep(numbers):
    """Against an evaluation of the recursion in 80 digits; in float64 it holds near the output only."""
    network, gamma, L = _network(numbers), float(numbers["gamma"]), int(numbers["n_layers"])
    activities = gait.forward(network, numbers["x"])
    for layer, a in enumerate(activities):
        close(a, numbers[f"a_{layer}"], 1e-12)
    close(_target(numbers["onehot"], activities[-1]), numbers["target"], 1e-12)
    assert_array_equal(numbers["onehot"].argmax(axis=-1), numbers["labels"])
    exact = [numbers[f"gait_delta_exact_{layer}"] for layer in range(L)]
    crossings = 0
    for layer in range(1, L):
        a = numbers[f"a_{layer + 1}"]
        sigma, d = np.where(a >= 0, 1, -1), np.where(a >= 0, 1.0, 0.1)
        crossings += np.sum(sigma * (d * exact[layer] - a / gamma ** (L - layer)) > 0)
    assert crossings == numbers["n_crossings"]
    for layer, delta in enumerate(_deltas(network, numbers["x"], numbers["onehot"], gamma)):
        close(delta, exact[layer], 1e-7)
        if L - 1 - layer in _PUBLISHED_ERROR:
            close(numbers[f"gait_delta_ref64_{layer}"], exact[layer], 10 * _published_error(gamma, L - 1 - layer))


def check_blank(numbers):
    """A blank input and no biases: every activity is exactly at the kink, in both precisions."""
    L = int(numbers["n_layers"])
    for dtype, tolerance in (("float64", 1e-12), ("float32", 1e-6)):
        xp.use(dtype=dtype)
        typed = {name: array.astype(dtype) for name, array in numbers.items()}
        network = _network(typed)
        activities = gait.forward(network, typed["x"])
        close(_target(typed["onehot"], activities[-1]), numbers["target"], 1e-12)
        deltas = _deltas(network, typed["x"], typed["onehot"], float(numbers["gamma"]))
        for layer in range(L):
            close(deltas[layer], numbers[f"gait_delta_{layer}"], tolerance)
            assert deltas[layer].dtype == dtype


def check_adam(numbers):
    """Six steps along given directions, from 1e-12 to 1e2."""
    layers = [Affine(numbers["W0"].copy(), numbers["b0"].copy())]
    optimizer = Adam.without_correction(float(numbers["lr"]))
    state = optimizer.init(layers)
    for step in range(len(numbers["dirW"])):
        optimizer.step(layers, [Affine(-numbers["dirW"][step], -numbers["dirb"][step])], state)
        assert_allclose(layers[0].W, numbers["W_after"][step], rtol=1e-12)
        assert_allclose(layers[0].b, numbers["b_after"][step], rtol=1e-12)
    m, v = _moments(optimizer, state, 0)
    for found, name in ((-m.W, "mW"), (v.W, "vW"), (-m.b, "mb"), (v.b, "vb")):
        assert_allclose(found, numbers[name], rtol=1e-12)


def check_metric(numbers):
    """Accuracy and mean squared error, and the two losses of the published code, which are neither."""
    network, y = _network(numbers), numbers["onehot"]
    a = gait.forward(network, numbers["x"], y.shape[1])[-1]
    close(gait.forward(network, numbers["x"])[-1], numbers["output"], 1e-12)
    assert_array_equal(one_hot(numbers["labels"], y.shape[1]), y)
    assert_allclose(accuracy(a, numbers["labels"]), numbers["accuracy"], rtol=1e-12)
    assert_allclose(mean_squared_error(a, y), numbers["mse_true"], rtol=1e-12)
    assert_allclose(np.mean(a - y) ** 2, numbers["loss_numpy"], rtol=1e-9)
    assert_allclose(np.sum((np.mean(a) - y) ** 2), numbers["loss_cupy_formula"], rtol=1e-9)


def check_init(numbers):
    """Initial weights by layer seed; those of a square network of three hidden layers, whose last two are equal."""
    n, seeds = int(numbers["n"]), [int(seed) for seed in numbers["seeds"]]
    for seed in seeds:
        for kind, orthogonal in (("xavier", False), ("ortho", True)):
            layers = published_layers((n, n), seed, square=True, orthogonal=orthogonal)
            close(layers[0].W, numbers[f"{kind}_{seed}"], 1e-13)
    layers = published_layers((n,) * 4, seeds[0], square=True, orthogonal=False)
    for layer, affine in enumerate(layers):
        close(affine.W[0], numbers[f"sq3_xavier_row0_{layer}"], 1e-13)
        assert not affine.b.any()


def check_mnist(numbers):
    """784-wide networks on real images: fingerprints of initialisation, first update, three steps and accuracy."""
    if not (data.default_folder() / "mnist.h5").exists() and "PLASTIC_MIRROR" not in os.environ:
        pytest.skip("the MNIST files are not here, and PLASTIC_MIRROR does not say where they are")
    x, labels = data.load("MNIST", dtype="float64").test
    x = x.reshape(len(x), -1)
    for key in numbers:
        if key.endswith("_cfg"):
            check_mnist_configuration({n: numbers[n] for n in numbers if n.startswith(key[:-3])}, key[:-3], x, labels)


def check_mnist_configuration(numbers, name, x, labels):
    hidden, seed, lam, lr, tower, linear, batch = numbers[f"{name}cfg"]
    widths = (784, 500, 200, 10) if tower else (784,) * (int(hidden) + 1)
    layers = published_layers(widths, int(seed), square=not tower, orthogonal=True)
    network = gait.InvertibleNetwork(layers, 784, bool(linear))
    assert tower or len(network.layers) == hidden + 1
    rule, L = name.split("_")[0], len(network.layers)
    for layer, affine in enumerate(network.layers):
        close(affine.W[:4, :4], numbers[f"{name}init_corner_{layer}"], 1e-12)
        assert_allclose(np.linalg.norm(affine.W), numbers[f"{name}init_fro_{layer}"], rtol=1e-12)
    close(gait.forward(network, x[100:120], 10)[-1], numbers[f"{name}out_init"], 1e-12)
    _check_accuracy(network, x, labels, numbers[f"{name}acc_loss"][0], 1e-9)
    batches = [
        (x[images], one_hot(labels[images], 10))
        for images in (slice(step * int(batch), (step + 1) * int(batch)) for step in range(3))
    ]
    grads = RULES[rule](network, *batches[0])
    regulariser.add_gradient(network.layers, grads, lam)
    _check_mnist_update(numbers, name, rule, grads)
    _, moved = three_steps(network, RULES[rule], lam, Adam.without_correction(lr), batches)
    precise = {"bp": 1e-9, "tp": 1e-5, "gait": {1: 1e-8, 2: 1e-5}.get(L - 1, 1e-3)}[rule]
    assert_allclose(gait.forward(network, x[100:120], 10)[-1], numbers[f"{name}out_3"], rtol=0, atol=precise)
    _check_accuracy(network, x, labels, numbers[f"{name}acc_loss"][1], 100 * precise)
    for layer, affine in enumerate(network.layers):
        atol = {"bp": 1e-9, "tp": 1e-5, "gait": 1e-2}[rule] * lr
        if rule != "gait" or L - 1 - layer < 3:  # beyond, the update of the published recursion is noise
            found, expected = affine.W[_patch(layer)], numbers[f"{name}W3_patch_{layer}"]
            assert_allclose(found, expected, rtol=0, atol=atol + moved[layer].W[_patch(layer)].max())
            assert_allclose(affine.b[0, :20], numbers[f"{name}b3_{layer}"], rtol=0, atol=atol + moved[layer].b.max())


def _check_mnist_update(numbers, name, rule, grads):
    for layer, grad in enumerate(grads):
        k = len(grads) - 1 - layer
        tolerance = {0: 1e-11, 1: 1e-8, 2: 1e-5, 3: 1e-2}[k] if rule == "gait" else 1e-9
        close(-grad.b[0, :20], numbers[f"{name}step1_db_{layer}"], tolerance)
        close(-grad.W[_patch(layer)], numbers[f"{name}step1_dWpatch_{layer}"], tolerance)
        assert_allclose(np.linalg.norm(grad.W), numbers[f"{name}step1_dWfro_{layer}"], rtol=tolerance)


def _check_accuracy(network, x, labels, expected, tolerance):
    """Accuracy and the published loss on the first thousand images; close calls may fall otherwise under noise."""
    a, y = gait.forward(network, x[:1000], 10)[-1], one_hot(labels[:1000], 10)
    assert_allclose(accuracy(a, labels[:1000]), expected[0], atol=0.0015 if tolerance > 1e-6 else 1e-12)
    assert_allclose(np.mean(a - y) ** 2, expected[1], rtol=max(10 * tolerance, 1e-9))


def _patch(layer):
    return (slice(200, 208) if layer == 0 else slice(8)), slice(8)


KINDS = {  # a key that only files of this kind have -> their check
    "tp_t_0": check_rules,
    "n_crossings": check_deep,
    "gait_delta_0": check_blank,
    "dirW": check_adam,
    "mse_true": check_metric,
    "seeds": check_init,
}


def _network(numbers):
    layers = range(len([name for name in numbers if name.startswith("W0_")]))
    assert len(layers) == numbers.get("n_layers", 2)
    if "widths" in numbers:
        assert [numbers["x"].shape[-1]] + [len(numbers[f"W0_{layer}"]) for layer in layers] == numbers[
            "widths"
        ].tolist()
        assert numbers["tower"] == (len(set(numbers["widths"].tolist())) > 1)
        assert_array_equal(numbers["onehot"].argmax(axis=-1), numbers["labels"])
    affine = [Affine(numbers[f"W0_{layer}"].copy(), numbers[f"b0_{layer}"][None].copy()) for layer in layers]
    return gait.InvertibleNetwork(affine, numbers["x"].shape[-1], linear=bool(numbers.get("linear", 0)))


def _rule(name, numbers):
    return functools.partial(RULES["gait"], gamma=float(numbers["gamma"])) if name == "gait" else RULES[name]


def _target(y, a):
    return np.concatenate([y, a[:, y.shape[1] :]], axis=1)


def _deltas(network, x, y, gamma):
    """Return delta_l per sample: the bias gradients of batches of one."""
    single = [RULES["gait"](network, x[[sample]], y[[sample]], gamma=gamma) for sample in range(len(x))]
    return [np.concatenate([grads[layer].b for grads in single]) for layer in range(len(network.layers))]


def _moments(optimizer, state, layer):
    M, V = state["M"][layer], state["V"][layer]
    scale_m, scale_v = 1 - optimizer.beta1, 1 - optimizer.beta2
    return Affine(M.W * scale_m, M.b * scale_m), Affine(V.W * scale_v, V.b * scale_v)


_PUBLISHED_ERROR = {0: 1e-12, 1: 1e-10, 2: 1e-7, 3: 1e-5, 4: 1e-2}  # of the recursion in float64 at gamma = 1e-3, by k


def _published_error(gamma, k):
    return max(1e-12, _PUBLISHED_ERROR[k] * (1e-3 / gamma) ** k)


def _noise(W):
    """Standard deviation of the rounding errors of 4 (R - diag R) W, R = W W^T, all that is left where R is diagonal.

    There the partial sums of the n terms of an entry of R are of size |W|^2 / sqrt(n), and each is rounded: an error of
    eps |W|^2 by a random walk of n steps. The product with W takes it times |W|.
    """
    return 4 * np.finfo(W.dtype).eps * np.linalg.norm(W, 2) ** 3


_LARGEST = 2**0.5 * 5  # standard deviations, of one: two evaluations differ by less in each of a million entries


def _tolerance(name, numbers, k):
    return _published_error(float(numbers["gamma"]), k) if name == "gait" else 1e-12


def close(found, expected, tolerance):
    """Compare in the maximum norm, relative to the largest expected entry."""
    assert found.shape == expected.shape
    assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())
