"""Networks, placements, masks, losses, priors and free inputs in all combinations, against the energy as it is written.

The energy is written out here once more, from its definition, and differentiated by finite differences.
"""

import itertools

import hypothesis
import numpy as np
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from plastic import check, xp
from plastic.functions import softmax_cross_entropy
from plastic.parameters import Affine
from plastic.pc import (
    FreeState,
    Gaussian,
    Laplace,
    Network,
    ResidualNetwork,
    State,
    bp,
    fixed_prediction,
    infer,
    pc,
    predict,
    repeated_bp,
    step,
    zil,
)

F = {
    "linear": lambda x: x,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "leaky": lambda x: np.where(x > 0, x, 0.01 * x),
    "softplus": lambda x: np.log1p(np.exp(x)),
}


def activation(phi, u):
    """F[phi](u); not where a rectifier has its kink, of which finite differences see both sides.

    A unit without input has its state there: that of a dead layer below, of which nothing comes.
    """
    hypothesis.assume(phi not in ("relu", "leaky") or np.min(np.abs(u)) > 1e-3)
    return F[phi](u)


def cauchy(x):
    return xp.sum(xp.log1p(x * x), axis=(-2, -1)), 2 * x / (1 + x * x)


PRIORS = {
    "gaussian": (lambda x: 0.35 * np.sum((x - 0.2) ** 2), Gaussian(0.7, 0.2)),
    "laplace": (lambda x: 0.3 * np.sum(np.abs(x)), Laplace(0.3)),
    "cauchy": (lambda x: np.sum(np.log1p(x * x)), cauchy),
}
networks = {
    "seed": st.integers(0, 10_000),
    "kind": st.sampled_from(["before", "after", "residual"]),
    "hidden": st.lists(st.tuples(st.integers(1, 4), st.sampled_from(sorted(F))), min_size=0, max_size=4),
    "batch": st.integers(1, 3),
    "bias": st.booleans(),
    "replicas": st.sampled_from([(), (1,), (2,), (2, 1)]),
    "error": st.sampled_from(["squares", "counted", "cross entropy", "times 3"]),
}
inputs = {
    "free": st.sampled_from(["none", "all", "some", "of each"]),
    "prior": st.sampled_from(["no", *PRIORS]),
    "place": st.integers(0, 4),
}


