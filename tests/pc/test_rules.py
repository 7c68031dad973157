"""The rules against the equations as they are written, finite differences, each other, and theory."""

import itertools

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from pc_schedules import when

from plastic import check, functions, parameters, xp
from plastic.errors import PlasticError
from plastic.optimizers import SGD, Adam
from plastic.parameters import Affine
from plastic.pc import (
    Network,
    State,
    activities,
    bp,
    fixed_prediction,
    infer,
    pc,
    predict,
    repeated_bp,
    step,
    tp,
    zil,
)

ACTIVATIONS = ["linear", "tanh", "sigmoid", "relu", "leaky", "softplus", "sigm", "hardsigm", "hard_tanh"]
RULES = {
    "pc": lambda *batch, gamma=0.2, **options: pc(*batch, T=8, gamma=gamma, **options)[0],
    "fixed_prediction": lambda *batch, gamma=0.2, **options: fixed_prediction(*batch, T=8, gamma=gamma, **options)[0],
    "bp": lambda *batch, gamma=None, **options: bp(*batch, **options)[0],
    "zil": lambda *batch, gamma=None, **options: zil(*batch, **options)[0],
    "tp": lambda *batch, gamma=None, **options: tp(*batch, **options)[0],
}
EVERY = {"pc": pc, "fixed_prediction": fixed_prediction, "bp": bp, "zil": zil, "tp": tp}
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
    network = Network(layers, activation, after, counted)
    return network, draw(batch, sizes[0]), draw(batch, sizes[-1])


def compare(found, expected, rtol=1e-12, atol=1e-12):
    """Compare two trees of arrays of one backend."""
    for (path, a), (_, b) in zip(parameters.leaves(found), parameters.leaves(expected), strict=True):
        assert a.shape == b.shape
        assert_allclose(xp.asnumpy(a), xp.asnumpy(b), rtol=rtol, atol=atol, err_msg=path)


def suited(name, activation):
    """The activation, or what the rule needs instead: target propagation is for linear networks."""
    return "linear" if name == "tp" else activation


def largest(tree):
    return max(np.abs(xp.asnumpy(leaf)).max() for _, leaf in parameters.leaves(tree))


# the equations as they are written


def literal_learn(network, x, y, T, steps, gamma, discount, amplifier, rate):
    """Learn by gradient descent in NumPy, one layer after another; return (layers, states, the last gradients)."""
    L = len(network.layers)
    phi = network.phi[0] if L > 1 else functions.linear
    f, slope = phi.value, phi.slope
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
            Affine(-r[k].T @ delta[k] / len(x), None if layers[k].b is None else -delta[k].mean(axis=0, keepdims=True))
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
    grads, output = pc(network, x, y, T=T, gamma=gamma, discount=discount, amplifier=amplifier)
    compare(grads["layers"], expected, rtol=1e-9)
    assert_allclose(output, predict(network, x), rtol=1e-12, atol=1e-14)


@hypothesis.given(**networks, **learning, schedule=st.sampled_from(["last", "all", "last_half", "never", "list"]))
def test_learning_is_what_the_paper_writes(T, gamma, discount, amplifier, schedule, **sizes):
    """At a step, states and weights move by gradients at the same point; the first layer's too."""
    xp.use(dtype="float64")
    network, x, y = make(**sizes)
    schedule = [0, T - 1] if schedule == "list" else schedule
    layers, states, last = literal_learn(network, x, y, T, when(schedule, T), gamma, discount, amplifier, 0.1)
    seen = []
    state = State(network, x, y, gamma=gamma, discount=discount, amplifier=amplifier)
    for t in range(T):
        if t not in when(schedule, T):
            infer(network, state, x, 1)
            continue
        grads, _ = step(network, state, x)
        seen.append(grads)
        SGD(0.1).step(network.parameters, grads, {})
    compare(network.layers, layers, rtol=1e-9)
    compare(state.x_layers, states, rtol=1e-9)
    if seen:
        compare(seen[-1]["layers"], last, rtol=1e-9)


# gradients, and rules that find the same


