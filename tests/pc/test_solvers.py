"""Ways to rest: that they lead there, by the equations as they are written, safeguarded; that relaxations end there."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from plastic import functions, parameters, xp
from plastic.errors import PlasticError
from plastic.fixed_points import Anderson
from plastic.optimizers import Adam
from plastic.parameters import Affine
from plastic.pc import Network, State, convolutional, equilibrium, fixed_prediction, infer, pc, predict, turns
from plastic.pc import solvers as of_pc
from plastic.pc.layerwise import Sweeps

FASTER = ("layerwise", "anderson", "errors")
solvers = pytest.mark.parametrize("solver", FASTER)
placements = pytest.mark.parametrize("after", [False, True], ids=["before", "after"])


def make(
    sizes=(4, 3, 5, 2), batch=3, activation="tanh", after=False, bias=True, some=False, seed=0, scale=0.7, lead=()
):
    """Return a network, a batch of inputs and targets on the backend in use; some: only every other output counts."""
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return xp.asarray(scale * rng.standard_normal((*lead, *shape)), dtype=xp.float_dtype)

    layers = [Affine(draw(m, n), draw(1, n) if bias else None) for m, n in itertools.pairwise(sizes)]
    counted = xp.asarray(np.arange(sizes[-1]) % 2 == 0, dtype=xp.float_dtype) if some else None
    return Network(layers, activation, after, counted), draw(batch, sizes[0]), draw(batch, sizes[-1])


def compare(found, expected, rtol=1e-12, atol=1e-12):
    for (path, a), (_, b) in zip(parameters.leaves(found), parameters.leaves(expected), strict=True):
        assert_allclose(xp.asnumpy(a), xp.asnumpy(b), rtol=rtol, atol=atol, err_msg=path)


def energies(state):
    """Return the energy of each sample on the host."""
    return 0.5 * np.sum(xp.asnumpy(state.eps) ** 2, axis=-1) + 0.5 * np.sum(xp.asnumpy(state.eps_top) ** 2, axis=-1)


# rest


@solvers
@placements
@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "softplus", ["linear", "tanh"]], ids=str)
@pytest.mark.parametrize("some", [False, True], ids=["all", "counted"])
def test_a_solver_leads_to_the_rest_of_many_steps(solver, after, activation, some):
    """By the states, the energy and the gradients of the weights; and what it leaves is that of the states there."""
    xp.use(dtype="float64")
    network, x, y = make(activation=activation, after=after, some=some)
    expected, found = State(network, x, y, gamma=0.2), State(network, x, y, gamma=0.2)
    infer(network, expected, x, 2000)
    output = infer(network, found, x, 400, solver=solver)
    assert np.abs(xp.asnumpy(found.gradient())).max() < 1e-8
    compare(found.x_layers, expected.x_layers, 1e-6, 1e-7)
    compare(pc(network, x, y, T=400, gamma=0.2, solver=solver)[0], expected.weight_gradients(), 1e-5, 1e-7)
    left = [xp.asnumpy(each).copy() for each in (found.x, found.r, found.mu, found.eps, found.eps_top, found.F, output)]
    output = infer(network, found, x, 0)
    again = (found.x, found.r, found.mu, found.eps, found.eps_top, found.F, output)
    for one, other in zip(left, again, strict=True):
        assert_allclose(one, xp.asnumpy(other), rtol=1e-12, atol=1e-14)


@solvers
@pytest.mark.parametrize("sizes", [(4, 3, 5, 2), (2, 2, 2), (5, 2)], ids=str)
def test_the_rest_of_a_linear_network_is_its_equilibrium(backend, solver, sizes):
    network, x, y = make(sizes, activation="linear")
    states, errors, F = equilibrium(network, x, y)
    state = State(network, x, y)
    infer(network, state, x, 100, solver=solver)
    compare(list(state.x_layers), states, 1e-7, 1e-8)
    compare([*state.eps_layers, state.eps_top], errors, 1e-7, 1e-8)
    assert_allclose(float(xp.asnumpy(state.F)), float(xp.asnumpy(F)), rtol=1e-10)


@solvers
def test_a_convolutional_network_comes_to_rest(backend, solver):
    network = convolutional((1, 2, 2), (4, 3), np.random.default_rng(0), size=6, phi="tanh")
    rng = np.random.default_rng(1)
    x, y = xp.asarray(rng.standard_normal((2, 36))), xp.asarray(rng.standard_normal((2, 3)))
    state = State(network, x, y)
    infer(network, state, x, 100, solver=solver)
    assert np.abs(xp.asnumpy(state.gradient())).max() < 1e-8
    if backend == "numpy":  # the stand-in is slow
        compare(state.weight_gradients(), pc(network, x, y, T=2000, gamma=0.2)[0], 1e-5, 1e-7)


@solvers
@pytest.mark.parametrize("batch", [1, 20])
def test_a_few_evaluations_are_as_good_as_a_hundred_steps(solver, batch):
    """On the published classifiers, fresh; by the gradients at rest, each layer for itself."""
    xp.use(dtype="float64")
    network, x, y = make((30, 32, 32, 10), batch, "sigmoid", bias=False, scale=0.25)
    exact = [layer.W for layer in pc(network, x, y, T=3000, gamma=0.5)[0]["layers"]]

    def error(**options):
        found = pc(network, x, y, **options)[0]["layers"]
        return max(np.linalg.norm(a.W - b) / np.linalg.norm(b) for a, b in zip(found, exact, strict=True))

    hundred = error(T=100)
    few = error(T={"layerwise": 7, "anderson": 20, "errors": 8}[solver], solver=solver)
    assert few < hundred < 0.05


# sweeps as they are written


def literal_sweeps(network, x, y, count):
    """Return the states of one sample after sweeps in NumPy, with states before the activation; no safeguard."""
    W, f = [layer.W for layer in network.layers], network.phi[0].value
    if network.counted is not None:  # an output that does not count has no part in the energy
        W[-1], y = W[-1] * network.counted, y * network.counted
    states = [x @ W[0]]
    for weights in W[1:-1]:
        states.append(f(states[-1]) @ weights)
    before = [(np.zeros_like(each), np.zeros_like(each)) for each in states]
    for _ in range(count):
        for k in reversed(range(len(states))):
            above = states[k + 1] if k + 1 < len(states) else y
            mu = x @ W[0] if k == 0 else f(states[k - 1]) @ W[k]
            q = network.phi[0].slope(states[k], f(states[k]))
            g = states[k] - mu - q * ((above - f(states[k]) @ W[k + 1]) @ W[k + 1].T)
            old, p = before[k]
            beta = np.clip(np.sum(g * (g - old)) / np.sum(old * old), 0, 1) if old.any() else 0.0
            p = g + beta * p
            Jp = (q * p) @ W[k + 1]
            if p.any():
                states[k] = states[k] - np.sum(g * p) / (np.sum(p * p) + np.sum(Jp * Jp)) * p
            before[k] = g, p
    return states


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu"])
@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("some", [False, True], ids=["all", "counted"])
def test_sweeps_are_what_is_written(backend, activation, count, some):
    network, x, y = make((4, 3, 6, 5, 2), 4, activation, bias=False, scale=0.4, some=some)
    state = State(network, x, y)
    for layer in count * Sweeps(state).layers:
        layer.move()
    W = [xp.asnumpy(layer.W) for layer in network.layers]
    x, y, *found = (xp.asnumpy(each) for each in (x, y, *state.x_layers))
    xp.use("numpy", dtype="float64")
    host = Network([Affine(each) for each in W], activation, counted=[1, 0] if some else None)
    each = [literal_sweeps(host, x[b : b + 1], y[b : b + 1], count) for b in range(4)]
    for k, states in enumerate(found):
        assert_allclose(states, np.concatenate([one[k] for one in each]), rtol=1e-9, atol=1e-12)


def test_accelerated_steps_end_at_the_last_good_point(backend):
    """Where the plain iteration would go on from, not where the acceleration would look next."""
    network, x, y = make()
    found, state, anderson = State(network, x, y), State(network, x, y), Anderson(State(network, x, y).x)
    for _ in range(4):
        state.x[...] = anderson.next(state.x, state.x - 0.1 * state.gradient())
        infer(network, state, x, 0)
    infer(network, found, x, 4, solver="anderson")
    assert_allclose(xp.asnumpy(found.x), xp.asnumpy(anderson.plain), rtol=1e-12)
    assert not np.allclose(xp.asnumpy(found.x), xp.asnumpy(state.x), rtol=1e-3)


def test_a_sweep_finds_the_least_energy_along_its_direction():
    """Of a linear layer: the direction is the gradient at first, and neither more nor less of it is better."""
    xp.use(dtype="float64")
    network, x, y = make((4, 5, 2), activation="linear")
    state = State(network, x, y)
    start = state.x.copy()
    infer(network, state, x, 1, solver="layerwise")
    least, way = energies(state), state.x - start
    for factor in (0.99, 1.01):
        state.x[...] = start + factor * way
        infer(network, state, x, 0)
        assert np.all(energies(state) > least)


# safeguards


@placements
def test_no_sweep_raises_the_energy_of_a_sample(backend, after):
    """Weights so large that a layer's least energy along a line is far from that of its linear part."""
    raised = 0
    for seed in range(6):
        network, x, y = make((4, 6, 6, 6, 3), 8, "tanh", after, seed=seed, scale=2.5)
        state = State(network, x, y, gamma=1e-3)
        bare = State(network, x, y)
        for _ in range(12):
            before = energies(state)
            infer(network, state, x, 1, solver="layerwise")
            assert np.all(energies(state) <= before * (1 + 1e-12))
            start = energies(bare)
            sweeps = Sweeps(bare)
            for layer in sweeps.layers:
                layer.move()
            raised += np.sum(energies(bare) > start * (1 + 1e-6))
    assert raised > 0  # without the safeguard


