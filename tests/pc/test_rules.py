"""The rules against the equations as they are written, finite differences, each other, and theory."""

import itertools

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from plastic import check, functions, parameters, xp
from plastic.errors import PlasticError
from plastic.optimizers import SGD, Adam
from plastic.parameters import Affine
from plastic.pc import (
    Inference,
    Network,
    Rate,
    activities,
    bp,
    fixed_prediction,
    infer,
    learn,
    pc,
    predict,
    repeated_bp,
    tp,
    when,
    zil,
)

ACTIVATIONS = ["linear", "tanh", "sigmoid", "relu", "leaky", "softplus", "sigm", "hardsigm", "hard_tanh"]
RULES = {
    "pc": lambda *batch, gamma=0.2, **options: pc(*batch, 8, gamma, **options),
    "fixed_prediction": lambda *batch, gamma=0.2, **options: fixed_prediction(*batch, 8, gamma, **options),
    "bp": lambda *batch, gamma=None, **options: bp(*batch, **options),
    "zil": lambda *batch, gamma=None, **options: zil(*batch, **options),
    "tp": lambda *batch, gamma=None, **options: tp(*batch, **options),
}
rules = pytest.mark.parametrize("name", RULES)
placements = pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
networks = {
    "sizes": st.lists(st.integers(1, 4), min_size=2, max_size=5),
    "batch": st.integers(1, 4),
    "activation": st.sampled_from(ACTIVATIONS),
    "after": st.booleans(),
    "bias": st.booleans(),
    "some": st.booleans(),
    "seed": st.integers(0, 1000),
}


def make(sizes=(4, 3, 5, 2), batch=3, activation="tanh", after=False, bias=True, some=False, seed=0, scale=0.7):
    """Return a network, a batch of inputs and targets on the backend in use; some: only every other output counts."""
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return xp.asarray(scale * rng.standard_normal(shape), dtype=xp.float_dtype)

    layers = [Affine(draw(m, n), draw(1, n) if bias else None) for m, n in itertools.pairwise(sizes)]
    counted = xp.asarray(np.arange(sizes[-1]) % 2 == 0, dtype=xp.float_dtype) if some else None
    network = Network(layers, getattr(functions, activation), after, counted)
    return network, draw(batch, sizes[0]), draw(batch, sizes[-1])


def compare(found, expected, rtol=1e-12, atol=1e-12):
    """Compare two trees of arrays of one backend."""
    for (path, a), (_, b) in zip(parameters.leaves(found), parameters.leaves(expected), strict=True):
        assert a.shape == b.shape
        assert_allclose(xp.asnumpy(a), xp.asnumpy(b), rtol=rtol, atol=atol, err_msg=path)


def largest(tree):
    return max(np.abs(xp.asnumpy(leaf)).max() for _, leaf in parameters.leaves(tree))


# the equations as they are written


def literal_learn(network, x, y, T, steps, gamma, discount, amplifier, rate):
    """Learn by gradient descent in NumPy, one layer after another; return (layers, states, the last gradients)."""
    f, slope = network.phi.value, network.phi.slope
    L = len(network.layers)
    layers, states = parameters.copy(network.layers), [state.copy() for state in activities(network, x)[:-1]]
    before = last = None
    for t in range(T):
        r = [x, *(state if network.after else f(state) for state in states)]
        a = [r[k] @ layers[k].W + (0 if layers[k].b is None else layers[k].b) for k in range(L)]
        mu = [f(a[k]) if network.after and k < L - 1 else a[k] for k in range(L)]
        eps = [state - each for state, each in zip([*states, y], mu, strict=True)]
        if network.counted is not None:
            eps[-1] = eps[-1] * network.counted
        F = 0.5 * sum(np.sum(error**2) for error in eps)
        delta = [eps[k] * slope(a[k], f(a[k])) if network.after and k < L - 1 else eps[k] for k in range(L)]
        back = [delta[k + 1] @ layers[k + 1].W.T for k in range(L - 1)]
        if not network.after:
            back = [back[k] * slope(states[k], f(states[k])) for k in range(L - 1)]
        by_weights = [
            Affine(-r[k].T @ delta[k], None if layers[k].b is None else -delta[k].sum(axis=0, keepdims=True))
            for k in range(L)
        ]
        states = [states[k] - gamma * (eps[k] - back[k]) for k in range(L - 1)]
        if before is not None:
            gamma = gamma * (amplifier if F < before else discount)
        before = F
        if t in steps:
            last = by_weights
            layers = parameters.map(lambda p, g: p - rate * g, layers, by_weights)
    return layers, states, last