@pytest.mark.parametrize("activation", ACTIVATIONS)
@placements
@pytest.mark.parametrize("some", [False, True], ids=["all", "counted"])
def test_backpropagation_is_the_gradient_of_half_the_squared_error(backend, activation, after, some):
    network, x, y = make(activation=activation, after=after, some=some)

    def loss(tree):
        error = y - predict(network, x)
        return 0.5 * xp.sum((error if network.counted is None else error * network.counted) ** 2) / len(x)

    check.gradient(loss, network.parameters, bp(network, x, y)[0], max_entries=20 if backend == "numpy" else 4)


@hypothesis.given(**networks)
def test_the_rules_that_equal_backpropagation_do(**sizes):
    """Zero-divergence inference learning; and fixed predictions, at gamma = 1, as soon as errors have come down."""
    xp.use(dtype="float64")
    network, x, y = make(**sizes)
    expected = bp(network, x, y)
    compare(zil(network, x, y), expected)
    L = len(network.layers)
    for T in (L, L + 3):
        compare(fixed_prediction(network, x, y, T=T, gamma=1.0), expected)


@placements
def test_fixed_predictions_tend_to_backpropagation(backend, after):
    """The highest hidden layer by a factor 1 - (1 - gamma)^(T - 1), the others later."""
    network, x, y = make(after=after)
    exact = bp(network, x, y)[0]["layers"]
    errors = []
    for T in (2, 10, 40, 160):
        found = fixed_prediction(network, x, y, T=T, gamma=0.2)[0]["layers"]
        factor = 1 - 0.8 ** (T - 1)
        compare(found[-1], exact[-1])
        compare(found[-2], parameters.map(lambda leaf, factor=factor: leaf * factor, exact[-2]))
        errors.append(largest(parameters.map(lambda a, b: a - b, found, exact)))
    assert errors == sorted(errors, reverse=True) and errors[-1] < 1e-12 < errors[-2]


@hypothesis.given(**networks, **learning)
def test_learning_at_the_last_step_is_pc(T, gamma, discount, amplifier, **sizes):
    xp.use(dtype="float64")
    network, x, y = make(**sizes)
    constants = {"gamma": gamma, "discount": discount, "amplifier": amplifier}
    state = State(network, x, y, **constants)
    infer(network, state, x, T - 1)
    grads, output = step(network, state, x)
    compare(grads, pc(network, x, y, T=T, **constants)[0], 1e-9, 1e-12)
    mu = [*state.x_layers, output]  # what the output layer predicts from states that have moved
    assert mu[-1].shape == y.shape


@pytest.mark.parametrize("some", [False, True], ids=["all", "counted"])
@placements
def test_a_step_gives_what_it_says(backend, after, some):
    """Gradients of F at the point before the step, and the prediction of the output from the states there."""
    network, x, y = make(after=after, some=some)
    state = State(network, x, y, gamma=0.3, discount=1.0)
    infer(network, state, x, 4)
    at, mu = xp.asnumpy(state.x).copy(), xp.asnumpy(state.top).copy()
    gradient, F = xp.asnumpy(state.gradient()).copy(), float(xp.asnumpy(state.F))
    expected = parameters.copy(state.weight_gradients())
    grads, output = step(network, state, x)
    compare(grads, expected, 0, 0)
    assert_array_equal(xp.asnumpy(output), mu)
    assert float(xp.asnumpy(state.F)) == F
    assert_allclose(xp.asnumpy(state.x), at - 0.3 * gradient, rtol=1e-12, atol=1e-15)
    again = parameters.map(lambda leaf: xp.full_like(leaf, float("nan")), network.parameters)
    found, _ = step(network, state, x, out=again)
    assert found is again and all(np.isfinite(xp.asnumpy(leaf)).all() for _, leaf in parameters.leaves(found))
    assert_array_equal(xp.asnumpy(output), mu)  # it does not lie in a buffer


@pytest.mark.parametrize("take", [step, repeated_bp])
@placements
def test_half_the_squared_error_is_a_loss_as_any_other(backend, after, take):
    network, x, y = make(after=after)
    own, given = State(network, x, y, gamma=0.9), State(network, x, gamma=0.9)

    def loss(output):
        return 0.5 * xp.sum((output - y) ** 2), output - y

    for _ in range(5):
        expected, found = take(network, own, x), take(network, given, x, loss)
        compare(found, expected)
        assert_allclose(xp.asnumpy(given.F), xp.asnumpy(own.F), rtol=1e-12)
        assert_allclose(xp.asnumpy(given.x), xp.asnumpy(own.x), rtol=1e-12, atol=1e-15)
        SGD(0.1).step(network.parameters, found[0], {})