def test_a_sample_whose_energy_would_rise_takes_a_plain_step_and_the_others_do_not():
    """Its own sweep has gone too far: the energy before is set below what the sweep can reach."""
    xp.use(dtype="float64")
    network, x, y = make(batch=4)
    state, expected = State(network, x, y, gamma=0.05), State(network, x, y)
    infer(network, expected, x, 1, solver="layerwise")
    plain = state.x - 0.05 * state.gradient()
    sweeps = Sweeps(state)
    sweeps.F[2] = 0.0
    sweeps.sweep()
    assert_allclose(state.x[2], plain[2], rtol=1e-12)
    others = [0, 1, 3]
    assert_allclose(state.x[others], expected.x[others], rtol=1e-12)
    assert not np.allclose(state.x[2], expected.x[2], rtol=1e-3)
    assert_allclose(sweeps.F[:, 0], energies(state), rtol=1e-12)


@solvers
def test_a_sample_does_not_depend_on_its_batch(backend, solver):
    network, x, y = make(batch=5)
    together = State(network, x, y)
    infer(network, together, x, 6, solver=solver)
    for b in (0, 4):
        alone = State(network, x[b : b + 1], y[b : b + 1])
        infer(network, alone, x[b : b + 1], 6, solver=solver)
        assert_allclose(xp.asnumpy(together.x)[b : b + 1], xp.asnumpy(alone.x), rtol=1e-7, atol=1e-9)