learning = {
    "T": st.integers(1, 7),
    "gamma": st.sampled_from([0.1, 0.5, 0.9]),
    "discount": st.sampled_from([0.5, 0.9, 1.0]),
    "amplifier": st.sampled_from([1.0, 1.1]),
}


@hypothesis.given(**networks, **learning)
def test_pc_is_what_the_paper_writes(T, gamma, discount, amplifier, **sizes):
    xp.use(dtype="float64")
    network, x, y = make(**sizes)
    *_, expected = literal_learn(network, x, y, T, {T - 1}, gamma, discount, amplifier, 0.1)
    compare(pc(network, x, y, T, gamma, discount, amplifier), expected, rtol=1e-9)


@hypothesis.given(**networks, **learning, schedule=st.sampled_from(["last", "all", "last_half", "never", "list"]))
def test_learning_is_what_the_paper_writes(T, gamma, discount, amplifier, schedule, **sizes):
    """At a step, states and weights move by gradients at the same point; the first layer's too."""
    xp.use(dtype="float64")
    network, x, y = make(**sizes)
    schedule = [0, T - 1] if schedule == "list" else schedule
    layers, states, last = literal_learn(network, x, y, T, when(schedule, T), gamma, discount, amplifier, 0.1)
    seen = []

    def update(grads):
        seen.append(parameters.copy(grads))
        SGD(0.1).step(network.layers, grads, {})

    w = learn(network, x, y, T, update, schedule, gamma, discount, amplifier)
    assert len(seen) == len(when(schedule, T))
    compare(network.layers, layers, rtol=1e-9)
    compare(w.x_layers, states, rtol=1e-9)
    if seen:
        compare(seen[-1], last, rtol=1e-9)


# gradients, and rules that find the same


@pytest.mark.parametrize("activation", ACTIVATIONS)
@placements
@pytest.mark.parametrize("some", [False, True], ids=["all", "counted"])
def test_backpropagation_is_the_gradient_of_half_the_squared_error(backend, activation, after, some):
    network, x, y = make(activation=activation, after=after, some=some)

    def loss(tree):
        error = y - predict(network, x)
        return 0.5 * xp.sum((error if network.counted is None else error * network.counted) ** 2)

    check.gradient(loss, network.layers, bp(network, x, y), max_entries=20 if backend == "numpy" else 4)


@hypothesis.given(**networks)
def test_the_rules_that_equal_backpropagation_do(**sizes):
    """Zero-divergence inference learning; and fixed predictions, at gamma = 1, as soon as errors have come down."""
    xp.use(dtype="float64")
    network, x, y = make(**sizes)
    expected = bp(network, x, y)
    compare(zil(network, x, y), expected)
    L = len(network.layers)
    for T in (L, L + 3):
        compare(fixed_prediction(network, x, y, T, gamma=1.0), expected)


@placements
def test_fixed_predictions_tend_to_backpropagation(backend, after):
    """The highest hidden layer by a factor 1 - (1 - gamma)^(T - 1), the others later."""
    network, x, y = make(after=after)
    exact = bp(network, x, y)
    errors = []
    for T in (2, 10, 40, 160):
        found = fixed_prediction(network, x, y, T, gamma=0.2)
        factor = 1 - 0.8 ** (T - 1)
        compare(found[-1], exact[-1])
        compare(found[-2], parameters.map(lambda leaf, factor=factor: leaf * factor, exact[-2]))
        errors.append(largest(parameters.map(lambda a, b: a - b, found, exact)))
    assert errors == sorted(errors, reverse=True) and errors[-1] < 1e-12 < errors[-2]