@pytest.mark.parametrize("lead", [(), (2,)])
def test_the_gradients_of_another_loss_are_those_of_the_energy_with_it(backend, lead):
    """Cross-entropy: by states and weights, and by backpropagation."""
    network, x, _ = make()
    if lead:
        network = Network(parameters.stack([network.layers] * 2), network.phi)
    labels = xp.asarray(np.array([0, 1, 1]))

    def loss(output):
        E, err = functions.softmax_cross_entropy(output, labels)
        return xp.sum(E, axis=-1), err

    state = State(network, x)
    infer(network, state, x, 3, loss)
    by_states, by_weights = state.gradient().copy(), parameters.copy(state.weight_gradients())

    def energy(_):
        infer(network, state, x, 0, loss)
        return xp.sum(state.F)

    check.gradient(energy, state.x, by_states, max_entries=4)
    check.gradient(lambda _: energy(_) / len(x), network.parameters, by_weights, max_entries=4)
    grads, _ = repeated_bp(network, state, x, loss)
    check.gradient(lambda _: xp.sum(loss(predict(network, x))[0]) / len(x), network.parameters, grads, max_entries=4)


def test_an_optimizer_of_the_states_without_memory_is_gradient_descent(backend):
    """It takes gamma for its rate, and gamma adapts; with memory the way is another."""
    ways = []
    for optimizer in (None, SGD(lr=7.0), Adam(lr=7.0)):
        network, x, y = make()
        state = State(network, x, y, gamma=0.9, discount=0.5, amplifier=1.1, optimizer=optimizer)
        infer(network, state, x, 8)
        ways.append(xp.asnumpy(state.x))
    assert_allclose(ways[1], ways[0], rtol=1e-12)
    assert np.abs(ways[2] - ways[0]).max() > 0.01


def test_the_first_step_of_adam_moves_all_states_that_have_a_gradient_by_gamma(backend):
    network, x, y = make()
    w = State(network, x, y, gamma=0.02, optimizer=Adam())
    infer(network, w, x, 1)
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
    w = State(network, x, y, discount=1.0)
    energy = [float(xp.asnumpy(w.F))]
    for _ in range(20):
        infer(network, w, x, 1)
        energy.append(float(xp.asnumpy(w.F)))
    assert all(after < before for before, after in itertools.pairwise(energy))
    w.gamma = 0.2
    infer(network, w, x, 500)
    assert float(xp.asnumpy(w.F)) < energy[-1]
    assert np.abs(xp.asnumpy(w.gradient())).max() < 1e-6


def test_at_rest_errors_are_propagated_as_by_backpropagation_but_at_the_states_of_rest():
    """eps_l = f'(x_l) (eps_{l+1} W^T)."""
    xp.use(dtype="float64")
    network, x, y = make()
    w = State(network, x, y, gamma=0.2, discount=1.0)
    infer(network, w, x, 1000)
    errors = [*w.eps_layers, w.eps_top]
    for k, state in enumerate(w.x_layers):
        back = (1 - np.tanh(state) ** 2) * (errors[k + 1] @ network.layers[k + 1].W.T)
        assert_allclose(errors[k], back, rtol=1e-6, atol=1e-12)
    compare(w.weight_gradients(), pc(network, x, y, T=1001, gamma=0.2, discount=1.0)[0])


@placements
def test_a_layer_begins_to_move_when_the_error_has_reached_it(backend, after):
    """Layer l at step t = L - 1 - l, counted from 0."""
    network, x, y = make((3, 4, 5, 4, 2), after=after)
    L, beginning = 4, activities(network, x)
    w = State(network, x, y)
    for t in range(6):  # before the move of step t
        moved = [np.any(xp.asnumpy(a) != xp.asnumpy(b)) for a, b in zip(w.x_layers, beginning, strict=False)]
        assert moved == [t > L - 1 - layer for layer in range(1, L)]
        infer(network, w, x, 1)


