"""Networks of generalized latent equilibrium (GLE): parameters, state, and one Euler step (Ellenberger et al. 2024).

A neuron has a membrane potential u, a rate r = phi(u~) of its *prospective* potential u~, and an error. With rho_l the
rates of the layer below (the input for l = 0), all per sample,

    I_l   = rho_l W_l + b_l                                                       input current
    u~    = u + tau_r du/dt,    tau_m du/dt = I + gamma e~ - u                    membrane, prospective potential
    e     = phi'(u~) E,         E_l = e~_{l+1} W_{l+1}^T                          error, from the layer above
    e~    = v + tau_m dv/dt,    tau_r dv/dt = e - v                               prospective error
    dW_l  ~ rho_l^T e~_l,       db_l ~ e~_l,    dtau_m ~ -e~ du/dt                local plasticity

so a rate looks ahead by tau_r of what the membrane delayed by tau_m, and an error undoes both: it is low-passed by
tau_r and looks ahead by tau_m. For tau_r = tau_m all is instantaneous; for tau_r = dt a neuron is a leaky integrator.
E of the output layer is beta times the negative gradient of the loss there; e~ points downhill. Without prospective
errors, e~ = e: instantaneous backpropagation.

A step of length dt takes everything from the state before (a fully parallel update): it takes a step for a rate to
go up by a layer, and one for an error to go down. So the errors of a step meet phi' of the step before.

All layers of a network lie side by side in one array (..., batch, N), N = n_1 + .. + n_L: what is elementwise runs
over all neurons in one pass. What is learned lies in one vector too, so an optimizer takes it in one pass.
"""

import dataclasses
import itertools
from typing import Any

import numpy as np

from plastic import xp
from plastic.errors import PlasticError
from plastic.functions import Activation
from plastic.gle.learned import Parameters, columns_of
from plastic.initializers import uniform_fan_in
from plastic.parameters import Affine


@dataclasses.dataclass
class Network:
    """Parameters and constants of a network.

    parameters: what is learned.    phi: the `Activation` of each layer.    dt: the length of a step.
    tau_m, tau_r: time constants, in the unit of dt, (..., 1, N); tau_m is a view of the parameters where it is learned.
    gamma: how strongly errors nudge the membrane, (1, N), or None for 0.
    prospective: whether errors are; otherwise they are instantaneous.
    memoryless: where tau_m = tau_r throughout, u and v matter to nothing, and are then not followed: they stay 0.
    """

    parameters: Parameters
    phi: list[Activation]
    tau_m: Any
    tau_r: Any
    dt: float
    gamma: Any = None
    prospective: bool = True
    memoryless: bool = False

    @classmethod
    def create(cls, layers, phi, tau_m, tau_r, dt, gamma=0.0, prospective=True, learn_tau=False, memoryless=False):
        """Build a network from host arrays, in the working precision.

        layers: [Affine], W (..., n_{l-1}, n_l), all with a bias or none.
        tau_m, tau_r, gamma: a number, a list with a number or a vector (n_l,) for each layer, or an array (..., 1, N).
        Raises PlasticError where sizes do not fit together, a time constant is below dt, or `memoryless` is wrong.
        """
        sizes = (layers[0].W.shape[-2], *(layer.W.shape[-1] for layer in layers))
        _check_layers(layers, sizes, phi)
        lead = layers[0].W.shape[:-2]
        tau_m, tau_r, gamma = (
            np.broadcast_to(per_neuron(name, value, sizes), (*lead, 1, sum(sizes[1:])))
            for name, value in (("tau_m", tau_m), ("tau_r", tau_r), ("gamma", gamma))
        )
        for name, tau in (("tau_m", tau_m), ("tau_r", tau_r)):
            if not np.all(tau >= dt * (1 - 1e-6)):
                raise PlasticError(f"{name} is {tau.min():g} somewhere; no time constant can be below the step dt={dt}")
        if memoryless and (learn_tau or np.any(tau_m != tau_r)):
            raise PlasticError("memoryless is for networks whose tau_m and tau_r are equal, and not learned")
        bias = layers[0].b is not None
        parts = [layer.W for layer in layers] + [layer.b for layer in layers if bias] + [tau_m] * learn_tau
        vector = np.concatenate([np.asarray(part).reshape(*lead, -1) for part in parts], axis=-1)
        held = Parameters(xp.asarray(vector, dtype=xp.float_dtype), sizes, bias, learn_tau)
        gamma = xp.asarray(gamma) if np.any(gamma) else None
        tau_m = held.tau_m if learn_tau else xp.asarray(tau_m)
        return cls(held, list(phi), tau_m, xp.asarray(tau_r), dt, gamma, prospective, memoryless)

    def __post_init__(self):
        self.sizes = self.parameters.form[0]
        self.columns = columns_of(self.sizes)
        self.groups = _groups(self.phi, self.columns)
        self._fixed = None if self.parameters.tau_m is not None else self._steps()

    def replica(self, k):
        """Return the network of replica k, along the last replica axis; its parameters are views of these."""
        held = Parameters(self.parameters.vector[..., k, :], *self.parameters.form)
        arrays = (self.tau_m, self.tau_r, self.gamma)
        tau_m, tau_r, gamma = (None if array is None else array[..., k, :, :] for array in arrays)
        return dataclasses.replace(self, parameters=held, tau_m=tau_m, tau_r=tau_r, gamma=gamma)

    @property
    def layers(self):
        """The affine maps between the layers, views of the parameters."""
        return self.parameters.layers

    def steps(self):
        """Return (dt/tau_m, tau_r/tau_m, dt/tau_r, tau_m/tau_r): how far u, u~, v and e~ move from where u, v are."""
        return self._fixed or self._steps()

    def _steps(self):
        tau_m, tau_r, dt = self.tau_m, self.tau_r, self.dt
        return dt / tau_m, tau_r / tau_m, dt / tau_r, tau_m / tau_r


