"""GLE with Adam in JAX, by hand: what our step is compared with. Imported only where JAX is installed.

The equations are those of `plastic.gle.dynamics` with tanh or linear neurons, without nudge, layer by layer; the loop
over time is `lax.scan`, and all of it, Adam too, is compiled into one function.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


def learner(net, y, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    """Return (learn, start): learn(start, x) takes a step and an update for each x (T, batch, n_0), from rest.

    It returns what the next call starts from, parameters first, and the outputs (T, batch, n_L). y: one-hot rows.
    """
    batch, L = len(y), len(net.layers)
    steps = [net.dt / net.tau_m, net.tau_r / net.tau_m, net.dt / net.tau_r, net.tau_m / net.tau_r]
    dt_m, r_m, dt_r, m_r = ([jnp.asarray(np.asarray(each)[:, part]) for part in net.columns] for each in steps)
    is_tanh = [phi.name == "tanh" for phi in net.phi]

    def euler_step(theta, state, x):
        W, b = theta
        u, v, r, q, E = state
        output = r[-1]
        E = [*E[:-1], y - jax.nn.softmax(output)]
        e = ahead = [E[k] * q[k] for k in range(L)]
        if net.prospective:
            ahead = [v[k] + m_r[k] * (e[k] - v[k]) for k in range(L)]
            v = [v[k] + dt_r[k] * (e[k] - v[k]) for k in range(L)]
        E = [*(ahead[k] @ W[k].T for k in range(1, L)), output]
        below = [x, *r[:-1]]
        current = u_ahead = [below[k] @ W[k] + b[k] for k in range(L)]
        if net.memory != "none":
            u_ahead = [u[k] + r_m[k] * (current[k] - u[k]) for k in range(L)]
            u = [u[k] + dt_m[k] * (current[k] - u[k]) for k in range(L)]
        grads = [below[k].T @ ahead[k] / -batch for k in range(L)], [ahead[k].mean(0) * -1 for k in range(L)]
        r = [jnp.tanh(u_ahead[k]) if is_tanh[k] else u_ahead[k] for k in range(L)]
        q = [1 - r[k] * r[k] if is_tanh[k] else jnp.ones_like(r[k]) for k in range(L)]
        return grads, (u, v, r, q, E), output

    def step(carry, x):
        theta, M, V, t, state = carry
        grads, state, output = euler_step(theta, state, x)
        t = t + 1
        M = jax.tree.map(lambda m, g: beta1 * m + (1 - beta1) * g, M, grads)
        V = jax.tree.map(lambda v, g: beta2 * v + (1 - beta2) * g * g, V, grads)
        m_scale, v_scale = 1 / (1 - beta1**t), 1 / (1 - beta2**t)
        theta = jax.tree.map(lambda p, m, v: p - lr * (m * m_scale) / (jnp.sqrt(v * v_scale) + eps), theta, M, V)
        return (theta, M, V, t, state), output

    theta = [jnp.asarray(layer.W) for layer in net.layers], [jnp.asarray(layer.b[0]) for layer in net.layers]
    zeros = jax.tree.map(jnp.zeros_like, theta)
    rest = [jnp.zeros((batch, n)) for n in net.sizes[1:]]
    return jax.jit(lambda carry, x: lax.scan(step, carry, x)), (theta, zeros, zeros, jnp.float32(0), (rest,) * 5)