@solvers
@pytest.mark.parametrize("lead", [(3,), (2, 2), (70,)], ids=str)
def test_replicas_equal_separate_runs(backend, solver, lead):
    """Those of a few units too, which lie otherwise in memory."""
    sizes = (1, 2, 2) if lead == (70,) else (4, 3, 5, 2)
    network, x, y = make(sizes, 3, lead=lead)
    gammas = np.linspace(0.1, 0.3, np.prod(lead)).reshape(*lead, 1, 1)
    found, _ = pc(network, x, y, T=7, gamma=xp.asarray(gammas), solver=solver)
    for index in ((0,) * len(lead), tuple(n - 1 for n in lead)):
        layers = parameters.map(lambda leaf, index=index: leaf[index], network.layers)
        alone = Network(layers, network.phi)
        expected, _ = pc(alone, x[index], y[index], T=7, gamma=float(gammas[index].item()), solver=solver)
        compare(parameters.map(lambda leaf, index=index: leaf[index], found), expected, 1e-6, 1e-9)


# the end of a relaxation


class Counted:
    """Count the calls of a method."""

    def __init__(self, monkeypatch, owner, name):
        self.calls, method = 0, getattr(owner, name)

        def counting(*arguments, **keywords):
            self.calls += 1
            return method(*arguments, **keywords)

        monkeypatch.setattr(owner, name, counting)


