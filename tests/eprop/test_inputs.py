"""Stimuli: schedules exactly, at rates that leave nothing to chance; frequencies within standard errors of theory."""

import functools
import json

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from plastic.data.sources import Drawn
from plastic.eprop.inputs import Stimuli, evidence, pattern, stacked, store_recall
from plastic.errors import PlasticError

GOLDEN = "eprop_lif_pattern.npz"
ALWAYS = 1000.0  # Hz: a spike in every step


def rng(seed=0):
    return np.random.default_rng(seed)


def populations(stimuli):
    """The spikes as (T, batch, 4, n_in / 4)."""
    return stimuli.x.reshape(*stimuli.x.shape[:2], 4, -1)


def within(found, expected, variance, errors=4.5):
    """Within some standard errors; exactly, where nothing varies."""
    found, expected, variance = np.broadcast_arrays(found, expected, variance)
    assert (np.abs(found - expected) <= errors * np.sqrt(variance)).all(), (found, expected, np.sqrt(variance))


# Bernoulli draws


def test_neighbouring_draws_are_independent_and_as_frequent_as_asked():
    """All eight outcomes of three neighbouring places have the frequency of independent draws (chi-squared)."""
    n = 50_000
    for rate in (20.0, 300.0, 333.0, 334.0, 600.0, 990.0):
        x, _ = pattern(rng(1), T=1, batch=n, n_in=3, rate=rate)
        outcomes = np.bincount(x[0] @ [4, 2, 1], minlength=8)
        p = rate / 1000
        frequency = np.array([p**k * (1 - p) ** (3 - k) for k in (0, 1, 1, 2, 1, 2, 2, 3)])
        often = n * frequency > 5
        statistic = ((outcomes - n * frequency) ** 2 / (n * frequency))[often].sum()
        assert stats.chi2.sf(statistic, often.sum() - 1) > 1e-4, rate
        assert (outcomes[~often] < 25).all()


def test_every_place_has_the_same_rate():
    """The first and the last places too: each of 40 places, and the number of spikes of a row, over many draws."""
    generator, n = rng(2), 4_000
    counts, totals = np.zeros(40), []
    for _ in range(n):
        x, _ = pattern(generator, T=2, batch=4, n_in=5, rate=100.0)
        counts += x.ravel()
        totals.append(x.sum())
    within(counts / n, 0.1, 0.09 / n)
    within(np.mean(totals), 4, 3.6 / n)
    within(np.var(totals), 3.6, 2 * 3.6**2 / n)


def test_rates_of_nothing_and_of_everything():
    assert not pattern(rng(), T=50, rate=0.0)[0].any()
    assert pattern(rng(), T=50, rate=ALWAYS)[0].all()
    assert not pattern(rng(), T=50, rate=1e-12)[0].any()


# pattern generation


def test_pattern_has_the_documented_shapes():
    x, target = pattern(rng(), T=300, batch=2, n_in=7, n_out=3, rate=80.0)
    assert x.shape == (300, 2, 7) and x.dtype == bool
    assert target.shape == (300, 2, 3) and target.dtype == np.float64
    assert_array_equal(target[:, 0], target[:, 1])
    within(x.mean(), 0.08, 0.08 * 0.92 / x.size)
    assert (x[:, 0] != x[:, 1]).any()
    assert np.unique(target, axis=-1).shape == target.shape  # no two outputs alike
    x, target = pattern(rng())  # the published sizes and rate
    assert x.shape == (1000, 1, 100) and target.shape == (1000, 1, 1)
    within(x.mean(), 0.05, 0.05 * 0.95 / x.size)


