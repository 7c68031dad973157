"""Depth: skip connections and their scalings, inference by the errors, and the warning where errors do not arrive."""

import itertools
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from plastic import check, parameters, xp
from plastic.errors import PlasticError
from plastic.functions import softmax_cross_entropy
from plastic.parameters import Affine
from plastic.pc import (
    RULES,
    FreeState,
    Network,
    ResidualNetwork,
    State,
    activities,
    bp,
    equilibrium,
    fixed_prediction,
    infer,
    pc,
    predict,
    reach,
    residual,
    tp,
    turns,
    zil,
)
from plastic.pc.errorwise import Errors

placements = pytest.mark.parametrize("after", [False, True], ids=["before", "after"])


def make(sizes=(4, 3, 3, 3, 2), batch=5, phi="tanh", bias=True, lead=(), seed=0, counted=None):
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return xp.asarray(rng.standard_normal((*lead, *shape)), dtype=xp.float_dtype)

    layers = [Affine(draw(m, n), draw(1, n) if bias else None) for m, n in itertools.pairwise(sizes)]
    return ResidualNetwork(layers, phi, counted=counted), draw(batch, sizes[0]), draw(batch, sizes[-1])


def chain(sizes, phi="linear", after=False, scale=1.0, batch=3, seed=0):
    """Return a network without skip connections, and a batch."""
    rng = np.random.default_rng(seed)
    layers = [
        Affine(xp.asarray(scale * rng.standard_normal((m, n)) / np.sqrt(m))) for m, n in itertools.pairwise(sizes)
    ]
    x, y = (xp.asarray(rng.standard_normal((batch, n))) for n in (sizes[0], sizes[-1]))
    return Network(layers, phi, after), x, y


def anywhere(net, x, y, kind=State):
    state = kind(net, x, y)
    state.moving += xp.asarray(np.random.default_rng(1).standard_normal(state.moving.shape), dtype=x.dtype)
    infer(net, state, x, 0)
    return state


# skip connections


def test_the_prediction_is_as_written(backend):
    """a_1 = n_0^(-1/2), a_l = (n L)^(-1/2), a_L = 1 / n."""
    net, x, _ = make()
    (W_1, W_2, W_3, W_4), (b_1, b_2, b_3, b_4) = (
        [xp.asnumpy(getattr(layer, name)) for layer in net.layers] for name in "Wb"
    )
    x_1 = xp.asnumpy(x) @ W_1 / 2 + b_1
    x_2 = x_1 + np.tanh(x_1) @ W_2 / math.sqrt(12) + b_2
    x_3 = x_2 + np.tanh(x_2) @ W_3 / math.sqrt(12) + b_3
    output = np.tanh(x_3) @ W_4 / 3 + b_4
    for found, expected in zip(activities(net, x), (x_1, x_2, x_3, output), strict=True):
        assert_allclose(xp.asnumpy(found), expected, rtol=1e-12)
    assert_allclose(xp.asnumpy(predict(net, x)), output, rtol=1e-12)


@pytest.mark.parametrize("lead", [(), (2,), (70,)], ids=str)
@pytest.mark.parametrize("kind", [State, FreeState])
def test_gradients_are_those_of_the_energy(backend, lead, kind):
    sizes = (4, 3, 3, 3, 2) if lead != (70,) else (2, 2, 2, 2, 2)
    net, x, y = make(sizes, 2, lead=lead)
    state = anywhere(net, x, y, kind)
    by_states, by_weights = state.gradient().copy(), state.weight_gradients()

    def energy(_):
        infer(net, state, x, 0)
        return xp.sum(state.F)

    check.gradient(energy, state.moving, by_states, max_entries=12)
    check.gradient(lambda _: energy(_) / 2, net.parameters, by_weights, max_entries=4)