@pytest.mark.parametrize("rule", ["pc", "infer"])
def test_steps_end_where_no_state_changes_any_more(backend, monkeypatch, rule):
    """At the first tenth step with a change within the tolerance; without one, all are made."""
    network, x, y = make()
    trace, changes = State(network, x, y, gamma=0.2), []
    for _ in range(60):
        before = xp.asnumpy(trace.x).copy()
        infer(network, trace, x, 1)
        changes.append(np.abs(xp.asnumpy(trace.x) - before).max())
    steps = Counted(monkeypatch, State, "_move")

    def run(T, tolerance):
        steps.calls = 0
        if rule == "pc":
            pc(network, x, y, T=T + 1, gamma=0.2, tolerance=tolerance)
        else:
            infer(network, State(network, x, y, gamma=0.2), x, T, tolerance=tolerance)
        return steps.calls

    for end in (10, 30):
        assert run(60, 1.01 * changes[end - 1]) == end
    assert run(60, 0.99 * changes[59]) == run(60, 0.0) == 60
    assert run(25, 0.99 * changes[19]) == 25
    assert run(8, 1e9) == 8


@pytest.mark.parametrize("after", [False, True])
def test_fixed_predictions_end_where_no_error_changes_any_more(backend, after):
    network, x, y = make(after=after)
    whole = fixed_prediction(network, x, y, T=200, gamma=0.5)[0]
    compare(fixed_prediction(network, x, y, T=200, gamma=0.5, tolerance=1e-9)[0], whole, 1e-6, 1e-8)
    few = fixed_prediction(network, x, y, T=200, gamma=0.5, tolerance=1e9)[0]
    compare(few, fixed_prediction(network, x, y, T=11, gamma=0.5)[0])
    assert np.abs(xp.asnumpy(few["layers"][0].W - whole["layers"][0].W)).max() > 1e-6


def test_sweeps_end_at_the_tolerance_and_at_rounding(precision, monkeypatch):
    network, x, y = make(activation="sigmoid")
    sweeps = Counted(monkeypatch, Sweeps, "sweep")
    pc(network, x, y, T=1000, solver="layerwise")
    at_rest, sweeps.calls = sweeps.calls, 0
    pc(network, x, y, T=1000, solver="layerwise", tolerance=1e-2)
    assert 0 < sweeps.calls < at_rest < 60
    sweeps.calls = 0
    pc(network, x, y, T=3, solver="layerwise")
    assert sweeps.calls == 2


def test_accelerated_steps_end_at_the_tolerance_and_at_rounding(precision, monkeypatch):
    network, x, y = make(activation="sigmoid")
    steps = Counted(monkeypatch, of_pc.Anderson, "next")
    pc(network, x, y, T=1000, solver="anderson")
    at_rest, steps.calls = steps.calls, 0
    pc(network, x, y, T=1000, solver="anderson", tolerance=1e-2)
    assert 0 < steps.calls < at_rest < 200


@pytest.mark.parametrize("solver", of_pc.SOLVERS)
def test_no_steps_and_no_hidden_layers_change_nothing(backend, solver):
    network, x, y = make()
    state = State(network, x, y)
    start = xp.asnumpy(state.x).copy()
    infer(network, state, x, 0, solver=solver)
    assert_array_equal(xp.asnumpy(state.x), start)
    network, x, y = make((4, 2))
    compare(pc(network, x, y, solver=solver, tolerance=0.1)[0], pc(network, x, y, T=1)[0])


def test_another_loss_goes_with_accelerated_steps(backend):
    network, x, y = make()

    def loss(output):
        return 0.5 * xp.sum((output - y) ** 2), output - y

    expected, found = State(network, x, y), State(network, x)
    infer(network, expected, x, 12, solver="anderson")
    infer(network, found, x, 12, loss, solver="anderson")
    assert_allclose(xp.asnumpy(found.x), xp.asnumpy(expected.x), rtol=1e-9, atol=1e-12)


