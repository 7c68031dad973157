"""The arrays of a network's state as they lie in memory: a row of samples for each unit, (..., N, batch).

A layer is one piece of memory then, and so are neighbouring layers: what is elementwise runs over them in one loop, and
neighbouring layers of one shape are a stack of matrices, which are multiplied in one call. Products are those of the
textbook, I = W^T rho and E = W e~.
"""

from plastic import affine, functions, xp
from plastic.errors import PlasticError
from plastic.functions import Activation
from plastic.gle.networks import Network
from plastic.gle.parameters import runs_of
from plastic.types import Array


class Units:
    """The rows of all units of `net` for a batch, all 0 at first.

    arrays: those that `arrays` of other units held, or parts of them, by name; None for new ones.

    Attributes:
        u, r, q, v, E, u_ahead, e_ahead, du: see `plastic.gle.State`.
        current: where input currents are written, which is where u~ will be, or, where u~ is u, du.
        output: r of the output layer.    err: E of it.
        stacks: what the products take and give, one `Stack` for each of `net.parameters.stacks`.
        means: (batch, 1), -1 / batch: a product with it is the mean over the batch, downhill no longer.
    """

    def __init__(self, net: Network, batch: int, arrays: dict[str, Array] | None = None) -> None:
        leaky, shape = net.memory == "leaky", (*net.replicas, sum(net.sizes[1:]), batch)
        if arrays is None:
            names = ("u", "v", "r", "q", "E", "e_ahead", "du", *(() if leaky else ("u_ahead",)))
            piece = xp.zeros((len(names), *shape), dtype=xp.float_dtype)  # apart, they would get in each other's way
            arrays = {name: piece[k] for k, name in enumerate(names)}
        self.arrays, self._kind = arrays, (net.sizes, net.replicas, leaky)
        self.u, self.v, self.r, self.q, self.E = (arrays[name] for name in "uvrqE")
        self.e_ahead, self.du = arrays["e_ahead"], arrays["du"]
        self.u_ahead = self.u if leaky else arrays["u_ahead"]
        self.current = self.du if leaky else self.u_ahead
        self.output, self.err = (each[..., net.columns[-1], :] for each in (self.r, self.E))
        self.stacks = [Stack(self, net.sizes, first, count) for first, count in runs_of(net.sizes)]
        self.means = xp.full((batch, 1), -1 / batch, dtype=xp.float_dtype)
        self._neurons: Neurons | None = None

    def neurons(self, net: Network) -> "Neurons":
        """Return what the neurons of `net` do with these rows, which must be as those of its own units."""
        if self._neurons is None or self._neurons.net is not net:
            if self._kind != (net.sizes, net.replicas, net.memory == "leaky"):
                raise PlasticError(f"state belongs to another network; make one for {net} by gle.State(net, batch)")
            self._neurons = Neurons(self, net)
        self._neurons.take_learned()
        return self._neurons


class Neurons:
    """The constants of a network's neurons, for each sample (..., N, batch), and its groups of one activation.

    A product of two arrays of one shape takes half the time of one that broadcasts.

    Attributes:
        u_rate, v_rate: how far u and v move towards I and e in a step, dt/tau_m and dt/tau_r.
        u_ahead, v_ahead: how many such steps u~ and e~ look ahead, tau_r/dt and tau_m/dt. Where u~ is u and v is e,
            these rates and looks are in one: u_rate = tau_r/tau_m, v_ahead = tau_m/tau_r.
        gamma: how strongly errors nudge, or None.    groups: see `Group`.
    """

    def __init__(self, units: Units, net: Network) -> None:
        self.net = net
        self.groups = [Group(units, phi, columns) for phi, columns in net.groups]
        tau_m, tau_r = affine.transposed(net.tau_m), affine.transposed(net.tau_r)
        one = xp.ones((1, units.r.shape[-1]), dtype=units.r.dtype)
        self.gamma = None if net.gamma is None else affine.transposed(net.gamma) * one
        self._learned = tau_m if net.parameters.tau_m is not None else None
        if net.memory == "full":
            self.u_rate, self.u_ahead = net.dt / tau_m * one, tau_r / net.dt * one
            self.v_rate, self.v_ahead = net.dt / tau_r * one, tau_m / net.dt * one
        elif net.memory == "leaky":
            self.u_rate, self.v_ahead = tau_r / tau_m * one, tau_m / tau_r * one

    def take_learned(self) -> None:
        """Take the time constants as they have been learned so far."""
        if self._learned is not None:
            self.u_rate, self.v_ahead = self.net.dt / self._learned, self._learned / self.net.dt