@pytest.mark.parametrize("sizes", [(4, 3, 3, 3, 2), (4, 3, 2), (3, 2, 2, 2)], ids=str)
@pytest.mark.parametrize("counted", [None, (0, 1)], ids=["all", "counted"])
def test_backpropagation_is_the_gradient_of_the_error(backend, sizes, counted):
    net, x, y = make(sizes, counted=counted)
    weights = 1 if counted is None else xp.asarray(np.array(counted))
    grads, _ = bp(net, x, y)

    def error(_):
        return 0.5 * xp.sum(weights * (predict(net, x) - y) ** 2) / len(x)

    check.gradient(error, net.parameters, grads, max_entries=6)
    for found in (fixed_prediction(net, x, y, T=len(sizes), gamma=1.0)[0], zil(net, x, y)[0]):
        for (_, a), (path, b) in zip(parameters.leaves(found), parameters.leaves(grads), strict=True):
            assert_allclose(xp.asnumpy(a), xp.asnumpy(b), rtol=1e-9, atol=1e-12, err_msg=path)


@pytest.mark.parametrize("solver", ["layerwise", "anderson", "errors"])
@pytest.mark.parametrize("counted", [None, (0, 1)], ids=["all", "counted"])
def test_solvers_lead_to_the_rest_of_many_steps(backend, solver, counted):
    net, x, y = make(counted=counted, seed=1)
    found, expected = State(net, x, y, gamma=0.2), State(net, x, y, gamma=0.2)
    infer(net, found, x, 100 if solver != "errors" else 40, solver=solver)
    assert np.abs(xp.asnumpy(found.gradient())).max() < 1e-7
    if backend == "numpy":  # the stand-in is slow
        infer(net, expected, x, 1500)
        assert_allclose(found.x, expected.x, rtol=1e-6, atol=1e-6)


def test_sweeps_take_the_step_of_least_energy_through_skip_connections():
    """Of linear units, a step along p to the least energy: any other length has a higher one."""
    xp.use(dtype="float64")
    net, x, y = make(phi="linear")
    state = State(net, x, y)
    infer(net, state, x, 1, solver="layerwise")
    moved, begun = state.x.copy(), State(net, x, y).x
    energies = []
    for length in (0.98, 1.0, 1.02):  # of the first layer, the last to move in a sweep
        state.x[...] = moved
        state.x[:, :3] = begun[:, :3] + length * (moved - begun)[:, :3]
        infer(net, state, x, 0)
        energies.append(float(state.F))
    assert energies[1] < min(energies[0], energies[2])


def test_replicas_in_turns_keep_their_skip_connections(monkeypatch):
    xp.use(dtype="float64")
    net, x, y = make(lead=(2,))
    together, _ = pc(net, x, y, T=5)
    monkeypatch.setattr(turns, "_LARGE", 1)
    in_turns, _ = pc(net, x, y, T=5)
    for (_, a), (path, b) in zip(parameters.leaves(in_turns), parameters.leaves(together), strict=True):
        assert_allclose(a, b, rtol=1e-9, atol=1e-12, err_msg=path)


@pytest.mark.parametrize("L", [8, 64])
def test_states_and_updates_are_of_one_size_at_every_depth(L):
    """Linear: variances grow by 1 + 1 / L in each of L - 2 layers; the output, 1 / n of a sum of n, has a deviation of
    n^(-1/2) times the state's."""
    rng, n = np.random.default_rng(0), 200
    net = residual((300, *[n] * (L - 1), 10), rng, phi="linear")
    x = rng.standard_normal((50, 300)).astype("float32")
    *states, output = activities(net, x)
    assert_allclose(np.mean(states[0] ** 2), 1, rtol=0.1)
    assert_allclose(np.mean(states[-1] ** 2) / np.mean(states[0] ** 2), (1 + 1 / L) ** (L - 2), rtol=0.15)
    assert_allclose(n * np.mean(output**2) / np.mean(states[-1] ** 2), 1, rtol=0.25)
    drawn = np.concatenate([layer.W.ravel() for layer in net.layers])
    assert abs(drawn.mean()) < 5 / math.sqrt(drawn.size) and abs(drawn.var() - 1) < 5 * math.sqrt(2 / drawn.size)