@hypothesis.given(**networks, **learning)
def test_learning_at_the_last_step_is_pc(T, gamma, discount, amplifier, **sizes):
    xp.use(dtype="float64")
    network, x, y = make(**sizes)
    seen = []
    learn(network, x, y, T, lambda grads: seen.append(parameters.copy(grads)), "last", gamma, discount, amplifier)
    (found,) = seen
    compare(found, pc(network, x, y, T, gamma, discount, amplifier), 0, 0)


def test_an_optimizer_of_the_states_without_memory_is_gradient_descent(backend):
    """It takes gamma for its rate, and gamma adapts; with memory the way is another."""
    ways = []
    for states in (None, SGD(lr=7.0), Adam(lr=7.0)):
        network, x, y = make()
        w = learn(network, x, y, 8, lambda grads: None, "never", 0.9, 0.5, 1.1, states)
        ways.append(xp.asnumpy(w.x))
    assert_allclose(ways[1], ways[0], rtol=1e-12)
    assert np.abs(ways[2] - ways[0]).max() > 0.01


def test_the_first_step_of_adam_moves_all_states_that_have_a_gradient_by_gamma(backend):
    network, x, y = make()
    w = learn(network, x, y, 1, lambda grads: None, "never", 0.02, states=Adam())
    moved = [
        np.abs(xp.asnumpy(state) - xp.asnumpy(activity))
        for state, activity in zip(w.x_layers, activities(network, x), strict=False)
    ]
    assert_allclose(moved[1], 0.02, rtol=1e-4)
    assert_allclose(moved[0], 0, atol=1e-15)


# inference


@placements
@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "softplus"])
def test_inference_lowers_the_energy_and_comes_to_rest(backend, activation, after):
    network, x, y = make(activation=activation, after=after)
    w = Inference(network, x, y)
    w.begin()
    w.look()
    energy = [float(xp.asnumpy(w.F))]
    for _ in range(20):
        infer(w, 1, Rate(0.1))
        w.look()
        energy.append(float(xp.asnumpy(w.F)))
    assert all(after < before for before, after in itertools.pairwise(energy))
    infer(w, 500, Rate(0.2))
    w.look()
    assert float(xp.asnumpy(w.F)) < energy[-1]
    assert np.abs(xp.asnumpy(w.gradient())).max() < 1e-6


def test_at_rest_errors_are_propagated_as_by_backpropagation_but_at_the_states_of_rest():
    """eps_l = f'(x_l) (eps_{l+1} W^T)."""
    xp.use(dtype="float64")
    network, x, y = make()
    w = Inference(network, x, y)
    w.begin()
    infer(w, 1000, Rate(0.2))
    w.look()
    errors = [*w.eps_layers, w.eps_top]
    for k, state in enumerate(w.x_layers):
        back = (1 - np.tanh(state) ** 2) * (errors[k + 1] @ network.layers[k + 1].W.T)
        assert_allclose(errors[k], back, rtol=1e-6, atol=1e-12)
    compare(w.weight_gradients(parameters.zeros_like(network.layers)), pc(network, x, y, 1001, 0.2, 1.0))


@placements
def test_a_layer_begins_to_move_when_the_error_has_reached_it(backend, after):
    """Layer l at step t = L - 1 - l, counted from 0."""
    network, x, y = make((3, 4, 5, 4, 2), after=after)
    L, beginning = 4, activities(network, x)
    seen = []

    def watch(t, w):
        states = zip(w.x_layers, beginning, strict=False)
        seen.append([np.any(xp.asnumpy(state) != xp.asnumpy(activity)) for state, activity in states])

    learn(network, x, y, 6, lambda grads: None, "never", watch=watch)
    for t, moved in enumerate(seen):  # before the move of step t
        assert moved == [t > L - 1 - layer for layer in range(1, L)]


