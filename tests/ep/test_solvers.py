"""How relaxations come to rest: samples that rest drop out, layer after layer, accelerated."""

import functools
import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from plastic import ep, parameters, xp
from plastic.ep import Relaxation, bptt, eqprop, solvers
from plastic.errors import PlasticError
from plastic.fixed_points import Anderson

SIZES = (7, 6, 5, 3)
KINDS = {
    "energy": functools.partial(ep.energy, SIZES),
    "energy, unclamped": functools.partial(ep.energy, SIZES, phi="tanh", clamp=False, dt=0.5),
    "toy": functools.partial(ep.toy, (7, 6, 3), phi="tanh"),
    "prototypical": functools.partial(ep.prototypical, SIZES),
    "leaky": functools.partial(ep.prototypical, SIZES, phi="tanh", dt=0.3),
    "conv": functools.partial(ep.convolutional, (1, 2, 2), (4, 3), size=10, F=3, phi="hardsigm"),
}
DENSE = [kind for kind in KINDS if kind != "conv"]
SOLVERS = [(kind, solver) for kind in KINDS for solver in ("steps", "anderson", "layerwise")]
SOLVERS = [
    (kind, solver) for kind, solver in SOLVERS if solver != "layerwise" or kind in ("prototypical", "leaky", "conv")
]


def make(kind, seed=0, batch=4):
    """A network, a batch of inputs that take different times to come to rest, and one-hot targets."""
    rng = np.random.default_rng(seed)
    network = KINDS[kind](rng)
    shape = (10, 10, 1) if kind == "conv" else (7,)
    x = rng.random((batch, *shape)) * 3 ** np.arange(batch).reshape(batch, *[1] * len(shape))
    return network, xp.asarray(x), xp.asarray(np.eye(3)[rng.integers(0, 3, batch)])


def stacked(kind, count):
    each = [make(kind, seed)[0] for seed in range(count)]
    return each, each[0].with_parameters(parameters.stack([network.parameters for network in each]))


def state(w):
    return [xp.asnumpy(each) for each in w.state()]


def counted(w, monkeypatch):
    """Count the steps of parts of a relaxation."""
    calls, step = [], type(w.net).step

    def count(self, part, *more):
        calls.append(part.s.shape[-2])
        step(self, part, *more)

    monkeypatch.setattr(type(w.net), "step", count)
    return calls


# samples at rest


def test_a_relaxation_ends_when_all_samples_have_come_to_rest(backend, monkeypatch):
    network, x, _ = make("energy")
    w, full = Relaxation(network, x), Relaxation(network, x)
    full.run(2000)
    calls = counted(w, monkeypatch)
    w.run(2000, tolerance=1e-9)
    assert 20 < len(calls) < 1000 and len(calls) % solvers._LOOK_EVERY == 0
    assert_allclose(xp.asnumpy(w.s), xp.asnumpy(full.s), atol=1e-7)
    assert np.abs(xp.asnumpy(w.s) - xp.asnumpy(full.s)).max() > 0


@pytest.mark.parametrize("solver", ["steps", "anderson"])
def test_a_tolerance_that_nothing_meets_changes_nothing(backend, solver, monkeypatch):
    """All steps are made, one by one the same."""
    network, x, y = make("energy")
    for steps in (0, 1, 4, 5, 6, 12):
        states = []
        for tolerance in (0.0, 1e-300):
            w = Relaxation(network, x)
            with monkeypatch.context() as patch:
                calls = counted(w, patch)
                w.run(steps, beta=0.3, y=y, tolerance=tolerance, solver=solver)
            assert len(calls) == steps
            states.append(xp.asnumpy(w.s))
        assert_array_equal(*states)