@pytest.mark.parametrize("rule", [pc, fixed_prediction])
@placements
@pytest.mark.parametrize("T", [1, 2, 3, 4])
def test_fewer_steps_than_layers_teach_the_top_layers_only(backend, rule, after, T):
    network, x, y = make((3, 4, 5, 4, 2), after=after)
    grads, exact = rule(network, x, y, T=T)[0]["layers"], bp(network, x, y)[0]["layers"]
    assert [bool(np.any(xp.asnumpy(grad.W))) for grad in grads] == [k >= 4 - T for k in range(4)]
    if T == 1:
        compare(grads[-1], exact[-1])


# rates


def rates(F, gamma=1.0, discount=0.5, amplifier=1.0):
    """Return gamma after each of the energies, of one net or of all replicas; there are no hidden layers, so F is L."""
    F = np.array(F, float)
    lead = F.shape[1:]
    one = xp.asarray(np.ones((*lead, 1, 1)), dtype=xp.float_dtype)
    network = Network([Affine(one)], "linear")
    state, found = State(network, one, gamma=gamma, discount=discount, amplifier=amplifier), []
    for each in F:
        energy = xp.asarray(each, dtype=xp.float_dtype)
        step(network, state, one, lambda output, energy=energy: (energy, output))
        now = np.array(state.gamma if isinstance(state.gamma, float) else xp.asnumpy(state.gamma))
        found.append(np.broadcast_to(now.reshape(lead) if now.size == np.prod(lead) else now.reshape(()), lead))
    return found


@pytest.mark.parametrize(
    ("F", "expected"),
    [
        ([3, 2, 1], [1, 1.25, 1.25**2]),
        ([3, 3, 3], [1, 1, 1]),  # equal is neither lower nor higher
        ([3, 4, 3.5], [1, 0.5, 0.625]),  # lower than before the step before, whatever was before that
        ([3, np.nan, 1, 0.5], [1, 0.5, 0.25, 0.3125]),  # not a number is not lower, and nothing is lower than it
        ([np.inf, 1], [1, 1.25]),
        ([np.inf, np.inf], [1, 0.5]),
        ([0.0, 0.0], [1, 0.5]),
    ],
)
def test_a_rate_by_hand(precision, F, expected):
    assert_allclose(rates(F, 1.0, 0.5, 1.25), expected, rtol=1e-6)


@pytest.mark.parametrize("lead", [(), (3,)])
def test_energies_within_their_rounding_leave_the_rate_alone(precision, lead):
    """A few roundings of F are nothing, a thousand are a fall or a rise; as many more as errors are differences of."""
    u = float(np.finfo(precision).eps)
    for factor, expected in ((1 + 4 * u, 1.0), (1 - 4 * u, 1.0), (1 + 1000 * u, 0.5), (1 - 1000 * u, 1.25)):
        F = [np.full(lead, 3.0), np.full(lead, 3.0 * factor)]
        assert_allclose(rates(F, 1.0, 0.5, 1.25)[-1], np.full(lead, expected), rtol=1e-6)
    one = xp.asarray(np.ones((1, 1)), dtype=precision)
    network = Network([Affine(one), Affine(one.copy())], "linear")  # its states and output are as large as x
    for size, expected in ((1.0, 0.5), (1e6, 1.0)):
        x = size * one
        state = State(network, x, x - 1)  # F = 1 / 2
        for F in (1.0, 1 + 1000 * u):
            step(network, state, x, lambda output, F=F: (xp.asarray(F, dtype=precision), 0 * output))
        assert_allclose(float(xp.asnumpy(xp.asarray(state.gamma))), 0.1 * expected, rtol=1e-6)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
@pytest.mark.parametrize("batch", [8, 1])
def test_the_order_of_summation_changes_an_update_by_rounding_only(activation, batch):
    """Units and samples in another order, so that all sums round otherwise; T goes on after the energy's last fall.

    An error, the difference of numbers of the size of x, is known to some roundings of x: so is what the weights learn.
    """
    rng = np.random.default_rng(0)
    network, x, y = make((12, 16, 16, 16, 4), batch, activation, bias=False, scale=0.4)
    grads = pc(network, x, y, T=256)[0]["layers"]
    state = State(network, x, y)
    infer(network, state, x, 255)
    limits = [500 * np.finfo("float32").eps * abs(x).max() / np.sqrt(np.mean(eps**2)) for eps in state.eps_layers]
    for _ in range(4):
        places = [np.arange(12), *(rng.permutation(16) for _ in range(3)), np.arange(4)]
        pairs = list(itertools.pairwise(places))
        layers = [Affine(layer.W[i][:, j]) for layer, (i, j) in zip(network.layers, pairs, strict=True)]
        rows = rng.permutation(batch)
        found = pc(Network(layers, activation), x[rows], y[rows], T=256)[0]["layers"]
        for grad, expected, (i, j), limit in zip(found, grads, pairs, [*limits, 1e-5], strict=True):
            difference = grad.W - expected.W[i][:, j]
            assert np.linalg.norm(difference) < limit * np.linalg.norm(expected.W)


