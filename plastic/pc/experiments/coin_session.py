"""The session of the motor learning experiment in which a cue says which force field is to come.

A trial shows one of two cues and has a force after it, + or -, or none (0); "1+" is cue 1 with the force +. Heald,
Lengyel and Wolpert 2021 (Fig. 3), as the published simulations have it (Song et al. 2024):

    washout n    n/2 trials 10 and n/2 trials 20, shuffled
    triplet s    10, s, 10: what one trial s changes in the response to cue 1
    training     24 blocks of: 10 and 20; four times four 1+ and four 2-; 10 and 20; a washout of 14, 16 or 18; a
                 triplet; a washout of 6, 8 or 10; a triplet (1+ in one of the two and 2- in the other). Pairs and
                 eights are shuffled
    test         8 blocks of the triplets of 1+, 2+, 1- and 2-, shuffled, each after a washout of 2, 4 or 6

The lengths of washouts are drawn without replacement, from all three again when none is left.
"""

import itertools

import numpy as np

GROUPS = ("1+", "2+", "1-", "2-")
BLOCKS, TESTS = 24, 8
_NONE = ("10", "20")


def session(generator, blocks=BLOCKS, tests=TESTS):
    """Return the trials of a session, and where its test triplets begin.

    Returns (trials, starts): the names of all trials, and {group: indices of the first trial of its triplets}.
    """
    lengths = {most: _without_replacement(generator, most) for most in (6, 10, 18)}
    trials = []
    for _ in range(blocks):
        trials += _shuffled(generator, _NONE)
        for _ in range(4):
            trials += _shuffled(generator, ("1+", "2-") * 4)
        trials += _shuffled(generator, _NONE)
        for most, middle in zip((18, 10), _shuffled(generator, ("1+", "2-")), strict=True):
            trials += [*_washout(generator, next(lengths[most])), "10", middle, "10"]
    starts = {group: [] for group in GROUPS}
    for _ in range(tests):
        for group in _shuffled(generator, GROUPS):
            trials += _washout(generator, next(lengths[6]))
            starts[group].append(len(trials))
            trials += ["10", group, "10"]
    return trials, starts


def _shuffled(generator, names):
    return [names[index] for index in generator.permutation(len(names))]


def _washout(generator, n):
    return _shuffled(generator, _NONE * (n // 2))


def _without_replacement(generator, most):
    """Yield lengths of washouts, most - 4, most - 2 and most, in an order drawn anew for every three."""
    for _ in itertools.count():
        yield from (most - 2 * int(index) for index in generator.permutation(3))


def inputs(trials):
    """Return (cues, forces), both (trials, 2): cue 1 is (1, 0), + is (1, 0), - is (0, 1), none is (0, 0)."""
    cues = np.array([{"1": (1, 0), "2": (0, 1)}[name[0]] for name in trials], dtype=float)
    forces = np.array([{"+": (1, 0), "-": (0, 1), "0": (0, 0)}[name[1]] for name in trials], dtype=float)
    return cues, forces


def weights_of_probes(starts, trials):
    """Return (trials, 4), by which the net force predicted before each trial counts in the adaptation of each group.

    Adaptation is the change from the first to the third trial of a triplet, the mean of all triplets of a group; it is
    positive where the force of the trial between has been followed.
    """
    found = np.zeros((trials, len(GROUPS)))
    for column, group in enumerate(GROUPS):
        sign = 1 if group[1] == "+" else -1
        for start in starts[group]:
            found[start + 2, column] += sign / len(starts[group])
            found[start, column] -= sign / len(starts[group])
    return found
