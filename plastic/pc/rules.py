"""The learning rules: predictive coding in its variants, backpropagation, target propagation for linear nets.

Each takes a network and a batch and returns gradients with the shape of its parameters, signed to be subtracted, of
sums over the batch (not means), as published. Where weights move during inference, `learn` interleaves both.
"""

from plastic import parameters, xp
from plastic.errors import PlasticError
from plastic.pc.network import Inference, activities, output_error


class Rate:
    """The inference rate gamma and its adaptation, one for each replica (Song et al. 2024).

    After a step, if the energy before it is lower than that before the step before, gamma <- amplifier gamma, else (an
    energy that is equal, higher, or not a number) gamma <- discount gamma. gamma: a number or (..., 1, 1).
    """

    def __init__(self, gamma, discount=1.0, amplifier=1.0):
        self.gamma, self.discount, self.amplifier, self.before = gamma, discount, amplifier, None
        self.fixed = discount == 1 and amplifier == 1

    def adapt(self, F):
        """Take the energy F (...) before the last step into account."""
        if self.fixed:
            return
        if self.before is not None:
            factor = xp.where(F < self.before, self.amplifier, self.discount)[..., None, None].astype(F.dtype)
            self.gamma = self.gamma * factor
        self.before = F


def pc(network, x, y, T, gamma=0.1, discount=0.5, amplifier=1.0, out=None):
    """Predictive coding: T - 1 steps of inference, then dF/dW at the states reached (the published update "last").

    (The published code takes a T-th step, which no weight sees.) T = 1 moves the output layer alone, and fewer than L
    steps reach only the top layers. discount, amplifier: see `Rate`.
    """
    w = Inference(network, x, y)
    w.begin()
    infer(w, T - 1, Rate(gamma, discount, amplifier))
    w.look()
    return w.weight_gradients(parameters.zeros_like(network.layers) if out is None else out)


def infer(w, steps, rate):
    """Take so many steps of inference with the weights as they are."""
    for _ in range(steps):
        w.look()
        w.move(rate.gamma)
        rate.adapt(w.F)


def when(schedule, T):
    """Return the steps, of 0..T-1, at which weights move: "last", "all", "last_half", "never", or a list of steps."""
    named = {"last": [T - 1], "all": range(T), "last_half": range(T // 2, T), "never": ()}
    if isinstance(schedule, str) and schedule not in named:
        raise PlasticError(f"schedule is {schedule!r}; it must be one of {', '.join(named)}, or a list of steps")
    steps = set(named[schedule] if isinstance(schedule, str) else schedule)
    if steps and not 0 <= min(steps) <= max(steps) < T:
        raise PlasticError(f"schedule has the steps {sorted(steps)}; they must lie from 0 to {T - 1}, T being {T}")
    return steps


def learn(network, x, y, T, update, schedule="last", gamma=0.1, discount=0.5, amplifier=1.0, states=None, watch=None):
    """Infer for T steps, and let weights move at some of them.

    At a step, states and weights move by gradients taken at the same point. update(grads): takes a step of the
    weights, for instance an optimizer's. schedule: see `when`; "all" is incremental (parallel) predictive coding.
    states: an optimizer of the states that takes gamma for its rate; gradient descent by default.
    watch(t, w): called at each step with the `Inference` before it moves.
    """
    steps, rate = when(schedule, T), Rate(gamma, discount, amplifier)
    w = Inference(network, x, y)
    w.begin()
    grads, moved = parameters.zeros_like(network.layers), False
    moments = None if states is None else states.init(w.x)
    for t in range(T):
        w.look(moved)
        if watch is not None:
            watch(t, w)
        moved = t in steps
        if moved:
            w.weight_gradients(grads)
        if states is None:
            w.move(rate.gamma)
        else:
            states.step(w.x, w.gradient(), moments, lr=rate.gamma)
        rate.adapt(w.F)
        if moved:
            update(grads)
    return w


def bp(network, x, y, out=None):
    """Backpropagation of half the squared error, summed over the batch, on the feed-forward net."""
    w = Inference(network, x, y)
    w.begin()
    w.look()
    _propagate(w)
    return w.weight_gradients(parameters.zeros_like(network.layers) if out is None else out)


def fixed_prediction(network, x, y, T, gamma=0.1, out=None):
    """Predictive coding with predictions and slopes held at their feed-forward values (Millidge et al. 2022).

    Then hidden errors relax to eps_l = f'(x_l) (eps_{l+1} W_{l+1}^T): the gradients of backpropagation, for large T.
    """
    w = Inference(network, x, y)
    w.begin()
    w.look()
    w.gradient()  # for the slopes
    for _ in range(T - 1):
        w.back *= gamma
        w.x -= w.back
        xp.subtract(w.x, w.mu, out=w.eps)
        if network.after:
            xp.multiply(w.eps, w.q, out=w.delta)
        w.gradient(slope=False)
    if network.after:
        w.x[...] = w.mu  # what the layers send is held too
    return w.weight_gradients(parameters.zeros_like(network.layers) if out is None else out)


def zil(network, x, y, out=None):
    """Zero-divergence inference learning: gamma = 1, and W_l takes its gradient at step L - l (Song et al. 2020).

    An error arrives at each layer at the moment at which it is that of backpropagation; the gradients are equal.
    """
    w = Inference(network, x, y)
    w.begin()
    grads = parameters.zeros_like(network.layers) if out is None else out
    for k in reversed(range(len(network.layers))):
        w.look()
        w.weight_gradients(grads, only=k)
        w.move(1.0)
    return grads


def tp(network, x, y, out=None):
    """Target propagation by pseudo-inverses, for linear networks (Song et al. 2024, Extended Data).

    e_L = mu_L - y,    e_{l} = e_{l+1} pinv(W_{l+1}),    dW_l = x_{l-1}^T e_l

    With depth, errors explode along the small singular values.
    """
    states = [x, *activities(network, x)]
    grads = parameters.zeros_like(network.layers) if out is None else out
    e = -output_error(network, states[-1], y)
    for k in reversed(range(len(network.layers))):
        xp.matmul(xp.swapaxes(states[k], -1, -2), e, out=grads[k].W)
        if grads[k].b is not None:
            grads[k].b[...] = xp.sum(e, axis=-2, keepdims=True)
        if k > 0:
            e = e @ xp.linalg.pinv(network.layers[k].W)
    return grads


def repeated_bp(network, x, y, T, update, schedule="all"):
    """Backpropagation T times on one batch, with an update at the steps of a schedule: as many as `learn` makes.

    update(grads): takes a step of the weights. schedule: see `when`.
    """
    steps, grads = when(schedule, T), parameters.zeros_like(network.layers)
    for _ in steps:  # without an update nothing changes from one time to the next
        bp(network, x, y, out=grads)
        update(grads)


def _propagate(w):
    """Set the hidden errors to those of backpropagation at the feed-forward states."""
    if not w.network.after:  # otherwise f' is there already
        w.network.phi.slope(w.x, w.r, out=w.q)
    deltas = [*w.delta_layers, w.eps_top]
    for k in reversed(range(len(w.delta_layers))):
        w.maps[k + 1].down(deltas[k + 1], deltas[k])
        deltas[k] *= w.q_layers[k]
