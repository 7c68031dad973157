"""The published input generator of evidence accumulation against the schedule and the probabilities we document.

Its spikes come from another stream of random numbers, so what can be compared is structure, exactly, and frequencies,
within standard errors: those of the file against theory, and against trials that we draw ourselves.
"""

import numpy as np
from numpy.testing import assert_array_equal

from plastic.eprop.inputs import evidence

# Published constants, in steps of 1 ms and in spikes per step.
CUE, SPACING, REST, RECALL = 100, 150, 1200, 150
F0, NOISE = 0.04, 0.01
P_LEFT = 0.3, 0.7
CHUNK = 128  # trials drawn at a time


def check(numbers):
    """Run all checks on the arrays of eprop_evidence_inputs.npz, or of a file of its format."""
    shape = numbers["x_shape"]
    x = np.unpackbits(numbers["x_packed"])[: np.prod(shape)].reshape(shape).astype(bool)
    check_trials(x.swapaxes(0, 1), numbers["cues"], numbers["label"])
    check_statistics(numbers)
    check_ours(numbers)


def active(cues, T):
    """Return which populations may fire, (T, trials, 4), and which one never rests, from the page of the spec."""
    on = np.zeros((T, len(cues), 4), bool)
    for trial, sides in enumerate(cues):
        for k, side in enumerate(sides):
            on[SPACING * k + SPACING - CUE : SPACING * k + SPACING, trial, side] = True
    on[T - RECALL :, :, 2] = True
    on[:, :, 3] = True
    return on


def check_trials(x, cues, label):
    """The trials in the file: silence where we say there is silence, our labels, and our rates elsewhere."""
    T, trials, n_in = x.shape
    assert T == SPACING * cues.shape[1] + REST
    assert_array_equal(label, cues.sum(axis=1) > cues.shape[1] // 2)
    ours = evidence(np.random.default_rng(0), batch=trials, n_in=n_in, n_cues=cues.shape[1])
    assert ours.x.shape == x.shape and ours.recall_length == RECALL
    for spikes, sides in ((x, cues), (ours.x, ours.cues)):
        populations = spikes.reshape(T, trials, 4, n_in // 4)
        on = active(sides, T)
        assert not populations[~on].any()
        for population, rate in enumerate((F0, F0, F0, NOISE)):
            drawn = populations[:, :, population][on[:, :, population]]
            within(drawn.mean(), rate, rate * (1 - rate) / drawn.size)


def check_statistics(numbers):
    """The statistics in the file: our probabilities, of the cues and of every population in every step."""
    n, (_, T, n_in), n_cues = int(numbers["stat_n"]), numbers["x_shape"], numbers["cues"].shape[1]
    right = mixture(n_cues)
    within(numbers["stat_n_right_hist"], right, right * (1 - right) / n)
    within(numbers["stat_label1"], 0.5, 0.25 / n)
    mean, variance = totals(n_cues, n_in // 4, T)
    within(numbers["stat_mean_by_pop"], mean, variance / n)
    # in a window of a cue one of the two sides is active; all inputs together, the noise among them
    rate, window = numbers["stat_rate_right_window"], CUE * n_in * n
    within(rate, (F0 + NOISE) / 4, (F0 + NOISE) / 4 / window)
    # one side is active in half of the trials: its variance has a part from the side, and one from the spikes
    share = active(np.array([[0] * n_cues, [1] * n_cues]), T).mean(axis=1)
    p = share * (F0, F0, F0, NOISE)
    f = np.array([F0, F0, F0, NOISE])
    variance = share * (1 - share) * f**2 + share * f * (1 - f) / (n_in // 4)
    within(numbers["stat_prob_t_pop"], p, variance / n, errors=6)  # 9,000 comparisons


def check_ours(numbers):
    """As many trials of ours: the statistics of the file, within the errors of both."""
    n, (_, T, n_in), n_cues = int(numbers["stat_n"]), numbers["x_shape"], numbers["cues"].shape[1]
    generator, sums, cues, labels = np.random.default_rng(1), [], [], []
    p = np.zeros((T, 4))
    for start in range(0, n, CHUNK):
        drawn = evidence(generator, batch=min(CHUNK, n - start), n_in=n_in, n_cues=n_cues)
        spikes = drawn.x.reshape(T, -1, 4, n_in // 4).sum(axis=-1)
        p += spikes.sum(axis=1) / (n * (n_in // 4))
        sums.append(spikes.sum(axis=0))
        cues.append(drawn.cues)
        labels.append(drawn.labels)
    right = mixture(n_cues)
    hist = np.bincount(np.concatenate(cues).sum(axis=1), minlength=n_cues + 1) / n
    within(hist, numbers["stat_n_right_hist"], 2 * right * (1 - right) / n)
    within(np.concatenate(labels).mean(), numbers["stat_label1"], 2 * 0.25 / n)
    _, variance = totals(n_cues, n_in // 4, T)
    sums = np.concatenate(sums)
    within(sums.mean(axis=0), numbers["stat_mean_by_pop"], 2 * variance / n)
    within(sums.var(axis=0, ddof=1), variance, 2 * 2 * variance**2 / n)
    silent = numbers["stat_prob_t_pop"] == 0
    assert_array_equal(p[silent], 0)
    assert (p[~silent] > 0).all()
    within(p[:, 3].mean(), numbers["stat_prob_t_pop"][:, 3].mean(), 2 * NOISE / (n * T * n_in // 4))


def mixture(n_cues):
    """Return P(k right cues), k = 0..n_cues: half of the trials are binomial with 0.3, half with 0.7."""
    from scipy.stats import binom

    return np.mean([binom.pmf(np.arange(n_cues + 1), n_cues, 1 - p) for p in P_LEFT], axis=0)


def totals(n_cues, n, T):
    """Return the mean and variance (4,) of the spikes per trial of each population of n neurons."""
    k, right = np.arange(n_cues + 1), mixture(n_cues)
    cues = right @ k
    spread = right @ (k - cues) ** 2
    spikes, noise = CUE * n * F0, T * n * NOISE  # of one cue, and of the noise population in a trial
    side = cues * spikes * (1 - F0) + spread * spikes**2
    recall = RECALL * n * F0
    mean = np.array([cues * spikes, cues * spikes, recall, noise])
    return mean, np.array([side, side, recall * (1 - F0), noise * (1 - NOISE)])


def within(found, expected, variance, errors=5):
    """Assert that what was found is what is expected within some standard errors; exactly, where nothing varies."""
    found, expected, variance = np.broadcast_arrays(found, expected, variance)
    off = np.abs(found - expected) > errors * np.sqrt(variance)
    assert not off.any(), f"{found[off][:5]} is not within {errors} standard errors of {expected[off][:5]}"
