"""The rules against finite differences, theory, and the recursion as it is written."""

import itertools

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from plastic import check, gait, parameters, xp
from plastic.errors import PlasticError
from plastic.gait import regulariser
from plastic.optimizers import Adam
from plastic.parameters import Affine

CLASSES = 4


def make(widths, seed=0, batch=5, linear=False, orthogonal=False, inputs=None):
    """A random network with biases, inputs and one-hot targets, on the backend in use."""
    rng = np.random.default_rng(seed)
    layers = []
    for s in widths:
        W = np.linalg.qr(rng.standard_normal((s, s)))[0] if orthogonal else rng.standard_normal((s, s)) / np.sqrt(s)
        layers.append(
            Affine(
                xp.asarray(W + (0 if orthogonal else 0.5 * np.eye(s))), xp.asarray(0.1 * rng.standard_normal((1, s)))
            )
        )
    x = xp.asarray(rng.standard_normal((batch, inputs or widths[0])))
    y = xp.asarray(np.eye(CLASSES)[rng.integers(0, CLASSES, batch)])
    return gait.InvertibleNetwork(layers, inputs or widths[0], linear), x, y


def stack(networks):
    """One network whose replicas are these."""
    layers = parameters.stack([network.layers for network in networks])
    return gait.InvertibleNetwork(layers, networks[0].n_inputs, networks[0].linear)


def gradients(rule, network, x, y, **constants):
    """The gradients of the layers, a list, by the rule of this name."""
    return gait.RULES[rule](network, x, y, **constants)[0]["layers"]


def literal(network, x, y, gamma=None):
    """TP (gamma None) or GAIT as the paper writes them: targets by inverses, differences, powers of gamma."""
    layers = [Affine(xp.asnumpy(layer.W), xp.asnumpy(layer.b)) for layer in network.layers]
    x, y = xp.asnumpy(x), xp.asnumpy(y)

    def phi(z):
        return z if network.linear else np.where(z >= 0, z, 0.1 * z)

    def phi_inverse(a):
        return a if network.linear else np.where(a >= 0, a, 10 * a)

    activities = [x]
    for layer in layers:
        activities.append(phi(activities[-1][:, : len(layer.W)] @ layer.W + layer.b))
    t = np.concatenate([y, activities[-1][:, CLASSES:]], axis=1)
    grads, multiplier = [], 1.0
    for layer, a, below in zip(layers[::-1], activities[:0:-1], activities[-2::-1], strict=True):
        d = np.ones_like(a) if network.linear else np.where(a >= 0, 1.0, 0.1)
        delta = d * multiplier * (a - t) / len(x)
        grads.append(Affine(below[:, : len(layer.W)].T @ delta, delta.sum(axis=0, keepdims=True)))
        step = 1.0 if gamma is None else gamma * d**2
        shifted = (1 - step) * a + step * t
        t = below.copy()
        t[:, : len(layer.W)] = (phi_inverse(shifted) - layer.b) @ np.linalg.inv(layer.W)
        multiplier /= 1 if gamma is None else gamma
    return grads[::-1]


def assert_equal_trees(found, expected, tolerance):
    for (path, a), (_, b) in zip(parameters.leaves(found), parameters.leaves(expected), strict=True):
        b = xp.asnumpy(b)
        assert_allclose(xp.asnumpy(a), b, rtol=0, atol=tolerance * np.abs(b).max(), err_msg=path)


def loss(network, x, y):
    a = gait.forward(network, x)[-1][..., : y.shape[-1]]
    return xp.sum((a - y) ** 2) / (2 * len(x))


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("widths", [(6, 6, 6), (7, 5, 4)])
def test_bp_is_the_gradient_of_the_squared_error(backend, widths, linear):
    network, x, y = make(widths, linear=linear, inputs=8)
    check.gradient(lambda params: loss(network, x, y), network.parameters, gait.bp(network, x, y)[0])


def test_regulariser_gradient(backend):
    W = make((5,))[0].layers[0].W
    check.gradient(regulariser.penalty, W, regulariser.gradient(W))
    Wn = xp.asnumpy(W)
    off = [(Wn[i] @ Wn[j]) ** 2 for i in range(5) for j in range(5) if i != j]
    assert_allclose(xp.asnumpy(regulariser.penalty(W)), sum(off), rtol=1e-12)


