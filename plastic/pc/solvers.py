"""How the states of a predictive coding network come to rest: by the published steps, or with fewer evaluations.

steps       x <- x - gamma dF/dx, all layers at once, gamma as in `plastic.pc.inference`
layerwise   sweeps from the top layer down, see `plastic.pc.layerwise`; one costs about 2.5 steps
errors      steps of the errors, see `plastic.pc.errorwise`; one costs about 1.5 steps, and reaches all layers
anderson    the map x <- x - gamma dF/dx at a constant gamma, accelerated by `plastic.fixed_points`
"""

from collections.abc import Callable
from typing import Any

from plastic import require, xp
from plastic.errors import PlasticError
from plastic.fixed_points import Anderson
from plastic.pc.errorwise import Errors
from plastic.pc.free import FreeState
from plastic.pc.layerwise import Sweeps
from plastic.pc.losses import Loss
from plastic.pc.states import State
from plastic.types import Array

LOOK_EVERY = 10  # steps between two looks at whether the states have come to rest: each look waits for the device


def relax(state: State, steps: int, solver: str = "steps", tolerance: float = 0.0, loss: Loss | None = None) -> None:
    """Let the states settle, for a number of steps at most.

    Args:
        state: a `State`, whose errors have been computed; afterwards they are those of the new states.
        steps: how many steps, or sweeps.
        solver: one of `SOLVERS`.
        tolerance: the states are at rest where none changes by more than this in a step; 0 makes all steps. Sweeps and
            accelerated steps end as well where what changes is rounding.
        loss: loss(output) -> (L, err) in place of half the squared error.
    """
    if state.moving.shape[-1] > 0 and steps > 0:
        SOLVERS[solver](state, steps, tolerance, loss)


def require_solver(solver: Any, tolerance: Any, state: State | None = None, loss: Loss | None = None) -> None:
    """Require the name of a solver that goes with a state and a loss, and a tolerance from 0 on."""
    require.choice("solver", solver, SOLVERS)
    require.scalar("tolerance", tolerance, least=0)
    if solver == "steps":
        return
    if state is not None and state.optimizer is not None:
        raise PlasticError(f"solver is {solver!r}, but the states have an optimizer, which makes steps; take 'steps'")
    if solver == "layerwise" and loss is not None:
        raise PlasticError("solver is 'layerwise', which is for half the squared error, but another loss is given")
    if isinstance(state, FreeState) and (solver != "anderson" or not state.is_smooth):
        what = "a prior has a kink" if solver == "anderson" else "inputs are free, or there are priors"
        raise PlasticError(f"solver is {solver!r}, but {what}; take 'steps'")


def largest(change: Array) -> float:
    """Return the largest absolute value of an array, on the host."""
    return float(xp.asnumpy(xp.max(xp.abs(change))))


def _steps(state, steps, tolerance, loss):
    for t in range(1, steps + 1):
        looks = tolerance > 0 and t % LOOK_EVERY == 0
        before = state.moving.copy() if looks else None
        state._move()
        state._look(loss)
        if looks and largest(state.moving - before) <= tolerance:
            return


def _layerwise(state, steps, tolerance, loss):
    sweeps, tolerance = Sweeps(state), max(tolerance, _rounding(state))
    for t in range(1, steps + 1):
        before = sweeps.sweep()
        if t < steps and largest(state.x - before) <= tolerance:
            return


def _errors(state, steps, tolerance, loss):
    errors, tolerance = Errors(state, loss), max(tolerance, _rounding(state))
    for _ in range(steps):
        before = errors.step()
        if largest(state.x - before) <= tolerance and not errors.is_taken_back:
            break
    state._look(loss)


def _anderson(state, steps, tolerance, loss):
    x, tolerance = state.moving, max(tolerance, _rounding(state))
    anderson = Anderson(x)
    for _ in range(steps):
        change = state.gradient() * state.gamma
        x[...] = anderson.next(x, x - change)
        state._look(loss)
        if largest(change) <= tolerance:
            break
    x[...] = anderson.plain
    state._look(loss)


SOLVERS: dict[str, Callable[..., None]] = {
    "steps": _steps,
    "layerwise": _layerwise,
    "errors": _errors,
    "anderson": _anderson,
}
"""Ways to rest by name."""


def _rounding(state):
    """Return how large a change of a state may be that is rounding only."""
    return float(xp.asnumpy(xp.max(state.scale))) * state.rounding
