"""The hand-coded rules: against `plastic.pc`, finite differences, and the conditions of their fixed points."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose

from plastic import check, parameters, xp
from plastic.errors import PlasticError
from plastic.functions import linear, sigmoid, tanh
from plastic.parameters import Affine
from plastic.pc import Network, bp, handcoded, pc

SIZES, BATCH = (3, 4, 3, 2), 3
L = len(SIZES) - 1


def net(rng, lead=(), gain=0.7):
    """Weights [W_0 ..], and states [x_0 .. x_L] that are not at rest, on the host."""
    W = [gain * rng.standard_normal((*lead, *pair)) / np.sqrt(pair[0]) for pair in itertools.pairwise(SIZES)]
    return W, [rng.standard_normal((*lead, BATCH, n)) for n in SIZES], rng.standard_normal((*lead, BATCH, SIZES[-1]))


def here(*groups):
    return [[xp.asarray(each) for each in group] if isinstance(group, list) else xp.asarray(group) for group in groups]


def hosts(arrays):
    return [xp.asnumpy(each) for each in arrays]


def energy_of_pc(W, states, f):
    return sum(0.5 * np.sum(np.square(e)) for e in handcoded.pc_errors(states, W, f))


def energy_of_generec(W, states, f):
    """E = sum of |x_l|^2 / 2 over l >= 1 - sum of f(x_l) W_l f(x_{l+1})^T."""
    rho = [f.value(x) for x in states]
    joint = sum(np.sum((a @ w) * b) for a, w, b in zip(rho[:-1], W, rho[1:], strict=True))
    return sum(0.5 * np.sum(x * x) for x in states[1:]) - joint


def rested(relax, W, states, f, **options):
    return relax(states, W, f, 0.3, 400, **options)


@pytest.fixture
def float64():
    xp.use(dtype="float64")


def test_bp_is_that_of_the_family_but_for_the_input(backend):
    """There f does not act on the input, and gradients are signed to be subtracted."""
    W, states, y = here(*net(np.random.default_rng(0), lead=(3,)))
    x = states[0]
    updates = handcoded.bp_update(handcoded.feedforward(W, x, tanh), W, tanh, y)
    grads, _ = bp(Network([Affine(each) for each in W], tanh), tanh.value(x), y)
    for update, grad in zip(updates, grads["layers"], strict=True):
        assert_allclose(-xp.asnumpy(update), xp.asnumpy(grad.W), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("f", [sigmoid, tanh, linear], ids=lambda f: f.name)
def test_pc_is_that_of_the_family_from_the_feedforward_states(backend, f):
    W, states, y = here(*net(np.random.default_rng(1), lead=(3,)))
    x = states[0]
    start = handcoded.clamp(handcoded.feedforward(W, x, f), y)
    relaxed = handcoded.pc_relax(start, W, f, 0.1, 19, clamped=True)
    grads, _ = pc(Network([Affine(each) for each in W], f), f.value(x), y, T=20, gamma=0.1, discount=1.0)
    for update, grad in zip(handcoded.pc_update(relaxed, W, f), grads["layers"], strict=True):
        assert_allclose(-xp.asnumpy(update), xp.asnumpy(grad.W), rtol=1e-11, atol=1e-13)


def test_pc_follows_the_gradient_of_its_energy(float64):
    W, states, _ = net(np.random.default_rng(2))
    moved = handcoded.pc_relax(states, W, sigmoid, 0.1, 1, clamped=False)
    hidden = states[1:]
    check.gradient(
        lambda tree: energy_of_pc(W, [states[0], *tree], sigmoid),
        hidden,
        [(x - new) / 0.1 for x, new in zip(hidden, moved[1:], strict=True)],
    )
    grads = [-BATCH * each for each in handcoded.pc_update(states, W, sigmoid)]
    check.gradient(lambda tree: energy_of_pc(tree, states, sigmoid), W, grads)


def test_the_free_phase_of_pc_is_the_feedforward_prediction(backend):
    W, states, _ = here(*net(np.random.default_rng(3)))
    free = rested(handcoded.pc_relax, W, states, tanh, clamped=False)
    for x, expected in zip(free, handcoded.feedforward(W, states[0], tanh), strict=True):
        assert_allclose(xp.asnumpy(x), xp.asnumpy(expected), atol=1e-10)


def test_the_coefficient_of_the_output_stands_where_the_published_rules_have_it(float64):
    """PC: once in dx_L, squared in dx_{L-1}. BP: once."""
    W, states, y = net(np.random.default_rng(4))
    c, eps = 0.5, handcoded.pc_errors(states, W, tanh)
    moved = handcoded.pc_relax(states, W, tanh, 0.1, 1, clamped=False, c=c)
    assert_allclose(moved[L], states[L] - 0.1 * c * eps[-1], rtol=1e-13)
    back = (1 - np.tanh(states[L - 1]) ** 2) * (eps[-1] @ W[-1].T)
    assert_allclose(moved[L - 1], states[L - 1] + 0.1 * (c * c * back - eps[-2]), rtol=1e-12)
    assert_allclose(moved[1:L][0], handcoded.pc_relax(states, W, tanh, 0.1, 1, clamped=True)[1], rtol=1e-13)
    forward = handcoded.feedforward(W, states[0], tanh)
    for half, whole in zip(
        handcoded.bp_update(forward, W, tanh, y, c=c), handcoded.bp_update(forward, W, tanh, y), strict=True
    ):
        assert_allclose(half, c * whole, rtol=1e-13)


@pytest.mark.parametrize("leak", [1.0, 0.0])
def test_generec_and_hopfield_sweep_from_the_bottom_up(float64, leak):
    """Each layer moves along -dE/dx_l (without x_l, the rule of Hopfield) at the states as they are by then."""
    W, states, _ = net(np.random.default_rng(5))
    expected = [x.copy() for x in states]
    for k in range(1, L + 1):
        slope = 1 - np.tanh(expected[k]) ** 2
        heard = np.tanh(expected[k - 1]) @ W[k - 1]
        if k < L:
            heard = heard + np.tanh(expected[k + 1]) @ W[k].T
        expected[k] = expected[k] + 0.2 * (slope * heard - leak * expected[k])
    relax = handcoded.generec_relax if leak else handcoded.hopfield_relax
    free = relax(states, W, tanh, 0.2, 1, clamped=False)
    for x, wanted in zip(free, expected, strict=True):
        assert_allclose(x, wanted, rtol=1e-13)
    clamped = relax(states, W, tanh, 0.2, 1, clamped=True)
    assert clamped[L] is states[L] and clamped[0] is states[0]
    assert_allclose(clamped[L - 1], expected[L - 1], rtol=1e-13)


@pytest.mark.parametrize("clamped", [False, True])
def test_generec_rests_where_the_energy_has_no_slope(float64, clamped):
    W, states, _ = net(np.random.default_rng(6))
    rest = rested(handcoded.generec_relax, W, states, tanh, clamped=clamped)
    free = rest[1:L] if clamped else rest[1:]
    fixed = rest[L:] if clamped else []
    slopes = check.finite_differences(lambda tree: energy_of_generec(W, [rest[0], *tree, *fixed], tanh), free)
    for each in slopes:
        assert_allclose(each, 0, atol=1e-8)


def test_generec_is_the_gradient_of_the_contrast_of_energies_at_rest(float64):
    """dW = -d/dW [E at rest with the output clamped - E at rest], states being at their minima (envelope theorem)."""
    W, states, y = net(np.random.default_rng(7), gain=0.4)

    def phases(tree):
        return [
            rested(handcoded.generec_relax, tree, start, tanh, clamped=clamped)
            for start, clamped in ((handcoded.clamp(states, y), True), (states, False))
        ]

    def contrast(tree):
        clamped, free = (energy_of_generec(tree, each, tanh) for each in phases(tree))
        return clamped - free

    grads = [-BATCH * each for each in handcoded.contrastive_update(*phases(W), tanh)]
    check.gradient(contrast, W, grads, tolerance=1e-5)


def test_without_a_free_phase_the_contrast_is_hebbian(float64):
    _, states, _ = net(np.random.default_rng(8))
    for update, below, above in zip(
        handcoded.contrastive_update(states, None, tanh), states[:-1], states[1:], strict=True
    ):
        assert_allclose(update, np.tanh(below).T @ np.tanh(above) / BATCH, rtol=1e-13)


def at_rest(forwards, backwards, x):
    """The states at rest of a net whose weights back, (n_l, n_{l+1}) too, need not be those forth."""
    states = [x, *(np.zeros((BATCH, n)) for n in SIZES[1:])]
    for _ in range(400):
        for k in range(1, L + 1):
            heard = np.tanh(states[k - 1]) @ forwards[k - 1]
            states[k] = heard if k == L else heard + np.tanh(states[k + 1]) @ backwards[k].T
    return states


def test_almeida_pineda_is_the_gradient_at_the_fixed_point_of_the_weights_forth(float64):
    W, states, y = net(np.random.default_rng(9), gain=0.4)
    rest = rested(handcoded.almeida_pineda_relax, W, states, tanh)
    for x, expected in zip(rest, at_rest(W, W, states[0]), strict=True):
        assert_allclose(x, expected, atol=1e-12)
    start = [np.ones_like(x) for x in states]
    adjoint = handcoded.almeida_pineda_adjoint(start, rest, W, tanh, y, 0.3, 400, complete=True)
    grads = [-BATCH * each for each in handcoded.almeida_pineda_update(rest, adjoint, tanh)]
    back = parameters.copy(W)
    check.gradient(lambda tree: 0.5 * np.sum((y - at_rest(tree, back, states[0])[-1]) ** 2), W, grads)


def test_the_published_adjoint_rests_where_its_equations_say(float64):
    """The input has an adjoint, which acts on the first layer; the output has the error alone."""
    W, states, y = net(np.random.default_rng(10), gain=0.4)
    adjoint = handcoded.almeida_pineda_adjoint(states, states, W, tanh, y, 0.3, 400)
    slopes = [1 - np.tanh(x) ** 2 for x in states]
    assert_allclose(adjoint[L], y - states[L], atol=1e-12)
    assert_allclose(adjoint[0], slopes[0] * (adjoint[1] @ W[0].T), atol=1e-12)
    for k in range(1, L):
        heard = adjoint[k - 1] @ W[k - 1] + adjoint[k + 1] @ W[k].T
        assert_allclose(adjoint[k], slopes[k] * heard, atol=1e-12)


def test_a_published_adjoint_in_one_sweep(float64):
    W, states, y = net(np.random.default_rng(11))
    adjoint = [x[::-1].copy() for x in states]
    expected = [each.copy() for each in adjoint]
    for k in range(L + 1):
        dy = -expected[k]
        slope = 1 - np.tanh(states[k]) ** 2
        dy += y - states[L] if k == L else slope * (expected[k + 1] @ W[k].T)
        if 0 < k < L:
            dy += slope * (expected[k - 1] @ W[k - 1])
        expected[k] = expected[k] + 0.2 * dy
    for got, wanted in zip(
        handcoded.almeida_pineda_adjoint(adjoint, states, W, tanh, y, 0.2, 1), expected, strict=True
    ):
        assert_allclose(got, wanted, rtol=1e-12)


def updates(W, states, y):
    """The updates of all rules after ten steps a phase, from these states."""
    free = handcoded.generec_relax(states, W, tanh, 0.1, 10, clamped=False)
    clamped = handcoded.generec_relax(handcoded.clamp(states, y), W, tanh, 0.1, 10, clamped=True)
    unsettled = handcoded.hopfield_relax(states, W, tanh, 0.1, 10, clamped=False)
    moved = handcoded.almeida_pineda_relax(states, W, tanh, 0.1, 10)
    adjoints = [
        handcoded.almeida_pineda_adjoint(states, moved, W, tanh, y, 0.1, 10, complete=each) for each in (False, True)
    ]
    relaxed = handcoded.pc_relax(handcoded.clamp(states, y), W, tanh, 0.1, 10, clamped=True)
    return [
        *handcoded.pc_update(relaxed, W, tanh),
        *handcoded.bp_update(handcoded.feedforward(W, states[0], tanh), W, tanh, y),
        *handcoded.contrastive_update(clamped, free, tanh),
        *handcoded.contrastive_update(clamped, unsettled, tanh),
        *(each for adjoint in adjoints for each in handcoded.almeida_pineda_update(moved, adjoint, tanh)),
    ]


def test_replicas_equal_separate_runs_on_every_backend_and_nothing_is_changed(backend):
    """Three replicas of a batch of three on three units: where wrong broadcasting hides."""
    W, states, y = net(np.random.default_rng(12), lead=(3,))
    arrays = here(W, states, y)
    together = hosts(updates(*arrays))
    for before, after in zip([*W, *states, y], hosts([*arrays[0], *arrays[1], arrays[2]]), strict=True):
        assert_allclose(after, before, rtol=0, atol=0)
    for r in range(3):
        alone = hosts(updates(*here([each[r] for each in W], [each[r] for each in states], y[r])))
        for whole, part in zip(together, alone, strict=True):
            assert_allclose(whole[r], part, rtol=1e-10, atol=1e-13)


def test_the_working_precision_is_kept(precision):
    for each in updates(*here(*net(np.random.default_rng(13), lead=(2,)))):
        assert each.dtype == precision


def _calls(W, states, y, gamma=0.1, steps=2, phi="tanh", c=1.0):
    """Every public function, as a call."""
    yield "feedforward", lambda: handcoded.feedforward(W, states[0], phi)
    yield "clamp", lambda: handcoded.clamp(states, y)
    yield "pc_errors", lambda: handcoded.pc_errors(states, W, phi)
    yield "pc_relax", lambda: handcoded.pc_relax(states, W, phi, gamma, steps, clamped=True, c=c)
    yield "pc_update", lambda: handcoded.pc_update(states, W, phi)
    yield "bp_update", lambda: handcoded.bp_update(states, W, phi, y, c=c)
    yield "generec_relax", lambda: handcoded.generec_relax(states, W, phi, gamma, steps, clamped=True)
    yield "hopfield_relax", lambda: handcoded.hopfield_relax(states, W, phi, gamma, steps, clamped=True)
    yield "contrastive_update", lambda: handcoded.contrastive_update(states, states, phi)
    yield "almeida_pineda_relax", lambda: handcoded.almeida_pineda_relax(states, W, phi, gamma, steps)
    yield "adjoint", lambda: handcoded.almeida_pineda_adjoint(states, states, W, phi, y, gamma, steps)
    yield "almeida_pineda_update", lambda: handcoded.almeida_pineda_update(states, states, phi)


RELAXING = {"pc_relax", "generec_relax", "hopfield_relax", "almeida_pineda_relax", "adjoint"}
WITH_W = RELAXING | {"feedforward", "pc_errors", "pc_update", "bp_update"}
WITH_STATES = (WITH_W - {"feedforward"}) | {"clamp", "contrastive_update", "almeida_pineda_update"}


def _misuse(W, states, y):
    """(argument, its value, which functions must refuse it, what the message names)."""
    for gamma in (0, -0.1, float("nan"), float("inf"), None, True, np.full((3, 1), 0.1)):
        yield "gamma", gamma, RELAXING, "gamma"
    for steps in (0, -1, 2.0, None, True):
        yield "steps", steps, RELAXING, "steps"
    for c in (0, -1.0, float("nan"), "1"):
        yield "c", c, {"pc_relax", "bp_update"}, "c is"
    yield "phi", "tahn", WITH_W | WITH_STATES - {"clamp"}, "tanh"
    for wrong in (W[0], [], [W[0], W[2]], [each.astype("float32") for each in W], [each[0] for each in W]):
        yield "W", wrong, WITH_W, "W|states|x is"
    yield "states", states[:-1], WITH_W - {"feedforward"}, "states"
    yield "states", [states[0][:1], *states[1:]], WITH_STATES, r"states\[1\] has 3 rows, but states\[0\] has 1"
    yield "states", [each.astype("int64") for each in states], WITH_STATES | {"feedforward"}, "int64"
    yield "states", [states[0], states[1][:, :2], *states[2:]], WITH_W - {"feedforward"}, "states"
    for wrong in (y[:1], y[:, 0], y[:, :1], y.astype("float32"), y.astype("int64"), None):
        yield "y", wrong, {"clamp", "bp_update", "adjoint"}, "y "


def test_misuse_is_told_by_every_rule(backend):
    W, states, y = here(*net(np.random.default_rng(14)))
    for _, call in _calls(W=W, states=states, y=y):
        call()  # as it should be
    for argument, value, refusing, words in _misuse(W, states, y):
        for name, call in _calls(**{"W": W, "states": states, "y": y, argument: value}):
            if name in refusing:
                with pytest.raises(PlasticError, match=words):
                    call()
                    pytest.fail(f"{name} did not refuse {argument} {value!r}")