def test_a_rate_that_neither_grows_nor_shrinks_stays_what_it_is(backend):
    network, x, y = make()
    network = Network(parameters.stack([network.layers] * 2), network.phi)
    for gamma in (0.1, xp.asarray(np.full((2, 1, 1), 0.1))):
        state = State(network, x, y, gamma=gamma, discount=1.0)
        infer(network, state, x, 3)
        assert state.gamma is gamma


@pytest.mark.parametrize(("discount", "amplifier"), [(0.5, 1.0), (1.0, 1.5)])
def test_one_of_the_two_is_enough_to_adapt(precision, discount, amplifier):
    found = rates([3, 2, 4], 0.2, discount, amplifier)
    assert_allclose(found, [0.2, 0.2 * amplifier, 0.2 * amplifier * discount], rtol=1e-6)


def test_each_replica_has_its_rate(precision):
    """As many replicas as energies."""
    F = [[3.0, 3.0, np.nan], [2.0, 4.0, 1.0], [1.0, 2.0, 0.5]]
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
    for advance in (lambda w: infer(network, w, one, 1), lambda w: step(network, w, one)):
        w = State(network, one, 2 * one, gamma=1.1, discount=0.5)
        for _ in range(4):
            advance(w)
        # rest is at 1.5; two steps lead away from it, so that gamma halves after the second and the third
        assert_allclose(w.x - 1.5, -0.5 * (1 - 2.2) ** 2 * (1 - 1.1) * (1 - 0.55), rtol=1e-9)


# target propagation


@pytest.mark.parametrize("factor", [1.0, 0.8, 1.5])
@pytest.mark.parametrize("bias", [False, True])
def test_target_propagation_with_orthogonal_weights_is_backpropagation(backend, factor, bias):
    """With c times orthogonal weights the pseudo-inverse is the transpose over c^2: one such factor per layer."""
    network, x, y = make((4,) * 5, activation="linear", bias=bias)
    for layer in network.layers:
        layer.W[...] = xp.asarray(factor * np.linalg.qr(xp.asnumpy(layer.W))[0])
    exact, output = bp(network, x, y)
    scaled = [
        parameters.map(lambda leaf, k=k: leaf / factor ** (2 * (3 - k)), layer)
        for k, layer in enumerate(exact["layers"])
    ]
    compare(tp(network, x, y), ({"layers": scaled}, output))


@pytest.mark.parametrize("some", [False, True], ids=["all", "counted"])
def test_target_propagation_finds_states_that_lead_to_the_target(some):
    """x_l - e_l, sent through the layers above, arrives at y; for one sample dF/db_l is e_l. Weights are not square."""
    xp.use(dtype="float64")
    network, x, y = make((2, 6, 5, 3), 1, "linear", some=some)
    grads, states = tp(network, x, y)[0]["layers"], activities(network, x)
    reached = y if not some else np.where(network.counted, y, states[-1])
    for k, (grad, below) in enumerate(zip(grads, [x, *states[:-1]], strict=True)):
        r = states[k] - grad.b
        for layer in network.layers[k + 1 :]:
            r = r @ layer.W + layer.b
        assert_allclose(r, reached, rtol=1e-10)
        assert_allclose(grad.W, below.T @ grad.b, rtol=1e-12)


# all rules


@rules
def test_gradients_are_means_over_the_batch(backend, name):
    """With a fixed rate nothing else joins the samples."""
    network, x, y = make((3, 3, 3), 2, "linear")
    options = {"discount": 1.0} if name == "pc" else {}
    apart = [RULES[name](network, x[k : k + 1], y[k : k + 1], **options) for k in range(2)]
    compare(RULES[name](network, x, y, **options), parameters.map(lambda a, b: (a + b) / 2, *apart))


