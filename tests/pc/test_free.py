"""Free inputs and priors: gradients by differences, rests in closed form, samples by their covariance."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from plastic import affine, check, parameters, xp
from plastic.errors import PlasticError
from plastic.functions import softmax_cross_entropy
from plastic.optimizers import Adam
from plastic.parameters import Affine
from plastic.pc import (
    FreeState,
    Gaussian,
    Laplace,
    Network,
    State,
    convolutional,
    infer,
    langevin,
    network,
    predict,
    step,
)

placements = pytest.mark.parametrize("after", [False, True], ids=["before", "after"])


def cauchy(x):
    return xp.sum(xp.log1p(x * x), axis=(-2, -1)), 2 * x / (1 + x * x)


PRIORS = {0: Laplace(0.3), 1: cauchy, 2: Gaussian(0.7, 0.2)}


def make(sizes=(4, 3, 5, 2), batch=3, activation="tanh", after=False, bias=True, seed=0, lead=()):
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return xp.asarray(0.7 * rng.standard_normal((*lead, *shape)), dtype=xp.float_dtype)

    layers = [Affine(draw(m, n), draw(1, n) if bias else None) for m, n in itertools.pairwise(sizes)]
    return Network(layers, activation, after), draw(batch, sizes[0]), draw(batch, sizes[-1])


def anywhere(net, x, y, **options):
    """Return a FreeState far from the feed-forward activities, its errors computed."""
    state, rng = FreeState(net, x, y, **options), np.random.default_rng(3)
    state.moving += xp.asarray(rng.standard_normal(state.moving.shape), dtype=x.dtype)
    infer(net, state, x, 0)
    return state


def some(shape):
    return np.random.default_rng(5).random(shape) < 0.5


# gradients


@placements
@pytest.mark.parametrize("free", [True, False, "some", "of each row"], ids=str)
@pytest.mark.parametrize("lead", [(), (2,)], ids=["one", "replicas"])
def test_gradients_are_those_of_the_energy(backend, after, free, lead):
    """By inputs, states and weights; a held input is set back by each look, so that its differences are 0, too."""
    net, x, y = make(after=after, lead=lead)
    free = {"some": some(4), "of each row": some((3, 4))}.get(free, free)
    priors = PRIORS if free is not False else {1: cauchy}
    state = anywhere(net, x, y, free=free, priors=priors)
    by_states, by_weights = state.gradient().copy(), state.weight_gradients()

    def energy(_):
        infer(net, state, x, 0)
        return xp.sum(state.F)

    found = check.finite_differences(energy, state.moving)
    assert_allclose(xp.asnumpy(found), xp.asnumpy(by_states), rtol=1e-6, atol=1e-7)
    if free is not True and free is not False:
        held = np.broadcast_to(~free, x.shape)
        assert_array_equal(xp.asnumpy(by_states)[..., :4][held], 0)
        assert_array_equal(xp.asnumpy(state.x_0)[held], xp.asnumpy(x)[held])
    entries = 20 if backend == "numpy" else 4
    check.gradient(lambda _: energy(_) / 3, net.parameters, by_weights, max_entries=entries)


def test_images_of_convolutions_are_inferred(backend):
    net = convolutional((1, 2), (4, 3), np.random.default_rng(0), size=6, phi="tanh")
    rng = np.random.default_rng(1)
    x, y = xp.asarray(rng.standard_normal((2, 36))), xp.asarray(rng.standard_normal((2, 3)))
    state = anywhere(net, x, y, priors={0: Gaussian(0.5)})
    found = state.gradient().copy()

    def energy(_):
        infer(net, state, x, 0)
        return state.F

    check.gradient(energy, state.moving, found, max_entries=20 if backend == "numpy" else 4)
    assert np.all(np.any(xp.asnumpy(found)[:, :36] != 0.5 * xp.asnumpy(state.x_0), axis=-1))


def test_the_energy_is_the_errors_and_the_priors(backend):
    net, x, y = make()
    state = anywhere(net, x, y, priors={0: Laplace(0.3), 2: Gaussian(0.7, 0.2)})
    x_2 = xp.asnumpy(state.x_layers[1])
    errors = sum(np.sum(xp.asnumpy(each) ** 2) for each in (state.eps, state.eps_top)) / 2
    priors = 0.3 * np.abs(xp.asnumpy(state.x_0)).sum() + 0.35 * np.sum((x_2 - 0.2) ** 2)
    assert_allclose(float(xp.asnumpy(state.F)), errors + priors, rtol=1e-12)


@pytest.mark.parametrize("free", [True, False])
def test_cross_entropy_at_the_output(free):
    """At rest, the gradient by the weights is that of the least energy: the states do not count, having none."""
    xp.use(dtype="float64")
    net, x, _ = make((3, 3, 2), batch=4)
    labels = xp.asarray([0, 1, 1, 0])

    def loss(output):
        E, err = softmax_cross_entropy(output, labels)
        return xp.sum(E), err

    def least(_=None):
        state = FreeState(net, x, free=free, priors={0: Gaussian(0.5)} if free else {1: cauchy}, gamma=0.4)
        infer(net, state, x, 200, loss)
        return state

    state = least()
    assert np.abs(xp.asnumpy(state.gradient())).max() < 1e-8
    loss_there = loss(state.top)[0]
    assert float(xp.asnumpy(state.F)) > float(xp.asnumpy(loss_there))
    check.gradient(lambda _: least().F / 4, net.parameters, state.weight_gradients(), max_entries=3)


# rest


def linear(sizes=(4, 3, 5, 2), batch=3, lead=()):
    """Return a linear network, a batch, and (M, S): y = x_0 M where all errors are 0, and S as `plastic.pc.linear`."""
    net, x, y = make(sizes, batch, "linear", bias=False, lead=lead)
    M = [np.eye(sizes[-1])]
    for layer in net.layers[::-1]:
        M.insert(0, xp.asnumpy(layer.W) @ M[0])
    return net, x, y, M[0], sum(affine.transposed(each) @ each for each in M[1:])


@pytest.mark.parametrize("solver", ["steps", "anderson"])
def test_the_likeliest_input_of_a_linear_network(backend, solver):
    """Least is (y - x M) S^-1 (y - x M)^T + w (x - m)(x - m)^T: x M S^-1 M^T + w x = y S^-1 M^T + w m."""
    xp.use(dtype="float64")
    net, x, y, M, S = linear()
    state = FreeState(net, x, y, priors={0: Gaussian(0.5, 0.25)}, gamma=0.2)
    infer(net, state, x, 800, solver=solver)
    back = np.linalg.solve(S, M.T)
    expected = np.linalg.solve(M @ back + 0.5 * np.eye(4), (xp.asnumpy(y) @ back + 0.5 * 0.25).T).T
    assert_allclose(xp.asnumpy(state.x_0), expected, rtol=1e-7, atol=1e-8)


def test_missing_inputs_are_those_that_fit_the_ones_that_are_held(backend):
    net, x, y, M, S = linear()
    free = np.array([True, False, False, True])
    state = FreeState(net, x, y, free=free, priors={0: Gaussian(0.5)}, gamma=0.2)
    infer(net, state, x, 800)
    back, known = np.linalg.solve(S, M.T), xp.asnumpy(x) * ~free
    A = M @ back + 0.5 * np.eye(4)
    right = xp.asnumpy(y) @ back - known @ A
    expected = known.copy()
    expected[:, free] = np.linalg.solve(A[np.ix_(free, free)], right[:, free].T).T
    assert_allclose(xp.asnumpy(state.x_0), expected, rtol=1e-7, atol=1e-8)


def test_a_sparse_code_of_orthogonal_features_is_shrunk(backend):
    """Least is |y - x W|^2 / 2 + w |x|_1 with W W^T = 1: each number of y W^T is moved towards 0 by w."""
    rng = np.random.default_rng(0)
    W = np.linalg.qr(rng.standard_normal((6, 6)))[0][:4]
    y = rng.standard_normal((20, 6))
    net = Network([Affine(xp.asarray(W))], [])
    x = xp.zeros((20, 4))
    state = FreeState(net, x, xp.asarray(y), priors={0: Laplace(0.6)}, gamma=0.4)
    infer(net, state, x, 200)
    full = y @ W.T
    expected = np.sign(full) * np.maximum(np.abs(full) - 0.6, 0)
    assert 10 < np.sum(expected == 0) < 70
    assert_allclose(xp.asnumpy(state.x_0), expected, atol=1e-9)
    assert_array_equal(xp.asnumpy(state.x_0) == 0, expected == 0)


@placements
def test_sparse_states_of_a_deep_network_are_at_rest(after):
    """The slope of the rest of the energy is -w sign(x) where x is not 0, and between -w and w where it is."""
    xp.use(dtype="float64")
    net, x, y = make((6, 5, 4), after=after)
    free = np.arange(6) > 0
    state = FreeState(net, x, y, free=free, priors={0: Laplace(0.3), 1: Laplace(0.15)}, gamma=0.2)
    infer(net, state, x, 4000)
    slope = xp.asnumpy(state.gradient(smooth=True))
    states, w = xp.asnumpy(state.moving), np.where(np.arange(11) < 6, 0.3, 0.15)
    zero = states == 0
    assert zero[:, 1:6].any() and zero[:, 6:].any() and not zero[:, 0].any()
    assert np.all(np.abs(slope)[zero] <= np.broadcast_to(w, slope.shape)[zero] + 1e-9)
    moved = ~zero & (np.arange(11) > 0)
    assert_allclose(slope[moved], (-w * np.sign(states))[moved], atol=1e-7)
    assert_array_equal(states[:, 0], xp.asnumpy(x)[:, 0])


def test_a_prox_is_where_it_says():
    """prox(x, gamma) has the least E(z) + |z - x|^2 / (2 gamma), of all points of a fine grid."""
    z = np.linspace(-3, 3, 60001)[None]
    for x in (-2.0, -0.3, 0.0, 0.7, 1.4):
        costs = 0.8 * np.abs(z) + (z - x) ** 2 / (2 * 0.5)
        found = Laplace(0.8).prox(np.array([[x]]), 0.5)
        assert_allclose(found.item(), z[0, costs.argmin()], atol=2e-4)


def test_the_rate_follows_the_energy_with_its_priors(backend):
    """Of a prior so steep that steps overshoot: gamma falls until they do not."""
    net, x, y = make()
    state = FreeState(net, x, y, priors={0: Gaussian(50.0)}, gamma=0.1)
    before = float(xp.asnumpy(state.F))
    infer(net, state, x, 100)
    assert float(xp.asnumpy(state.gamma)) < 2 / 50 and float(xp.asnumpy(state.F)) < 0.02 * before


def test_inference_of_inputs_ends_at_rest(monkeypatch):
    net, x, y = make()
    counted = []
    move = FreeState._move
    monkeypatch.setattr(FreeState, "_move", lambda state: counted.append(1) or move(state))
    state = FreeState(net, x, y, priors={0: Laplace(0.3)}, gamma=0.2)
    infer(net, state, x, 100_000, tolerance=1e-4)
    assert 10 <= len(counted) < 1000
    before = state.moving.copy()
    infer(net, state, x, 1)
    assert np.abs(state.moving - before).max() <= 1e-4


def test_replicas_infer_inputs_of_their_own(backend):
    net, x, y = make(lead=(2,))
    options = {"priors": {0: Laplace(0.2)}, "gamma": 0.2}
    together = FreeState(net, x[0], y, **options)  # both begin at the same inputs
    infer(net, together, x[0], 100)
    for replica in range(2):
        one = Network([Affine(layer.W[replica], layer.b[replica]) for layer in net.layers], "tanh")
        alone = FreeState(one, x[0], y[replica], **options)
        infer(one, alone, x[0], 100)
        assert_allclose(xp.asnumpy(together.x_0)[replica], xp.asnumpy(alone.x_0), rtol=1e-9, atol=1e-12)
        assert_allclose(xp.asnumpy(together.F)[replica], float(xp.asnumpy(alone.F)), rtol=1e-9)


def test_a_state_that_is_free_in_nothing_is_a_state(backend):
    net, x, y = make()
    free, plain = FreeState(net, x, y, free=False), State(net, x, y)
    for _ in range(3):
        grads, _ = step(net, free, x)
        expected, _ = step(net, plain, x)
        for (_, a), (_, b) in zip(parameters.leaves(grads), parameters.leaves(expected), strict=True):
            assert_array_equal(xp.asnumpy(a), xp.asnumpy(b))
    assert_array_equal(xp.asnumpy(free.x), xp.asnumpy(plain.x))


def test_states_with_an_optimizer_move_the_input_too(backend):
    net, x, y = make()
    state = FreeState(net, x, y, priors={0: Gaussian(0.5)}, gamma=0.02, optimizer=Adam())
    before = float(xp.asnumpy(state.F))
    infer(net, state, x, 300)
    assert float(xp.asnumpy(state.F)) < 0.5 * before and not np.allclose(xp.asnumpy(state.x_0), xp.asnumpy(x))


def test_labels_are_inferred_by_a_generator_that_learned_them():
    """Steps with free inputs learn a code: the outputs are told apart by it, though no code was ever given."""
    xp.use(dtype="float64")
    rng = np.random.default_rng(0)
    y = rng.standard_normal((30, 1)) @ rng.standard_normal((1, 8))  # along one line
    net, x = network((1, 8), rng, phi="linear"), np.full((30, 1), 0.1)
    for _ in range(300):
        state = FreeState(net, x, y, priors={0: Gaussian(0.01)}, gamma=0.1)
        infer(net, state, x, 20)
        net.layers[0].W -= 0.2 * state.weight_gradients()["layers"][0].W
    direction = net.layers[0].W[0] / np.linalg.norm(net.layers[0].W)
    assert_allclose(np.abs(y @ direction), np.linalg.norm(y, axis=1), rtol=1e-3)


# samples


def curvature(net, x, y, **options):
    """Return H of a quadratic energy by all that moves of one sample, column by column."""
    state = FreeState(net, x[:1], y[:1], **options)
    infer(net, state, x[:1], 0)
    at_0, columns = state.gradient().copy(), []
    for k in range(state.moving.shape[-1]):
        state.moving[0, k] += 1
        state._look()
        columns.append((state.gradient() - at_0)[0])
        state.moving[0, k] -= 1
    return np.array(columns)


@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_samples_have_the_covariance_of_the_energy(temperature):
    """temperature (H - gamma H^2 / 2)^-1 at every gamma, around the rest."""
    xp.use(dtype="float64")
    net, x, y = make((2, 2, 2), 1, "linear")
    n, options = 20_000, {"priors": {0: Gaussian(2.0)}, "gamma": 0.2}
    x, y = np.repeat(x, n, axis=0), np.repeat(y, n, axis=0)
    rest, state = FreeState(net, x[:1], y[:1], **options), FreeState(net, x, y, **options)
    infer(net, rest, x[:1], 2000)
    output = langevin(net, state, x, 150, np.random.default_rng(0), temperature=temperature)
    assert_allclose(output, state.top)
    H = curvature(net, x, y, **options)
    covariance = temperature * np.linalg.inv(H - 0.1 * H @ H)
    deviations = np.sqrt(np.diag(covariance))
    scatter = np.cov(state.moving.T) / np.outer(deviations, deviations)
    assert_allclose(scatter, covariance / np.outer(deviations, deviations), atol=5 * np.sqrt(2 / n))
    assert np.all(np.abs(state.moving.mean(axis=0) - rest.moving[0]) < 5 * deviations / np.sqrt(n))


def test_samples_at_temperature_0_are_plain_steps(backend):
    net, x, y = make()
    cold, plain = (FreeState(net, x, y, priors={1: cauchy}, discount=1.0) for _ in range(2))
    langevin(net, cold, x, 7, np.random.default_rng(0), temperature=0)
    infer(net, plain, x, 7)
    assert_allclose(xp.asnumpy(cold.moving), xp.asnumpy(plain.moving), rtol=1e-12)


def test_samples_of_replicas_have_noise_of_their_own(backend):
    net, x, y = make(lead=(2,))
    free = some(4)
    assert set(free) == {True, False}
    together = FreeState(net, x, y, free=free)
    langevin(net, together, x, 5, [np.random.default_rng(seed) for seed in (1, 2)])
    for replica in range(2):
        one = Network([Affine(layer.W[replica], layer.b[replica]) for layer in net.layers], "tanh")
        alone = FreeState(one, x[replica], y[replica], free=free)
        langevin(one, alone, x[replica], 5, np.random.default_rng(replica + 1))
        assert_allclose(xp.asnumpy(together.moving)[replica], xp.asnumpy(alone.moving), rtol=1e-9, atol=1e-12)
    held = xp.asnumpy(together.x_0)[..., ~free]
    assert_array_equal(held, xp.asnumpy(x)[..., ~free])


def test_hidden_states_of_a_plain_state_are_sampled_too(backend):
    net, x, y = make()
    state = State(net, x, y, gamma=0.05)
    langevin(net, state, x, 10, np.random.default_rng(0))
    assert np.abs(xp.asnumpy(state.eps)).max() > 0.1 and state.gamma == 0.05


# misuse


MISUSE = {
    "free is an array": lambda net, x, y: FreeState(net, x, y, free=np.ones(3)),
    "numbers other than 0 and 1": lambda net, x, y: FreeState(net, x, y, free=np.full(4, 0.5)),
    "one of 0, 1, 2": lambda net, x, y: FreeState(net, x, y, priors={3: cauchy}),
    "free is False: the input is held": lambda net, x, y: FreeState(net, x, y, free=False, priors={0: cauchy}),
    "must be a function": lambda net, x, y: FreeState(net, x, y, priors={0: 0.5}),
    r"must return \(E, dE/dx\)": lambda net, x, y: FreeState(net, x, y, priors={0: lambda x: (x, x)}),
    r"not float32": lambda net, x, y: FreeState(net, x, y, priors={0: xp.sum}),
    "a prior has a kink": lambda net, x, y: infer(
        net, FreeState(net, x, y, priors={0: Laplace(1)}), x, 3, solver="anderson"
    ),
    "inputs are free": lambda net, x, y: infer(net, FreeState(net, x, y), x, 3, solver="layerwise"),
    "2 rows": lambda net, x, y: infer(net, FreeState(net, x, y), x[:2], 3),
    r"\(\.\.\., batch, 4\) is needed": lambda net, x, y: infer(net, FreeState(net, x, y), x[:, :2], 3),
    "no target": lambda net, x, y: langevin(net, FreeState(net, x), x, 3, np.random.default_rng(0)),
    "have an optimizer": lambda net, x, y: langevin(
        net, State(net, x, y, optimizer=Adam()), x, 3, np.random.default_rng(0)
    ),
    "temperature is -1": lambda net, x, y: langevin(
        net, State(net, x, y), x, 3, np.random.default_rng(0), temperature=-1
    ),
    "generator is 1": lambda net, x, y: langevin(net, State(net, x, y), x, 3, 1),
    "2 generators": lambda net, x, y: langevin(net, State(net, x, y), x, 3, [np.random.default_rng(0)] * 2),
    "steps is -1": lambda net, x, y: langevin(net, State(net, x, y), x, -1, np.random.default_rng(0)),
    "weight is 0": lambda net, x, y: Laplace(0),
    "weight is -1": lambda net, x, y: Gaussian(-1.0),
    "mean is nan": lambda net, x, y: Gaussian(1.0, float("nan")),
}


@pytest.mark.parametrize("words", MISUSE)
def test_misuse_is_told(words):
    net, x, y = make()
    with pytest.raises(PlasticError, match=words) as told:
        MISUSE[words](net, x, y)
    assert "\n" not in str(told.value)


def test_what_is_free_has_a_repr_of_one_line():
    net, x, y = make()
    assert repr(FreeState(net, x, y)) == "FreeState of 3 samples, 8 hidden units, gamma 0.1"
    assert predict(net, x).shape == (3, 2)


WRONG_PRIORS = {
    "layer 0 fails on states of shape": Gaussian(1.0, np.zeros(3)),
    "layer 0 returns dE/dx of float64, but the states are float32": Gaussian(1.0, np.zeros(4)),
}


@pytest.mark.parametrize("message", WRONG_PRIORS)
def test_priors_of_another_shape_or_precision_are_refused(message):
    xp.use("numpy", dtype="float32")
    net, x = network((4, 3, 2), np.random.default_rng(0)), np.zeros((5, 4), np.float32)
    with pytest.raises(PlasticError, match=message):
        FreeState(net, x, x[:, :2], priors={0: WRONG_PRIORS[message]})
    FreeState(net, x, x[:, :2], priors={0: Gaussian(1.0, np.zeros(4, np.float32))})


def test_what_is_no_state_no_loss_and_no_optimizer_is_refused():
    xp.use("numpy", dtype="float32")
    net, x = network((4, 3, 2), np.random.default_rng(0)), np.ones((5, 4), np.float32)
    y = x[:, :2]
    for call in (lambda: infer(net, None, x, 1), lambda: step(net, 3, x), lambda: langevin(net, x, x, 1, 0)):
        with pytest.raises(PlasticError, match=r"state is a \w+; it must be a State of plastic\.pc|generator is 0"):
            call()
    with pytest.raises(PlasticError, match=r"optimizer is <class .*Adam.*; it must be one of the states, Adam\(\)"):
        State(net, x, y, optimizer=Adam)
    state = State(net, x, y)
    for loss, message in (
        (4, "loss is 4; it must be a function"),
        (lambda output: 3.0, r"must return \(L, err\), .* not a float"),
        (lambda output: (0.0, output[:1]), r"of float32 and shape \(5, 2\), not .* shape \(1, 2\)"),
        (lambda output: (output, output), r"L of shape \(\), .* not L of shape \(5, 2\)"),
        (lambda output: (0.0, output.astype(float)), "err of float32 and shape .* not .* err of float64"),
    ):
        with pytest.raises(PlasticError, match=message):
            infer(net, state, x, 1, loss)
    masked = network((4, 3, 2), np.random.default_rng(0), counted=[1, 0])
    with pytest.raises(PlasticError, match="there is a loss, but the network has `counted`"):
        infer(masked, State(masked, x, y), x, 1, lambda output: (0.0, output))
