"""Truncated backpropagation through time of the lag line, by the adjoint of its steps.

The loss of a window is the sum over its steps of the mean over the batch of d^2, d = y - r_1 at the beginning of the
step. Everything the step does counts, the way of the errors too: with rates r, slopes q, and errors E, e, all at the
beginning of a step, and I - u (the "drive"), u~ within it, the step of the chain of two neurons is

    e_1 = beta d q_1,     e_0 = E q_0,     E <- w_1 e_1
    I_0 = w_0 x + gamma e_0,     I_1 = w_1 r_0 + gamma e_1
    u~_i = u_i + (tau_r / tau_i) (I_i - u_i),     u_i <- u_i + (dt / tau_i) (I_i - u_i)
    r_i <- phi(u~_i),    q_i <- phi'(u~_i)

Backwards in time, with the adjoints U, R, Q, H of u, r, q, E, all 0 at the end of the window, the derivatives come as
in `gradient`; errors are instantaneous. The published code steps over a window under automatic differentiation.
"""

from plastic import xp


class Tape:
    """What the adjoint needs of the steps of a window, and how many there are.

    Both neurons, (steps, ..., batch, 2): r, q before a step, drive, u_ahead within it. One value per sample, (steps,
    ..., batch): x, d, E (what came to neuron 0), e (the error of neuron 1).
    """

    def __init__(self, steps, state):
        shape = (steps, *state.u.shape)
        both = {name: xp.zeros(shape, dtype=xp.float_dtype) for name in ("r", "q", "drive", "u_ahead")}
        one = {name: xp.zeros(shape[:-1], dtype=xp.float_dtype) for name in ("x", "d", "E", "e")}
        self.arrays = both | one

    def before(self, position, state, x, d):
        """Note what a step begins with."""
        kept = self.arrays
        kept["r"][position], kept["q"][position], kept["E"][position] = state.r, state.q, state.E[..., 0]
        kept["x"][position], kept["d"][position] = x[..., 0], d[..., 0]

    def after(self, position, state):
        """Note what a step has computed."""
        kept = self.arrays
        kept["drive"][position], kept["u_ahead"][position], kept["e"][position] = (
            state.drive,
            state.u_ahead,
            state.e[..., 1],
        )


def gradient(network, tape, count, beta, out):
    """Write the gradient of the loss over the first `count` steps of a tape into `out`, a `Parameters`.

    As published, time constants that were changed within a window count with their present values in all of it.
    """
    kept = {name: array[:count] for name, array in tape.arrays.items()}
    r, q, drive, u_ahead, x, d, E, e = kept.values()
    phi = network.phi[0]
    rho = phi.value(u_ahead)
    slope, curvature = phi.slope(u_ahead, rho), phi.curvature(u_ahead, rho)
    tau, tau_r, gamma, dt = network.tau_m[..., 0, :], network.tau_r, network.gamma, network.dt
    tau_r, gamma = tau_r[..., 0, :], gamma[..., 0, :]
    w_1 = network.layers[1].W[..., 0]
    into_r = (-2 / d.shape[-1]) * d
    q_0, q_1, d_beta, q_1_beta = q[..., 0], q[..., 1], beta * d, -beta * q[..., 1]
    c = xp.empty_like(drive)  # dL/dI
    H_all = xp.empty_like(d)
    U, R, Q = (xp.zeros_like(drive[0]) for _ in range(3))
    H = xp.zeros_like(d[0])
    for t in reversed(range(count)):
        p = R * slope[t] + Q * curvature[t]  # dL/du~
        xp.divide(dt * U + tau_r[..., None, :] * p, tau[..., None, :], out=c[t])
        U = U + p - c[t]
        H_all[t] = H
        z = gamma[..., None, :] * c[t]
        z_0, z_1 = z[..., 0], z[..., 1] + w_1 * H  # dL/de
        R[..., 0], R[..., 1] = w_1 * c[t, ..., 1], q_1_beta[t] * z_1 + into_r[t]
        Q[..., 0], Q[..., 1] = z_0 * E[t], d_beta[t] * z_1
        H = z_0 * q_0[t]
    over = (0, -1)
    out.layers[0].W[..., 0, 0] = xp.sum(c[..., 0] * x, axis=over)
    out.layers[1].W[..., 0, 0] = xp.sum(c[..., 1] * r[..., 0] + H_all * e, axis=over)
    out.tau_m[..., 0, :] = -xp.sum(c * drive, axis=(0, -2)) / tau
