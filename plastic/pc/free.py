"""Inference of the input, and priors: what a network expects where outputs are given (the generative direction).

With x_0 inferred like all other states, and energies E_l of their own for some layers (see `plastic.pc.priors`),

    F = sum over l = 1..L of |eps_l|^2 / 2 + sum over l = 0..L-1 of E_l(x_l)
    dF/dx_0 = -(eps_1 W_1^T) + dE_0/dx_0,    dF/dx_l as in `plastic.pc.inference` + dE_l/dx_l
    x_l <- x_l - gamma dF/dx_l                                        all layers at once, l = 0..L-1

(with the states after the activation, eps_1 f'(a_1) W_1^T). What of the input is held has dF/dx_0 = 0. Three readings:

    images of a label       a classifier, y its one-hot rows, x_0 free, a prior that knows images
    missing pixels          the same, x_0 free where pixels are missing
    sparse coding           a generator: x_0 the code, free, with `Laplace` for its prior; y the image

The weights follow as ever, by `state.weight_gradients()`.
"""

from typing import Any

import numpy as np

from plastic import require, xp
from plastic.errors import PlasticError
from plastic.pc.networks import Network, require_batch
from plastic.pc.priors import Prior
from plastic.pc.states import State
from plastic.types import Array


class FreeState(State):
    """The states of a network on a batch, its input among them, with priors; `infer`, `step`, `langevin` change it.

    Of the x that these are given, they take what is held; what is free goes on from where it is.

    Args:
        net: a `Network`.
        x: inputs (..., batch, n_0), at which those that are free begin.
        y: targets (..., batch, n_L); None where every step is given a loss of its own.
        free: which inputs are inferred: True for all, False for none, or an array of booleans, or of 0 and 1, (n_0,)
            or of the shape of x, with one for each that is.
        priors: {l: prior} for layers from 0, the input, to L - 1; a prior is a function x -> (E, dE/dx), see
            `plastic.pc.priors`.
        constants: gamma, discount, amplifier and optimizer, as of a `State`.

    Attributes:
        x_0: the inputs as they are, (..., batch, n_0), with all replica axes where some are free.
        free: None where none is, True where all are, or an array of booleans.
        priors: as given.

    Raises:
        PlasticError: if the batch does not fit the network, `free` is something else, or a prior belongs to no layer
            that moves or returns something else.

    Source: the priors of Rao and Ballard 1999; generation by predictive coding: Millidge, Seth and Buckley 2021.

    Example:
        >>> from plastic.parameters import Affine
        >>> from plastic.pc import Gaussian, infer
        >>> net = Network([Affine(xp.asarray([[2.0]]))], "linear")  # the output is 2 x_0; it should be 1
        >>> x = xp.asarray([[0.0]])
        >>> state = FreeState(net, x, xp.asarray([[1.0]]), priors={0: Gaussian(1.0)})
        >>> output = infer(net, state, x, 100)
        >>> round(state.x_0.item(), 4)  # of least (1 - 2 x)^2 + x^2
        0.4
    """

    def __init__(
        self,
        net: Network,
        x: Array,
        y: Array | None = None,
        *,
        free: Any = True,
        priors: dict[int, Prior] | None = None,
        **constants: Any,
    ) -> None:
        require_batch(net, x, y)
        self.free, self.priors = _free(free, x), {}
        self._terms: dict[int, tuple[Any, Array]] = {}
        self._is_masked = self.free is not None and self.free is not True
        super().__init__(net, x, y, **constants)
        self._layers = [self.x_0, *self.x_layers]
        self._slopes = [self.back_0, *self.back_layers]
        if not isinstance(priors, dict | None):
            raise PlasticError(f"priors is {priors!r}; it must be {{layer: prior}}, {{0: Laplace(0.1)}} for instance")
        for place, prior in (priors or {}).items():
            self._require_prior(place, prior)
        self.priors = dict(priors or {})
        self._look_at_priors()

    def __repr__(self) -> str:
        return "Free" + super().__repr__()

    def _lay_out(self, net, x, n_0=0):
        n_0 = 0 if self.free is None else net.sizes[0]
        super()._lay_out(net, x, n_0)
        self.back_0 = self._gradient[..., :n_0]
        if self.free is None:
            self.x_0 = x
        else:
            self.x_0 = self.moving[..., :n_0]
            self.x_0[...] = x

    def _take(self, net, x):
        """Take the weights as they are; of x, what is held."""
        if self.free is None:
            super()._take(net, x)
            self.x_0 = x
            return
        require_batch(net, x)
        if x.shape[-2] != self._shape[-2]:
            raise PlasticError(f"x has {x.shape[-2]} rows; the state is that of {self._shape[-2]} samples")
        if self._is_masked:
            self.x_0[...] = xp.where(self.free, self.x_0, x)
        self._shape = self.x_0.shape
        super()._take(net, self.x_0)
        self._input = self.x_0
        self._upward = [*self._maps[0].up(self.x_0, self.predicted[0]), *self._upward]
        self._downward = [*self._maps[0].down(self.deltas[0], self.back_0), *self._downward]

    def _compare(self, loss):
        super()._compare(loss)
        self._look_at_priors()

    def _look_at_priors(self):
        """Compute the energies of the priors and their slopes, of the states as they are."""
        self._terms = {place: prior(self._layers[place]) for place, prior in self.priors.items()}

    @property
    def F(self) -> Array:
        """The energy with the priors, a sum over units and batch, of the replica shape."""
        return super().F + sum(E for E, _ in self._terms.values())

    @property
    def is_smooth(self) -> bool:
        """Whether no prior has a kink."""
        return not any(hasattr(prior, "prox") for prior in self.priors.values())

    def gradient(self, fresh: bool = True, smooth: bool = False) -> Array:
        """Return dF/dx of all that moves, by the errors as they were last computed.

        Args:
            fresh: whether f' is computed anew; otherwise it is what it was (of states before the activation).
            smooth: whether priors with a kink are left out, since their `prox` follows.

        Returns:
            An array (..., batch, n_0 + n_1 + .. + n_{L-1}) that the next call overwrites, without the input where none
            of it is free.
        """
        super().gradient(fresh)
        self.back_0 *= -1
        for place, (_, slope) in self._terms.items():
            if not (smooth and hasattr(self.priors[place], "prox")):
                self._slopes[place] += slope
        self.hold(self._gradient)
        return self._gradient

    def hold(self, change: Array) -> None:
        """Set to 0 what a change of all that moves, (..., batch, n_0 + n_1 + ..), has for inputs that are held."""
        if self._is_masked:
            change[..., : self.x_0.shape[-1]] *= self.free

    def _descend(self):
        """Take a step against the gradient; priors with a kink move their layer by `prox`."""
        change = self.gradient(smooth=True)
        change *= self.gamma
        self.moving -= change
        for place, prior in self.priors.items():
            if hasattr(prior, "prox"):
                x = self._layers[place]
                moved = prior.prox(x, self.gamma)
                x[...] = xp.where(self.free, moved, x) if place == 0 and self._is_masked else moved

    def _require_prior(self, place, prior):
        """Require a prior of a layer that moves, and what it returns."""
        layers = len(self._layers)
        require.choice("the layer of a prior", place, range(layers))
        if place == 0 and self.free is None:
            raise PlasticError("there is a prior of layer 0, but free is False: the input is held")
        if not callable(prior):
            raise PlasticError(f"the prior of layer {place} is {prior!r}; it must be a function x -> (E, dE/dx)")
        x = self._layers[place]
        try:
            found = prior(x)
        except ValueError as error:  # of shapes that do not broadcast
            raise PlasticError(f"the prior of layer {place} fails on states of shape {x.shape}: {error}") from error
        shapes = [getattr(each, "shape", ()) for each in found] if isinstance(found, tuple) else []
        if shapes != [x.shape[:-2], x.shape]:
            raise PlasticError(
                f"the prior of layer {place} must return (E, dE/dx), E of shape {x.shape[:-2]}, summed over units and "
                f"batch, and dE/dx of {x.shape}, not {shapes or type(found).__name__}"
            )
        if found[1].dtype != x.dtype:
            raise PlasticError(
                f"the prior of layer {place} returns dE/dx of {found[1].dtype}, but the states are {x.dtype}: make its "
                "arrays by xp.asarray(.., dtype=xp.float_dtype)"
            )


def _free(free, x):
    """Return None where no input is free, True where all are, or an array of booleans."""
    if isinstance(free, bool):
        return free or None
    given = free if isinstance(free, xp.ndarray) else np.asarray(free)
    if given.shape not in (x.shape[-1:], x.shape[-2:], x.shape) or given.dtype.kind not in "bifu":
        raise PlasticError(
            f"free is an array of {given.dtype} of shape {given.shape}; it must be True, False, or booleans of shape "
            f"{x.shape[-1:]} or {x.shape}"
        )
    if isinstance(given, np.ndarray) and not np.all((given == 0) | (given == 1)):
        raise PlasticError("free has numbers other than 0 and 1")
    return xp.asarray(given, dtype=bool)