@pytest.mark.parametrize("rule", [pc, fixed_prediction])
@placements
@pytest.mark.parametrize("T", [1, 2, 3, 4])
def test_fewer_steps_than_layers_teach_the_top_layers_only(backend, rule, after, T):
    network, x, y = make((3, 4, 5, 4, 2), after=after)
    grads, exact = rule(network, x, y, T), bp(network, x, y)
    assert [bool(np.any(xp.asnumpy(grad.W))) for grad in grads] == [k >= 4 - T for k in range(4)]
    if T == 1:
        compare(grads[-1], exact[-1])


# rates


def rates(F, gamma=1.0, discount=0.5, amplifier=1.0):
    """Return gamma after each of the energies, on the host."""
    rate, found = Rate(gamma, discount, amplifier), []
    for each in F:
        rate.adapt(xp.asarray(np.array(each, float), dtype=xp.float_dtype))
        gamma = np.array(rate.gamma if isinstance(rate.gamma, float) else xp.asnumpy(rate.gamma))
        found.append(np.broadcast_to(gamma.squeeze(), np.shape(each)))
    return found


@pytest.mark.parametrize(
    ("F", "expected"),
    [
        ([3, 2, 1], [1, 1.25, 1.25**2]),
        ([3, 3, 3], [1, 0.5, 0.25]),  # equal is not lower
        ([3, 4, 3.5], [1, 0.5, 0.625]),  # lower than before the step before, whatever was before that
        ([3, np.nan, 1, 0.5], [1, 0.5, 0.25, 0.3125]),  # not a number is not lower, and nothing is lower than it
        ([np.inf, 1], [1, 1.25]),
        ([np.inf, np.inf], [1, 0.5]),
        ([0.0, 0.0], [1, 0.5]),
    ],
)
def test_a_rate_by_hand(precision, F, expected):
    assert_allclose(rates(F, 1.0, 0.5, 1.25), expected, rtol=1e-6)


def test_a_rate_that_neither_grows_nor_shrinks_stays_what_it_is(backend):
    for gamma in (0.1, xp.asarray(np.full((2, 1, 1), 0.1))):
        rate = Rate(gamma)
        for F in ([3.0, 1.0], [np.nan, 1.0]):
            rate.adapt(xp.asarray(np.array(F)))
        assert rate.gamma is gamma


@pytest.mark.parametrize(("discount", "amplifier"), [(0.5, 1.0), (1.0, 1.5)])
def test_one_of_the_two_is_enough_to_adapt(precision, discount, amplifier):
    found = rates([3, 2, 4], 0.2, discount, amplifier)
    assert_allclose(found, [0.2, 0.2 * amplifier, 0.2 * amplifier * discount], rtol=1e-6)


def test_each_replica_has_its_rate(precision):
    """As many replicas as energies."""
    F = [[3.0, 3.0, np.nan], [2.0, 3.0, 1.0], [1.0, 2.0, 0.5]]
    expected = [[1, 1, 1], [2, 0.5, 0.5], [4, 1, 1]]
    assert_allclose(rates(F, 1.0, 0.5, 2.0), expected, rtol=1e-6)
    each = xp.asarray(np.array([1.0, 10.0, 100.0]).reshape(3, 1, 1), dtype=precision)
    assert_allclose(rates(F, each, 0.5, 2.0), expected * np.array([1, 10, 100]), rtol=1e-6)
    assert_allclose(xp.asnumpy(each).ravel(), [1, 10, 100])


def test_the_rate_adapts_during_inference_from_the_second_step_on():
    """A new rate holds from the next step: 1-1-1 linear, whose distance from rest gets the factor 1 - 2 gamma."""
    xp.use(dtype="float64")
    one = np.ones((1, 1))
    network = Network([Affine(one), Affine(one.copy())], functions.linear)
    inferred = Inference(network, one, 2 * one)
    inferred.begin()
    infer(inferred, 4, Rate(1.1, 0.5))
    for w in (inferred, learn(network, one, 2 * one, 4, None, "never", 1.1, 0.5)):
        # rest is at 1.5; two steps lead away from it, so that gamma halves after the second and the third
        assert_allclose(w.x - 1.5, -0.5 * (1 - 2.2) ** 2 * (1 - 1.1) * (1 - 0.55), rtol=1e-9)