class State:
    """The state of a network on a batch, and what its steps compute; all arrays are (..., batch, N).

    u: membrane potential.    r: rate.    q: phi'(u~).    v: low-passed error.
    E: the error that comes from the layer above, in the columns of the layer it comes to.
    Of the last step:    I: input current, nudge included.    u_ahead: u~.    e, e_ahead: error and e~.    drive: I - u.

    At the beginning, and after `reset`, all are 0, phi'(u~) too, so the first step sends no errors.
    """

    def __init__(self, network, batch):
        lead = network.tau_m.shape[:-2]
        shape = (*lead, batch, sum(network.sizes[1:]))
        kept = {name: xp.zeros(shape, dtype=xp.float_dtype) for name in ("u", "v", "r", "q", "E")}
        self._take(network, kept)

    def _take(self, network, kept):
        self.network, self.kept = network, kept
        self.u, self.v, self.r, self.q, self.E = kept.values()
        self.batch = self.u.shape[-2]
        self.I, self.e, self.drive, self.scaled = (xp.zeros_like(self.u) for _ in range(4))
        self.u_ahead = self.I if network.memoryless else xp.zeros_like(self.u)
        self.e_ahead = xp.zeros_like(self.u) if network.prospective and not network.memoryless else self.e
        views = [[array[..., each] for each in network.columns] for array in (self.r, self.E, self.I, self.e_ahead)]
        self.r_layers, self.E_layers, self.I_layers, self.e_layers = views
        self.scaled_layers = [self.scaled[..., each] for each in network.columns]
        self.output = self.r_layers[-1]

    def reset(self):
        """Forget everything: as it was in the beginning."""
        for array in self.kept.values():
            array[...] = 0

    def take(self, other):
        """Be as another state is; of one of another batch size, as that one resized."""
        for name, array in other.resized(self.batch).kept.items():
            self.kept[name][...] = array

    def resized(self, batch):
        """Return the state for another size of the batch: rows are dropped at the end, or taken again from the first.

        So do the published experiments between training and test sets, rather than begin anew.
        """
        if batch == self.batch:
            return self
        rows = xp.arange(batch) % self.batch
        state = object.__new__(State)
        state._take(self.network, {name: array[..., rows, :] for name, array in self.kept.items()})
        return state


def step(network, state, x, error=None, grads=None, full_forward=False):
    """Take one Euler step, changing the state; return the rates of the output layer before it.

    x: input (..., batch, n_0).
    error: E of the output layer, beta times the negative gradient of the loss at `state.output`; None for no target.
    grads: `Parameters` to write the gradients into: means over the batch, signed to be subtracted; None for none.
    full_forward: let rates go up through all layers within the step (and return the rates after it). Published as
        deprecated; no experiment uses it.
    """
    s = state
    returned = s.output if full_forward else s.output.copy()
    steps = network.steps()
    _errors(network, s, steps, error)
    if grads is not None:
        xp.multiply(s.e_ahead, -1 / s.batch, out=s.scaled)
        if grads.b is not None:
            xp.sum(s.scaled, axis=-2, keepdims=True, out=grads.b)
    for k in range(1, len(network.layers)):
        xp.matmul(s.e_layers[k], xp.swapaxes(network.layers[k].W, -1, -2), out=s.E_layers[k - 1])
    for k, layer in enumerate(network.layers):
        rho = x if k == 0 else s.r_layers[k - 1]
        xp.matmul(rho, layer.W, out=s.I_layers[k])
        if grads is not None:
            xp.matmul(xp.swapaxes(rho, -1, -2), s.scaled_layers[k], out=grads.layers[k].W)
        if full_forward:
            _membranes(network, s, steps, network.columns[k])
            _rates(network, s, network.columns[k])
    if not full_forward:
        _membranes(network, s, steps)
        _rates(network, s)
    if grads is not None and grads.tau_m is not None:  # -e~ du/dt has the sign of scaled * drive
        xp.divide(-xp.sum(s.scaled * s.drive, axis=-2, keepdims=True), network.tau_m, out=grads.tau_m)
    return returned