def resting(network, x, y, steps, tolerance, solver, beta=0.3):
    """States and switches as they should be, and when each sample has come to rest: every sample is watched alone."""
    ends, times = None, np.full(len(x), steps)
    for t in range(1, steps + 1):
        w = Relaxation(network, x)
        w.run(t, beta=beta, y=y, solver=solver)
        ends = state(w) if ends is None else [_mix(times < t, *pair) for pair in zip(ends, state(w), strict=True)]
        if t % solvers._LOOK_EVERY == 0:
            times[(times == steps) & (_change(network, x, y, t, solver, beta) <= tolerance)] = t
    return ends, times


def _mix(held, old, new):
    return np.where(held.reshape(-1, *[1] * (old.ndim - 1)), old, new)


def _change(network, x, y, t, solver, beta):
    """The largest change of each sample in step t."""
    w = Relaxation(network, x)
    if solver != "anderson":
        w.run(t - 1, beta=beta, y=y, solver=solver)
        before = state(w)[0]
        w = Relaxation(network, x)
        w.run(t, beta=beta, y=y, solver=solver)
        return np.abs(state(w)[0] - before).max(axis=-1)
    (whole,), anderson = w.parts([], w.s, w.drive, w.switches), Anderson(w.s)
    for _ in range(t):
        before = w.s.copy()
        network.step(whole, beta, y)
        w.s[...] = anderson.next(before, w.s)
    return np.abs(xp.asnumpy(anderson.f)).max(axis=-1)


@pytest.mark.parametrize("crowd", [0.0, 0.75, 1.1])
@pytest.mark.parametrize("kind, solver", SOLVERS)
def test_each_sample_rests_on_its_own(backend, kind, solver, crowd, monkeypatch):
    """A sample that has come to rest stays as it is, whether it is dropped or not, however long the others go on."""
    monkeypatch.setattr(solvers, "_CROWD", crowd)
    network, x, y = make(kind)
    tolerance = float(np.median(_change(network, x, y, 15, solver, 0.3)))
    expected, times = resting(network, x, y, 26, tolerance, solver)
    assert len(set(times)) > 1  # some rest before others
    w = Relaxation(network, x)
    w.run(26, beta=0.3, y=y, tolerance=tolerance, solver=solver)
    for found, each in zip(state(w), expected, strict=True):
        assert_allclose(found, each, rtol=1e-9, atol=1e-12)
    w.run(3)  # on the whole batch again
    again = Relaxation(network, x)
    again.restore([xp.asarray(each) for each in expected])
    again.run(3)
    assert_allclose(state(w)[0], state(again)[0], rtol=1e-9, atol=1e-12)


def test_samples_at_rest_are_dropped_where_they_are_many(backend, monkeypatch):
    network, x, _ = make("energy", batch=8)
    w = Relaxation(network, x)
    calls = counted(w, monkeypatch)
    w.run(500, tolerance=1e-4)
    sizes = list(dict.fromkeys(calls))
    assert sizes[0] == 8 and len(sizes) > 2 and sizes == sorted(sizes, reverse=True)
    assert all(few < 0.75 * many for many, few in itertools.pairwise(sizes))


@pytest.mark.parametrize("solver", ["steps", "anderson"])
@pytest.mark.parametrize("kind", DENSE)
def test_each_replica_rests_on_its_own(backend, kind, solver):
    """To rounding: as it would alone, with a tolerance that some reach sooner."""
    each, together = stacked(kind, 3)
    _, x, y = make(kind)
    w = Relaxation(together, x)
    w.run(200, beta=0.2, y=y, tolerance=1e-4, solver=solver)
    for index, network in enumerate(each):
        alone = Relaxation(network, x)
        alone.run(200, beta=0.2, y=y, tolerance=1e-4, solver=solver)
        assert_allclose(xp.asnumpy(w.s[index]), xp.asnumpy(alone.s), rtol=1e-9, atol=1e-12)


def test_what_is_not_a_number_is_not_at_rest_and_not_hidden(backend):
    network, x, _ = make("energy")
    x[1] = xp.nan
    for solver in ("steps", "anderson"):
        output = xp.asnumpy(ep.predict(network, x, T=60, tolerance=1e-3, solver=solver))
        assert_array_equal(np.isnan(output).any(axis=1), [False, True, False, False])