def waves(T):
    """Return sine and cosine, (T, 8), with 1, 2, 3, 5 whole cycles per 1000 steps, endpoint included."""
    phase = [2 * np.pi * (T // period) * np.arange(T) / (T - 1) for period in (1000, 500, 333, 200)]
    return np.stack([wave(each) for each in phase for wave in (np.sin, np.cos)], axis=1)


@pytest.mark.parametrize("T", [332, 333, 400, 999, 1000, 1200, 2000])
def test_target_is_the_formula_with_the_draws_of_its_generator(T):
    """Evaluated literally, with A and phi drawn where the docstring says: without a rate no input draws come before."""
    _, target = pattern(rng(3), T=T, rate=0.0, n_out=2)
    generator = rng(3)
    for k in range(2):
        A, phi = generator.uniform(0.5, 2, 4), generator.uniform(0, 2 * np.pi, 4)
        y = [
            sum(
                A[q] * np.sin(phi[q] + 2 * np.pi * (T // period) * t / (T - 1))
                for q, period in enumerate((1000, 500, 333, 200))
            )
            for t in range(T)
        ]
        y = np.array(y) - y[0]
        assert_allclose(target[:, 0, k], y / max(np.abs(y).max(), 1e-6), rtol=0, atol=1e-13)


def test_amplitudes_and_phases_have_the_documented_ranges():
    """Recovered from many targets: ratios of amplitudes fill (1/4, 4), phases the circle, evenly."""
    _, target = pattern(rng(4), n_out=500, rate=0.0)
    basis = np.concatenate([waves(1000)[:-1], np.ones((999, 1))], axis=1)
    found, *_ = np.linalg.lstsq(basis, target[:-1, 0], rcond=None)
    across, up = found[0:8:2], found[1:8:2]
    A, phi = np.hypot(across, up), np.arctan2(up, across) % (2 * np.pi)
    assert stats.kstest(phi.ravel(), stats.uniform(0, 2 * np.pi).cdf).pvalue > 1e-3
    expected = rng(5).uniform(0.5, 2, (2, 100_000))
    for q in range(3):
        assert stats.ks_2samp(A[q] / A[q + 1], expected[0] / expected[1]).pvalue > 1e-3
    ratios = A.max(axis=0) / A.min(axis=0)
    assert 3 < ratios.max() < 4


def assert_is_a_target(y):
    """What is true of every target y (T,) of the published generator, ours or theirs."""
    basis = np.concatenate([waves(len(y)), np.ones((len(y), 1))], axis=1)
    found, *_ = np.linalg.lstsq(basis, y, rcond=None)
    assert_allclose(basis @ found, y, rtol=0, atol=1e-12)
    assert y[0] == 0
    assert_allclose(y[-1], 0, atol=1e-12)  # whole cycles, endpoint included
    assert np.abs(y).max() == 1
    A = np.hypot(found[0:8:2], found[1:8:2])
    assert A.max() / A.min() <= 4 + 1e-9


def test_published_target_is_one_that_ours_could_be(golden):
    numbers = np.load(golden, allow_pickle=False)
    target = numbers["target"]
    ours = pattern(rng(), T=target.shape[1], n_out=target.shape[2])[1]
    assert ours.shape == target.swapaxes(0, 1).shape
    for y in (target[0], ours[:, 0]):
        for k in range(y.shape[1]):
            assert_is_a_target(y[:, k])


@pytest.mark.parametrize("T", [1, 2, 20, 199])
def test_target_shorter_than_the_shortest_period_is_zero(T):
    assert_array_equal(pattern(rng(), T=T)[1], 0)
    assert np.abs(pattern(rng(), T=200)[1]).max() == 1


# evidence accumulation


def test_evidence_has_the_published_schedule():
    """At a rate of one spike per step x is the schedule itself."""
    stimuli = evidence(rng(), batch=6, f0=ALWAYS, noise=0.0)
    expected = np.zeros((2250, 6, 40), bool)
    for trial, cues in enumerate(stimuli.cues):
        for k, side in enumerate(cues):
            expected[50 + 150 * k : 150 + 150 * k, trial, 10 * side : 10 * side + 10] = True
    expected[2100:, :, 20:30] = True
    assert_array_equal(stimuli.x, expected)
    assert stimuli.recall_length == 150
    noise = populations(evidence(rng(), batch=6, f0=0.0, noise=ALWAYS))
    assert noise[:, :, 3].all() and not noise[:, :, :3].any()


def test_evidence_has_the_schedule_that_is_asked_for():
    sizes = {"n_in": 12, "n_cues": 3, "cue_length": 4, "cue_spacing": 6, "delay": 5, "recall_length": 2}
    stimuli = evidence(rng(), batch=12, f0=ALWAYS, noise=0.0, **sizes)
    assert stimuli.x.shape == (3 * 6 + 5 + 2, 12, 12) and stimuli.cues.shape == (12, 3)
    for x, cues in zip(populations(stimuli).swapaxes(0, 1), stimuli.cues, strict=True):
        assert (x == x[:, :, :1]).all()
        for side in (0, 1):
            on = [t for k in range(3) for t in range(6 * k + 2, 6 * k + 6) if cues[k] == side]
            assert list(np.flatnonzero(x[:, side, 0])) == on
        assert list(np.flatnonzero(x[:, 2, 0])) == [23, 24]
    assert stimuli.recall_length == 2


def test_cues_may_fill_their_slots_and_the_recall_may_follow_at_once():
    stimuli = evidence(rng(), batch=1, n_cues=1, cue_length=10, cue_spacing=10, delay=0, recall_length=5, f0=ALWAYS)
    side = stimuli.cues[0, 0]
    assert populations(stimuli)[:, 0, side, 0].tolist() == [True] * 10 + [False] * 5
    assert populations(stimuli)[:, 0, 2, 0].tolist() == [False] * 10 + [True] * 5


def test_label_is_the_side_with_more_cues():
    for n_cues in (1, 3, 7):
        stimuli = evidence(rng(6), batch=200, n_cues=n_cues, n_in=4, delay=0)
        right = np.array([list(cues).count(1) for cues in stimuli.cues])
        left = np.array([list(cues).count(0) for cues in stimuli.cues])
        assert_array_equal(left + right, n_cues)
        assert_array_equal(stimuli.labels, right > left)
        assert set(stimuli.labels) == {0, 1}


@pytest.fixture(scope="module")
def many():
    """Spikes per trial (n, 4) and step (T, 4), cues (n, 7), labels (n,) of 1,280 trials as published."""
    generator, per_trial, per_step, cues, labels = rng(7), [], 0, [], []
    for _ in range(10):
        stimuli = evidence(generator, batch=128)
        spikes = populations(stimuli).sum(axis=-1)
        per_trial.append(spikes.sum(axis=0))
        per_step = per_step + spikes.sum(axis=1)
        cues.append(stimuli.cues)
        labels.append(stimuli.labels)
    return np.concatenate(per_trial), per_step, np.concatenate(cues), np.concatenate(labels)


def test_cues_are_a_mixture_of_two_binomials(many):
    _, _, cues, labels = many
    n = len(cues)
    expected = np.array([stats.binom.pmf(np.arange(8), 7, p) for p in (0.3, 0.7)]).mean(axis=0)
    within(np.bincount(cues.sum(axis=1), minlength=8) / n, expected, expected * (1 - expected) / n)
    within(labels.mean(), 0.5, 0.25 / n)
    within(cues.mean(axis=0), 0.5, 0.25 / n)  # of each cue
    # two cues of a trial agree when both are on its frequent side, or both on the other
    agree, q = (cues[:, 1:] == cues[:, :-1]).mean(axis=0), 0.7**2 + 0.3**2
    within(agree, q, q * (1 - q) / n)


def test_populations_fire_at_the_published_rates(many):
    per_trial, per_step, cues, _ = many
    n = len(per_trial)
    # given the cues, a trial's spikes are binomial; 140, 140, 60 and 225 on average
    right = cues.sum(axis=1)
    for population, active in enumerate((7 - right, right)):
        within(per_trial[:, population].sum(), 40 * active.sum(), 40 * 0.96 * active.sum())
    within(per_trial[:, 2].mean(), 60, 60 * 0.96 / n)
    within(per_trial[:, 3].mean(), 225, 225 * 0.99 / n)
    within(per_trial[:, :2].mean(axis=0), 140, 75**2 / n)
    # and step by step: 0.04 for whoever is active, the first and the last step of a window too
    for k in range(7):
        window = slice(50 + 150 * k, 150 + 150 * k)
        for population, active in enumerate(((cues[:, k] == 0).sum(), (cues[:, k] == 1).sum())):
            within(per_step[window, population], 0.4 * active, 0.4 * 0.96 * active)
    within(per_step[2100:, 2], 0.4 * n, 0.4 * 0.96 * n)
    within(per_step[:, 3], 0.1 * n, 0.1 * 0.99 * n, errors=5)


def test_noise_fires_at_a_quarter_of_the_rate_unless_told():
    for noise, rate in ((None, 0.05), (150.0, 0.15)):
        x = populations(evidence(rng(), batch=8, f0=200.0, noise=noise))[:, :, 3]
        within(x.mean(), rate, rate * (1 - rate) / x.size)


# store-recall


def test_store_recall_has_the_documented_schedule():
    stimuli = store_recall(rng(), batch=8, n_in=12, cue_length=5, delay=7, recall_length=3, f0=ALWAYS, noise=0.0)
    expected = np.zeros((15, 8, 4, 3), bool)
    for trial, value in enumerate(stimuli.labels):
        expected[:5, trial, [value, 2]] = True
    expected[12:, :, 3] = True
    assert_array_equal(populations(stimuli), expected)
    assert stimuli.recall_length == 3
    assert stimuli.x.shape == (15, 8, 12) and stimuli.x.dtype == bool
    assert set(stimuli.labels) == {0, 1}
    assert_array_equal(stimuli.cues, stimuli.labels[:, None])


def test_store_recall_has_noise_everywhere_else():
    """Noise of one spike per step, and cues of none, leave the opposite schedule."""
    silent = store_recall(rng(), batch=8, n_in=4, cue_length=5, delay=7, recall_length=3, f0=0.0, noise=ALWAYS)
    loud = store_recall(rng(), batch=8, n_in=4, cue_length=5, delay=7, recall_length=3, f0=ALWAYS, noise=0.0)
    assert_array_equal(silent.labels, loud.labels)
    assert_array_equal(silent.x, ~loud.x)


def test_store_recall_fires_at_the_documented_rates():
    stimuli = store_recall(rng(8), batch=400)
    x, value, trial = populations(stimuli), stimuli.labels, np.arange(400)
    assert len(x) == 1200
    within(value.mean(), 0.5, 0.25 / 400)
    for cued in (x[:100, trial, value], x[:100, :, 2], x[1100:, :, 3]):
        within(cued.mean(), 0.05, 0.05 * 0.95 / cued.size)
    for rest in (x[:100, trial, 1 - value], x[:1100, :, 3], x[100:, :, :3]):
        within(rest.mean(), 0.01, 0.01 * 0.99 / rest.size)


def test_store_recall_may_do_without_a_delay():
    assert store_recall(rng(), delay=0).x.shape == (200, 64, 40)


# draws and sources

TASKS = {
    "evidence": functools.partial(evidence, batch=3, n_in=8),
    "store_recall": functools.partial(store_recall, batch=3, n_in=8),
}
task = pytest.mark.parametrize("draw", TASKS.values(), ids=TASKS)


def assert_same(a, b):
    assert_array_equal(a.x, b.x)
    assert_array_equal(a.cues, b.cues)
    assert_array_equal(a.labels, b.labels)
    assert a.recall_length == b.recall_length


@task
def test_a_seed_determines_the_trials(draw):
    first, again, other = (draw(rng(seed)) for seed in (9, 9, 10))
    assert_same(first, again)
    assert (first.x != other.x).any()
    assert first.x.dtype == bool
    assert first.cues.dtype == first.labels.dtype == np.int64


def test_a_seed_determines_the_pattern():
    first, again, other = (pattern(rng(seed)) for seed in (9, 9, 10))
    for one, same, different in zip(first, again, other, strict=True):
        assert_array_equal(one, same)
        assert (one != different).any()


@task
def test_source_draws_fresh_trials_from_its_one_generator(draw):
    source, generator = Drawn(draw, [rng(11)]), rng(11)
    for _ in range(3):
        assert_same(source.next(), draw(generator))
    assert (source.next().x != source.next().x).any()


@task
def test_replicas_draw_what_each_would_draw_alone(draw):
    source = Drawn(draw, [rng(seed) for seed in range(2)], stacked)
    alone = [Drawn(draw, [rng(seed)]) for seed in range(2)]
    for _ in range(2):
        together, apart = source.next(), [each.next() for each in alone]
        assert isinstance(together, Stimuli)
        assert together.x.shape == (2, *apart[0].x.shape) and together.labels.shape == (2, 3)
        assert together.recall_length == apart[0].recall_length
        for replica, each in enumerate(apart):
            assert_array_equal(together.x[replica], each.x)
            assert_array_equal(together.cues[replica], each.cues)
            assert_array_equal(together.labels[replica], each.labels)


@task
@pytest.mark.parametrize("seeds", [1, 3])
def test_restored_source_continues_exactly(draw, seeds):
    source = Drawn(draw, [rng(seed) for seed in range(seeds)], stacked)
    source.next()
    state = json.dumps(source.state())  # as a checkpoint keeps it
    after = [source.next() for _ in range(2)]
    other = Drawn(draw, [rng(100 + seed) for seed in range(seeds)], stacked)
    for resumed in (other, source):
        resumed.restore(json.loads(state))
        assert json.dumps(resumed.state()) == state
        for expected in after:
            assert_same(resumed.next(), expected)


def test_state_is_not_changed_by_later_draws():
    source = Drawn(TASKS["evidence"], [rng()])
    state = source.state()
    kept = json.dumps(state)
    source.next()
    assert json.dumps(state) == kept != json.dumps(source.state())


def test_state_of_another_number_of_replicas_is_refused():
    with pytest.raises(ValueError):
        Drawn(TASKS["evidence"], [rng(), rng(1)]).restore(Drawn(TASKS["evidence"], [rng()]).state())


# what is refused


@pytest.mark.parametrize(
    "options, message",
    [
        ({"delay": -1}, "delay is -1; it must be at least 0"),
        ({"cue_length": 151}, "cue_length is 151, which does not fit into cue_spacing, 150"),
        ({"n_cues": 4}, "n_cues is 4, which is even"),
        ({"n_cues": 0}, "n_cues is 0"),
        ({"n_cues": -1}, "n_cues is -1"),
        ({"cue_spacing": 0}, "cue_spacing is 0"),
    ],
)
def test_impossible_evidence_is_refused(options, message):
    refused(evidence, options, message)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"n_in": 42}, "n_in is 42.*multiple of 4"),
        ({"n_in": 0}, "n_in is 0"),
        ({"batch": 0}, "batch is 0"),
        ({"cue_length": 0}, "cue_length is 0"),
        ({"recall_length": 0}, "recall_length is 0"),
        ({"delay": -5}, "delay is -5"),
        ({"f0": -1.0}, "f0 is -1"),
        ({"f0": 1000.5}, "f0 is 1000.5.*1000"),
        ({"f0": float("nan")}, "f0 is nan"),
        ({"noise": -1.0}, "noise is -1"),
        ({"noise": 1001.0}, "noise is 1001"),
    ],
)
@pytest.mark.parametrize("draw", [evidence, store_recall])
def test_impossible_trials_are_refused(draw, options, message):
    refused(draw, options, message)


