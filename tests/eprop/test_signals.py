"""Losses and regularisers against their own definitions, and their gradients against finite differences."""

import math

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from plastic import check, xp
from plastic.eprop import signals
from plastic.errors import PlasticError

SHAPE = (5, 4, 3)  # T, batch, outputs or neurons


def readouts(seed=0, shape=SHAPE, scale=2.0):
    return xp.asarray(scale * np.random.default_rng(seed).standard_normal(shape))


def classes(seed=0, shape=(4,), count=3):
    return xp.asarray(np.random.default_rng(seed).integers(0, count, shape))


# regression


def test_regression_is_half_the_mean_over_time_and_batch_of_sums_of_squares():
    xp.use(dtype="float64")
    output, y = np.array([[[1.0, 2.0]], [[3.0, 4.0]]]), np.array([[[0.0, 4.0]], [[3.0, 7.0]]])
    loss, err = signals.regression(output, y)
    assert loss == (1 + 4 + 0 + 9) / 2 / 2
    assert_array_equal(err, [[[0.5, -1]], [[0, -1.5]]])


@pytest.mark.parametrize("axis", [-2, -3])
def test_losses_do_not_depend_on_how_often_a_trial_or_all_time_is_repeated(axis):
    xp.use(dtype="float64")
    output, y, labels = readouts(0), readouts(1), classes()
    twice = [np.concatenate([each, each], axis=axis) for each in (output, y)]
    assert_allclose(signals.regression(*twice)[0], signals.regression(output, y)[0], rtol=1e-14)
    more = np.concatenate([labels, labels]) if axis == -2 else labels
    found, expected = signals.classification(twice[0], more), signals.classification(output, labels)
    assert_allclose(found[0], expected[0], rtol=1e-14)


def test_regression_has_its_gradient(backend):
    y, target = readouts(0), readouts(1)
    check.gradient(lambda y: signals.regression(y, target)[0], y, signals.regression(y, target)[1])


# classification


def literal_cross_entropy(y, labels, window):
    T, batch, _ = y.shape
    total = 0.0
    for b in range(batch):
        for t in range(T - window, T):
            total -= math.log(math.exp(y[t, b, labels[b]]) / sum(math.exp(value) for value in y[t, b]))
    return total / (window * batch)


@pytest.mark.parametrize("window", [1, 3, 5, None])
def test_classification_has_its_gradient(backend, window):
    y, labels = readouts(), classes()
    loss, err = signals.classification(y, labels, window)
    host = xp.asnumpy(y), xp.asnumpy(labels)
    assert_allclose(xp.asnumpy(loss), literal_cross_entropy(*host, window or 5), rtol=1e-13)
    check.gradient(lambda y: signals.classification(y, labels, window)[0], y, err)


@pytest.mark.parametrize("window", [1, 3, 5])
def test_errors_of_classification_are_0_before_the_window_and_in_each_sum(backend, window):
    y = readouts()
    err = xp.asnumpy(signals.classification(y, classes(), window)[1])
    assert err.shape == SHAPE
    assert_array_equal(err[:-window], 0)
    assert np.all(err[-window:] != 0)
    assert_allclose(err.sum(axis=-1), 0, atol=1e-16)
    picked = np.take_along_axis(err[-window:], xp.asnumpy(classes())[None, :, None], axis=-1)
    assert np.all(picked < 0) and np.sum(err < 0) == picked.size


def test_extreme_readouts_cost_what_they_are_worth(precision):
    """Finite, and to the last digit: -log pi is the distance from the largest readout."""
    y = np.array([[[1e30, 0, -1e30], [-1e5, 1e5, 0], [0, 0, 0]]])
    for labels, costs in (([0, 1, 2], [0, 0]), ([2, 0, 1], [2e30, 2e5]), ([1, 2, 0], [1e30, 1e5])):
        loss, err = signals.classification(xp.asarray(y, dtype=precision), xp.asarray(np.array(labels)), 1)
        assert_allclose(xp.asnumpy(loss), (sum(costs) + math.log(3)) / 3, rtol=1e-6)
        likely = np.array([[1, 0, 0], [0, 1, 0], [1 / 3] * 3])
        assert_allclose(xp.asnumpy(err)[0], (likely - np.eye(3)[labels]) / 3, atol=1e-7)