# schedules


def test_schedules_by_hand():
    for T, half in ((1, {0}), (4, {2, 3}), (5, {2, 3, 4})):
        assert when("last", T) == {T - 1}
        assert when("all", T) == set(range(T))
        assert when("last_half", T) == half
        assert when("never", T) == set()
    assert when([3, 0], 4) == when((0, 3, 3), 4) == {0, 3}
    assert when([], 4) == set()


@pytest.mark.parametrize("steps", [[4], [-1], [0, 9]])
def test_steps_that_are_not_taken_are_refused(steps):
    with pytest.raises(PlasticError, match="they must lie from 0 to 3, T being 4"):
        when(steps, 4)


def test_an_unknown_schedule_is_refused_before_anything_moves():
    network, x, y = make()
    with pytest.raises(PlasticError, match="'first'; it must be one of last, all, last_half, never, or a list"):
        learn(network, x, y, 4, pytest.fail, "first", watch=pytest.fail)


def test_each_step_is_watched_once_and_before_the_weights_move(backend):
    network, x, y = make()
    events = []
    learn(network, x, y, 4, lambda grads: events.append("update"), [1, 3], watch=lambda t, w: events.append(t))
    assert events == [0, 1, "update", 2, 3, "update"]


def test_what_is_watched_is_the_energy_with_the_weights_of_that_step(backend):
    network, x, y = make()
    energy = []

    def watch(t, w):
        states = Inference(network, x, y)
        states.begin()
        states.x[...] = w.x
        states.look()
        energy.append((float(xp.asnumpy(w.F)), float(xp.asnumpy(states.F))))

    learn(network, x, y, 5, lambda grads: SGD(0.1).step(network.layers, grads, {}), "all", watch=watch)
    found, expected = zip(*energy, strict=True)
    assert_allclose(found, expected, rtol=1e-12)


# target propagation


@pytest.mark.parametrize("factor", [1.0, 0.8, 1.5])
@pytest.mark.parametrize("bias", [False, True])
def test_target_propagation_with_orthogonal_weights_is_backpropagation(backend, factor, bias):
    """With c times orthogonal weights the pseudo-inverse is the transpose over c^2: one such factor per layer."""
    network, x, y = make((4,) * 5, activation="linear", bias=bias)
    for layer in network.layers:
        layer.W[...] = xp.asarray(factor * np.linalg.qr(xp.asnumpy(layer.W))[0])
    exact = bp(network, x, y)
    scaled = [
        parameters.map(lambda leaf, k=k: leaf / factor ** (2 * (3 - k)), exact[k]) for k in range(len(network.layers))
    ]
    compare(tp(network, x, y), scaled)


@pytest.mark.parametrize("some", [False, True], ids=["all", "counted"])
def test_target_propagation_finds_states_that_lead_to_the_target(some):
    """x_l - e_l, sent through the layers above, arrives at y; for one sample dF/db_l is e_l. Weights are not square."""
    xp.use(dtype="float64")
    network, x, y = make((2, 6, 5, 3), 1, "linear", some=some)
    grads, states = tp(network, x, y), activities(network, x)
    reached = y if not some else np.where(network.counted, y, states[-1])
    for k, (grad, below) in enumerate(zip(grads, [x, *states[:-1]], strict=True)):
        r = states[k] - grad.b
        for layer in network.layers[k + 1 :]:
            r = r @ layer.W + layer.b
        assert_allclose(r, reached, rtol=1e-10)
        assert_allclose(grad.W, below.T @ grad.b, rtol=1e-12)


def test_target_propagation_sums_over_the_batch(backend):
    network, x, y = make((3, 3, 3), 2, "linear")
    apart = [tp(network, x[k : k + 1], y[k : k + 1]) for k in range(2)]
    compare(tp(network, x, y), parameters.map(lambda a, b: a + b, *apart))


# all rules