class Stack:
    """What the products of a run of `count` layers of one shape, from number `first` on, take and give.

    Arrays are (..., count, n, batch), and (..., n, batch) for a layer alone.

    Attributes:
        below: rates below each layer; of the first stack, as they were at the last `take_input`.
        current: input currents.
        sent, received: e~ of the layers that send errors down, all but the first of a network, and E below them.
        times, times_down, times_errors: the products that make currents, errors below, and gradients.
    """

    def __init__(self, units: Units, sizes: tuple[int, ...], first: int, count: int) -> None:
        n_in, n_out, start = sizes[first], sizes[first + 1], sum(sizes[1 : first + 1])
        self.current = _layers(units.current, start, count, n_out)
        self._errors = affine.transposed(_layers(units.e_ahead, start, count, n_out))
        self._right = xp.zeros(self._errors.shape, dtype=self._errors.dtype)
        self._r = None
        if first > 0:
            self.below = _layers(units.r, start - n_in, count, n_in)
            self.sent, self.received = affine.transposed(self._errors), _layers(units.E, start - n_in, count, n_in)
        else:
            self.below = xp.zeros((*self.current.shape[:-2], n_in, units.r.shape[-1]), dtype=units.r.dtype)
            self._x = self.below
            if count > 1:
                self._x, self._rates = self.below[..., 0, :, :], self.below[..., 1:, :, :]
                self._r, self.received = (
                    each[..., : (count - 1) * n_in, :].reshape(self._rates.shape) for each in (units.r, units.E)
                )
                self.sent = affine.transposed(self._errors)[..., 1:, :, :]
        self.times_errors = product = xp.dot if self.below.ndim == 2 else xp.matmul  # dot takes half the time to begin
        # products over one number are none of BLAS, which takes three times as long
        self.times, self.times_down = (xp.multiply if n == 1 else product for n in (n_in, n_out))

    def take_input(self, x: Array) -> None:
        """Take the input x (..., batch, n_in) as what is below the first layer; of the first stack."""
        if x.shape[:-3:-1] != self._x.shape[-2:]:
            raise PlasticError(f"x has shape {x.shape}; it must end with {self._x.shape[:-3:-1]}, batch and inputs")
        self._x[...] = affine.transposed(x)
        if self._r is not None:
            self._rates[...] = self._r

    def mean_errors(self) -> Array:
        """Return -e~ / batch (..., count, batch, n_out): rates below, times this, are the gradient of the weights.

        It lies in memory as it is shown: BLAS multiplies by it up to twice as fast as by a transposed matrix.
        """
        return xp.multiply(self._errors, -1 / self._errors.shape[-2], out=self._right)


class Group:
    """Neighbouring layers with one activation."""

    def __init__(self, units: Units, phi: Activation, columns: slice) -> None:
        self.phi = phi
        self.u_ahead, self.r, self.q = (each[..., columns, :] for each in (units.u_ahead, units.r, units.q))
        z = xp.zeros(1, dtype=self.q.dtype)
        self._writes = phi.slope(z, phi.value(z)).dtype == z.dtype

    def take_rates(self) -> None:
        """r <- phi(u~)."""
        self.phi.value(self.u_ahead, out=self.r)

    def take_slopes(self) -> None:
        """q <- phi'(u~), which some activations give as true or false."""
        if self.phi is functions.linear:
            self.q[...] = 1
        elif self._writes:
            self.phi.slope(self.u_ahead, self.r, out=self.q)
        else:
            self.q[...] = self.phi.slope(self.u_ahead, self.r)


def _layers(rows, start, count, n):
    """Return a view (..., count, n, batch) of layers of n units that lie one after the other from row `start` on."""
    part = rows[..., start : start + count * n, :]
    return part if count == 1 else part.reshape(*part.shape[:-2], count, n, part.shape[-1])