@pytest.mark.parametrize("strength", [0.1, 1000.0])
def test_the_regulariser_is_added_to_the_weights_only(backend, strength):
    network, x, y = make((5, 5))
    (plain, _), (grads, _) = gait.bp(network, x, y), gait.bp(network, x, y)
    regulariser.add_gradient(network.parameters, grads, strength)
    for layer, before, after in zip(network.layers, plain["layers"], grads["layers"], strict=True):
        expected = xp.asnumpy(before.W) + strength * xp.asnumpy(regulariser.gradient(layer.W))
        assert_allclose(xp.asnumpy(after.W), expected, rtol=1e-12, atol=1e-12 * strength)
        assert_array_equal(xp.asnumpy(after.b), xp.asnumpy(before.b))


def test_a_strong_regulariser_takes_the_gram_matrix_in_float64():
    """At an orthogonal matrix rounded to float32, a float32 Gram matrix adds noise that a float64 one does not have."""
    W64 = np.linalg.qr(np.random.default_rng(0).standard_normal((200, 200)))[0]
    W = W64.astype(np.float32)
    R = W.astype(np.float64) @ W.T.astype(np.float64)
    exact = 4000 * (R - np.diag(np.diag(R))) @ W.astype(np.float64)
    errors = {}
    for strength in (1000.0, np.float64(1000), xp.asarray(np.full((1, 1), 1000.0))):  # an array keeps the precision
        grads = [Affine(np.zeros_like(W), None)]
        regulariser.add_gradient([Affine(W, None)], grads, strength)
        assert grads[0].W.dtype == np.float32
        errors[type(strength)] = np.abs(grads[0].W - exact).max()
    assert errors[float] == errors[np.float64] < 1e-6 * np.abs(exact).max()
    assert errors[np.ndarray] > 100 * errors[float]


@hypothesis.given(
    seed=st.integers(0, 10_000),
    depth=st.integers(1, 4),
    linear=st.booleans(),
    tower=st.booleans(),
    gamma=st.sampled_from([None, 0.3, 0.9, 1.0]),
)
def test_difference_form_is_the_literal_recursion(seed, depth, linear, tower, gamma):
    xp.use(dtype="float64")
    widths = tuple(9 - layer for layer in range(depth)) if tower else (8,) * depth
    network, x, y = make(widths, seed=seed, linear=linear, inputs=9)
    x, y = x * 1.0, 3 * y - 1  # far targets: many units cross the kink
    found = gradients("tp", network, x, y) if gamma is None else gradients("gait", network, x, y, gamma=gamma)
    conditions = np.prod([np.linalg.cond(layer.W) for layer in network.layers])
    hypothesis.assume(conditions < 1e6)
    assert_equal_trees(
        found, literal(network, x, y, gamma), 1e-13 * conditions * (1 if gamma is None else gamma**-depth) + 1e-12
    )


def test_many_units_cross_the_kink_at_gamma_0_3(backend):
    """The crossing term counts: without it, GAIT would be BP with the inverse in the place of the transpose."""
    network, x, y = make((8,) * 4, seed=3, batch=40)
    y = 3 * y - 1
    found = gradients("gait", network, x, y, gamma=0.3)
    assert_equal_trees(found, literal(network, x, y, 0.3), 1e-11)
    no_crossing = gradients("gait", network, x, y, gamma=1e-12)
    assert np.abs(xp.asnumpy(found[0].W - no_crossing[0].W)).max() > 0.01 * np.abs(xp.asnumpy(found[0].W)).max()


def test_gait_is_bp_for_orthogonal_weights_without_crossings(backend):
    network, x, y = make((9,) * 5, orthogonal=True)
    assert_equal_trees(gait.gait(network, x, y, gamma=1e-9)[0], gait.bp(network, x, y)[0], 1e-13)


@pytest.mark.parametrize("rule", ["tp", "gait"])
def test_tp_and_gait_are_bp_on_orthogonal_linear_networks(backend, rule):
    network, x, y = make((9,) * 4, orthogonal=True, linear=True)
    assert_equal_trees(gait.RULES[rule](network, x, y)[0], gait.bp(network, x, y)[0], 1e-13)