def test_new_weights_are_normal_and_there_are_biases_where_they_are_asked_for():
    sizes, drawn = (40, 30, 30, 30, 5), np.random.default_rng(1)
    net = residual(sizes, np.random.default_rng(1))
    for layer, pair in zip(net.layers, itertools.pairwise(sizes), strict=True):
        assert_allclose(layer.W, drawn.standard_normal(pair), rtol=1e-6)
    assert [layer.b for layer in net.layers] == [None] * 4
    biased = residual(sizes, np.random.default_rng(1), bias=True)
    assert [(layer.b.shape, float(abs(layer.b).max())) for layer in biased.layers] == [((1, n), 0.0) for n in sizes[1:]]


def test_misuse_of_skip_connections_is_told():
    net, x, y = make(phi="linear")
    rng = np.random.default_rng(0)
    with pytest.raises(PlasticError, match=r"widths \(4, 5\)"):
        residual((3, 4, 5, 2), rng)
    with pytest.raises(PlasticError, match="one or more"):
        ResidualNetwork(net.layers[:1], [])
    with pytest.raises(PlasticError, match="after is True"):
        ResidualNetwork(net.layers, "tanh", after=True)
    for call in (tp, equilibrium):
        with pytest.raises(PlasticError, match="skip connections"):
            call(net, x, y)
    plain = Network(net.layers, "linear")
    with pytest.raises(PlasticError, match="skips"):
        infer(plain, State(net, x, y), x, 1)


# inference by the errors


@placements
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("L", [3, 30])
def test_a_linear_network_is_at_rest_after_a_step_more_than_it_has_outputs(after, outputs, L):
    """F is quadratic in the errors, with a curvature of n_L + 1 different sizes at most."""
    xp.use(dtype="float64")
    net, x, y = chain((4, *[6] * (L - 1), outputs), after=after)
    states, _, F = equilibrium(net, x, y)
    state = State(net, x, y)
    infer(net, state, x, outputs + 1, solver="errors")
    assert_allclose(float(state.F), F, rtol=1e-9)
    for found, expected in zip(state.x_layers, states, strict=True):
        assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    if outputs > 1:
        fewer = State(net, x, y)
        infer(net, fewer, x, outputs - 1, solver="errors")
        assert float(fewer.F) > F * (1 + 1e-6)


@placements
@pytest.mark.parametrize("counted", [None, (0, 1)], ids=["all", "counted"])
def test_the_first_step_goes_along_the_errors_of_backpropagation(after, counted):
    """By alpha = <g, g> / (<g, g> + |J g|^2), here by differences of the output."""
    xp.use(dtype="float64")
    net, x, y = chain((4, 3, 5, 2), "tanh", after, batch=1)
    net = Network(net.layers, "tanh", after, counted)
    state = State(net, x, y)
    state._propagate()
    delta = state.back.copy() if after else state.eps.copy()
    state._begin(errors=[1e-6 * delta[:, each] for each in state.columns[:-1]])
    Jg = (state.top - predict(net, x)) / 1e-6 * (1 if counted is None else np.array(counted))
    alpha = np.sum(delta**2) / (np.sum(delta**2) + np.sum(Jg**2))
    found = State(net, x, y)
    Errors(found).step()
    assert_allclose(found.x_layers[0] - activities(net, x)[0], alpha * delta[:, :3], rtol=1e-4)
    grads, exact = pc(net, x, y, T=2, solver="errors")[0], bp(net, x, y)[0]
    if not after:
        assert_allclose(float(check.cosine(grads, exact)["layers/0/W"]), 1, rtol=1e-9)


@placements
def test_what_steps_of_the_errors_leave_is_that_of_the_states_there(after):
    """The weights' gradients among it: their errors are not those of backpropagation, which the steps went by."""
    xp.use(dtype="float64")
    net, x, y = chain((4, 3, 5, 2), "tanh", after)
    state = State(net, x, y)
    infer(net, state, x, 2, solver="errors")
    left = [*state.eps_layers, *(layer.W for layer in state.weight_gradients()["layers"])]
    left = [each.copy() for each in left]
    infer(net, state, x, 0)
    again = [*state.eps_layers, *(layer.W for layer in state.weight_gradients()["layers"])]
    for one, other in zip(left, again, strict=True):
        assert_allclose(one, other, rtol=1e-12, atol=1e-14)


