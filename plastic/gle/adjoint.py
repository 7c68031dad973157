"""The adjoint method: exact errors of a network over a window of time, backwards from its end.

For neurons u~ = u + tau_r du/dt, tau_m du/dt = I - u, and L the integral of m^2 / 2 with m the errors of the output,
lambda = -dL/dI obeys, with alpha_l = (lambda_{l+1} W_{l+1}^T) phi'(u~_l), alpha = m phi'(u~) at the output,

    tau_m dlambda/dt = lambda - alpha + tau_r dalpha/dt          backwards from   lambda(T) = (tau_r / tau_m) alpha(T)

which GLE's prospective errors approximate forward in time. Discretised as published,

    lambda[j] = (dt / tau_m) (alpha[j+1] - tau_r (alpha[j+1] - alpha[j]) / dt) + exp(-dt / tau_m) lambda[j+1]
    dW_l      = -dt sum over j of rho_l[j]^T lambda_l[j]

The published code begins a hidden layer, at the end of the window, from the first neuron of the layer above alone and
without its weight, lambda = (tau_r / tau_m) lambda_{l+1, 0} phi'; `textbook` begins from (tau_r / tau_m) alpha.
"""

from plastic import xp


def errors(network, m, q, textbook=False):
    """Return lambda (steps, ..., batch, N) of all neurons over a window.

    m: target minus output (steps, ..., batch, n_L).    q: phi'(u~) of all neurons (steps, ..., batch, N).
    """
    lam = xp.empty_like(q)
    dt, top = network.dt, len(network.layers) - 1
    above = m
    for k in reversed(range(top + 1)):
        part = (..., network.columns[k])
        tau_m, tau_r = network.tau_m[part], network.tau_r[part]
        alpha = q[part] * (above if k == top else above @ xp.swapaxes(network.layers[k + 1].W, -1, -2))
        end = alpha[-1] if k == top or textbook else q[part][-1] * above[-1][..., :1]
        drive = (dt / tau_m) * (alpha[1:] - (tau_r / dt) * (alpha[1:] - alpha[:-1]))
        kept, above = xp.exp(-dt / tau_m), lam[part]
        above[-1] = (tau_r / tau_m) * end
        for j in reversed(range(len(drive))):
            above[j] = drive[j] + kept * above[j + 1]
    return lam


def gradient(lam, rho, dt):
    """Return dL/dW (..., n_below, n) from lambda (steps, ..., batch, n) and rates (steps, ..., batch, n_below)."""
    return -dt * xp.sum(rho[..., :, None] * lam[..., None, :], axis=(0, -3))