def advance(network, state, x):
    """Take one step of u and r alone; return the rates of the output layer before it. See `settle`.

    Equal to `step` without errors where gamma is 0, or as long as there are no errors.
    """
    s = state
    returned = s.output.copy()
    for k, layer in enumerate(network.layers):
        xp.matmul(x if k == 0 else s.r_layers[k - 1], layer.W, out=s.I_layers[k])
    if network.parameters.b is not None:
        s.I += network.parameters.b
    if not network.memoryless:
        _follow(s.I, s.u, *network.steps()[:2], s.drive, s.u_ahead)
    for phi, columns in network.groups:
        phi.value(s.u_ahead[..., columns], out=s.r[..., columns])
    return returned


def respond(network, state, x):
    """Take a step of u and r for each input of x (T, ..., batch, n_0); return the outputs (T, ..., batch, n_L)."""
    return xp.stack([advance(network, state, x[t]) for t in range(len(x))])


def settle(network, state):
    """Make the state after `advance` whole: phi' as it is now, and no errors, which many steps without target leave."""
    state.v[...] = 0
    state.E[...] = 0
    for phi, columns in network.groups:
        state.q[..., columns] = phi.slope(state.u_ahead[..., columns], state.r[..., columns])


def _errors(network, s, steps, error):
    """Errors of all neurons, instantaneous and, where they are, prospective."""
    s.E_layers[-1][...] = 0 if error is None else error
    xp.multiply(s.E, s.q, out=s.e)
    if network.memoryless:
        return
    if network.prospective:
        _follow(s.e, s.v, *steps[2:], s.drive, s.e_ahead)
    else:
        s.v[...] = s.e


def _membranes(network, s, steps, columns=slice(None)):
    """Membrane and prospective potential of the neurons in `columns`, from their input without bias."""
    part = (..., columns)
    current = s.I[part]
    if network.parameters.b is not None:
        current += network.parameters.b[part]
    if network.gamma is not None:
        current += network.gamma[part] * s.e_ahead[part]
    if network.memoryless:
        return
    rate, ahead = (each[part] for each in steps[:2])
    _follow(current, s.u[part], rate, ahead, s.drive[part], s.u_ahead[part])


def _rates(network, s, only=None):
    """Rates and their slopes, of all neurons or of the columns of one layer."""
    groups = network.groups if only is None else [(network.phi[network.columns.index(only)], only)]
    for phi, columns in groups:
        u, r = s.u_ahead[..., columns], s.r[..., columns]
        phi.value(u, out=r)
        s.q[..., columns] = phi.slope(u, r)


def _follow(goal, low, rate, ahead, difference, prospective):
    """low += rate (goal - low), prospective = low + ahead (goal - low), both from `low` as it was before."""
    xp.subtract(goal, low, out=difference)
    xp.multiply(difference, ahead, out=prospective)
    prospective += low
    low += rate * difference


def per_neuron(name, value, sizes):
    """Return a host array (..., 1, N): the value itself, or made of a number or a list of one entry for each layer."""
    if isinstance(value, np.ndarray) and value.ndim > 1:
        return value
    values = value if isinstance(value, list | tuple) else [value] * (len(sizes) - 1)
    if len(values) != len(sizes) - 1:
        raise PlasticError(f"{name} has {len(values)} entries; there are {len(sizes) - 1} layers")
    try:
        each = [np.broadcast_to(np.asarray(v, dtype=float), (n,)) for v, n in zip(values, sizes[1:], strict=True)]
    except ValueError:
        shapes = [np.shape(v) for v in values]
        raise PlasticError(f"{name} has shapes {shapes}; the layers have {sizes[1:]} neurons") from None
    return np.concatenate(each)[None]


def uniform_layers(generator, sizes, bias=True):
    """Return [Affine] of host arrays, weights and biases U(-c, c) with c = 1 / sqrt(n_{l-1})."""
    return [
        Affine(uniform_fan_in(generator, (a, b), a), uniform_fan_in(generator, (1, b), a) if bias else None)
        for a, b in itertools.pairwise(sizes)
    ]


def _groups(phi, columns):
    """Return [(activation, columns)] with neighbouring layers of one activation taken together."""
    groups = []
    for each, where in zip(phi, columns, strict=True):
        if groups and groups[-1][0] is each:
            groups[-1] = (each, slice(groups[-1][1].start, where.stop))
        else:
            groups.append((each, where))
    return groups


def _check_layers(layers, sizes, phi):
    if len(phi) != len(layers):
        raise PlasticError(f"there are {len(phi)} activations for {len(layers)} layers")
    for k, layer in enumerate(layers):
        if layer.W.shape[-2] != sizes[k]:
            raise PlasticError(f"layer {k} takes {layer.W.shape[-2]} inputs, but gets {sizes[k]}")
        if (layer.b is None) != (layers[0].b is None):
            raise PlasticError("either all layers have a bias, or none")


def history(network, steps, *shape):
    """Return (kept, view) of one array for what changes over time: replica axes first, and time first."""
    lead = network.tau_m.shape[:-2]
    kept = xp.zeros((*lead, steps, *shape), dtype=xp.float_dtype)
    return kept, xp.moveaxis(kept, len(lead), 0)
