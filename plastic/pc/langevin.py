"""Stochastic inference: states that wander over all that fits, rather than settle at what fits best.

    x <- x - gamma dF/dx + sqrt(2 gamma temperature) xi,    xi ~ N(0, 1) for each state and sample

which for small gamma visits x as often as exp(-F(x) / temperature) says: with temperature 1 the states are samples of
what they may be, given input and output, under the network as a model with normal errors of variance 1 and its priors.
For a linear network, F being quadratic with the curvature H, the covariance is temperature (H - gamma H^2 / 2)^-1.
"""

from plastic import initializers, require, xp
from plastic.errors import PlasticError
from plastic.pc.free import FreeState
from plastic.pc.losses import Loss
from plastic.pc.networks import Network
from plastic.pc.states import State, require_target
from plastic.types import Array


@xp.underflow_is_ordinary()
def langevin(
    net: Network,
    state: State,
    x: Array,
    steps: int,
    generator: initializers.Generator | list[initializers.Generator],
    *,
    temperature: float = 1.0,
    loss: Loss | None = None,
) -> Array:
    """Let the states wander, with the weights held.

        x_l <- x_l - gamma dF/dx_l + sqrt(2 gamma temperature) xi,    xi ~ N(0, 1)

    The rate gamma of the state stays as it is: noise raises the energy. Call it with few steps at a time to collect
    samples, `state.moving.copy()`; those that follow one another are alike, the longer the smaller gamma is.

    Args:
        net: a `Network`.
        state: a `State` of it without an optimizer, or a `FreeState`, which changes; its errors are then those of the
            new states.
        x: inputs (..., batch, n_0).
        steps: how many steps, 0 or more.
        generator: of the noise, a `numpy.random.Generator`, or a list of them, one for each replica.
        temperature: 0 or more; with 0 the states go down the energy, as `plastic.pc.infer` lets them.
        loss: loss(output) -> (L, err) in place of half the squared error, see `plastic.pc.step`.

    Returns:
        mu_L at the new states, (..., batch, n_L).

    Raises:
        PlasticError: if `steps` is not a whole number, the generator is something else, or the state has an optimizer.

    Source: Oliviers, Bogacz and Meulemans 2024 (Monte Carlo predictive coding).

    Example:
        >>> import numpy as np
        >>> from plastic.parameters import Affine
        >>> from plastic.pc import Gaussian
        >>> net, x = Network([Affine(xp.asarray([[0.0]]))], "linear"), xp.zeros((1000, 1), dtype=xp.float_dtype)
        >>> state = FreeState(net, x, x, priors={0: Gaussian(4.0)}, gamma=0.05)  # all that x_0 has is its prior
        >>> output = langevin(net, state, x, 100, np.random.default_rng(0))
        >>> bool(abs(float(xp.mean(state.x_0**2)) - 1 / 4) < 0.05)
        True
    """
    require.whole("steps", steps, least=0)
    require.generator(generator)
    require.scalar("temperature", temperature, least=0)
    require_target(state, loss)
    if state.optimizer is not None:
        raise PlasticError("the states have an optimizer, whose steps have no temperature; make the State without one")
    if isinstance(generator, list | tuple) and state.moving.shape[:-2] != (len(generator),):
        raise PlasticError(f"there are {len(generator)} generators, but replicas of shape {state.moving.shape[:-2]}")
    state._take(net, x)
    state._look(loss)
    scale = (2 * state.gamma * temperature) ** 0.5
    for _ in range(steps):
        change = state.gradient() * state.gamma
        change -= scale * _noise(generator, state.moving)
        if isinstance(state, FreeState):
            state.hold(change)
        state.moving -= change
        state._look(loss)
    return state.top.copy(order="K")


def _noise(generator, like):
    """Return normal numbers of the shape of an array; a generator for each replica draws its own."""
    shape = like.shape[1:] if isinstance(generator, list | tuple) else like.shape

    def draw(one: initializers.Generator) -> Array:
        return xp.asarray(one.standard_normal(shape), dtype=like.dtype)

    return initializers.replicas(draw, generator)