# replicas that take turns


@pytest.mark.parametrize("shared", [False, True], ids=["own data", "shared data"])
@pytest.mark.parametrize("given", [False, True], ids=["new", "out"])
@pytest.mark.parametrize("lead", [(3,), (2, 2)], ids=str)
def test_replicas_that_take_turns_learn_what_all_at_once_do(monkeypatch, shared, given, lead):
    xp.use(dtype="float64")
    network, x, y = make(some=True, lead=lead)
    x, y = (each[(0,) * len(lead)] if shared else each for each in (x, y))
    gammas = np.linspace(0.1, 0.6, np.prod(lead)).reshape(*lead, 1, 1)
    for gamma in (0.2, gammas):
        expected, output = pc(network, x, y, T=9, gamma=gamma)
        monkeypatch.setattr(turns, "_LARGE", 3 * 10)  # samples times units
        rows = Counted(monkeypatch, turns, "take")
        out = parameters.map(lambda leaf: np.full_like(leaf, np.nan), network.parameters) if given else None
        found = pc(network, x, y, T=9, gamma=gamma, out=out)
        assert rows.calls == 1 and (not given or found[0] is out)
        compare(found, (expected, output), 1e-10, 1e-12)
        monkeypatch.setattr(turns, "_LARGE", 3 * 10 + 1)
        pc(network, x, y, T=2)
        assert rows.calls == 1


def test_misuse_is_told_before_replicas_take_turns(monkeypatch):
    monkeypatch.setattr(turns, "_LARGE", 1)
    xp.use(dtype="float64")
    network, x, y = make(lead=(2,))
    for wrong in ((x[:1, :, :2], y), (x, y[..., 0]), (x, None), (np.stack([x, x, x]), y)):
        with pytest.raises(PlasticError):
            pc(network, *wrong)
    for gamma in (0, np.full((3, 1, 1), 0.1), np.full((2, 1, 1), -0.1)):
        with pytest.raises(PlasticError, match="gamma"):
            pc(network, x, y, gamma=gamma)
    with pytest.raises(PlasticError, match="out"):
        pc(network, x, y, out={"layers": network.layers[:1]})


def test_one_network_and_another_backend_take_no_turns(backend):
    network, x, _ = make((4, 400, 2), 100)
    assert not turns.pay(network, x)
    network, x, _ = make((4, 400, 2), 100, lead=(2,))
    assert turns.pay(network, x) == (backend == "numpy")
    for wrong in (None, x[0, 0], [1.0]):
        assert not turns.pay(network, wrong)
    assert not turns.pay(network.layers, x)


# misuse


@pytest.mark.parametrize("solver", ["newton", "Steps", None, 1, ["steps"]], ids=str)
def test_solvers_that_are_none_are_refused(backend, solver):
    network, x, y = make()
    for call in (
        lambda: pc(network, x, y, solver=solver),
        lambda: infer(network, State(network, x, y), x, 3, solver=solver),
    ):
        with pytest.raises(PlasticError, match="solver"):
            call()


@pytest.mark.parametrize("tolerance", [-1e-3, float("nan"), float("inf"), None, True, "0.1", [0.1]], ids=str)
def test_tolerances_that_are_none_are_refused(backend, tolerance):
    network, x, y = make()
    for call in (
        lambda: pc(network, x, y, tolerance=tolerance),
        lambda: fixed_prediction(network, x, y, tolerance=tolerance),
        lambda: infer(network, State(network, x, y), x, 3, tolerance=tolerance),
    ):
        with pytest.raises(PlasticError, match="tolerance"):
            call()


def test_solvers_go_with_squared_errors_and_gradient_descent(backend):
    network, x, y = make()
    for solver in FASTER:
        with pytest.raises(PlasticError, match="optimizer"):
            infer(network, State(network, x, y, optimizer=Adam()), x, 3, solver=solver)
    with pytest.raises(PlasticError, match="half the squared error"):
        infer(network, State(network, x), x, 3, lambda output: (xp.sum(output), output), solver="layerwise")
    assert predict(network, x).shape == (3, 2) and functions.tanh in network.phi
