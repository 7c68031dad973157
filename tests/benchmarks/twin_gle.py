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


def gradient(net):
    """Return a function of (parameters, x, y) that gives the gradient of `gle.bptt` by automatic differentiation."""
    steps = [net.dt / net.tau_m, net.tau_r / net.tau_m]
    dt_m, r_m = ([jnp.asarray(np.asarray(each)[:, part]) for part in net.columns] for each in steps)
    L, is_tanh = len(net.layers), [phi.name == "tanh" for phi in net.phi]

    def loss(theta, x, y):
        W, b = theta

        def step(state, x):
            u, r = state
            below = [x, *r[:-1]]
            drive = [below[k] @ W[k] + b[k] - u[k] for k in range(L)]
            u_ahead = [u[k] + r_m[k] * drive[k] for k in range(L)]
            u = [u[k] + dt_m[k] * drive[k] for k in range(L)]
            return (u, [jnp.tanh(u_ahead[k]) if is_tanh[k] else u_ahead[k] for k in range(L)]), r[-1]

        rest = [jnp.zeros((x.shape[1], n)) for n in net.sizes[1:]]
        _, output = lax.scan(step, (rest, rest), x)
        return jnp.mean(jnp.sum((output - y) ** 2, axis=-1)) / 2

    return jax.jit(jax.grad(loss))


def lag_line(start, batch, dt=0.01, tau_r=0.1, gamma=1.0, beta=1e-2, lr=1e-4, beta1=0.9, beta2=0.999, eps=1e-8):
    """Return (learn, start): learn(start, x) takes a step of teacher and student, and an update, for each x (T, batch).

    start: tau_0, tau_1, w_0, w_1 of the student. It returns what the next call starts from, these numbers first, and y
    minus the student's output (T, batch).
    """
    teacher = jnp.array([1.0, 2.0, 1.0, 2.0])

    def membranes(theta, u, r, x, nudge):
        tau, w = theta[:2, None], theta[2:, None]
        below = jnp.stack([x, r[0]])
        du = (w * below + nudge - u) * (dt / tau)
        return below, du, u + du, jax.nn.softplus(u + du * (tau_r / dt))

    def step(carry, x):
        theta, M, V, t, (u_t, r_t), (u, v, r, q, E) = carry
        d = r_t[1] - r[1]
        e = jnp.stack([E, beta * d]) * q
        dv = (e - v) * (dt / tau_r)
        ahead, v = v + dv * (theta[:2, None] / dt), v + dv
        E = ahead[1] * theta[3]
        _, _, u_t, r_t = membranes(teacher, u_t, r_t, x, 0.0)
        below, du, u, r = membranes(theta, u, r, x, gamma * ahead)
        grads = jnp.concatenate([(ahead * du).mean(1) / dt, -(ahead * below).mean(1)])
        t, M, V = t + 1, beta1 * M + (1 - beta1) * grads, beta2 * V + (1 - beta2) * grads * grads
        theta = theta - lr * (M / (1 - beta1**t)) / (jnp.sqrt(V / (1 - beta2**t)) + eps)
        theta = theta.at[:2].set(jnp.maximum(theta[:2], 10 * dt))
        return (theta, M, V, t, (u_t, r_t), (u, v, r, 1 - jnp.exp(-r), E)), d

    rest, zeros = jnp.zeros((2, batch)), jnp.zeros(4)
    student = (rest, rest, rest, rest, rest[0])
    start = jnp.array(start, jnp.float32), zeros, zeros, jnp.float32(0), (rest, rest), student
    return jax.jit(lambda carry, x: lax.scan(step, carry, x)), start