@pytest.mark.parametrize(
    "options, message",
    [({"T": 0}, "T is 0"), ({"batch": 0}, "batch is 0"), ({"n_in": 0}, "n_in is 0"), ({"n_out": 0}, "n_out is 0")]
    + [({"rate": -1.0}, "rate is -1"), ({"rate": 1001.0}, "rate is 1001")],
)
def test_impossible_pattern_is_refused(options, message):
    refused(pattern, options, message)


@pytest.mark.parametrize(
    "options",
    [{"n_in": 8.0}, {"batch": True}, {"recall_length": "5"}, {"delay": 2.5}, {"f0": "40"}, {"noise": True}, {"f0": 1j}],
)
@pytest.mark.parametrize("draw", [evidence, store_recall])
def test_values_of_another_kind_are_refused(draw, options):
    refused(draw, options, next(iter(options)))


@pytest.mark.parametrize("draw", [evidence, store_recall, pattern])
@pytest.mark.parametrize("generator", [1, None, [np.random.default_rng(0)], np.random])
def test_something_else_than_a_generator_is_refused(draw, generator):
    with pytest.raises(PlasticError, match="generator"):
        draw(generator)


def test_stimuli_that_differ_are_not_stacked():
    of = functools.partial(store_recall, rng())
    for some in (
        [],
        [of(batch=2), of(batch=3)],
        [of(batch=2), of(batch=2, delay=10)],
        [of(1), of(1, recall_length=50, delay=1050)],
    ):
        with pytest.raises(PlasticError, match="stimuli are"):
            stacked(some)


def test_reprs_are_of_one_line():
    trials = stacked([store_recall(rng(seed), batch=2) for seed in (1, 2)])
    assert repr(trials) == "Stimuli of 2 x 2 trials, 1200 ms, the last 100 for recall, 40 inputs"


def refused(draw, options, message):
    """In one line, and before anything is drawn."""
    generator = rng()
    before = generator.bit_generator.state
    with pytest.raises(PlasticError, match=message) as error:
        draw(generator, **options)
    assert "\n" not in str(error.value)
    assert generator.bit_generator.state == before