@rules
def test_gradients_are_sums_over_the_batch(backend, name):
    """With a fixed rate nothing else joins the samples."""
    network, x, y = make((3, 3, 3), 2, "linear")
    options = {"discount": 1.0} if name == "pc" else {}
    apart = [RULES[name](network, x[k : k + 1], y[k : k + 1], **options) for k in range(2)]
    compare(RULES[name](network, x, y, **options), parameters.map(lambda a, b: a + b, *apart))


def test_the_rate_joins_the_samples_of_a_batch():
    """As published: gamma follows the energy of all."""
    xp.use(dtype="float64")
    network, x, y = make()
    y[0] *= 10
    apart = [pc(network, x[k : k + 1], y[k : k + 1], 8, 0.9, 0.5) for k in range(3)]
    difference = parameters.map(lambda a, *b: a - sum(b), pc(network, x, y, 8, 0.9, 0.5), *apart)
    assert largest(difference) > 0.01


@rules
@placements
@pytest.mark.parametrize("bias", [False, True])
def test_gradients_are_written_where_they_are_told(backend, name, after, bias):
    network, x, y = make(after=after, bias=bias)
    out = parameters.map(lambda leaf: xp.full_like(leaf, 9.0), network.layers)
    arrays = [leaf for _, leaf in parameters.leaves(out)]
    found = RULES[name](network, x, y, out=out)
    assert found is out and all(a is b for (_, a), b in zip(parameters.leaves(found), arrays, strict=True))
    compare(found, RULES[name](network, x, y), 0, 0)
    assert all((grad.b is None) == (not bias) for grad in found)


@rules
@placements
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_working_precision_stays_and_nothing_given_changes(precision, name, after, activation):
    network, x, y = make(activation=activation, after=after, some=True)
    given = [("x", x), ("y", y), ("counted", network.counted), *parameters.leaves(network.layers)]
    before = [xp.asnumpy(array).copy() for _, array in given]
    found = RULES[name](network, x, y)
    assert [leaf.dtype.name for _, leaf in parameters.leaves(found)] == [precision] * 6
    for (path, array), old in zip(given, before, strict=True):
        assert_array_equal(xp.asnumpy(array), old, err_msg=path)


@rules
def test_single_precision_is_close_to_double(name):
    found = []
    for dtype in ("float64", "float32"):
        xp.use(dtype=dtype)
        found.append(RULES[name](*make()))
    compare(found[1], found[0], 1e-4, 1e-4)


@rules
def test_every_backend_finds_the_same(backend, name):
    found = parameters.map(xp.asnumpy, RULES[name](*make(some=True)))
    xp.use("numpy", dtype="float64")
    compare(found, RULES[name](*make(some=True)))


@rules
@placements
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_replicas_equal_separate_runs(backend, name, after, activation):
    """Ten steps; as many replicas as samples and units of each layer. Rates of states and weights are their own."""
    sizes, gammas, etas = (3, 3, 3, 3), np.array([0.05, 0.4, 0.9]), np.array([0.02, 0.05, 0.1])
    each = [make(sizes, 3, activation, after, seed=seed) for seed in range(3)]
    layers = parameters.stack([parameters.copy(network.layers) for network, *_ in each])
    together = Network(layers, each[0][0].phi, after)
    x, y = (xp.stack([made[k] for made in each]) for k in (1, 2))
    gamma, eta = (xp.asarray(values.reshape(3, 1, 1)) for values in (gammas, etas))
    for _ in range(10):
        SGD(eta).step(layers, RULES[name](together, x, y, gamma=gamma), {})
    for r, (network, x, y) in enumerate(each):
        for _ in range(10):
            SGD(float(etas[r])).step(network.layers, RULES[name](network, x, y, gamma=float(gammas[r])), {})
        compare(parameters.map(lambda leaf, r=r: leaf[r], layers), network.layers, 1e-10, 1e-10)