def test_classification_keeps_the_precision_and_its_input(precision):
    y = xp.asarray(xp.asnumpy(readouts()), dtype=precision)
    before = xp.asnumpy(y).copy()
    for loss, err in (signals.classification(y, classes(), 2), signals.regression(y, y + 1)):
        assert err.dtype == loss.dtype == precision
        assert loss.shape == () and err.shape == y.shape
    assert_array_equal(xp.asnumpy(y), before)


@pytest.mark.parametrize("window", [1, 2, 5])
def test_a_decision_is_the_largest_mean_readout_of_the_window(backend, window):
    y = readouts(3, (5, 40, 3))
    host = xp.asnumpy(y)
    expected = [max(range(3), key=lambda k: sum(host[5 - window :, b, k])) for b in range(40)]
    assert_array_equal(xp.asnumpy(signals.decisions(y, window)), expected)
    assert set(expected) == {0, 1, 2}


# regularisers of rates


def literal_running(z, target, strength):
    """The definition of the "online" penalty, over one stream of all trials."""
    T, batch, n = z.shape
    stream = [z[t, b] for b in range(batch) for t in range(T)]
    total = 0.0
    for b in range(batch):
        for t in range(T):
            steps = b * T + t + 1
            for j in range(n):
                average = sum(float(spikes[j]) for spikes in stream[:steps]) / steps
                total += (average - target) ** 2 / T
    return strength * total


def test_rates_are_means_over_time_and_batch(precision):
    z = np.random.default_rng(0).random(SHAPE) < 0.4
    found = signals.rates(xp.asarray(z))
    assert found.shape == (1, 1, 3) and found.dtype == precision
    assert_allclose(xp.asnumpy(found)[0, 0], z.reshape(-1, 3).mean(axis=0), rtol=1e-6)


@pytest.mark.parametrize("T", [255, 256, (1 << 16) - 1, 1 << 16])
@pytest.mark.parametrize("kind", [bool, "float32"])
def test_neurons_that_always_fire_have_the_rate_1(T, kind):
    """However many steps there are to count."""
    z = np.zeros((T, 2, 3), bool)
    z[:, :, 0] = z[:, 0, 1] = True
    assert signals.rates(z.astype(kind)).tolist() == [[[1.0, 0.5, 0.0]]]


def test_the_penalty_of_rates_is_its_definition(backend):
    z = np.random.default_rng(0).random(SHAPE) < 0.4
    penalty, R = signals.rate_penalty(xp.asarray(z), 0.1, 3.0)
    rates = [z[:, :, j].sum() / 20 for j in range(3)]
    assert_allclose(xp.asnumpy(penalty), 3 * sum((rate - 0.1) ** 2 for rate in rates), rtol=1e-13)
    assert R.shape == (1, 1, 3)


PENALTIES = (signals.rate_penalty, signals.running_rate_penalty)


@pytest.mark.parametrize("function", PENALTIES)
@pytest.mark.parametrize("shape", [SHAPE, (1, 4, 3), (5, 1, 3), (1, 1, 1)])
def test_a_regulariser_is_the_derivative_of_its_penalty(backend, function, shape):
    """R is dE_reg/dz at every step, as if spikes were numbers."""
    z = xp.asarray(np.random.default_rng(1).random(shape))
    penalty, R = function(z, 0.2, 3.0)
    assert penalty.shape == ()
    check.gradient(lambda z: function(z, 0.2, 3.0)[0], z, R + xp.zeros_like(z))


@hypothesis.given(
    seed=st.integers(0, 1000),
    T=st.integers(1, 5),
    batch=st.integers(1, 5),
    n=st.integers(1, 3),
    kind=st.sampled_from(["spikes", "numbers"]),
)
def test_the_running_penalty_is_its_definition(seed, T, batch, n, kind):
    xp.use(dtype="float64")
    z = np.random.default_rng(seed).random((T, batch, n))
    z = z < 0.4 if kind == "spikes" else z
    penalty, R = signals.running_rate_penalty(z, 0.1, 3.0)
    assert_allclose(penalty, literal_running(z, 0.1, 3.0), rtol=1e-12)
    assert R.shape == z.shape


