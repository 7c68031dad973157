"""Truncated backpropagation through time of the lag line as published, through rates, errors and nudge.

For any network and the dynamics without a target there is `plastic.gle.bptt`; this is for a chain of two neurons whose
membranes are nudged by errors, as that of Ellenberger et al. 2024, Fig. 5.

The loss of a window is the sum over its steps of the mean over the batch of d^2, d = y - r_1 at the beginning of the
step. Everything the step does counts, the way of the errors too: with rates r, slopes q, and E, the error that came to
neuron 0, all at the beginning of a step, the step of the chain of two neurons is

    e_1 = beta d q_1,     e_0 = E q_0,     E <- w_1 e_1
    I_0 = w_0 x + gamma e_0,     I_1 = w_1 r_0 + gamma e_1
    u~_i = u_i + (tau_r / tau_i) (I_i - u_i),     u_i <- u_i + (dt / tau_i) (I_i - u_i)
    r_i <- phi(u~_i),    q_i <- phi'(u~_i)

Errors are instantaneous, e~ = e. Backwards in time, with U, R, Q, H the derivatives of the loss by u, r, q, E after a
step, all 0 at the end of the window, and p, c, z those by u~, I, e within it,

    p_i = R_i phi'(u~_i) + Q_i phi''(u~_i),     c_i = (dt U_i + tau_r p_i) / tau_i
    z_0 = gamma c_0,                            z_1 = gamma c_1 + w_1 H
    dL/dw_0 += c_0 x,    dL/dw_1 += c_1 r_0 + H e_1,    dL/dtau_i -= c_i (I_i - u_i) / tau_i
    U_i <- U_i + p_i - c_i,    R_0 <- w_1 c_1,    R_1 <- -beta q_1 z_1 - 2 d / batch
    Q_0 <- z_0 E,    Q_1 <- beta d z_1,    H <- z_0 q_0
"""

from plastic import xp
from plastic.gle.networks import Network
from plastic.gle.parameters import Parameters
from plastic.gle.state import State, histories
from plastic.types import Array


class Tape:
    """What the adjoint needs of the steps of a window, for a network `net`, a number of steps, and a batch size.

    Arrays over time (steps, ..., batch, 2) of both neurons: r, q before a step, drive (I - u) and u_ahead within it;
    and (steps, ..., batch): x, d, E (of neuron 0), e (of neuron 1). tree: the same with replica axes first.
    """

    def __init__(self, net: Network, steps: int, batch: int) -> None:
        shapes = dict.fromkeys(("r", "q", "drive", "u_ahead"), (batch, 2)) | dict.fromkeys("xdEe", (batch,))
        self.tree, self.arrays = histories(net, steps, shapes)

    def before(self, position: int, state: State, x: Array, d: Array) -> None:
        """Note what the step number `position` begins with: its state, input x and d, both (..., batch, 1)."""
        arrays = self.arrays
        arrays["r"][position], arrays["q"][position] = state.r, state.q
        arrays["x"][position], arrays["d"][position] = x[..., 0], d[..., 0]
        arrays["E"][position] = state.E[..., 0]

    def after(self, position: int, state: State) -> None:
        """Note what the step number `position` has computed in its state."""
        arrays = self.arrays
        arrays["drive"][position] = state.du * (state.net.tau_m / state.net.dt)
        arrays["u_ahead"][position] = state.u_ahead
        arrays["e"][position] = state.e_ahead[..., 1]


def gradient(net: Network, tape: Tape, count: int, beta: float, out: Parameters) -> None:
    """Write the gradient of the loss over the first `count` steps of a tape of `net` into `out`; beta: of the nudge.

    As published, time constants that were changed within a window count with their present values in all of it.
    """
    r, q, drive, u_ahead, x, d, E, e = (array[:count] for array in tape.arrays.values())
    tau, tau_r, gamma, dt = net.tau_m, net.tau_r, net.gamma, net.dt
    phi, w_1 = net.phi[0], net.layers[1].W[..., 0]
    rho = phi.value(u_ahead)
    slope, curvature = phi.slope(u_ahead, rho), phi.curvature(u_ahead, rho)
    target, nudge, q_0, q_1 = (-2 / d.shape[-1]) * d, beta * d, q[..., 0], -beta * q[..., 1]
    c, H = xp.empty_like(drive), xp.zeros_like(d)
    U, R, Q = (xp.zeros_like(drive[0]) for _ in range(3))
    for t in reversed(range(count)):
        p = R * slope[t] + Q * curvature[t]
        c[t] = (dt * U + tau_r * p) / tau
        U += p - c[t]
        z = gamma * c[t]
        z_0, z_1 = z[..., 0], z[..., 1] + w_1 * H[t]
        R[..., 0], R[..., 1] = w_1 * c[t, ..., 1], q_1[t] * z_1 + target[t]
        Q[..., 0], Q[..., 1] = z_0 * E[t], nudge[t] * z_1
        if t > 0:
            H[t - 1] = z_0 * q_0[t]
    out.layers[0].W[..., 0, 0] = xp.sum(c[..., 0] * x, axis=(0, -1))
    out.layers[1].W[..., 0, 0] = xp.sum(c[..., 1] * r[..., 0] + H * e, axis=(0, -1))
    xp.divide(-xp.sum(c * drive, axis=(0, -2))[..., None, :], tau, out=out.tau_m)