@pytest.mark.parametrize("orthogonal", [True, False])
def test_depth_12_in_float32_is_float64(orthogonal):
    """For orthogonal weights, and for condition numbers under 500; gamma = 1e-3 to the 12th power is 1e-36."""
    xp.use(dtype="float64")
    network, x, y = make((30,) * 12, seed=5, orthogonal=orthogonal)
    if not orthogonal:
        rng = np.random.default_rng(1)
        for layer in network.layers:  # singular values from 1 to 1/480
            U, _, V = np.linalg.svd(rng.standard_normal((30, 30)))
            layer.W[...] = U * np.logspace(0, -np.log10(480), 30) @ V
    exact = [(layer.W.astype(np.float32), layer.b.astype(np.float32)) for layer in network.layers]
    double = gait.InvertibleNetwork([Affine(W.astype(np.float64), b.astype(np.float64)) for W, b in exact], 30)
    single = gait.InvertibleNetwork([Affine(W, b) for W, b in exact], 30)
    x, y = x.astype(np.float32), y.astype(np.float32)
    found = gradients("gait", single, x, y)
    expected = gradients("gait", double, x.astype(np.float64), y.astype(np.float64))
    for a, b in zip(found, expected, strict=True):
        assert a.W.dtype == np.float32
        assert np.linalg.norm(a.W - b.W) <= 1e-5 * np.linalg.norm(b.W)


@pytest.mark.parametrize("rule", ["bp", "tp", "gait", "fa", "dfa"])
@pytest.mark.parametrize("widths", [(5, 5, 5), (6, 5, 4)])
def test_replicas_are_separate_networks(backend, rule, widths):
    """With as many replicas as samples, units and classes can be confused with; also one input shared by all."""
    nets = [make(widths, seed=seed, inputs=6) for seed in range(5)]
    stacked = stack([network for network, _, _ in nets])
    feedback = [feedback_of(rule, network, seed) for seed, (network, _, _) in enumerate(nets)]
    for shared in (False, True):
        data = [nets[0][1:]] * 5 if shared else [each[1:] for each in nets]
        x, y = data[0] if shared else (xp.stack([each[i] for each in data]) for i in (0, 1))
        together, outputs = gait.RULES[rule](
            stacked, x, y, **({"feedback": parameters.stack(feedback)} if feedback[0] else {})
        )
        for replica, (network, _, _) in enumerate(nets):
            alone, output = gait.RULES[rule](
                network, *data[replica], **({"feedback": feedback[replica]} if feedback[0] else {})
            )
            assert_allclose(xp.asnumpy(outputs)[replica], xp.asnumpy(output), atol=1e-13)
            own = parameters.map(lambda leaf, replica=replica: leaf[replica], together)
            assert_equal_trees(own, alone, 1e-12)


@pytest.mark.parametrize("rule", ["bp", "tp", "gait"])
@pytest.mark.parametrize("widths", [(10, 10, 10), (12, 11, 10)])
def test_ten_replicas_train_as_ten_networks(backend, rule, widths):
    """Ten steps with regulariser and Adam, a rate and a strength for each; ten samples, replicas and outputs, too."""
    nets = [make(widths, seed=seed, batch=10, orthogonal=True) for seed in range(10)]
    rates, strengths = np.geomspace(1e-4, 1e-2, 10), np.linspace(0, 0.5, 10)

    def train(network, x, y, rate, strength):
        adam = Adam.without_correction(rate)
        state = adam.init(network.parameters)
        for _ in range(10):
            grads, _ = gait.RULES[rule](network, x, y)
            regulariser.add_gradient(network.parameters, grads, strength)
            adam.step(network.parameters, grads, state)
        return network.layers

    stacked = stack([network for network, _, _ in nets])
    x, y = (xp.stack([each[i] for each in nets]) for i in (1, 2))
    together = train(stacked, x, y, *(xp.asarray(each.reshape(10, 1, 1)) for each in (rates, strengths)))
    for replica, (network, x, y) in enumerate(nets):
        alone = train(network, x, y, float(rates[replica]), float(strengths[replica]))
        assert_equal_trees(parameters.map(lambda leaf, replica=replica: leaf[replica], together), alone, 1e-10)


def feedback_of(rule, network, seed):
    rng = np.random.default_rng(seed)
    return {"fa": gait.fa_feedback(network, rng), "dfa": gait.dfa_feedback(network, CLASSES, rng)}.get(rule)