@pytest.mark.parametrize("shared", [False, True], ids=["own data", "shared data"])
@pytest.mark.parametrize("states", [None, Adam()], ids=["descent", "Adam"])
def test_replicas_that_learn_during_inference_equal_separate_runs(backend, shared, states):
    each = [make((3, 3, 3, 3), seed=seed) for seed in range(3)]
    layers = parameters.stack([parameters.copy(network.layers) for network, *_ in each])
    together = Network(layers, functions.tanh)
    x, y = each[0][1:] if shared else (xp.stack([made[k] for made in each]) for k in (1, 2))
    gammas = np.array([0.05, 0.4, 0.9])

    def ten(network, x, y, gamma):
        moments = Adam(0.01).init(network.layers)
        learn(network, x, y, 10, lambda g: Adam(0.01).step(network.layers, g, moments), "all", gamma, 0.5, 1.1, states)

    ten(together, x, y, xp.asarray(gammas.reshape(3, 1, 1)))
    for r, (network, own_x, own_y) in enumerate(each):
        ten(network, *((x, y) if shared else (own_x, own_y)), float(gammas[r]))
        compare(parameters.map(lambda leaf, r=r: leaf[r], layers), network.layers, 1e-10, 1e-10)


@rules
@placements
@pytest.mark.parametrize("shared", [False, True], ids=["own data", "shared data"])
@pytest.mark.parametrize("sizes", [(1, 1, 2), (2, 3, 4, 2)], ids=str)
def test_many_replicas_of_a_few_units_equal_separate_runs(precision, name, after, shared, sizes):
    """So many that their products may be summed in another order."""
    R = 100
    each = [make(sizes, 2, "sigmoid", after, seed=seed, some=True) for seed in range(R)]
    layers = parameters.stack([network.layers for network, *_ in each])
    network = Network(layers, functions.sigmoid, after, each[0][0].counted)
    x, y = each[0][1:] if shared else (xp.stack([made[k] for made in each]) for k in (1, 2))
    gammas = np.linspace(0.1, 0.9, R)
    found = RULES[name](network, x, y, gamma=xp.asarray(gammas.reshape(R, 1, 1), dtype=precision))
    eps = 1e-10 if precision == "float64" else 1e-3 if name == "tp" else 1e-5
    for r in (0, 1, R - 1):
        data = (x, y) if shared else each[r][1:]
        expected = RULES[name](each[r][0], *data, gamma=float(gammas[r]))
        compare(parameters.map(lambda leaf, r=r: leaf[r], found), expected, eps, eps)


def test_a_replica_whose_energy_rises_leaves_the_others_alone():
    """Its rate is too large by far; with one for all, the others would slow down."""
    xp.use(dtype="float64")
    network, x, y = make()
    layers = parameters.stack([network.layers] * 2)
    gamma = np.array([0.1, 30.0]).reshape(2, 1, 1)
    found = pc(Network(layers, network.phi), x, y, 6, gamma)
    compare(parameters.map(lambda leaf: leaf[0], found), pc(network, x, y, 6, 0.1))


@pytest.mark.parametrize(("schedule", "count"), [("all", 6), ("last", 1), ("last_half", 3), ([0, 4], 2), ("never", 0)])
def test_repeated_backpropagation_takes_a_step_from_new_gradients_at_each_step_of_the_schedule(
    backend, schedule, count
):
    rng = np.random.default_rng(0)
    W = [rng.standard_normal(shape) / 2 for shape in ((4, 3), (3, 2))]
    x, y = xp.asarray(rng.standard_normal((5, 4))), xp.asarray(rng.standard_normal((5, 2)))
    repeated, by_hand = (Network([Affine(xp.asarray(each.copy())) for each in W], functions.tanh) for _ in range(2))
    repeated_bp(repeated, x, y, 6, lambda grads: SGD(0.1).step(repeated.layers, grads, {}), schedule)
    for _ in range(count):
        SGD(0.1).step(by_hand.layers, bp(by_hand, x, y), {})
    for found, expected in zip(repeated.layers, by_hand.layers, strict=True):
        assert_allclose(xp.asnumpy(found.W), xp.asnumpy(expected.W), rtol=1e-14)