class Case:
    """A network with a batch and a loss; and the energy of one replica, of weights and states that are given."""

    def __init__(self, seed, kind, hidden, batch, bias, replicas, error):
        xp.use("numpy", dtype="float64")
        self.rng = np.random.default_rng(seed)
        if kind == "residual":
            hidden = [(3, phi) for _, phi in hidden] or [(3, "tanh")]
        self.kind, self.error, self.phis = kind, error, [phi for _, phi in hidden]
        sizes = [int(self.rng.integers(1, 5)), *(n for n, _ in hidden), int(self.rng.integers(2, 4))]
        self.replicas = list(np.ndindex(replicas))

        def draw(*shape):
            return xp.asarray(0.8 * self.rng.standard_normal((*replicas, *shape)))

        layers = [Affine(draw(m, n), draw(1, n) if bias else None) for m, n in itertools.pairwise(sizes)]
        self.x, self.y = draw(batch, sizes[0]), draw(batch, sizes[-1])
        self.counted = np.arange(sizes[-1]) % 2 if error == "counted" else None
        n, L = sizes[1], len(layers)
        self.scales = [sizes[0] ** -0.5, *[(n * L) ** -0.5] * (L - 2), 1 / n] if kind == "residual" else [1] * L
        more = {} if kind == "residual" else {"after": kind == "after"}
        self.net = (ResidualNetwork if kind == "residual" else Network)(layers, self.phis, counted=self.counted, **more)
        self.prior = None
        self.loss = {"cross entropy": self.entropy, "times 3": self.three}.get(error)

    def entropy(self, output):
        E, err = softmax_cross_entropy(output, xp.argmax(self.y, axis=-1))
        return xp.sum(E, axis=-1), err

    def three(self, output):
        return 1.5 * xp.sum((output - self.y) ** 2, axis=(-2, -1)), 3 * (output - self.y)

    def weights(self, at):
        """[[W_1, b_1], ..] of a replica."""
        return [
            [layer.W[at].copy(), np.zeros(1) if layer.b is None else layer.b[at].copy()] for layer in self.net.layers
        ]

    def prediction(self, k, W, b, x):
        """mu_{k+1} by the states x below."""
        last = k == len(self.scales) - 1
        r = x if k == 0 or self.kind == "after" else activation(self.phis[k - 1], x)
        mu = self.scales[k] * (r @ W) + b
        if self.kind == "residual" and k > 0 and not last:
            mu = mu + x
        return activation(self.phis[k], mu) if self.kind == "after" and not last else mu

    def feedforward(self, weights, at):
        """[x_0, .., x_{L-1}, mu_L] where each state is what is predicted."""
        states = [self.x[at]]
        for k, (W, b) in enumerate(weights):
            states.append(self.prediction(k, W, b, states[-1]))
        return states

    def output_loss(self, output, at):
        y = self.y[at]
        if self.error == "cross entropy":
            logs = output - np.log(np.sum(np.exp(output), axis=-1, keepdims=True))
            return -np.sum(logs[np.arange(len(y)), y.argmax(axis=-1)])
        error = (y - output) * (1 if self.counted is None else self.counted)
        return (1.5 if self.error == "times 3" else 0.5) * np.sum(error**2)

    def energy(self, weights, states, at):
        *hidden, output = [
            self.prediction(k, *each, x) for k, (each, x) in enumerate(zip(weights, states, strict=True))
        ]
        found = sum(0.5 * np.sum((x - mu) ** 2) for x, mu in zip(states[1:], hidden, strict=True))
        place, prior = self.prior or (0, lambda x: 0)
        return found + self.output_loss(output, at) + prior(states[place])


def slopes(function, arrays):
    """The gradient of a function of arrays by these, at which it is taken in place."""
    return check.finite_differences(lambda tree: np.asarray(function(tree)), arrays)


def close(found, expected):
    """By the error of finite differences, to which the size of the energy belongs."""
    assert_allclose(xp.asnumpy(found), expected, rtol=2e-5, atol=2e-6)


def per_sample(case, grads, at):
    """Gradients of a rule as sums over the batch, [[dW, db], ..] of a replica."""
    count = case.x.shape[-2]
    return [[count * g.W[at], None if g.b is None else count * g.b[at]] for g in grads["layers"]]


def close_weights(case, grads, function, weights, at):
    """Require that gradients are those of a function of the weights of a replica."""
    expected = slopes(function, weights)
    for (dW, db), (W, b) in zip(per_sample(case, grads, at), expected, strict=True):
        close(dW, W)
        if db is not None:
            close(db, b)