def test_gamma_per_replica(backend):
    network, x, y = make((5, 5, 5), batch=5)
    gammas = [1e-3, 0.1, 0.3, 0.5, 0.9]
    together = gradients("gait", stack([network] * 5), x, 3 * y, gamma=xp.asarray(np.array(gammas).reshape(5, 1, 1)))
    for replica, gamma in enumerate(gammas):
        own = parameters.map(lambda leaf, replica=replica: leaf[replica], together)
        assert_equal_trees(own, gradients("gait", network, x, 3 * y, gamma=gamma), 1e-12)


def test_feedback_alignment_with_the_weights_as_feedback_is_bp(backend):
    network, x, y = make((6, 5, 4))
    for feedback in ([layer.W for layer in network.layers], None):
        found, _ = gait.fa(network, x, y, feedback=feedback)
        assert_equal_trees(found, gait.bp(network, x, y)[0], 1e-13)


def test_direct_feedback_alignment_with_the_transposed_path_is_bp_on_a_linear_network(backend):
    network, x, y = make((5, 5, 4), linear=True)
    W2, W3 = (layer.W for layer in network.layers[1:])
    W2 = W2[:, :4]  # what layer 3 reads
    feedback = [xp.swapaxes(W2 @ W3, 0, 1), xp.concatenate([xp.swapaxes(W3, 0, 1), xp.zeros((4, 1))], axis=1)]
    assert_equal_trees(gait.dfa(network, x, y, feedback=feedback)[0], gait.bp(network, x, y)[0], 1e-13)


@pytest.mark.parametrize("rule", ["bp", "tp", "gait"])
def test_a_buffer_gives_the_same_whatever_it_held(precision, rule):
    network, x, y = make((6, 6, 6))
    out = parameters.map(lambda leaf: xp.full_like(leaf, np.nan), network.parameters)
    fresh, _ = gait.RULES[rule](network, x, y)
    assert gait.RULES[rule](network, x, y, out=out)[0] is out
    for (_, a), (_, b) in zip(parameters.leaves(out), parameters.leaves(fresh), strict=True):
        assert_array_equal(xp.asnumpy(a), xp.asnumpy(b))
        assert a.dtype == xp.float_dtype


def test_units_without_error_get_no_update(backend):
    network, x, y = make((7, 6, 5))
    for rule in ("bp", "tp", "gait", "fa"):
        grads = gradients(rule, network, x, y)
        for grad, units in zip(grads, (6, 5, CLASSES), strict=True):
            assert not xp.asnumpy(grad.W)[:, units:].any() and not xp.asnumpy(grad.b)[:, units:].any()
            assert xp.asnumpy(grad.W)[:, :units].any()


@pytest.mark.parametrize("precision_and_depth", [("float32", 20), ("float64", 120)])
def test_powers_of_gamma_below_the_smallest_number(precision_and_depth):
    """A blank image leaves every activity at the kink, where gamma does not matter, however deep the network."""
    dtype, depth = precision_and_depth
    xp.use(dtype=dtype)
    network = gait.square((6,) * (depth + 2), np.random.default_rng(1))
    x, y = xp.zeros((3, 6), dtype=xp.float_dtype), np.eye(6, dtype=dtype)[:3]
    found, expected = (gradients("gait", network, x, y, gamma=gamma) for gamma in (1e-3, 1.0))
    for a, b in zip(found, expected, strict=True):
        assert np.isfinite(a.b).all() and b.b.any()
        assert_allclose(a.b, b.b, rtol=1e-5)


def test_direct_feedback_alignment_sends_the_delta_of_the_output(backend):
    """e_l = delta_L B_l with delta_L = d(a_L) e_L, and delta_l = d(a_l) e_l, in plain NumPy."""
    network, x, y = make((6, 5, 4), batch=20)
    feedback = gait.dfa_feedback(network, CLASSES, np.random.default_rng(1))
    found = gradients("dfa", network, x, y, feedback=feedback)
    a = [xp.asnumpy(activity) for activity in gait.forward(network, x)]
    slopes = [np.where(activity >= 0, 1.0, 0.1) for activity in a]
    output = slopes[3] * (a[3] - xp.asnumpy(y))
    assert (slopes[3] < 1).any()
    for layer, delta in enumerate(
        [slopes[place] * (output @ xp.asnumpy(feedback[place - 1])) for place in (1, 2)] + [output]
    ):
        below = a[layer][:, : network.sizes[layer + 1]]
        assert_allclose(xp.asnumpy(found[layer].W), below.T @ delta / 20, atol=1e-13)
        assert_allclose(xp.asnumpy(found[layer].b)[0], delta.mean(axis=0), atol=1e-13)


