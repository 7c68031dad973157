"""Joined digits: speakers held out, every recording once; and batches of utterances."""

import os

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from plastic.data import speech, utterances
from plastic.data.sources import generator_states
from plastic.data.speech import clips
from plastic.data.utterances.batches import Shuffled, in_order
from plastic.data.utterances.sets import Utterances, spoken
from plastic.errors import PlasticError

MIRROR = os.environ.get("PLASTIC_MIRROR", "")  # read before the tests take it away


def digits(folder, speakers=("anna", "ben", "carl", "dora"), each=3):
    """Write a set of recordings of .1 s, noise of a loudness that is the digit's and the speaker's."""
    rng = np.random.default_rng(0)
    names, waves = [], []
    for digit in range(10):
        for k, speaker in enumerate(speakers):
            for n in range(each):
                names.append(f"recordings/{digit}_{speaker}_{n}.wav")
                wave = np.zeros(8000, "<i2")
                wave[:800] = 1 + 2 * np.abs(rng.standard_normal(800)) * 10 ** (2 + digit / 10 + k / 30)
                waves.append(wave)
    folder.mkdir(exist_ok=True)
    clips.write(folder / "fsdd.h5", 8000, names, [clips.checksum(wave) for wave in waves], [], waves)
    return folder


def test_every_recording_comes_once_and_speakers_are_held_out(tmp_path):
    found = utterances.load("FSDD", "mfccs", folder=digits(tmp_path))
    for split, speakers in (("train", 2), ("validation", 1), ("test", 1)):
        each = getattr(found, split)
        digits_of = np.concatenate(each.transcripts)
        assert np.bincount(digits_of).tolist() == [0] + [3 * speakers] * 10
        assert 1 <= min(map(len, each.transcripts)) and max(map(len, each.transcripts)) <= 6
        for row, transcript in enumerate(each.transcripts):
            labels = each.labels[each.starts[row] : each.starts[row + 1]]
            assert [label for label in spoken(labels, last=True) if label] == transcript
            runs = np.diff(np.flatnonzero(np.diff(np.concatenate([[0], labels != 0, [0]]))))[::2]
            assert all(9 <= run <= 11 for run in runs)  # a tenth of a second, at any place between two frames
            assert labels[0] == labels[-1] == 0
    assert found.classes == ("silence", *"0123456789") and found.scored.tolist() == list(range(11))
    again = utterances.load("FSDD", "mfccs", folder=tmp_path)
    assert_array_equal(again.test.features, found.test.features)


def test_speakers_are_needed_to_hold_out(tmp_path):
    with pytest.raises(PlasticError, match="anna, ben; three"):
        utterances.load("FSDD", "htk", folder=digits(tmp_path, ("anna", "ben")))


@pytest.mark.skipif(not os.path.isdir(os.path.join(MIRROR, "fsdd")), reason="PLASTIC_MIRROR has no FSDD")
def test_the_real_recordings(tmp_path, monkeypatch):
    monkeypatch.setenv("PLASTIC_MIRROR", MIRROR)
    found = utterances.load("FSDD", "mfccs", folder=tmp_path)
    assert sum(len(t) for split in (found.train, found.validation, found.test) for t in split.transcripts) == 3000
    assert sum(len(t) for t in found.test.transcripts) == 500
    assert speech.load("FSDD", folder=tmp_path).train.clips.names[-1].split("_")[1] == "yweweler"


def made(lengths, n=2):
    """Utterances whose features and labels tell which they are."""
    starts = np.concatenate([[0], np.cumsum(lengths)])
    which = np.repeat(np.arange(len(lengths)), lengths)
    return Utterances(
        np.stack([which, np.arange(starts[-1])], axis=1).astype(np.float32),
        starts,
        1 + which,
        [[k] for k in range(len(lengths))],
    )


def test_a_batch_is_padded_by_zeros_and_silence():
    batch = made([3, 1, 2]).batch([2, 0])
    assert batch.lengths.tolist() == [2, 3] and batch.transcripts == [[2], [0]]
    assert batch.labels.T.tolist() == [[3, 3, 0], [1, 1, 1]]
    assert batch.x[:, 0].tolist() == [[2, 4], [2, 5], [0, 0]]
    part = batch.window(2, 5)
    assert part.x.shape == (1, 2, 2) and part.lengths.tolist() == [1, 1]


def test_an_epoch_has_every_utterance_once_and_goes_on_from_a_state():
    source = Shuffled(made([1] * 11), 4, np.random.default_rng(0))
    assert source.per_epoch == 2
    epochs = [np.concatenate([source.next().transcripts for _ in range(2)])[:, 0].tolist() for _ in range(3)]
    assert all(sorted(epoch) == list(range(11)) for epoch in epochs) and epochs[0] != epochs[1]
    other = Shuffled(made([1] * 11), 4, np.random.default_rng(0))
    for _ in range(3):
        other.next()
    kept = other.state()
    following = [other.next().transcripts for _ in range(5)]
    fresh = Shuffled(made([1] * 11), 4, np.random.default_rng(9))
    fresh.restore(kept)
    assert [fresh.next().transcripts for _ in range(5)] == following and fresh.taken == 8
    assert generator_states(fresh.generators) == generator_states(other.generators)


def test_windows_lie_anywhere_in_the_batch():
    source = Shuffled(made([9, 9]), 2, np.random.default_rng(0), window=4)
    starts = set()
    for _ in range(60):
        x = source.next().x
        assert x.shape == (4, 2, 2)
        starts.add(int(x[0, :, 1].min()))
    assert starts == set(range(6))
    assert Shuffled(made([2, 3]), 2, np.random.default_rng(0), window=4).next().x.shape == (3, 2, 2)


def test_batches_in_order_and_refusals():
    assert [batch.transcripts for batch in in_order(made([1] * 3), 2)] == [[[0], [1]], [[2]]]
    with pytest.raises(PlasticError, match="a batch of 4"):
        Shuffled(made([1] * 3), 4, np.random.default_rng(0))
    with pytest.raises(PlasticError, match="window"):
        Shuffled(made([1] * 3), 1, np.random.default_rng(0), window=0)