@pytest.mark.parametrize("function", PENALTIES)
def test_spikes_may_be_booleans_or_numbers(precision, function):
    z = xp.asarray(np.random.default_rng(0).random(SHAPE) < 0.4)
    for a, b in zip(function(z, 0.1, 3.0), function(z.astype(precision), 0.1, 3.0), strict=True):
        assert a.dtype == b.dtype == precision
        assert_allclose(xp.asnumpy(a), xp.asnumpy(b), rtol=1e-6)


@pytest.mark.parametrize("function", PENALTIES)
def test_a_network_at_its_target_is_left_alone(function):
    xp.use(dtype="float64")
    penalty, R = function(np.full(SHAPE, 0.25), 0.25, 3.0)
    assert penalty == 0 and not R.any()


# replicas


@pytest.mark.parametrize("leading", [(3,), (3, 3)])
def test_replicas_equal_separate_runs(backend, leading):
    """As many replicas as steps, trials and outputs."""
    rng = np.random.default_rng(2)
    y, target = (xp.asarray(rng.standard_normal((*leading, 3, 3, 3))) for _ in range(2))
    z = xp.asarray(rng.random((*leading, 3, 3, 3)) < 0.4)
    labels = xp.asarray(rng.integers(0, 3, (*leading, 3)))

    def results(y, target, z, labels, common):
        return [
            *signals.regression(y, target),
            *signals.regression(y, common[0]),
            *signals.classification(y, labels, 2),
            *signals.classification(y, common[1], 2),
            *signals.rate_penalty(z, 0.1, 2.0),
            *signals.running_rate_penalty(z, 0.1, 2.0),
            signals.decisions(y, 2),
            signals.rates(z),
        ]

    first = (0,) * len(leading)
    common = target[first], labels[first]
    together = results(y, target, z, labels, common)
    for index in np.ndindex(leading):
        alone = results(y[index], target[index], z[index], labels[index], common)
        for number, (a, b) in enumerate(zip(together, alone, strict=True)):
            assert a.shape == (*leading, *b.shape), number
            assert_allclose(xp.asnumpy(a[index]), xp.asnumpy(b), rtol=1e-12, atol=1e-15, err_msg=str(number))


# misuse

REFUSED = {
    "one row of targets": ("y", lambda o, y, labels: signals.regression(o, y[:, :1])),
    "one column of targets": ("y", lambda o, y, labels: signals.regression(o, y[..., :1])),
    "one step of targets": ("y", lambda o, y, labels: signals.regression(o, y[:1])),
    "targets of replicas": ("y", lambda o, y, labels: signals.regression(o, y[None])),
    "targets of another precision": ("y", lambda o, y, labels: signals.regression(o, y.astype("float32"))),
    "labels as targets": ("classification", lambda o, y, labels: signals.regression(o, labels)),
    "no targets": ("y", lambda o, y, labels: signals.regression(o, None)),
    "output without time": ("output", lambda o, y, labels: signals.regression(o[0], y[0])),
    "an empty output": ("output", lambda o, y, labels: signals.regression(o[:0], y[:0])),
    "a window of 0": ("window", lambda o, y, labels: signals.classification(o, labels, 0)),
    "a window longer than the trial": ("window", lambda o, y, labels: signals.classification(o, labels, 6)),
    "a negative window": ("window", lambda o, y, labels: signals.classification(o, labels, -1)),
    "a window of 1.5": ("window", lambda o, y, labels: signals.classification(o, labels, 1.5)),
    "a window of decisions": ("window", lambda o, y, labels: signals.decisions(o, 6)),
    "a column of labels": ("labels", lambda o, y, labels: signals.classification(o, labels[:, None])),
    "a label for each step": ("labels", lambda o, y, labels: signals.classification(o, y[..., 0] > 0)),
    "labels out of range": ("labels", lambda o, y, labels: signals.classification(o, labels + 3)),
    "negative labels": ("labels", lambda o, y, labels: signals.classification(o, labels - 3)),
    "labels as numbers": ("labels", lambda o, y, labels: signals.classification(o, labels.astype(float))),
    "one-hot labels": ("labels", lambda o, y, labels: signals.classification(o, np.eye(3, dtype=int)[labels])),
    "one label": ("labels", lambda o, y, labels: signals.classification(o, labels[:1])),
    "spikes without time": ("z", lambda o, y, labels: signals.rates(o[0, 0])),
    "spikes as whole numbers": ("z", lambda o, y, labels: signals.rate_penalty(o.astype(int), 0.1, 1.0)),
    "a target in Hz": ("target", lambda o, y, labels: signals.rate_penalty(o > 0, 10, 1.0)),
    "a negative strength": ("strength", lambda o, y, labels: signals.running_rate_penalty(o > 0, 0.1, -1.0)),
    "a strength that is no number": ("strength", lambda o, y, labels: signals.rate_penalty(o > 0, 0.1, math.nan)),
    "a target for each neuron": ("target", lambda o, y, labels: signals.rate_penalty(o > 0, np.full(3, 0.1), 1.0)),
}