def test_feedback_matrices_have_the_shape_and_variance_of_their_layer(precision):
    generator = np.random.default_rng(0)
    network = gait.tower((90, 90, 60), generator)
    fa, dfa = gait.fa_feedback(network, generator), gait.dfa_feedback(network, 50, generator)
    assert [B.shape for B in fa] == [(90, 90), (60, 60)] and [B.shape for B in dfa] == [(50, 90)]
    for B in (*fa, *dfa):
        n = B.size
        assert B.dtype == precision
        assert abs(xp.asnumpy(B).var() * B.shape[1] - 1) < 4 * np.sqrt(2 / n)


def test_gamma_is_1e_3_unless_given():
    xp.use(dtype="float64")
    network, x, y = make((8,) * 3, seed=3, batch=50)
    for layer in network.layers:
        layer.b *= 0  # with activities of the size of gamma, many units cross the kink
    x = 1e-3 * x
    default, same, other = (
        gradients("gait", network, x, y, **gamma) for gamma in ({}, {"gamma": 1e-3}, {"gamma": 1.1e-3})
    )
    assert_array_equal(default[0].W, same[0].W)
    assert not np.allclose(default[0].W, other[0].W, rtol=1e-3)


def test_penalty_of_replicas(backend):
    stacked = xp.stack([make((5,), seed=seed)[0].layers[0].W for seed in range(5)])
    found = xp.asnumpy(regulariser.penalty(stacked))
    assert found.shape == (5,)
    for replica in range(5):
        assert_allclose(found[replica], xp.asnumpy(regulariser.penalty(stacked[replica])), rtol=1e-13)


@pytest.mark.parametrize(
    ("strength", "expected"), [(0.1, "float32"), (1.0, "float32"), (3.0, "float64"), (1e3, "float64")]
)
def test_from_which_strength_the_gram_matrix_is_taken_in_float64(monkeypatch, strength, expected):
    """Rounding noise 4e-8 lambda of a float32 Gram matrix has to stay below the 1e-7 at which Adam feels a gradient."""
    seen = []
    gram = regulariser._off_diagonal_gram
    monkeypatch.setattr(
        regulariser, "_off_diagonal_gram", lambda W, dtype=None: seen.append(gram(W, dtype)) or seen[-1]
    )
    W = np.eye(4, dtype=np.float32)
    regulariser.add_gradient([Affine(W)], [Affine(np.zeros_like(W))], strength)
    assert [R.dtype for R in seen] == [expected]


@pytest.mark.parametrize("rule", ["bp", "tp", "gait", "fa", "dfa"])
@pytest.mark.parametrize("columns", [2, CLASSES, 6])
def test_the_output_is_that_of_the_units_that_y_names(backend, rule, columns):
    network, x, _ = make((7, 6))
    y = xp.asarray(np.random.default_rng(2).standard_normal((5, columns)))
    constants = {"feedback": gait.dfa_feedback(network, columns, np.random.default_rng(0))} if rule == "dfa" else {}
    grads, output = gait.RULES[rule](network, x, y, **constants)
    assert_array_equal(xp.asnumpy(output), xp.asnumpy(gait.predict(network, x, classes=columns)))
    delta = (xp.asnumpy(output) - xp.asnumpy(y)) * np.where(xp.asnumpy(output) >= 0, 1.0, 0.1)
    assert_allclose(xp.asnumpy(grads["layers"][-1].b)[0, :columns], delta.mean(axis=0), atol=1e-13)