# layer after layer


@pytest.mark.parametrize("sizes", [(7, 5, 3), (7, 6, 5, 3), (7, 6, 4, 5, 3)])
@pytest.mark.parametrize("phi", ["sigm", "tanh"])
def test_a_layerwise_step_is_two_steps_of_one_of_two_sequences(backend, sizes, phi):
    """With dt = 1: s_L after n layerwise steps is that of 2 n steps, s_{L-1} that of 2 n - 1, and so on."""
    rng = np.random.default_rng(0)
    network, x = ep.prototypical(sizes, rng, phi=phi), xp.asarray(rng.random((4, 7)))
    for n in (1, 2, 5):
        w, even, odd = (Relaxation(network, x) for _ in range(3))
        w.run(n, solver="layerwise")
        even.run(2 * n)
        odd.run(2 * n - 1)
        layers = [network.wiring.split(each.s)[::-1] for each in (w, even, odd)]
        for k, (found, of_even, of_odd) in enumerate(zip(*layers, strict=True)):
            expected = of_odd if k % 2 else of_even
            assert_allclose(xp.asnumpy(found), xp.asnumpy(expected), rtol=1e-12, atol=1e-14)


def test_a_layerwise_step_lets_the_second_half_see_the_first(backend):
    """The step of the dynamics, written out, nudged and with dt < 1, for the layers 2, then 1 and 3."""
    network, x, y = make("leaky")
    W, b = ([xp.asnumpy(getattr(layer, name)) for layer in network.wiring.layers] for name in ("W", "b"))
    w = Relaxation(network, x)
    w.run(2)
    s = [xp.asnumpy(layer).copy() for layer in network.wiring.split(w.s)]
    w.run(1, beta=0.4, y=y, solver="layerwise")
    x, y = xp.asnumpy(x), xp.asnumpy(y)
    dt = network.dt
    s[1] = s[1] + dt * (np.tanh(s[0] @ W[1] + b[1] + s[2] @ W[2].T) - s[1])
    first = s[0] + dt * (np.tanh(x @ W[0] + b[0] + s[1] @ W[1].T) - s[0])
    last = s[2] + dt * (np.tanh(s[1] @ W[2] + b[2]) - s[2] + 0.4 * (y - s[2]))
    for found, expected in zip(network.wiring.split(w.s), (first, s[1], last), strict=True):
        assert_allclose(xp.asnumpy(found), expected, rtol=1e-12)


@pytest.mark.parametrize("kind", ["energy", "toy"])
@pytest.mark.parametrize("solver", ["layerwise", "step", None, 1])
def test_a_solver_that_is_not_for_the_network_is_refused(kind, solver):
    xp.use(dtype="float64")
    network, x, y = make(kind)
    for call in (
        lambda: ep.predict(network, x, T=3, solver=solver),
        lambda: eqprop(network, x, y, T=3, K=2, beta=0.1, solver=solver),
        lambda: bptt(network, x, y, T=3, steps=2, solver=solver),
        lambda: ep.Comparison(network, x, y, T=3, K=2, beta=0.1, solver=solver),
    ):
        with pytest.raises(PlasticError, match=r"solver is .*; it must be one of steps, anderson"):
            call()


# the same fixed points, sooner


def distance(found, expected):
    found, expected = (
        np.concatenate([xp.asnumpy(leaf).ravel() for _, leaf in parameters.leaves(tree)]) for tree in (found, expected)
    )
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("kind, solver", SOLVERS)
def test_every_solver_gives_the_gradients_of_the_network_at_rest(kind, solver, centered):
    xp.use(dtype="float64")
    network, x, y = make(kind, batch=3)
    steps, many = {"anderson": 120, "steps": 400, "layerwise": 400}[solver], 800
    if kind == "conv":
        steps, many = 80, 100
    how = {"beta": 0.1, "centered": centered}
    exact, output = eqprop(network, x, y, T=many, K=many, **how)
    found, fast = eqprop(network, x, y, T=steps, K=steps, solver=solver, tolerance=1e-13, **how)
    assert_allclose(xp.asnumpy(fast), xp.asnumpy(output), rtol=1e-8)
    assert distance(found, exact) < 1e-7


