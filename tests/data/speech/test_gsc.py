import hashlib
import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

from plastic.data import speech
from plastic.data.speech import gsc
from plastic.data.speech.source import SILENCE
from plastic.errors import PlasticError

# from validation_list.txt and testing_list.txt of the data set
OF_VALIDATION = "e95c70e2_nohash_1 3bdf05d3_nohash_0 32ad5b65_nohash_3 541120c7_nohash_0 c6389ab0_nohash_0"
OF_TEST = "bb05582b_nohash_3 97f4c236_nohash_2 f2e59fea_nohash_3 fdb5155e_nohash_2 893705bb_nohash_13 c9b5ff26_nohash_3"


@pytest.mark.parametrize(("split", "names"), [("validation", OF_VALIDATION), ("test", OF_TEST)])
def test_the_lists_that_come_with_the_data(split, names):
    assert {gsc.split_of(f"{name}.wav") for name in names.split()} == {split}


def split_by_fractions(name):
    """The published rule in exact arithmetic."""
    number = int.from_bytes(hashlib.sha1(name.partition("_nohash_")[0].encode()).digest(), "big") % 2**27
    percent = Fraction(100 * number, 2**27 - 1)
    return "validation" if percent < 10 else "test" if percent < 20 else "train"


def test_ten_percent_of_the_speakers_each_for_validation_and_test():
    names = [f"{speaker:08x}_nohash_{speaker % 3}.wav" for speaker in range(20_000)]
    splits = [gsc.split_of(name) for name in names]
    assert splits == [split_by_fractions(name) for name in names]
    for split, share in (("validation", 0.1), ("test", 0.1), ("train", 0.8)):
        error = math.sqrt(share * (1 - share) / len(names))
        assert abs(splits.count(split) / len(names) - share) < 4 * error


def test_a_speaker_is_in_one_split():
    assert len({gsc.split_of(f"0a7c2a8d_nohash_{i}.wav") for i in range(20)}) == 1


WORDS = ("bed", "cat", "yes", "stop", "zero", "up")
NAMES = tuple(f"{word}/{speaker:08x}_nohash_0.wav" for word in WORDS for speaker in range(501, 802))


def test_the_twelve_classes_of_the_task():
    expected = "unknown silence yes no up down left right on off stop go"
    assert speech.info("GSC") == (tuple(expected.split()), 16_000)


def test_what_is_in_each_split():
    total = set()
    for split, (labels, rows) in gsc.split(NAMES, seed=0).items():
        assert labels.dtype == rows.dtype == np.int64
        classes = [gsc.CLASSES[label] for label in labels]
        here = [name for name in NAMES if split_by_fractions(name.split("/")[1]) == split]
        known = [name for name in here if name.split("/")[0] in ("yes", "stop", "up")]
        n_unknown = math.ceil(len(known) / 10)
        n_silence = math.ceil((len(known) + n_unknown) / 10)
        words = Counter(name.split("/")[0] for name in known)
        assert Counter(classes) == words | {"unknown": n_unknown, "silence": n_silence}
        for name, row in zip(classes, rows, strict=True):
            if name == "silence":
                assert row == SILENCE
            elif name == "unknown":
                assert NAMES[row].split("/")[0] in ("bed", "cat", "zero") and NAMES[row] in here
            else:
                assert NAMES[row].split("/")[0] == name and NAMES[row] in known
        recorded = [row for row in rows if row != SILENCE]
        assert len(set(recorded)) == len(recorded) and total.isdisjoint(recorded)
        total |= set(recorded)


def test_the_seed_draws_the_unknown_and_nothing_else():
    first, same, other = (gsc.split(NAMES, seed) for seed in (0, 0, 1))
    for split, (labels, rows) in first.items():
        for a, b in zip((labels, rows), same[split], strict=True):
            np.testing.assert_array_equal(a, b)
        unknown = labels == 0
        np.testing.assert_array_equal(labels, other[split][0])
        np.testing.assert_array_equal(rows[~unknown], other[split][1][~unknown])
        assert not np.array_equal(rows[unknown], other[split][1][unknown])