@placements
def test_a_step_of_the_errors_that_would_raise_the_energy_is_taken_back(after):
    """Of steep units the output overshoots, in some samples; no energy rises, and half a step follows."""
    xp.use(dtype="float64")
    net, x, y = chain((4, 6, 6, 6, 2), "tanh", after, scale=6.0, batch=40)
    state = State(net, x, y)
    errors, back = Errors(state), 0
    for _ in range(20):
        before, c = errors.F.copy(), np.broadcast_to(errors.c, errors.F.shape).copy()
        states = errors.step()
        assert np.all(errors.F <= before * (1 + 1e-9))
        risen = np.all(state.x == states, axis=-1, keepdims=True)
        back += risen.sum()
        assert_allclose(errors.c, np.where(risen, 0.5 * c, 1))
        assert np.all(errors.p[risen[:, 0]] == 0) and np.all(np.any(errors.p[~risen[:, 0]], axis=-1))
    assert back > 5
    found = 0.5 * np.sum(state.eps**2, axis=-1) + 0.5 * np.sum(state.eps_top**2, axis=-1)
    assert_allclose(errors.F[:, 0], found, rtol=1e-12)


def test_a_sample_whose_step_is_taken_back_is_not_at_rest():
    """Though all others are: it has not moved, but its next step is half as long."""
    xp.use(dtype="float64")
    net, x, y = chain((4, 6, 6, 6, 2), "tanh", scale=3.0, batch=40)
    for sample in range(len(x)):
        one = slice(sample, sample + 1)
        state = State(net, x[one], y[one])
        infer(net, state, x[one], 400, solver="errors")
        assert np.abs(state.gradient()).max() < 1e-6


def test_other_losses_come_to_rest_by_the_errors(backend):
    net, x, _ = make(batch=4)
    labels = xp.asarray([0, 1, 1, 0])

    def loss(output):
        E, err = softmax_cross_entropy(output, labels)
        return xp.sum(E), err

    state = State(net, x)
    infer(net, state, x, 60, loss, solver="errors")
    assert np.abs(xp.asnumpy(state.gradient())).max() < 1e-6


def test_free_inputs_are_not_inferred_by_the_errors():
    net, x, y = make()
    with pytest.raises(PlasticError, match="inputs are free"):
        infer(net, FreeState(net, x, y), x, 3, solver="errors")


# a hundred layers


def test_all_of_a_hundred_layers_learn_by_the_errors():
    """Where 120 steps leave most of them gradients of exactly 0, as the warning says."""
    rng = np.random.default_rng(0)
    net = residual((20, *[16] * 99, 3), rng, phi="tanh")
    x, y = rng.standard_normal((10, 20)).astype("float32"), np.eye(3, dtype="float32")[rng.integers(0, 3, 10)]

    def silent(**options):
        return sum(not np.any(layer.W) for layer in pc(net, x, y, **options)[0]["layers"])

    for options in ({"T": 2}, {"T": 6}):
        assert silent(solver="errors", **options) == 0
    expected = 100 - reach.reach(100, 120, 0.1, "steps", 1.2e-7)
    assert abs(silent(T=120) - expected) < 6 and expected > 60


@pytest.mark.parametrize("held", [False, True])
def test_the_reach_of_an_error_is_that_of_a_linear_chain(held):
    """Which is a network of single units with weights 1: by its own rules."""
    xp.use(dtype="float64")
    layers = 12
    net = Network([Affine(np.ones((1, 1))) for _ in range(layers)], "linear")
    x, y, rule = np.zeros((1, 1)), np.ones((1, 1)), fixed_prediction if held else pc
    for T, gamma in ((5, 0.1), (20, 0.02), (200, 0.02)):
        state = State(net, x, y, gamma=gamma, discount=1.0)
        if held:
            errors = -rule(net, np.ones((1, 1)), y * 2, T=T, gamma=gamma)[0]["layers"][0].W  # eps_1, x_0 being 1
            seen = abs(errors.item()) >= 1e-6
            assert seen == (reach.reach(layers, T, gamma, "held", 1e-6) == layers)
        else:
            infer(net, state, x, T - 1)
            errors = np.concatenate([state.eps, state.eps_top], axis=-1)
            assert reach.reach(layers, T, gamma, "steps", 1e-6) == np.sum(np.abs(errors) >= 1e-6)


