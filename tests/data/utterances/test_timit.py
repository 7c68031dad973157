import importlib.util
import sys

import command_lines
import numpy as np
import pytest
from data.utterances.conftest import SENTENCES, riff, samples_of, write
from numpy.testing import assert_allclose, assert_array_equal

import plastic
from plastic.data import utterances
from plastic.data.utterances import frames, phones, timit
from plastic.eprop.__main__ import COMMANDS
from plastic.errors import PlasticError

audio = pytest.mark.skipif(importlib.util.find_spec("soundfile") is None, reason="soundfile is not installed")


def load(folder, kind="mfccs", **more):
    return utterances.load("TIMIT", kind, timit_folder=folder, folder=folder.parent / "made", **more)


@audio
@pytest.mark.parametrize("kind", frames.WIDTHS)
def test_speakers_features_and_labels_are_the_published(corpus, kind):
    found = load(corpus, kind)
    assert found.classes == ("h#", "ix", "pcl", "z") and [len(found.train), len(found.validation), len(found.test)] == [
        6,
        2,
        2,
    ]
    names = ["train/dr1/fabc0/si7", "train/dr1/fabc0/sx3", "test/dr2/mcor0/si7", "test/dr2/mcor0/sx3"]
    raw = [frames.features(samples_of(name, SENTENCES[name[-3:]]), 16_000, kind) for name in names]
    assert_array_equal(found.train.lengths[:2], [len(each) for each in raw[:2]])
    assert_array_equal(found.test.lengths, [len(each) for each in raw[2:]])
    width = frames.WIDTHS[kind]
    assert found.train.features.shape[1] == 3 * width
    assert_allclose(found.train.features.mean(axis=0), 0, atol=1e-5)
    assert_allclose(found.train.features.std(axis=0), 1, atol=1e-4)
    ours, theirs = found.test.features[:, :width], np.concatenate(raw[2:])
    slope, constant = np.polyfit(theirs[:, 0], ours[:, 0], 1)  # the same numbers, for another mean and deviation
    assert_allclose(slope * theirs[:, 0] + constant, ours[:, 0], atol=1e-4)
    assert slope > 0


@audio
def test_labels_are_161_samples_apart_as_published_or_160(corpus):
    """480 // 161 = 2, but 480 // 160 = 3; 805 // 161 = 5, 1288 // 161 = 8; as published without the last phone."""
    one = load(corpus)
    assert one.train.lengths.tolist()[:2] == [11, 10]
    assert one.train.labels[:11].tolist() == [0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert one.train.transcripts[0] == [0, 1, 2] and one.train.transcripts[1] == [0, 1, 2]
    exact = load(corpus, exact=True)
    assert exact.train.labels[:11].tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 3]
    assert exact.train.labels[11:21].tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 3, 3]
    assert exact.train.transcripts[0] == [0, 1, 2, 3]


@audio
def test_the_39_phones(corpus):
    found = load(corpus, fold=True)
    assert found.classes == ("sil", "ih", "z") and found.scored.tolist() == [0, 1, 2]
    assert found.train.labels[:11].tolist() == [0, 0, 1, 1, 1, 0, 0, 0, 2, 2, 2]
    assert load(corpus).scored.tolist() == [0, 1, 0, 2]


@audio
@pytest.mark.parametrize(
    "form",
    [{"capitals": True, "suffix": ".WAV"}, {"form": riff}, {"capitals": True, "form": riff, "suffix": ".WAV.wav"}],
    ids=["capitals", "riff", "both files"],
)
def test_other_copies_are_the_same_corpus(tmp_path, corpus, form):
    """The folder may also be the one that holds the corpus."""
    other = write(tmp_path / "copy" / "data" / "lisa", **form)
    found = load(tmp_path / "copy", "fbank")
    assert_array_equal(found.test.features, load(corpus, "fbank").test.features)
    assert other != corpus


@audio
@pytest.mark.parametrize(
    ("words", "outputs"),
    [
        (("--model=lsnn", "--n_regular=3", "--n_adaptive=2"), 5),  # four phones of the few, and the unit without one
        (("--model=lstm", "--n_neuron=4", "--clean"), 3),  # the folded phones
        (("--task=ctc", "--n_neuron=4", "--n_layer=1", "--beam_width=2"), 5),  # and the blank
    ],
    ids=["lsnn", "lstm", "ctc"],
)
def test_the_command_learns_from_it(corpus, tmp_path, monkeypatch, words, outputs):
    monkeypatch.setenv("PLASTIC_DATASETS", str(tmp_path / "made"))
    monkeypatch.setenv("PLASTIC_RESULTS", str(tmp_path / "results"))
    words = ["timit", f"--timit={corpus}", "--preproc=fbank", "--batch=3", "--n_epochs=1", "--no_plot", *words]
    folder, shown = command_lines.trained(COMMANDS, words, "plastic.eprop")
    assert "-TIMIT-" in folder.name and shown[0].startswith("TIMIT: validation error")
    assert plastic.load(folder).network.sizes[::2] == (123, outputs)