@pytest.mark.parametrize("kind", DENSE)
def test_acceleration_needs_fewer_steps(kind):
    """The error of the gradient after 30 + 20 accelerated steps is far below that after as many plain ones."""
    xp.use(dtype="float64")
    network, x, y = make(kind)
    exact, _ = eqprop(network, x, y, T=2000, K=2000, beta=0.1)
    plain, fast = (
        distance(eqprop(network, x, y, T=30, K=20, beta=0.1, solver=solver)[0], exact)
        for solver in ("steps", "anderson")
    )
    assert fast < 0.1 * plain or fast < 1e-9


@pytest.mark.parametrize("kind", DENSE)
def test_an_accelerated_relaxation_ends_at_the_image_of_its_last_good_point(kind):
    """As the acceleration says by hand, also where the safeguard has just refused a point."""
    xp.use(dtype="float64")
    net, x, _ = make(kind)
    w, refused = Relaxation(net, x), 0
    anderson, point = Anderson(w.s), w.s.copy()
    for steps in range(1, 30):
        w.s[...] = point
        w.make_step()
        point = anderson.next(point, w.s.copy())
        refused += not np.array_equal(w.s, anderson.plain)
        found = Relaxation(net, x)
        found.run(steps, solver="anderson")
        assert_allclose(found.s, anderson.plain, rtol=1e-9, atol=1e-12)
    assert refused or kind != "energy, unclamped"


def test_curves_begin_where_the_solver_came_to():
    """A tolerance that everything meets ends the free phase at the first look, after five steps."""
    xp.use(dtype="float64")
    net, x, y = make("energy")

    def residual(T, **how):
        return max(float(each) for each in ep.Comparison(net, x, y, T=T, K=5, beta=0.1, **how).residual)

    plain = residual(65)
    assert residual(65, tolerance=1e9) == pytest.approx(residual(10), rel=1e-9) != pytest.approx(plain, rel=0.1)
    assert residual(65, solver="anderson") < plain / 10


@pytest.mark.parametrize("kind, solver", SOLVERS)
def test_bptt_goes_back_from_where_the_solver_came_to(kind, solver):
    xp.use(dtype="float64")
    network, x, y = make(kind)
    exact, output = bptt(network, x, y, T=900, steps=4)
    found, fast = bptt(network, x, y, T=120 if solver == "anderson" else 500, steps=4, solver=solver)
    assert_allclose(fast, output, rtol=1e-8)
    assert distance(found, exact) < 1e-7


@pytest.mark.parametrize("kind, solver", SOLVERS)
def test_what_a_relaxation_held_before_does_not_matter(kind, solver):
    xp.use(dtype="float64")
    network, x, y = make(kind)
    how = {"T": 11, "K": 7, "beta": 0.2, "tolerance": 1e-3, "solver": solver}
    fresh, _ = eqprop(network, x, y, **how)
    work = Relaxation(network, xp.ones_like(x))
    eqprop(network, xp.ones_like(x), y, work=work, **how)
    for _, leaf in parameters.leaves(network.parameters):
        leaf *= 1.5
    eqprop(network, x, y, work=work, **how)
    for _, leaf in parameters.leaves(network.parameters):
        leaf /= 1.5
    again, _ = eqprop(network, x, y, work=work, **how)
    assert distance(again, fresh) < 1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_the_residual_is_the_change_of_one_more_free_step(backend, kind):
    network, x, _ = make(kind)
    w = Relaxation(network, x)
    w.run(6)
    before = state(w)
    residual = xp.asnumpy(w.residual())
    for found, expected in zip(state(w), before, strict=True):
        assert_array_equal(found, expected)
    w.run(1)
    assert_allclose(residual, np.abs(state(w)[0] - before[0]).max())