def test_a_rate_that_does_not_last_reaches_no_further():
    """With gamma 4 the chain would diverge, and seem to carry everything; inference halves it until energies fall."""
    xp.use(dtype="float64")
    net, layers = Network([Affine(np.ones((1, 1))) for _ in range(40)], "linear"), 40
    state = State(net, np.zeros((1, 1)), np.ones((1, 1)), gamma=4.0)
    infer(net, state, np.zeros((1, 1)), 29)
    assert state.gamma < 0.6 and np.all(np.isfinite(state.eps))
    assert reach.reach(layers, 30, 4.0, "steps", 1e-7) == reach.reach(layers, 30, 0.5, "steps", 1e-7) < layers


@pytest.mark.parametrize(
    ("rule", "options", "told"),
    [
        ("pc", {"T": 3}, 3),
        ("pc", {"T": 6}, None),
        ("pc", {"T": 64}, None),
        ("pc", {"T": 64, "gamma": 1e-4}, 3),
        ("pc", {"T": 3, "gamma": np.array([[[0.1]], [[0.2]]])}, 3),
        ("pc", {"T": 3, "solver": "errors"}, None),
        ("pc", {"T": 3, "solver": "layerwise"}, None),
        ("pc", {"T": 1, "solver": "errors"}, 1),
        ("pc", {"T": 1, "solver": "layerwise"}, 1),
        ("pc", {"T": 3, "solver": "anderson"}, 3),
        ("pc", {"T": 5, "solver": "anderson"}, None),
        ("pc", {"T": 3, "amplifier": 1.1}, 3),
        ("pc", {"T": 64, "gamma": 1e-4, "amplifier": 1.1}, None),
        ("fixed_prediction", {"T": 3}, 3),
        ("fixed_prediction", {"T": 32}, None),
    ],
    ids=str,
)
def test_a_reach_too_short_is_told_once(capsys, rule, options, told):
    reach._warn.cache_clear()
    net, x, y = make((4, 3, 3, 3, 3, 2), lead=(2,))
    for _ in range(2):
        RULES[rule](net, x, y, **options)
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert not captured.out and len(lines) == (told is not None)
    if told:
        assert lines[0].startswith("warning: T is ") and f"the top {told} of 5 layers" in lines[0]
        assert ("the solver 'errors'" in lines[0]) == (rule == "pc" and options.get("solver") != "errors")


def test_sweeps_halve_an_error_at_each_layer():
    """In a chain of a hundred units, and in networks: what is exactly 0 after few sweeps is told to be."""
    xp.use(dtype="float64")
    net = Network([Affine(np.ones((1, 1))) for _ in range(100)], "linear")
    for T in (1, 2, 3, 8, 30):
        state = State(net, np.zeros((1, 1)), np.ones((1, 1)))
        infer(net, state, np.zeros((1, 1)), T - 1, solver="layerwise")
        errors = np.concatenate([state.eps, state.eps_top], axis=-1)
        assert reach.reach(100, T, 0.1, "layerwise", 1e-7) == np.sum(np.abs(errors) >= 1e-7) < 60
    xp.use(dtype="float32")
    deep, x, y = chain((8, *[16] * 99, 4), "tanh")
    silent = sum(not layer.W.any() for layer in pc(deep, x, y, T=2, solver="layerwise")[0]["layers"])
    assert silent >= 100 - reach.reach(100, 2, 0.1, "layerwise", 1.2e-7) - 6 > 60
