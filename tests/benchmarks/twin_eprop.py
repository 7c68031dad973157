"""e-prop for spiking networks in JAX, compiled: the equations of `plastic.eprop.spiking` as two scans over time.

    simulation, gradient, iteration = make(net, window, target)
    z, psi, y = simulation(weights, x)
    G_in, G_rec, G_out = gradient(weights, x, z, psi, y, labels)       or iteration(weights, x, labels), both at once

It takes LIF and ALIF neurons, labels in a window at the end, and the penalty of rates of strength 1. Of the variants
that we tried it is the fastest to compute readout and learning signals within the scans, and not to unroll these.
"""

import timing

jax = timing.peer("jax")


def make(net, window, target):
    """Return the compiled functions for the constants of a network, the steps that count, and the rate in spikes/ms."""

    def forward(weights, x):
        return _simulate(net, weights, x)

    def backward(weights, x, z, psi, y, labels):
        return _gradient(net, weights, x, z, psi, y, labels, window, target)

    def both(weights, x, labels):
        return backward(weights, x, *forward(weights, x), labels)

    return jax.jit(forward), jax.jit(backward), jax.jit(both)


def weights_of(net):
    """Return (W_in, W_rec, W_out) of a network."""
    return tuple(jax.numpy.asarray(each) for each in (net.W_in, net.W_rec, net.W_out))


def _simulate(net, weights, x):
    """Return spikes, pseudo-derivatives and readouts of all steps."""
    (W_in, W_rec, W_out), np, neurons = weights, jax.numpy, net.neurons
    (T, batch, _), n = x.shape, len(W_rec)
    eye = np.eye(n, dtype=W_rec.dtype)
    W = W_rec * (1 - eye) - neurons.theta * eye
    currents = (x.reshape(T * batch, -1).astype(W.dtype) @ W_in).reshape(T, batch, n)

    def step(state, current):
        v, a, z, r, y = state
        a = neurons.rho * a + z
        v = neurons.alpha * v + z @ W + current
        u = (v - neurons.theta - neurons.beta * a) / neurons.theta
        free = r <= 0
        spikes = (u > 0) & free
        z = spikes.astype(W.dtype)
        r = np.maximum(r + neurons.n_ref * z - 1, 0)
        psi = np.where(free, neurons.gamma / neurons.theta * np.maximum(0, 1 - np.abs(u)), 0)
        y = net.kappa * y + net.g_out * (z @ W_out)
        return (v, a, z, r, y), (spikes, psi, y)

    rest = np.zeros((batch, n), W.dtype)
    _, histories = jax.lax.scan(step, (rest, rest, rest, rest, np.zeros((batch, W_out.shape[1]), W.dtype)), currents)
    return histories


def _gradient(net, weights, x, z, psi, y, labels, window, target):
    """Return the gradients of W_in, W_rec and W_out by e-prop with symmetric feedback."""
    (_, W_rec, W_out), np, neurons = weights, jax.numpy, net.neurons
    T, batch, n = z.shape
    excess = jax.nn.softmax(y[-window:]) - jax.nn.one_hot(labels, y.shape[-1])
    err = np.zeros_like(y).at[-window:].set(excess / (window * batch))
    R = 2 * (np.mean(z, axis=(0, 1), dtype=psi.dtype) - target) / (T * batch)

    def step(state, now):
        (lam, P, mu), (err, psi) = state, now
        lam = net.g_out * err + net.kappa * lam
        q = psi * (lam @ W_out.T + R + P)
        P = neurons.rho * P - neurons.beta * q
        mu = q + neurons.alpha * mu
        return (lam, P, mu), (lam, mu)

    start = np.zeros_like(y[0]), np.zeros_like(psi[0]), np.zeros_like(psi[0])
    _, (lam, mu) = jax.lax.scan(step, start, (err, psi), reverse=True)
    spikes, mu = z.reshape(T * batch, n).astype(psi.dtype), mu.reshape(T * batch, n)
    G_in = x.reshape(T * batch, -1).astype(psi.dtype).T @ mu
    G_rec = (spikes[:-batch].T @ mu[batch:]) * (1 - np.eye(n, dtype=W_rec.dtype))
    return G_in, G_rec, spikes.T @ lam.reshape(T * batch, -1)
