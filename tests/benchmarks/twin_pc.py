"""Predictive coding by the equations of `plastic.pc`, written for JAX and for PyTorch as one would there.

Fully connected networks of logistic units without biases, the states before the activation; in float32. Both take
weights W_1 .. W_L and a batch, make T - 1 steps of inference and return the gradients of the weights, means over the
batch. A rate is halved where the energy has risen by more than its rounding.
"""

import numpy as np

DISCOUNT, ROUNDINGS = 0.5, 16
EPS = float(np.finfo(np.float32).eps)


def in_jax(jax, W, x, y, T, gamma=0.1):
    """Return a compiled function without arguments: the loop over the steps is one XLA program."""
    jnp, W, x, y = jax.numpy, [jax.numpy.asarray(each) for each in W], jax.numpy.asarray(x), jax.numpy.asarray(y)

    def look(states, drive, W, y):
        r = [jax.nn.sigmoid(each) for each in states]
        mu = [drive, *(send @ weights for send, weights in zip(r, W[1:], strict=True))]
        eps = [state - each for state, each in zip([*states, y], mu, strict=True)]
        return r, eps, 0.5 * sum(jnp.sum(each * each) for each in eps)

    @jax.jit
    def run(W, x, y):
        drive = x @ W[0]
        states = [drive]
        for weights in W[1:-1]:
            states.append(jax.nn.sigmoid(states[-1]) @ weights)
        size = jnp.sqrt(sum(jnp.sum(each * each) for each in [*states, y]) / sum(each.size for each in [*states, y]))

        def step(carry, _):
            states, gamma, before = carry
            r, eps, F = look(states, drive, W, y)
            back = [send * (1 - send) * (e @ weights.T) for send, e, weights in zip(r, eps[1:], W[1:], strict=True)]
            states = [state - gamma * (e - b) for state, e, b in zip(states, eps, back, strict=False)]
            margin = ROUNDINGS * EPS * (F + size * jnp.sqrt(F))
            return (states, jnp.where(F - margin < before, gamma, DISCOUNT * gamma), F), None

        begin = states, jnp.float32(gamma), jnp.float32(jnp.inf)
        (states, _, _), _ = jax.lax.scan(step, begin, None, length=T - 1)
        r, eps, _ = look(states, drive, W, y)
        return [-(send.T @ e) / len(x) for send, e in zip([x, *r], eps, strict=True)]

    return lambda: jax.block_until_ready(run(W, x, y))


def in_torch(torch, W, x, y, T, gamma=0.1):
    """Return a function without arguments, whose loop PyTorch runs operation by operation."""
    W, x, y = [torch.asarray(each) for each in W], torch.asarray(x), torch.asarray(y)
    drive = x @ W[0]

    def look(states):
        r = [torch.sigmoid(each) for each in states]
        mu = [drive, *(send @ weights for send, weights in zip(r, W[1:], strict=True))]
        eps = [state - each for state, each in zip([*states, y], mu, strict=True)]
        return r, eps, 0.5 * sum(torch.sum(each * each) for each in eps)

    def run():
        rate, before, states = gamma, np.inf, [x @ W[0]]
        for weights in W[1:-1]:
            states.append(torch.sigmoid(states[-1]) @ weights)
        size = float(sum(torch.sum(each * each) for each in [*states, y]) / sum(each.numel() for each in [*states, y]))
        for _ in range(T - 1):
            r, eps, F = look(states)
            for k in range(len(states)):
                states[k] = states[k] - rate * (eps[k] - r[k] * (1 - r[k]) * (eps[k + 1] @ W[k + 1].T))
            F = float(F)
            rate *= 1 if F - ROUNDINGS * EPS * (F + (size * F) ** 0.5) < before else DISCOUNT
            before = F
        r, eps, _ = look(states)
        return [-(send.T @ e) / len(x) for send, e in zip([x, *r], eps, strict=True)]

    @torch.inference_mode()
    def quietly():
        return run()

    return quietly