def test_the_unknown_are_drawn_evenly():
    others = [row for row, name in enumerate(NAMES) if name.split("/")[0] in ("bed", "cat", "zero")]
    count = Counter()
    for seed in range(200):
        labels, rows = gsc.split(NAMES, seed)["train"]
        count.update(rows[labels == 0].tolist())
    training = [row for row in others if split_by_fractions(NAMES[row].split("/")[1]) == "train"]
    share = sum(count.values()) / 200 / len(training)
    expected, error = 200 * share, math.sqrt(200 * share * (1 - share))
    assert set(count) <= set(training)
    assert max(abs(count[row] - expected) for row in training) < 5 * error


def test_too_few_other_words_are_all_taken():
    names = [f"yes/{speaker:08x}_nohash_0.wav" for speaker in range(300)] + [f"bed/{NAMES[0].split('/')[1]}"]
    taken = [rows[labels == 0].tolist() for labels, rows in gsc.split(names, 0).values()]
    assert sorted(taken) == [[], [], [300]]


def test_from_the_archive_to_waveforms(gsc_mirror, gsc_entries, commands, noises, tmp_path):
    gsc_mirror(gsc_entries)
    made = speech.load("gsc", folder=tmp_path)
    assert (made.name, made.rate, made.classes) == ("GSC", 16_000, gsc.CLASSES)
    for found, samples in zip(made.noise, noises.values(), strict=True):
        np.testing.assert_array_equal(found, (samples / 2**15).astype(np.float32), strict=True)
    paths = list(commands)
    for split in ("train", "validation", "test"):
        recordings = getattr(made, split)
        known = [path for path in paths if path[2:].split("/")[0] in ("yes", "no", "go")]
        expected = [path for path in known if split_by_fractions(path.split("/")[2]) == split]
        n = len(expected) + math.ceil(len(expected) / 10)
        assert len(recordings) == n + math.ceil(n / 10)
        waves = recordings.waves(range(len(recordings)))
        assert (waves.shape, waves.dtype) == ((len(recordings), 16_000), np.float32)
        for label, row, wave in zip(recordings.labels, recordings.rows, waves, strict=True):
            if made.classes[label] == "silence":
                assert (wave == np.float32(1e-9)).all()
                continue
            path, samples = paths[row], commands[paths[row]]
            word = path[2:].split("/")[0]
            assert made.classes[label] == (word if word in made.classes else "unknown")
            np.testing.assert_array_equal(wave[: len(samples)], samples / 2**15)
            assert not wave[len(samples) :].any()


def test_the_full_task_has_every_recording_under_its_own_word():
    names = [f"{word}/{k:08x}_nohash_{n}.wav" for k, word in enumerate(gsc.WORDS) for n in range(3)]
    assert len(gsc.WORDS) == len(set(gsc.WORDS)) == 35 and set(gsc.CLASSES[2:]) < set(gsc.WORDS)
    seen = []
    for split, (labels, rows) in gsc.split_words(names, 0).items():
        for label, row in zip(labels, rows, strict=True):
            word, file = names[row].split("/")
            assert gsc.WORDS[label] == word and split_by_fractions(file) == split
        seen += rows.tolist()
    assert sorted(seen) == list(range(len(names)))
    with pytest.raises(PlasticError, match=r"'hello/1_nohash_0\.wav' is no recording of one of the 35 words"):
        gsc.split_words(["hello/1_nohash_0.wav"], 0)


def test_the_full_task_is_of_the_same_file():
    assert gsc.FULL.file == gsc.SOURCE.file and speech.info("gsc", full=True) == (gsc.WORDS, 16_000)
    with pytest.raises(PlasticError, match="full is for GSC; FSDD has its 10 classes only"):
        speech.info("fsdd", full=True)