@pytest.mark.parametrize("what", REFUSED)
def test_misuse_is_told(what):
    xp.use(dtype="float64")
    word, call = REFUSED[what]
    with pytest.raises(PlasticError, match=word) as told:
        call(readouts(0), readouts(1), classes())
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("function", PENALTIES)
def test_numbers_of_numpy_keep_the_precision(function):
    xp.use(dtype="float32")
    z = np.random.default_rng(0).random(SHAPE) < 0.4
    assert all(each.dtype == np.float32 for each in function(z, np.float64(0.1), np.float64(2.0)))


# a label for every frame


@pytest.mark.parametrize("padding", [False, True])
def test_framewise_averages_over_the_frames_of_each_sequence(padding):
    xp.use(dtype="float64")
    output, labels, lengths = readouts(), classes(shape=SHAPE[:2]), np.array([5, 1, 2, 4])
    y = np.exp(output) / np.exp(output).sum(axis=-1, keepdims=True)
    each = -np.log(np.take_along_axis(y, labels[..., None], axis=-1)[..., 0])
    wanted = each.mean() if padding else np.mean([each[:n, k].mean() for k, n in enumerate(lengths)])
    loss, err = signals.framewise(output, labels, lengths, padding=padding)
    assert_allclose(loss, wanted, rtol=1e-13)
    step = 1e-6
    for place in np.ndindex(output.shape):
        ahead, behind = output.copy(), output.copy()
        ahead[place] += step
        behind[place] -= step
        slope = [signals.framewise(o, labels, lengths, padding=padding)[0] for o in (ahead, behind)]
        assert_allclose(err[place], (slope[0] - slope[1]) / (2 * step), atol=1e-9)
    wrong = output.argmax(axis=-1) != labels
    found = signals.framewise_error(output, labels, lengths)
    assert_allclose(found, np.mean([wrong[:n, k].mean() for k, n in enumerate(lengths)]), rtol=1e-13)


def test_framewise_keeps_replicas_and_refuses_what_does_not_fit():
    output, labels = readouts(shape=(2, *SHAPE)), classes(shape=SHAPE[:2])
    loss, err = signals.framewise(output, labels, [5, 1, 2, 4])
    alone, its = signals.framewise(output[1], labels, [5, 1, 2, 4])
    assert loss.shape == (2,) and loss[1] == alone
    assert_array_equal(err[1], its)
    for more, named in (
        ({"labels": labels[0]}, "a class for each frame"),
        ({"labels": labels + 3}, "labels"),
        ({"lengths": [5, 1, 2]}, "lengths must be 4"),
        ({"lengths": [5, 1, 2, 6]}, "from 1 to 5"),
    ):
        with pytest.raises(PlasticError, match=named):
            signals.framewise(**{"output": output[0], "labels": labels, "lengths": None} | more)
