import json
import types

import numpy as np
import pytest

from plastic import xp
from plastic.data.speech import batches
from plastic.data.speech.augmentation import augment
from plastic.data.speech.features import log_mel, standardise
from plastic.errors import PlasticError
from plastic.training import fit

RATE = 1000  # 25 frames of 64 samples fit this second as 41 of 1024 fit one at 16 kHz
COUNTS = {0: 5, 2: 60, 3: 35}  # of the four classes one has no recording


class Noises:
    """Recordings of noise that are made when asked for."""

    def __init__(self, counts=COUNTS):
        self.labels = np.random.default_rng(4).permutation(np.repeat(list(counts), list(counts.values())))
        self.asked = []

    def __len__(self):
        return len(self.labels)

    def waves(self, indices):
        self.asked.extend(int(i) for i in indices)
        made = [np.random.default_rng(int(i)).uniform(-1, 1, RATE) for i in indices]
        return np.array(made, np.float32).reshape(len(indices), RATE)


BACKGROUND = [np.random.default_rng(9).uniform(-1, 1, 3 * RATE).astype(np.float32)]


def source(*seeds, batch_size=10, noise=BACKGROUND, recordings=None):
    generators = [np.random.default_rng(seed) for seed in seeds]
    return batches.Batches(recordings or Noises(), RATE, batch_size, 4, generators, noise)


def host(batch):
    return tuple(map(xp.asnumpy, batch))


def test_a_batch_on_every_backend(precision):
    x, labels = source(0).next()
    assert (x.shape, x.dtype) == ((10, 41, 4), np.dtype(precision))
    assert (labels.shape, labels.dtype) == ((10,), np.int64)
    x = xp.asnumpy(x)
    np.testing.assert_allclose(x.mean(axis=(1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(x.std(axis=(1, 2), ddof=1), 1, rtol=1e-5)


def test_labels_go_with_their_waveforms():
    """Without noise, a batch is its recordings shifted: as the pieces it is made of say, with the same draws."""
    recordings = Noises()
    x, labels = source(3, noise=(), recordings=recordings).next()
    chosen = list(recordings.asked)
    np.testing.assert_array_equal(labels, recordings.labels[chosen])
    waves = recordings.waves(chosen)
    rng = np.random.default_rng(3)
    batches.Balanced(recordings.labels).draw(rng, 10)
    augment(waves, RATE, [], rng)
    np.testing.assert_array_equal(x, standardise(log_mel(waves, RATE, 4)))


def test_classes_are_balanced_and_so_are_their_recordings():
    recordings = Noises()
    drawn = []
    each = source(0, batch_size=100, recordings=recordings)
    for _ in range(30):
        drawn.append(host(each.next())[1])
    n, drawn = 3000, np.concatenate(drawn)
    for label, count in COUNTS.items():
        assert abs(np.mean(drawn == label) - 1 / 3) < 4 * np.sqrt(2 / 9 / n)
        mine = np.flatnonzero(recordings.labels == label)
        counts = np.bincount(recordings.asked, minlength=100)[mine]
        expected = n / 3 / count
        degrees = count - 1
        spread = counts.sum() / count  # given how often the class came
        assert np.square(counts - spread).sum() / expected < degrees + 4 * np.sqrt(2 * degrees)


def test_an_epoch_is_the_batches_that_fill():
    assert [source(0, batch_size=size).per_epoch for size in (1, 10, 30, 51, 100)] == [100, 10, 3, 1, 1]


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (0, "batch_size is 0; it must be at least 1"),
        (2.5, r"batch_size is 2\.5; it must be a whole number"),
        (101, "batch_size 101 is not possible with 100 training recordings"),
    ],
)
def test_a_batch_that_is_not_possible(size, message):
    with pytest.raises(PlasticError, match=message):
        source(0, batch_size=size)


def test_a_source_is_shown_in_one_line():
    assert repr(source(0, batch_size=10)) == "Batches of 10 out of 100 recordings, 4 mel filters"
    assert repr(source(0, 1, batch_size=10)) == "Batches of 2 replicas of 10 out of 100 recordings, 4 mel filters"


def test_replicas_have_the_batches_of_their_seeds():
    together = source(5, 6, 7)
    apart = [source(seed) for seed in (5, 6, 7)]
    for _ in range(3):
        x, labels = host(together.next())
        assert x.shape == (3, 10, 41, 4) and labels.shape == (3, 10)
        for replica, each in enumerate(apart):
            alone, its_labels = host(each.next())
            np.testing.assert_array_equal(x[replica], alone)
            np.testing.assert_array_equal(labels[replica], its_labels)
    assert not np.array_equal(x[0], x[1])


@pytest.mark.parametrize("seeds", [(0,), (1, 2)])
def test_goes_on_exactly_where_it_was(seeds):
    first = source(*seeds)
    for _ in range(13):
        first.next()
    state = json.loads(json.dumps(first.state()))
    expected = [host(first.next()) for _ in range(3)]
    again = source(*(seed + 100 for seed in seeds))
    again.next()
    again.restore(state)
    for x, labels in expected:
        found, its_labels = host(again.next())
        np.testing.assert_array_equal(found, x)
        np.testing.assert_array_equal(its_labels, labels)


def test_a_state_is_not_changed_by_what_comes_after():
    each = source(0)
    state = each.state()
    before = json.dumps(state)
    each.next()
    assert json.dumps(state) == before


class Run:
    """As much of a run as `fit` needs."""

    def __init__(self, folder):
        self.folder, self.counters, self.columns = folder, None, {}

    def begin(self, **_):
        pass

    def has_checkpoint(self):
        return False

    def forget_rows(self):
        pass

    def log(self, rows):
        pass

    def status(self, *_, **__):
        pass

    def save_checkpoint(self, state, counters):
        self.counters = json.loads(json.dumps(counters))


def test_it_is_a_source_for_fit(tmp_path):
    seen, total = [], np.zeros(1)

    def step(batch, number):
        total[:] += batch[0].sum()
        seen.append(batch[1])
        return total

    run = Run(tmp_path)
    options = types.SimpleNamespace(steps=4, evaluate_every=2, checkpoint_every=2, replicas=[{"seed": 0}])
    fit(run, {"total": total}, source(0), step, evaluate=lambda: {"total": total[0]}, **vars(options))
    expected = source(0)
    for labels in seen:
        np.testing.assert_array_equal(labels, expected.next()[1])
    assert run.counters["source"] == json.loads(json.dumps(expected.state()))


@pytest.mark.parametrize("n", [1, 256, 300])
def test_the_features_of_a_whole_split(n):
    recordings = Noises({1: n})
    found = xp.asnumpy(batches.fixed(recordings, RATE, 4))
    assert found.shape == (n, 41, 4)
    assert recordings.asked == list(range(n))
    for i in {0, n // 2, n - 1}:
        expected = standardise(log_mel(recordings.waves([i])[0], RATE, 4))
        np.testing.assert_allclose(found[i], expected, rtol=1e-4, atol=1e-4)


def test_a_whole_split_on_every_backend(precision):
    assert batches.fixed(Noises(), RATE, 4).dtype == np.dtype(precision)