@rules
@placements
def test_the_output_is_the_prediction_before_the_update(backend, name, after):
    network, x, y = make(activation=suited(name, "tanh"), after=after)
    _, output = EVERY[name](network, x, y)
    assert_allclose(xp.asnumpy(output), xp.asnumpy(predict(network, x)), rtol=1e-13)


def test_the_rate_joins_the_samples_of_a_batch():
    """As published: gamma follows the energy of all."""
    xp.use(dtype="float64")
    network, x, y = make()
    y[0] *= 10
    apart = [RULES["pc"](network, x[k : k + 1], y[k : k + 1], gamma=0.9) for k in range(3)]
    difference = parameters.map(lambda a, *b: a - sum(b) / 3, RULES["pc"](network, x, y, gamma=0.9), *apart)
    assert largest(difference) > 0.01


@rules
@placements
@pytest.mark.parametrize("bias", [False, True])
def test_gradients_are_written_where_they_are_told(backend, name, after, bias):
    network, x, y = make(activation=suited(name, "tanh"), after=after, bias=bias)
    out = parameters.map(lambda leaf: xp.full_like(leaf, float("nan")), network.parameters)
    arrays = [leaf for _, leaf in parameters.leaves(out)]
    found = RULES[name](network, x, y, out=out)
    assert found is out and all(a is b for (_, a), b in zip(parameters.leaves(found), arrays, strict=True))
    compare(found, RULES[name](network, x, y), 0, 0)
    assert all((grad.b is None) == (not bias) for grad in found["layers"])


@rules
@placements
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_working_precision_stays_and_nothing_given_changes(precision, name, after, activation):
    network, x, y = make(activation=suited(name, activation), after=after, some=True)
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
        found.append(RULES[name](*make(activation=suited(name, "tanh"))))
    compare(found[1], found[0], 1e-4, 1e-4)


@rules
def test_every_backend_finds_the_same(backend, name):
    options = {"activation": suited(name, "tanh"), "some": True}
    found = parameters.map(xp.asnumpy, RULES[name](*make(**options)))
    xp.use("numpy", dtype="float64")
    compare(found, RULES[name](*make(**options)))


@rules
@placements
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_replicas_equal_separate_runs(backend, name, after, activation):
    """Ten steps; as many replicas as samples and units of each layer. Rates of states and weights are their own."""
    sizes, gammas, etas = (3, 3, 3, 3), np.array([0.05, 0.4, 0.9]), np.array([0.02, 0.05, 0.1])
    each = [make(sizes, 3, suited(name, activation), after, seed=seed) for seed in range(3)]
    layers = parameters.stack([parameters.copy(network.layers) for network, *_ in each])
    together = Network(layers, each[0][0].phi, after)
    x, y = (xp.stack([made[k] for made in each]) for k in (1, 2))
    gamma, eta = (xp.asarray(values.reshape(3, 1, 1)) for values in (gammas, etas))
    for _ in range(10):
        SGD(eta).step(together.parameters, RULES[name](together, x, y, gamma=gamma), {})
    for r, (network, x, y) in enumerate(each):
        for _ in range(10):
            SGD(float(etas[r])).step(network.parameters, RULES[name](network, x, y, gamma=float(gammas[r])), {})
        compare(parameters.map(lambda leaf, r=r: leaf[r], layers), network.layers, 1e-10, 1e-10)


@pytest.mark.parametrize("shared", [False, True], ids=["own data", "shared data"])
@pytest.mark.parametrize("optimizer", [None, Adam()], ids=["descent", "Adam"])
def test_replicas_that_learn_during_inference_equal_separate_runs(backend, shared, optimizer):
    each = [make((3, 3, 3, 3), seed=seed) for seed in range(3)]
    layers = parameters.stack([parameters.copy(network.layers) for network, *_ in each])
    together = Network(layers, "tanh")
    x, y = each[0][1:] if shared else (xp.stack([made[k] for made in each]) for k in (1, 2))
    gammas = np.array([0.05, 0.4, 0.9])

    def ten(network, x, y, gamma):
        moments = Adam(0.01).init(network.parameters)
        state = State(network, x, y, gamma=gamma, amplifier=1.1, optimizer=optimizer)
        for _ in range(10):
            grads, _ = step(network, state, x)
            Adam(0.01).step(network.parameters, grads, moments)

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
    activation = suited(name, "sigmoid")
    each = [make(sizes, 2, activation, after, seed=seed, some=True) for seed in range(R)]
    layers = parameters.stack([network.layers for network, *_ in each])
    network = Network(layers, activation, after, each[0][0].counted)
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
    found, _ = pc(Network(layers, network.phi), x, y, T=6, gamma=gamma)
    compare(parameters.map(lambda leaf: leaf[0], found), pc(network, x, y, T=6, gamma=0.1)[0])


