"""The adjoint equation: exact errors of a network over a window of time, backwards from its end.

For neurons u~ = u + tau_r du/dt, tau_m du/dt = I - u, and L the integral of m^2 / 2 with m the errors of the output,
lambda = -dL/dI obeys, with alpha_l = (lambda_{l+1} W_{l+1}^T) phi'(u~_l), alpha = m phi'(u~) at the output,

    tau_m dlambda/dt = lambda - alpha + tau_r dalpha/dt          backwards from   lambda(T) = (tau_r / tau_m) alpha(T)

which GLE's prospective errors approximate forward in time. Discretised as in the published code of Ellenberger et al.
2024,

    lambda[j] = (dt / tau_m) (alpha[j+1] - tau_r (alpha[j+1] - alpha[j]) / dt) + exp(-dt / tau_m) lambda[j+1]
    dL/dW_l   = -dt sum over j of rho_l[j]^T lambda_l[j]

The published code begins a hidden layer, at the end of the window, from the first neuron of the layer above alone and
without its weight, lambda = (tau_r / tau_m) lambda_{l+1, 0} phi'; `textbook` begins from (tau_r / tau_m) alpha.

Arrays have time first here, (T, ..., batch, n): the sweep goes back step by step.
"""

from plastic import affine, xp
from plastic.gle.networks import Network
from plastic.types import Array


def errors(net: Network, m: Array, q: Array, textbook: bool = False) -> Array:
    """Return lambda (T, ..., batch, N) of all neurons over a window.

    Args:
        net: the network.
        m: target minus output (T, ..., batch, n_L).
        q: phi'(u~) of all neurons (T, ..., batch, N).
        textbook: whether to begin as the theory says, or as the published code does.
    """
    lam = xp.empty_like(q)
    dt, top = net.dt, len(net.layers) - 1
    above = sent = m  # lambda of the layer above, and lambda W^T from there, in memory as lambda is
    for k in reversed(range(top + 1)):
        part = (..., net.columns[k])
        tau_m, tau_r = net.tau_m[part], net.tau_r[part]
        if k < top:
            sent = affine.transposed(net.layers[k + 1].W @ affine.transposed(above))
        alpha = q[part] * sent
        end = alpha[-1] if k == top or textbook else q[part][-1] * above[-1][..., :1]
        drive = (dt / tau_m) * (alpha[1:] - (tau_r / dt) * (alpha[1:] - alpha[:-1]))
        kept, above = xp.exp(-dt / tau_m), lam[part]
        above[-1] = (tau_r / tau_m) * end
        for j in reversed(range(len(drive))):
            above[j] = drive[j] + kept * above[j + 1]
    return lam


def gradient(lam: Array, rho: Array, dt: float) -> Array:
    """Return dL/dW (..., n_below, n), a sum over the batch.

    Args:
        lam: lambda of a layer (T, ..., batch, n).
        rho: rates of the layer below (T, ..., batch, n_below).
        dt: the length of a step.
    """
    return -dt * xp.sum(rho[..., :, None] * lam[..., None, :], axis=(0, -3))