@pytest.mark.parametrize("rule", ["tp", "gait"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_singular_weights_spoil_the_layers_below_and_no_other(rule, dtype):
    """As a division by 0 does: by default NumPy may warn, and nothing is raised."""
    xp.use(dtype=dtype)
    network, x, y = make((6, 6, 6, 6))
    expected = gradients(rule, network, x, y)
    network.layers[2].W[:] = np.linspace(1, 2, 6, dtype=dtype)[:, None]  # each output unit the same: rank 1
    with np.errstate(all="ignore"):
        found = gradients(rule, network, x, y)
        exact = gradients("bp", network, x, y)
    for place in (0, 1):
        assert not np.isfinite(found[place].b).all() and np.isfinite(expected[place].b).all()
    assert_equal_trees(found[3], exact[3], 1e-6)  # all rules share the error of the output
    assert np.isfinite(found[2].W).all() and np.isfinite(found[2].b).all()


def test_a_singular_replica_leaves_the_others_alone():
    nets = [make((5, 5, 5), seed=seed) for seed in range(2)]
    stacked = stack([network for network, _, _ in nets])
    stacked.layers[1].W[0] = 0
    with np.errstate(all="ignore"):
        together = gradients("gait", stacked, *nets[1][1:])
    assert not np.isfinite(together[0].b[0]).all()
    own = parameters.map(lambda leaf: leaf[1], together)
    assert_equal_trees(own, gradients("gait", *nets[1]), 1e-5)


def refused(call, *words):
    with pytest.raises(PlasticError) as told:
        call()
    message = str(told.value)
    assert all(word in message for word in words), message


def test_messages_name_what_is_wrong():
    network, x, y = make((7, 6, 5), batch=3)
    labels = np.array([0, 1, 3])
    column, images = labels[:, None].astype(np.float32), x.reshape(3, 7, 1)
    refused(lambda: gait.bp(network, x, labels), "y has shape (3,)", "2 to 5", "one_hot")
    refused(lambda: gait.bp(network, x, column), "y has shape (3, 1)", "one_hot")
    refused(lambda: gait.bp(network, x, np.ones((3, 6), np.float32)), "y has shape (3, 6)", "(..., batch, 5)")
    refused(lambda: gait.bp(network, x, y[:1]), "y has 1 rows, but x has 3")
    refused(lambda: gait.bp(network, images, y), "x has shape (3, 7, 1)", "flatten", "x.reshape")
    refused(lambda: gait.bp(network, (255 * x).astype(np.uint8), y), "x holds uint8", "[0, 1]")
    refused(lambda: gait.bp(network, x.astype(np.float64), y), "x is float64", "float32")
    refused(lambda: gait.bp(network, x, y, out=[]), "out", "layers/0/W")
    refused(lambda: gait.bp(network, x, y, out={"layers": network.layers[:1]}), "out", "layers/1/W")
    scalars = {"layers": [Affine(0.0, 0.0) for _ in range(3)]}
    refused(lambda: gait.bp(network, x, y, out=scalars), "out at layers/0/W is a float")
    double = parameters.map(lambda leaf: leaf.astype(np.float64), network.parameters)
    refused(lambda: gait.bp(network, x, y, out=double), "out at layers/0/W is float64", "float32")
    refused(lambda: gait.gait(network, x, y, gamma=0), "gamma is 0", "above 0 and at most 1")
    refused(lambda: gait.gait(network, x, y, gamma=np.full((2, 1, 1), 0.1)), "gamma has replica axes (2,)")
    refused(lambda: gait.gait(network, x, y, gamma=np.full((1, 7), 0.1)), "gamma has shape (1, 7)")
    refused(lambda: gait.dfa(network, x, y), "feedback is NoneType", "gait.dfa_feedback(net, 4, generator)")
    refused(lambda: gait.fa(network, x, y, feedback=[x]), "a list of 1", "3 matrices", "gait.fa_feedback")
    wrong = gait.fa_feedback(network, np.random.default_rng(0))
    refused(lambda: gait.fa(network, x, y, feedback=wrong[::-1]), "feedback[0] has shape (5, 5)", "(7, 7)")
    refused(lambda: gait.fa(network, x, y, feedback=[B.astype(float) for B in wrong]), "feedback[0] is float64")
    several = gait.dfa_feedback(network, 4, [np.random.default_rng(seed) for seed in (0, 1)])
    refused(lambda: gait.dfa(network, x, y, feedback=several), "replica axes ()", "feedback (2,)")
    refused(lambda: gait.dfa_feedback(network, 6, np.random.default_rng(0)), "classes is 6", "from 1 to 5")
    refused(lambda: gait.fa_feedback(network, 1), "generator", "default_rng(1)")
    refused(lambda: gait.predict(network, x, classes=6), "classes is 6", "from 1 to 5")


def test_messages_of_the_regulariser():
    network, x, y = make((7, 6))
    grads, _ = gait.bp(network, x, y)
    add = regulariser.add_gradient
    refused(lambda: add(network.parameters, grads, -1), "strength is -1", "at least 0")
    refused(lambda: add(network.parameters, grads, float("nan")), "strength is nan")
    refused(lambda: add(network.parameters, grads, True), "strength is True")
    refused(lambda: add(network.parameters, grads, np.ones(7)), "strength has shape (7,)")
    refused(lambda: add(network.parameters, grads["layers"], 0.1), "grads", "layers/0/W")
    refused(lambda: regulariser.penalty({"layers": [Affine([[1.0]], None)]}), "params holds no weight matrix")
    refused(lambda: regulariser.gradient(np.ones((2, 3))), "params holds weights of shape (2, 3)")
    refused(lambda: add(network.parameters, (grads, y), 0.1), "grads", "layers/0/W")


def test_the_regulariser_on_a_tree(backend):
    network, _, _ = make((6, 5))
    found = regulariser.gradient(network.parameters)
    check.gradient(regulariser.penalty, network.parameters, found)
    for layer, grad in zip(network.layers, found["layers"], strict=True):
        assert_array_equal(xp.asnumpy(grad.W), xp.asnumpy(regulariser.gradient(layer.W)))
        assert not xp.asnumpy(grad.b).any()
    total = sum(float(xp.asnumpy(regulariser.penalty(layer.W))) for layer in network.layers)
    assert_allclose(xp.asnumpy(regulariser.penalty(network.parameters)), total, rtol=1e-13)


def test_the_slope_at_the_kink_is_one(backend):
    """A blank image and no biases: a = 0 in all layers, delta_l is the error itself."""
    network = gait.square((6, 6, 6), np.random.default_rng(0))
    y = xp.asarray(np.eye(6)[:3])
    for rule in ("bp", "gait"):
        found = gradients(rule, network, xp.zeros((3, 6)), y)
        assert_allclose(xp.asnumpy(found[1].b)[0], -np.eye(6)[:3].mean(axis=0))


def test_underflow_in_a_deep_network_is_ordinary():
    network = gait.square((6,) * 22, np.random.default_rng(0))  # gamma^20 = 1e-60
    x, y = np.random.default_rng(1).random((3, 6), dtype=np.float32), np.eye(6, dtype=np.float32)[:3]
    with np.errstate(all="raise"):
        found = gradients("gait", network, x, y)
    assert all(np.isfinite(grad.W).all() for grad in found)


def rectangular(widths, orthogonal=False, batch=5, square=True):
    """A network whose first layer reads a wide input, and whose output is linear: a perceptron.

    square: whether the last layer has as many units as it reads, of which y names the first.
    """
    rng = np.random.default_rng(2)
    shapes = list(itertools.pairwise(widths))
    if square:
        shapes[-1] = (widths[-2], widths[-2])
    layers = []
    for m, s in shapes:
        W = np.linalg.qr(rng.standard_normal((m, s)))[0] if orthogonal else rng.standard_normal((m, s)) / np.sqrt(m)
        layers.append(Affine(xp.asarray(W), xp.asarray(0.1 * rng.standard_normal((1, s)))))
    x = xp.asarray(rng.standard_normal((batch, widths[0])))
    y = xp.asarray(np.eye(widths[-1])[rng.integers(0, widths[-1], batch)])
    return gait.InvertibleNetwork(layers, widths[0], linear_output=True), x, y


@pytest.mark.parametrize("widths, square", [((9, 6, 6, 4), True), ((9, 7, 5, 3), False), ((3, 8, 9, 2), False)])
def test_bp_through_rectangular_layers_and_a_linear_output_is_the_gradient_of_its_loss(widths, square):
    xp.use(dtype="float64")
    network, x, y = rectangular(widths, square=square)
    grads, output = gait.bp(network, x, y)
    a = x
    for place, layer in enumerate(network.layers):
        a = a[:, : len(layer.W)] @ layer.W + layer.b
        a = np.where((a < 0) & (place < len(network.layers) - 1), 0.1 * a, a)
    assert_allclose(output, a[:, : y.shape[1]], atol=1e-13)

    def loss(_):
        return np.sum((gait.predict(network, x, classes=y.shape[1]) - y) ** 2) / (2 * len(x))

    check.gradient(loss, network.parameters, grads)


def test_gait_is_bp_on_orthogonal_layers_above_a_rectangular_one(backend):
    """Without a crossing of the kink, which a small gamma sees to."""
    network, x, y = rectangular((9, 6, 6, 4), orthogonal=True)
    assert_equal_trees(gait.gait(network, x, y, gamma=1e-9)[0], gait.bp(network, x, y)[0], 1e-12)


def test_tp_and_gait_below_a_linear_output_are_the_recursion_of_the_paper():
    """e_2 = a_2 - inverse_3(t_3), and so on down to the first layer, which needs no inverse."""
    xp.use(dtype="float64")
    network, x, y = rectangular((9, 6, 6, 4))
    activities = gait.forward(network, x)
    for gamma in (None, 0.01, 0.7):
        target, grads, power = activities[-1].copy(), [], 1.0
        target[:, :4] = y
        for index in (2, 1, 0):
            a, layer = activities[index + 1], network.layers[index]
            d = np.ones_like(a) if index == 2 else np.where(a >= 0, 1, 0.1)
            e = d * (a - target) / power / len(x)
            grads.insert(0, Affine(activities[index].T @ e, e.sum(axis=0, keepdims=True)))
            if index:
                mixed = target if gamma is None else (1 - gamma * d**2) * a + gamma * d**2 * target
                power *= 1 if gamma is None else gamma
                z = mixed if index == 2 else np.where(mixed >= 0, mixed, 10 * mixed)
                target = (z - layer.b) @ np.linalg.inv(layer.W)
                assert_allclose(gait.inverse(network, index, mixed, activities[index]), target, atol=1e-9)
        found = gait.tp(network, x, y) if gamma is None else gait.gait(network, x, y, gamma=gamma)
        assert_equal_trees(found[0], {"layers": grads}, 1e-7)


def test_feedback_takes_the_shapes_of_rectangular_layers(backend):
    network, x, y = rectangular((9, 7, 5, 3), square=False)
    assert [B.shape for B in gait.fa_feedback(network, np.random.default_rng(0))] == [(9, 7), (7, 5), (5, 3)]
    own = [layer.W for layer in network.layers]
    assert_equal_trees(gait.fa(network, x, y, feedback=own)[0], gait.bp(network, x, y)[0], 1e-13)
    B = gait.dfa_feedback(network, 3, np.random.default_rng(0))
    delta = gait.predict(network, x) - y
    a_0, a_1, _, _ = gait.forward(network, x)
    expected = a_0.T @ (xp.where(a_1 >= 0, 1.0, 0.1) * (delta @ B[0])) / len(x)
    assert_allclose(xp.asnumpy(gait.dfa(network, x, y, feedback=B)[0]["layers"][0].W), xp.asnumpy(expected), atol=1e-13)


@pytest.mark.parametrize("rule", ["tp", "gait"])
def test_what_has_no_inverse_is_refused_by_rules_that_need_it(rule):
    network, x, y = rectangular((9, 7, 5, 3), square=False)
    with pytest.raises(PlasticError, match=rf"layers\[1\] has W \(7, 5\), which has no inverse, but {rule} needs"):
        gait.RULES[rule](network, x, y)
    with pytest.raises(PlasticError, match=r"layers\[0\] has W \(9, 7\), which has no inverse"):
        gait.inverse(network, 0, gait.forward(network, x)[1], x)


def test_a_layer_reads_no_more_units_than_there_are():
    W, b = xp.ones((5, 3), dtype=xp.float_dtype), xp.ones((1, 3), dtype=xp.float_dtype)
    assert repr(gait.InvertibleNetwork([Affine(W, b)], 5, linear_output=True)) == (
        "InvertibleNetwork 5-3, leaky 0.1, linear output"
    )
    with pytest.raises(PlasticError, match=r"layers\[0\] reads 5 units, but the layer below has 4"):
        gait.InvertibleNetwork([Affine(W, b)], 4)
    with pytest.raises(PlasticError, match="linear_output is 2"):
        gait.InvertibleNetwork([Affine(W, b)], 5, linear_output=2)
