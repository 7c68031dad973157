"""Five rules on one net of states, written out by hand: PC, BP, GeneRec, Hopfield, Almeida-Pineda (Song et al. 2024).

A net has states x_0 .. x_L, x_l (..., batch, n_l), x_0 the input, and weights W_0 .. W_{L-1}, W_l (..., n_l, n_{l+1}),
with no bias; each W_l also acts backwards, as its transpose. Unlike in `plastic.pc.networks`, f acts on the input too,
x_L is a state, and updates are to be *added*, times a rate: W_l <- W_l + eta dW_l. They are means over the batch. With
the target y, each rule is a pair of pure functions:

    states = relax(states, W, phi, gamma, steps, clamped=...)      x_l <- x_l + gamma dx_l: a new list of states
    dW = update(...)

A relaxation moves l = 1..L, or 1..L-1 where the output is clamped (to y, put there by the caller: `clamp`). Layers move
one after the other, from the bottom up, each seeing those below as they are by then; those of PC, whose errors are
computed first, move at once. Where states begin, and whether they persist from one pair to the next, is the caller's.
These rules have states and phases of their own, and so are not among `plastic.pc.RULES`.
"""

from plastic.pc.handcoded.almeida_pineda import almeida_pineda_adjoint, almeida_pineda_relax, almeida_pineda_update
from plastic.pc.handcoded.contrastive import contrastive_update, generec_relax, hopfield_relax
from plastic.pc.handcoded.errors import bp_update, pc_errors, pc_relax, pc_update
from plastic.pc.handcoded.states import clamp, feedforward

__all__ = [
    "almeida_pineda_adjoint",
    "almeida_pineda_relax",
    "almeida_pineda_update",
    "bp_update",
    "clamp",
    "contrastive_update",
    "feedforward",
    "generec_relax",
    "hopfield_relax",
    "pc_errors",
    "pc_relax",
    "pc_update",
]