@audio
def test_the_file_is_made_once_for_each_corpus(corpus, monkeypatch):
    load(corpus)
    monkeypatch.setattr(timit, "_make", None)
    load(corpus, fold=True)
    [made] = (corpus.parent / "made").glob("timit-mfccs-*.h5")
    (corpus / "train/dr1/fabc0/si7.phn").write_text("0 2000 h#\n")  # another corpus
    with pytest.raises(TypeError):
        load(corpus)
    assert made.exists()


DAMAGES = {
    "no .phn": (lambda top: (top / "train/dr1/fabc0/sx3.phn").unlink(), "sx3 without its transcription"),
    "no .wav": (lambda top: (top / "test/dr2/mcor0/si7.wav").unlink(), "si7 without its recording"),
    "a sentence less": (
        lambda top: [(top / f"train/dr1/mabc0/sx3{end}").unlink() for end in (".wav", ".phn")],
        "mabc0 has 1 sentences",
    ),
    "a speaker less": (lambda top: (top / "train/dr2").rename(top / "rest"), "has 2 speakers; TIMIT's has 3"),
    "no core speaker": (lambda top: (top / "test/dr2/mcor0").rename(top / "mcor0"), "lacks 1 .*dr2/mcor0"),
    "no test": (lambda top: (top / "test").rename(top / "tests"), "no copy of TIMIT"),
}
CONTENTS = {
    "an unknown phone": ("0 400 q#\n", "si7.phn, line 1: '0 400 q#'"),
    "words": ("0 400 iy\n400 she iy\n", "line 2"),
    "backwards": ("400 800 iy\n0 400 h#\n", "line 2"),
    "beyond the end": ("0 9000 iy\n", "line 1"),
    "nothing": ("\n"[:0], "si7.phn is empty"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_lacks_a_part_is_refused(corpus, damage):
    change, named = DAMAGES[damage]
    change(corpus)
    with pytest.raises(PlasticError, match=named):
        load(corpus)
    assert not list((corpus.parent / "made").glob("*.h5"))


@audio
@pytest.mark.parametrize("content", CONTENTS)
def test_wrong_transcriptions_are_refused(corpus, content):
    text, named = CONTENTS[content]
    (corpus / "train/dr1/fabc0/si7.phn").write_text(text)
    with pytest.raises(PlasticError, match=named):
        load(corpus)
    assert not list((corpus.parent / "made").glob("*.h5"))


@audio
@pytest.mark.parametrize(
    ("content", "named"),
    [(b"NIST_1A\n", "cannot be read as NIST SPHERE or RIFF"), (riff(np.ones(2000), 8000), "8,000 Hz"), (riff([]), "")],
)
def test_wrong_recordings_are_refused(corpus, content, named):
    (corpus / "train/dr1/fabc0/si7.wav").write_bytes(content)
    with pytest.raises(PlasticError, match=f"si7.wav .*{named}"):
        load(corpus)


def test_without_soundfile_one_line_says_what_to_install(corpus, monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(PlasticError, match=r"TIMIT needs soundfile: pip install 'plastic-learning\[audio\]'"):
        load(corpus)


def test_without_a_folder_the_message_says_how_to_go_on(tmp_path):
    with pytest.raises(PlasticError, match="--timit=FOLDER; --dataset=FSDD"):
        utterances.load("TIMIT")
    with pytest.raises(PlasticError, match=f"{tmp_path}/nowhere"):
        load(tmp_path / "nowhere")
    with pytest.raises(PlasticError, match="TIMIT or FSDD"):
        utterances.load("GSC")


def test_a_whole_corpus_has_the_published_speakers(tmp_path):
    """462 speakers train, 50 validate, 24 test, with 8 sentences each: 3,696, 400 and 192 utterances."""
    train = {(f"dr{1 + k % 8}", f"m{k:03}0") for k in range(462)}
    for part, speakers in (("train", train), ("test", phones.DEVELOP | phones.CORE | {("dr1", "mzzz0")})):
        for region, name in speakers:
            folder = tmp_path / part / region / name
            folder.mkdir(parents=True)
            for sentence in ("sa1", *(f"sx{n}" for n in range(8))):
                for end in ("wav", "phn"):
                    (folder / f"{sentence}.{end}").touch()
    found = timit._recordings(tmp_path)
    assert {split: len(each) for split, each in found.items()} == {"train": 3696, "validation": 400, "test": 192}
    assert {name.split("/")[2] for name, *_ in found["test"]} == {name for _, name in phones.CORE}


def test_the_phones_fold_to_39():
    names, folding = phones.folded(sorted(phones.PHONES))
    assert (len(phones.PHONES), len(names), names[0]) == (61, 39, "sil")
    as_name = dict(zip(sorted(phones.PHONES), [names[k] for k in folding], strict=True))
    assert sum(name == "sil" for name in as_name.values()) == 10
    assert as_name["ax-h"] == "ah" and as_name["zh"] == "sh" and as_name["q"] == "sil" and as_name["iy"] == "iy"
    assert (len(phones.DEVELOP), len(phones.CORE), phones.DEVELOP & phones.CORE) == (50, 24, frozenset())
