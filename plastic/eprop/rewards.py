"""Learning signals of reward-based e-prop, where an actor and a critic read one network (Bellec et al. 2020, Fig. 4).

The readouts are the logits of a policy, pi = softmax of all but the last, and the expected return V, the last. At the
steps s = 1 .. S in which the agent acts, with its action a_s and the reward r_s that followed,

    R_s = r_s + discount R_{s+1}                        the return, after the last step 0 or an estimate
    E = mean over batch of sum over s of
        A_s (-log pi_{a_s}) + baseline / 2 (R_s - V_s)^2 - entropy H(pi_s)        A_s = R_s - V_s, held constant

    err_k = A_s (pi_k - [k = a_s]) + entropy pi_k (log pi_k + H)        at the logits
    err_V = -baseline (R_s - V_s)                                       at the value

and no error between those steps. The gradient of e-prop follows from err as for any other loss. As it could run in a
brain, without knowing R_s, weights follow the reward prediction error: with the terms g_s of e-prop's gradient for
A_s = 1 (learning signals times filtered traces of one step), and F_discount a filter over the steps,

    sum over s of A_s g_s = sum over s of delta_s F_discount(g)_s,        delta_s = r_s + discount V_{s+1} - V_s
"""

from typing import Any

from plastic import require, xp
from plastic.errors import PlasticError
from plastic.functions import log_softmax
from plastic.types import Array


def returns(rewards: Array, discount: float, last: Array | float = 0.0, done: Array | None = None) -> Array:
    """Return the discounted sums of rewards, R_s = r_s + discount (1 - done_s) R_{s+1}.

    Args:
        rewards: (..., S, batch), what followed each action.
        discount: from 0 to 1.
        last: what is expected after the last step, a number, or one for each episode, (..., batch).
        done: 1 where an episode ended with the reward, else 0, numbers (..., S, batch); None is 0.

    Returns:
        (..., S, batch).

    Raises:
        PlasticError: if the rewards are no array (..., S, batch), last or done do not fit them, or the discount is out
            of range.

    Source: Bellec, Scherr et al. 2020, reward-based e-prop.

    Example:
        >>> returns(xp.asarray([[0.0], [1.0]]), discount=0.5).tolist()
        [[0.5], [1.0]]
    """
    _require_numbers("rewards", rewards)
    require.scalar("discount", discount, least=0, most=1)
    if done is not None and getattr(done, "shape", None) != rewards.shape:
        raise PlasticError(f"done has shape {getattr(done, 'shape', None)}; that of the rewards is {rewards.shape}")
    if (found := getattr(last, "shape", ())) not in ((), rewards[..., 0, :].shape):
        raise PlasticError(f"last has shape {found}; a number, or {rewards[..., 0, :].shape}, is needed")
    require.number("last", last)
    R = xp.empty_like(rewards)
    later = last + xp.zeros_like(rewards[..., 0, :])
    for s in reversed(range(rewards.shape[-2])):
        goes_on = 1.0 if done is None else 1 - done[..., s, :]
        later = rewards[..., s, :] + discount * goes_on * later
        R[..., s, :] = later
    return R


@xp.underflow_is_ordinary()
def actor_critic(
    output: Array,
    steps: slice,
    actions: Array,
    R: Array,
    *,
    weights: Array | None = None,
    baseline: float = 1.0,
    entropy: float = 0.0,
) -> tuple[Array, Array]:
    """Return the loss of an actor and a critic, averaged over the batch, and its gradient at the output.

        err_k = A (pi_k - [k = action]) + entropy pi_k (log pi_k + H),    err_V = -baseline A,    A = R - V

    at the steps that act, times weights / batch; 0 at all others.

    Args:
        output: logits of the policy and, last, the value (..., T, batch, n_actions + 1).
        steps: the S steps of the T in which the agent acts, a slice.
        actions: what it did, whole numbers (..., S, batch).
        R: returns (..., S, batch), of `returns`.
        weights: how much each of these steps counts (..., S, batch), 0 after an episode's end; None is 1.
        baseline: strength of the critic's loss.
        entropy: strength of the reward for policies that explore.

    Returns:
        (E, err): E of the replica axes, err of the shape of the output.

    Raises:
        PlasticError: if the arguments do not fit together, or an action is none of the policy's.

    Source: Bellec, Scherr et al. 2020, reward-based e-prop, and the published code for games.

    Example:
        >>> output, R = xp.zeros((3, 1, 3)), xp.asarray([[1.0]])
        >>> loss, err = actor_critic(output, slice(2, 3), xp.asarray([[0]]), R)
        >>> err[-1].tolist(), bool(err[:-1].any())
        ([[-0.5, 0.5, -1.0]], False)
    """
    require.array("output", output)
    _require_numbers("R", R)
    if output.ndim < 3 or output.shape[-1] < 2:
        raise PlasticError(
            f"output has shape {output.shape}; logits and a value (..., T, batch, n_actions + 1) are needed"
        )
    if not isinstance(steps, slice):
        raise PlasticError(f"steps is {steps!r}; it must be a slice of the T steps, slice(-5, None) for instance")
    at = output[..., steps, :, :]
    given = {"actions": actions, "R": R} | ({} if weights is None else {"weights": weights})
    for name, value in given.items():
        require.array(name, value)
        if value.shape[-2:] != at.shape[-3:-1] or value.ndim > at.ndim - 1:
            raise PlasticError(f"{name} has shape {value.shape}; that of the steps that act is {at.shape[:-1]}")
    require.labels(actions, at.shape[-1] - 1, name="actions")
    for name, cost in {"baseline": baseline, "entropy": entropy}.items():
        require.scalar(name, cost, least=0)
    batch, n_actions = at.shape[-2], at.shape[-1] - 1
    share: Any = 1 / batch if weights is None else weights[..., None] / batch
    log_pi = log_softmax(at[..., :-1])
    pi = xp.exp(log_pi)
    chosen = (actions[..., None] == xp.arange(n_actions)).astype(pi.dtype)
    A = (R - at[..., -1])[..., None]
    H = -xp.sum(pi * log_pi, axis=-1, keepdims=True)
    each = -A * xp.sum(chosen * log_pi, axis=-1, keepdims=True) + (0.5 * baseline) * A * A - entropy * H
    err = xp.zeros_like(output)
    err[..., steps, :, :-1] = (A * (pi - chosen) + entropy * pi * (log_pi + H)) * share
    err[..., steps, :, -1:] = -baseline * A * share
    return xp.sum(each * share, axis=(-3, -2, -1)), err


def _require_numbers(name: str, value: Any) -> None:
    require.array(name, value)
    if value.ndim < 2 or 0 in value.shape or value.dtype.kind != "f":
        raise PlasticError(f"{name} is {value.dtype} of shape {value.shape}; numbers (..., S, batch) are needed")