def test_repeated_backpropagation_is_backpropagation_with_the_weights_as_they_are(backend):
    network, x, y = make()
    state = State(network, x, y)
    for _ in range(6):
        found = repeated_bp(network, state, x)
        compare(found, bp(network, x, y), 1e-12, 1e-14)
        SGD(0.1).step(network.parameters, found[0], {})
    step(network, state, x)  # from other states it begins at the feed-forward activities again
    compare(repeated_bp(network, state, x), bp(network, x, y), 1e-12, 1e-14)


# an activation for each layer

SOFTSIGN = functions.Activation("softsign", lambda v: v / (1 + xp.abs(v)), lambda v, rho: (1 - xp.abs(rho)) ** 2)


@placements
@pytest.mark.parametrize("phi", [SOFTSIGN, ["tanh", SOFTSIGN, "relu"], ["leaky", "tanh", "tanh"]], ids=str)
def test_rules_take_any_activation_for_each_layer(backend, phi, after):
    network, x, y = make((4, 3, 5, 3, 2), activation=phi, after=after)
    exact, _ = bp(network, x, y)
    entries = 20 if backend == "numpy" else 4
    check.gradient(
        lambda _: 0.5 * xp.sum((y - predict(network, x)) ** 2) / len(x), network.parameters, exact, max_entries=entries
    )
    compare(zil(network, x, y)[0], exact)
    compare(fixed_prediction(network, x, y, T=6, gamma=1.0)[0], exact)
    compare(repeated_bp(network, State(network, x, y), x)[0], exact)
    state = State(network, x, y, gamma=0.3)
    infer(network, state, x, 7)
    compare(pc(network, x, y, T=8, gamma=0.3)[0], state.weight_gradients())


@placements
def test_the_same_activation_for_each_layer_is_one_for_all(backend, after):
    """Once in one pass, once layer by layer."""
    same = [functions.leaky_relu(0.2) for _ in range(2)]
    alone, x, y = make(activation=same[0], after=after)
    each, _, _ = make(activation=same, after=after)
    assert (len(State(alone, x, y).groups), len(State(each, x, y).groups)) == (1, 2)
    for name in ("pc", "fixed_prediction", "bp", "zil"):
        compare(RULES[name](each, x, y), RULES[name](alone, x, y))


# misuse


@pytest.mark.parametrize("gamma", [0, 0.0, -0.1, float("nan"), float("inf"), None, True, "0.1", [0.1]], ids=str)
@pytest.mark.parametrize("call", [pc, fixed_prediction, State])
def test_rates_of_inference_that_are_none_are_refused(gamma, call):
    network, x, y = make()
    with pytest.raises(PlasticError, match="gamma"):
        call(network, x, y, gamma=gamma)


def test_rates_of_replicas_are_those_of_the_network(backend):
    network, x, y = make()
    network = Network(parameters.stack([network.layers] * 2), network.phi)
    for shape in ((3, 1, 1), (2,), (2, 1), (2, 1, 2), (1, 2, 1, 1, 1)):
        with pytest.raises(PlasticError, match=r"gamma|replica"):
            pc(network, x, y, gamma=xp.asarray(np.full(shape, 0.1)))
    for wrong in (np.array([0.1, 0.0]), np.array([0.1, np.nan])):
        if backend == "numpy":  # elsewhere they are not read
            with pytest.raises(PlasticError, match="gamma"):
                pc(network, x, y, gamma=wrong.reshape(2, 1, 1))


@pytest.mark.parametrize(
    "constants",
    [
        *({"discount": value} for value in (0, -0.5, 1.5, float("nan"), None, True, "half", np.array([0.5]))),
        *({"amplifier": value} for value in (0, 0.9, -1, float("nan"), float("inf"), None, True, np.array([1.1]))),
    ],
    ids=str,
)
@pytest.mark.parametrize("call", [pc, State])
def test_factors_of_the_rate_out_of_range_are_refused(constants, call):
    network, x, y = make()
    with pytest.raises(PlasticError, match=next(iter(constants))):
        call(network, x, y, **constants)


