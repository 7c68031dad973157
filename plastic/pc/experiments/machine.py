"""The energy machine: predictive coding on 1-2-2 as rods and springs, and a film of it (Song et al. 2024, Fig. 2)."""

import numpy as np

from plastic import files, require, xp
from plastic.pc import handcoded
from plastic.pc.experiments import figures, pairs

PHASES = ("prediction before learning", "learning", "prediction after learning")
FIRST, SECOND = ((0.0, 0.0),), ((2.0, 0.0), (0.0, 1.0))
"""Weights, of which the second do not learn."""


@pairs.experiment(draw={"machine": figures.machine}, readable="{steps}-steps", seed=None, seeds=False)
def machine(
    run, *, gamma: float = 0.2, learning_gamma: float = 0.05, steps: int = 50, rate: float = 1.0, target: float = 1.0
):
    """Show how the states settle and the weights follow, as rods, springs and sliders (Song et al. 2024, Fig. 2).

    A linear net 1-2-2 whose weights are 0, and 2 and 1 in the second layer, which does not learn; the input is 1. It
    predicts; then its outputs are held at the target while the hidden states settle, and the first weights learn; then
    it predicts again. States are sliders on posts, predictions are where the rods from below end, and errors are the
    springs between. Nothing is random. The run folder, results/pc/machine-..., gets config.json, metrics.csv (a row per
    step), arrays.h5, a figure of the states and the energy by step, and the film, machine.gif (unless --no_plot).
    Published as example_122/machine, a film that waits for its viewer. Precision is float64, since the net is tiny.

    Args:
        gamma: rate of inference while it predicts.
        learning_gamma: rate of inference while the outputs are held.
        steps: of inference in each of the three phases.
        rate: learning rate.
        target: of both outputs.
    """
    for name, value in (("gamma", gamma), ("learning_gamma", learning_gamma), ("rate", rate)):
        require.number(name, value, above=0)
    require.counts(steps=steps)
    require.number("target", target)
    run.begin()
    states, W = settled(gamma, learning_gamma, steps, rate, target)
    energy, errors = _energy(states, W)
    pairs.require_sound("pc", ["the machine"], [states[None], W[None]], np.zeros(1), "gamma", "learning_gamma", "rate")
    names = ("x_0", "x_1a", "x_1b", "x_2a", "x_2b")
    run.log(
        [
            {"phase": k // (steps + 1), "iteration": k % (steps + 1), "energy": energy[k]}
            | dict(zip(names, states[k], strict=True))
            for k in range(len(states))
        ]
    )
    run.save_arrays({"states": states, "weights": W, "energy": energy, "errors": errors})
    if run.option("plot"):
        files.write(run.folder / "machine.gif", figures.film(run.arrays()))
    after = " and ".join(f"{value:.3f}" for value in states[-1, 3:])
    return [f"the first update leads the outputs from 0 and 0 to {after}; the target is {target:g}"]


def settled(gamma, learning_gamma, steps, rate, target):
    """Return the states (3 (steps + 1), 5) in the three phases, and the weights (3, 1, 2) of the first layer there."""
    x, y = xp.asarray(np.ones((1, 1))), xp.asarray(np.full((1, 2), target))
    first, second = (xp.asarray(np.array(each)) for each in (FIRST, SECOND))
    states, found, weights = [x, xp.zeros_like(y), xp.zeros_like(y)], [], []  # where weights of 0 lead
    for phase in range(len(PHASES)):
        learns = phase == 1
        states = handcoded.clamp(states, y) if learns else states
        weights.append(first)
        found.append(states)
        for _ in range(steps):
            how = (learning_gamma if learns else gamma), 1, learns
            states = handcoded.pc_relax(states, [first, second], "linear", *how)
            found.append(states)
        if learns:
            first = first + rate * handcoded.pc_update(states, [first, second], "linear")[0]
    flat = [np.concatenate([xp.asnumpy(each).ravel() for each in one]) for one in found]
    return np.stack(flat), np.stack([xp.asnumpy(each) for each in weights])


def _energy(states, W):
    """Return the energy, and the errors (.., 4) of hidden and output units, at every step."""
    phase = np.arange(len(states)) // (len(states) // len(PHASES))
    hidden = states[:, 1:3] - states[:, :1] * W[phase, 0]
    output = states[:, 3:] - states[:, 1:3] @ np.array(SECOND)
    errors = np.concatenate([hidden, output], axis=1)
    return 0.5 * np.sum(errors**2, axis=1), errors
