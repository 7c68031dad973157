"""Synapses that there are, and the signs that they keep: masks of connectivity, and Dale's law.

A synapse that does not exist has weight 0 and no gradient. A neuron whose synapses are all excitatory, or all
inhibitory, has weights of one sign; a step that would carry one across 0 ends there, which is the step projected onto
the weights that are allowed.

    wiring = eprop.Wiring(masks={"W_rec": mask}, signs={"W_rec": signs})
    wiring.keep(net.parameters)                              once, before learning
    adam.step(net.parameters, wiring.gradients(grads), moments)
    wiring.keep(net.parameters)                              after every step
"""

import dataclasses

import numpy as np

from plastic import require, xp
from plastic.errors import PlasticError
from plastic.types import Array, Tree


@dataclasses.dataclass(frozen=True, repr=False)
class Wiring:
    """Masks and signs of weights, by their names in `net.parameters`; a weight that has neither is free.

    Args:
        masks: {name: booleans of the shape of the weights (..., n, m)}, True where there is a synapse.
        signs: {name: numbers (..., n, m), or (..., n, 1) for all synapses of a neuron}: 1 excitatory, -1 inhibitory,
            0 free.

    Raises:
        PlasticError: if a mask holds other things than booleans, or signs other numbers than -1, 0 and 1.

    Source: Dale's law, as in LSNNs with sparse connectivity (Bellec et al. 2018, DEEP R).

    Example:
        >>> wiring = Wiring(signs={"W_rec": xp.asarray([[1.0], [-1.0]])})
        >>> weights = {"W_rec": xp.asarray([[0.5, -0.5], [0.5, -0.5]])}
        >>> wiring.keep(weights)
        >>> weights["W_rec"].tolist()
        [[0.5, 0.0], [0.0, -0.5]]
    """

    masks: dict[str, Array] = dataclasses.field(default_factory=dict)
    signs: dict[str, Array] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for word, given in (("masks", self.masks), ("signs", self.signs)):
            if not isinstance(given, dict):
                raise PlasticError(f"{word} is a {type(given).__name__}; it must be a dict, {{'W_rec': ..}}")
        for name, mask in self.masks.items():
            require.array(f"the mask of {name}", mask)
            if mask.dtype != bool:
                raise PlasticError(f"the mask of {name} is {mask.dtype}; booleans are needed, True for a synapse")
        for name, signs in self.signs.items():
            require.array(f"the signs of {name}", signs)
            if signs.dtype.kind not in "if" or not np.isin(xp.asnumpy(signs), (-1, 0, 1)).all():
                raise PlasticError(f"the signs of {name} must be 1 (excitatory), -1 (inhibitory) or 0 (free)")

    def __repr__(self) -> str:
        return f"Wiring of masks {', '.join(self.masks) or 'none'}, signs {', '.join(self.signs) or 'none'}"

    def gradients(self, grads: Tree) -> Tree:
        """Return the gradients, 0 where there is no synapse.

        Args:
            grads: of a rule, {name: (..., n, m)}; left unchanged.

        Returns:
            A tree like it.

        Raises:
            PlasticError: if a mask is of weights that do not exist, or of another shape.
        """
        return grads | {name: grads[name] * _fitting(name, mask, grads) for name, mask in self.masks.items()}

    def keep(self, parameters: Tree) -> None:
        """Set weights that are not synapses to 0, and those of the wrong sign.

        Args:
            parameters: `net.parameters`, {name: (..., n, m)}, which are changed.

        Raises:
            PlasticError: if a mask or signs are of weights that do not exist, or of another shape.
        """
        for name, mask in self.masks.items():
            _set(parameters, name, _fitting(name, mask, parameters))
        for name, signs in self.signs.items():
            signs = _fitting(name, signs, parameters, per_row=True)
            _set(parameters, name, signs * parameters[name] >= 0)


def _set(parameters, name, allowed):
    """Set the weights of a name to 0 where they are not allowed."""
    W = parameters[name]
    W[...] = xp.where(allowed, W, xp.zeros_like(W))  # not a product, which would leave -0.0, and NaN of infinity


def _fitting(name, wanted, weights, per_row=False):
    """Return a mask or signs, required to fit the weights of a name; signs may have one number for each row."""
    W = weights.get(name)
    if W is None:
        raise PlasticError(f"there are no weights {name}; there are {', '.join(weights)}")
    columns = (W.shape[-1], 1) if per_row else (W.shape[-1],)
    if wanted.ndim < 2 or wanted.shape[-2] != W.shape[-2] or wanted.shape[-1] not in columns:
        raise PlasticError(f"what {name} is wired by has shape {wanted.shape}; its weights have {W.shape}")
    if require.replicas(weights=W.shape[:-2], wiring=wanted.shape[:-2]) != W.shape[:-2]:
        raise PlasticError(f"what {name} is wired by has replica axes {wanted.shape[:-2]}; its weights {W.shape[:-2]}")
    return wanted