@pytest.mark.parametrize("T", [0, -1, 1.0, 2.5, None, True, float("nan"), "8", [8]], ids=str)
@pytest.mark.parametrize("rule", [pc, fixed_prediction])
def test_numbers_of_steps_that_are_none_are_refused(T, rule):
    network, x, y = make()
    with pytest.raises(PlasticError, match="T is"):
        rule(network, x, y, T=T)


def test_steps_of_inference_are_counted(backend):
    network, x, y = make()
    state = State(network, x, y)
    for steps in (-1, 1.0, None, True):
        with pytest.raises(PlasticError, match="steps is"):
            infer(network, state, x, steps)


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid", SOFTSIGN, ["linear", "tanh"]], ids=str)
def test_target_propagation_is_for_linear_networks(backend, activation):
    network, x, y = make(activation=activation)
    with pytest.raises(PlasticError, match="is for linear networks, but phi is"):
        tp(network, x, y)


@pytest.mark.parametrize("classes", [3, 2])
@pytest.mark.parametrize("call", [*EVERY.values(), State])
def test_labels_in_place_of_rows_are_refused(backend, classes, call):
    """With as many samples as classes they would broadcast."""
    network, x, y = make((4, 3, classes), classes, "linear")
    labels = xp.argmax(y, axis=-1)
    for wrong in (labels, labels.astype(y.dtype), labels[:, None], labels[:, None].astype(y.dtype), labels[None]):
        with pytest.raises(PlasticError, match="y "):
            call(network, x, wrong)


@pytest.mark.parametrize("call", [*EVERY.values(), State])
def test_what_is_no_network_is_refused(backend, call):
    network, x, y = make(activation="linear")
    for wrong in (network.layers, network.parameters, None):
        with pytest.raises(PlasticError, match="must be a Network"):
            call(wrong, x, y)
    with pytest.raises(PlasticError, match="optimizer is 'Adam'"):
        State(network, x, y, optimizer="Adam")


@pytest.mark.parametrize("call", [*EVERY.values(), State])
def test_replica_axes_that_the_network_has_not_are_refused(backend, call):
    network, x, y = make(activation="linear")
    for wrong in ((xp.stack([x] * 2), y), (x, xp.stack([y] * 2)), (xp.stack([x] * 2), xp.stack([y] * 2))):
        with pytest.raises(PlasticError, match="replica axes"):
            call(network, *wrong)


def test_one_batch_may_be_shared_by_all_replicas_in_part(backend):
    network, x, y = make()
    network = Network(parameters.stack([network.layers] * 2), network.phi)
    both = xp.stack([x, x])
    for batch in ((both, y), (x, xp.stack([y, y])), (both[:1], y[None])):
        compare(bp(network, *batch)[0], bp(network, both, xp.stack([y, y]))[0])


@pytest.mark.parametrize("take", [step, repeated_bp, lambda net, state, x, loss=None: infer(net, state, x, 1, loss)])
def test_what_a_step_is_given_has_to_fit(backend, take):
    network, x, y = make()
    with pytest.raises(PlasticError, match="there is no target: give State the targets y, or a loss"):
        take(network, State(network, x), x)
    state = State(network, x, y)
    for wrong in (x[:2], x[:, :2], x.astype("float32"), xp.stack([x, x]), None, [1.0]):
        with pytest.raises(PlasticError, match="x is"):
            take(network, state, wrong)
    for other in (make((4, 3, 4, 2))[0], make(activation="relu")[0], make(after=True)[0], network.layers):
        with pytest.raises(PlasticError, match=r"the state is that of|must be a Network"):
            take(other, state, x)
    take(make(seed=3)[0], state, x)  # with other weights
    losses = {
        "of each sample": lambda output: (xp.sum(output, axis=-1), output),
        "err of one sample": lambda output: (xp.sum(output), output[:1]),
        "err a number": lambda output: (xp.sum(output), 1.0),
    }
    for loss in losses.values():
        with pytest.raises(PlasticError, match="loss"):
            take(network, state, x, loss)