@hypothesis.given(of=st.fixed_dictionaries(networks), inputs=st.fixed_dictionaries(inputs))
def test_gradients_of_a_free_state_are_those_of_the_energy(of, inputs):
    case = Case(**of)
    net, rng, free = case.net, case.rng, inputs["free"]
    n_0, place = case.x.shape[-1], inputs["place"] % len(net.layers)
    where = {"none": False, "all": True, "some": rng.random(n_0) < 0.5}.get(free, rng.random(case.x.shape) < 0.5)
    priors = {}
    if inputs["prior"] != "no" and (place > 0 or free != "none"):
        case.prior, priors = (place, PRIORS[inputs["prior"]][0]), {place: PRIORS[inputs["prior"]][1]}
    state = FreeState(net, case.x, case.y, free=where, priors=priors)
    state.moving += 0.5 * rng.standard_normal(state.moving.shape)
    output = infer(net, state, case.x, 0, case.loss)  # what is held goes back
    gradient, grads = state.gradient().copy(), state.weight_gradients()
    held = np.broadcast_to(~np.asarray(where), case.x.shape)
    assert_allclose(np.where(held, xp.asnumpy(state.x_0), 0), np.where(held, case.x, 0))
    for at in case.replicas:
        states = [state.x_0[at].copy(), *(each[at].copy() for each in state.x_layers)]
        weights = case.weights(at)
        assert_allclose(state.F[at], case.energy(weights, states, at), rtol=1e-9, atol=1e-12)
        expected = slopes(lambda tree: case.energy(weights, tree, at), states)  # noqa: B023
        if free != "none":
            expected[0][held[at]] = 0
        found = gradient[at]
        close(found, np.concatenate(expected[free == "none" :], axis=-1) if found.size else np.zeros(found.shape))
        close_weights(case, grads, lambda tree: case.energy(tree, states, at), weights, at)  # noqa: B023
        assert_allclose(output[at], case.prediction(len(weights) - 1, *weights[-1], states[-1]), rtol=1e-9, atol=1e-12)


@hypothesis.given(of=st.fixed_dictionaries(networks))
def test_backpropagation_and_what_equals_it_are_gradients_of_the_loss(of):
    case = Case(**of)
    net, x, y, L = case.net, case.x, case.y, len(case.net.layers)
    found = [repeated_bp(net, State(net, x, y), x, case.loss)]
    if case.loss is None:
        found += [bp(net, x, y), zil(net, x, y), fixed_prediction(net, x, y, T=L, gamma=1.0)]
    for grads, output in found:
        for at in case.replicas:
            weights = case.weights(at)
            assert_allclose(output[at], case.feedforward(weights, at)[-1], rtol=1e-9, atol=1e-12)
            assert_allclose(predict(net, x)[at], output[at], rtol=1e-9, atol=1e-12)
            loss = lambda tree: case.output_loss(case.feedforward(tree, at)[-1], at)  # noqa: B023, E731
            close_weights(case, grads, loss, weights, at)


@hypothesis.settings(max_examples=30)
@hypothesis.given(
    of=st.fixed_dictionaries(networks),
    T=st.integers(1, 4),
    gamma=st.sampled_from([0.05, 0.3]),
    moves=st.booleans(),
)
def test_steps_of_inference_descend_the_energy_and_weights_have_its_gradient_at_the_last(of, T, gamma, moves):
    """By `pc`; or by `step`, whose weights move at each of the steps, if `moves`."""
    case = Case(**of)
    net, x, y, eta = case.net, case.x, case.y, 0.02
    begun = [case.weights(at) for at in case.replicas]
    state = State(net, x, y, gamma=gamma, discount=1.0)
    if case.loss is None and not moves:
        grads, _ = pc(net, x, y, T=T, gamma=gamma, discount=1.0)
    elif moves:
        for t in range(T):
            grads, _ = step(net, state, x, case.loss)
            for layer, grad in zip(net.layers, grads["layers"], strict=True):
                if t < T - 1:
                    layer.W -= eta * x.shape[-2] * grad.W
    else:
        infer(net, state, x, T - 1, case.loss)
        grads = state.weight_gradients()
    for at, weights in zip(case.replicas, begun, strict=True):
        states = case.feedforward(weights, at)[:-1]
        for _ in range(T - 1):
            by_states = slopes(lambda tree: case.energy(weights, tree, at), states)  # noqa: B023
            by_weights = slopes(lambda tree: case.energy(tree, states, at), weights)  # noqa: B023
            states = [states[0], *(a - gamma * d for a, d in zip(states[1:], by_states[1:], strict=True))]
            if moves:
                for (W, _), (dW, _) in zip(weights, by_weights, strict=True):
                    W -= eta * dW
        close_weights(case, grads, lambda tree: case.energy(tree, states, at), weights, at)  # noqa: B023
