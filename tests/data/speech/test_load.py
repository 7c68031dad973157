import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from plastic import files
from plastic.data import speech
from plastic.data.speech import fsdd, gsc
from plastic.errors import PlasticError


def files_in(folder):
    """All files below a folder, but for locks and the archive as it was fetched."""
    return sorted(
        path.name for path in folder.rglob("*") if path.is_file() and not path.name.endswith((".lock", ".gz"))
    )


@pytest.mark.parametrize("call", [speech.load, speech.info])
@pytest.mark.parametrize(
    ("name", "hint"), [("GSD", "; did you mean GSC?"), ("fsd", "; did you mean FSDD?"), ("MNIST", ""), (3, "")]
)
def test_an_unknown_name(call, name, hint):
    with pytest.raises(PlasticError) as error:
        call(name)
    assert str(error.value) == f"unknown speech data set {name!r}: take GSC or FSDD{hint}"


def test_info_reads_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("PLASTIC_DATASETS", str(tmp_path / "none"))
    assert speech.info("fsdd") == (tuple("0123456789"), 8000)
    assert speech.info("Gsc")[1] == 16_000
    assert not list(tmp_path.iterdir())


def test_made_once_in_the_default_folder(gsc_mirror, gsc_entries, tmp_path, monkeypatch, capsys):
    archive = gsc_mirror(gsc_entries)
    monkeypatch.setenv("PLASTIC_DATASETS", str(tmp_path / "sets"))
    first = speech.load("GSC")
    assert f"note: {tmp_path / 'sets' / 'gsc.h5'} is not there; making it" in capsys.readouterr().err
    archive.unlink()
    (tmp_path / "sets" / "raw" / "gsc" / archive.name).unlink()
    again = speech.load("GSC")
    np.testing.assert_array_equal(first.train.waves(range(40)), again.train.waves(range(40)))
    assert files_in(tmp_path / "sets") == ["gsc.h5"]
    assert capsys.readouterr().err == ""


def test_a_damaged_file_is_made_again(gsc_mirror, gsc_entries, tmp_path, capsys):
    gsc_mirror(gsc_entries)
    speech.load("GSC", folder=tmp_path / "sets")
    path = tmp_path / "sets" / "gsc.h5"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    speech.load("GSC", folder=tmp_path / "sets")
    assert path.read_bytes() == whole
    assert f"note: {path} is damaged or of another format: its content (" in capsys.readouterr().err


def with_wrong_rate(entries, wav):
    return entries | {"./yes/00000000_nohash_1.wav": wav([1, 2], 8000)}


def with_text(entries, wav):
    return entries | {"./yes/00000000_nohash_1.wav": b"<html>" * 9}


def with_short_noise(entries, wav):
    return entries | {"./_background_noise_/short.wav": wav([1, 2], 16_000)}


def without_recordings(entries, wav):
    return {name: data for name, data in entries.items() if not name.endswith("_0.wav")}


def with_a_path_outside(entries, wav):
    return entries | {"../../evil.wav": b""}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_wrong_rate, ": yes/00000000_nohash_1.wav has 1 channels of 16 bits at 8,000 Hz; expected"),
        (with_text, ": yes/00000000_nohash_1.wav cannot be read as a .wav file: file does not start with RIFF id"),
        (with_short_noise, " has background noise that is shorter than a second"),
        (without_recordings, " holds no recordings"),
        (with_a_path_outside, " is refused: its member '../../evil.wav' leads out of its folder"),
    ],
)
def test_a_bad_archive_gives_one_line_and_leaves_nothing(gsc_mirror, gsc_entries, wav, tmp_path, change, message):
    archive = gsc_mirror(change(gsc_entries, wav))
    with pytest.raises(PlasticError) as error:
        speech.load("GSC", folder=tmp_path / "sets")
    assert str(error.value).startswith(f"{tmp_path / 'sets' / 'raw' / 'gsc' / archive.name}{message}")
    assert "\n" not in str(error.value)
    assert files_in(tmp_path) == []


def test_the_archive_is_checked_by_its_digest(gsc_mirror, gsc_entries, tmp_path):
    archive = gsc_mirror(gsc_entries)
    archive.write_bytes(archive.read_bytes()[:-1])
    with pytest.raises(
        PlasticError, match=r"cannot fetch gsc/speech_commands_v0.02.tar.gz. Tried .*wrong bytes: sha256"
    ):
        speech.load("GSC", folder=tmp_path / "sets")
    assert files_in(tmp_path) == []


@pytest.mark.parametrize(("module", "file"), [(gsc, gsc._FILE), (fsdd, fsdd._FILE)])
def test_public_places_are_named_when_nothing_is_found(tmp_path, monkeypatch, module, file):
    monkeypatch.setattr(module, "_MIRRORS", (str(tmp_path / "nowhere"),))
    with pytest.raises(PlasticError, match=rf"nowhere/{file} \(no such file\).*by hand at .*raw/(gsc|fsdd)/{file}"):
        speech.load(module.SOURCE.name, folder=tmp_path / "sets")


LOADER = """
import sys, time
from pathlib import Path
from plastic import files
from plastic.data import speech
from plastic.data.speech import clips, gsc, wav
gsc._DIGEST, action = sys.argv[1], sys.argv[3]
settle, write = files.settle, clips.write
from plastic.files import sealed
def slowly(part, path):
    if path.suffix == ".h5":  # and not the archive
        print("making", flush=True)
        time.sleep(0.5 if action == "race" else 60)  # so that the others come while this one is at work
    settle(part, path)
def write_half(path, rate, names, checksums, noise, each):
    def stop():
        for i, clip in enumerate(each):
            if i == 100:
                print("half", flush=True)
                time.sleep(60)
            yield clip
    write(path, rate, names, checksums, noise, stop())
sealed.settle = slowly
if action == "half":
    clips.write = write_half
print(len(speech.load("GSC", folder=sys.argv[2]).train))
"""


def start(folder, action):
    command = [sys.executable, "-c", LOADER, gsc._DIGEST, str(folder), action]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=os.environ)


def test_processes_at_once_make_one_file(gsc_mirror, gsc_entries, tmp_path):
    gsc_mirror(gsc_entries)
    loaders = [start(tmp_path / "sets", "race") for _ in range(3)]
    printed = sorted(loader.communicate(timeout=300)[0].split() for loader in loaders)
    n = str(len(speech.load("GSC", folder=tmp_path / "sets").train))
    assert printed == sorted([["making", n], [n], [n]])
    assert files_in(tmp_path / "sets") == ["gsc.h5"]


@pytest.mark.parametrize("action", ["half", "settle"])
def test_a_killed_process_leaves_no_data_set_and_the_next_one_tidies_up(gsc_mirror, gsc_entries, tmp_path, action):
    gsc_mirror(gsc_entries)
    folder = tmp_path / "sets"
    with start(folder, action) as loader:
        assert loader.stdout.readline() in ("half\n", "making\n")
        os.kill(loader.pid, signal.SIGKILL)
    assert not (folder / "gsc.h5").exists()
    assert len(speech.load("GSC", folder=folder).train) > 0
    assert files_in(folder) == ["gsc.h5"]


def test_an_interrupt_leaves_nothing(gsc_mirror, gsc_entries, tmp_path, monkeypatch):
    gsc_mirror(gsc_entries)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(files.sealed, "_write_seal", interrupted)
    with pytest.raises(KeyboardInterrupt):
        speech.load("GSC", folder=tmp_path / "sets")
    assert files_in(tmp_path / "sets") == []


def test_a_folder_that_cannot_be_written(gsc_mirror, gsc_entries, tmp_path):
    gsc_mirror(gsc_entries)
    (tmp_path / "file").touch()
    with pytest.raises(PlasticError, match=rf"cannot write to {tmp_path}/file: .*PLASTIC_DATASETS"):
        speech.load("GSC", folder=tmp_path / "file")


def test_records_are_shown_in_one_line(gsc_mirror, gsc_entries, tmp_path):
    gsc_mirror(gsc_entries)
    loaded = speech.load("GSC", folder=tmp_path / "sets")
    counts = [len(getattr(loaded, split)) for split in ("train", "validation", "test")]
    text = "{:,} training, {:,} validation, {:,} test".format(*counts)
    assert repr(loaded) == f"Speech GSC: {text} recordings at 16,000 Hz, 12 classes"
    assert repr(loaded.train) == f"Recordings: {counts[0]} of gsc.h5, 5 classes"
    assert repr(loaded.train.clips) == "Clips of gsc.h5: 200 at 16,000 Hz"
    assert repr(gsc.SOURCE) == "Source GSC, Google Speech Commands v0.02: spoken words: 12 classes at 16,000 Hz"
    for indices in ([counts[0]], [-1], 3, [[0]]):
        with pytest.raises(PlasticError, match=f"indices must be whole numbers \\(n,\\) from 0 to {counts[0] - 1}"):
            loaded.train.waves(indices)


@pytest.mark.parametrize(("option", "message"), [({"seed": -1}, "seed is -1"), ({"folder": 3}, "folder is 3")])
def test_a_wrong_option_is_refused_before_anything_is_fetched(gsc_mirror, option, message):
    with pytest.raises(PlasticError, match=message):
        speech.load("GSC", **option)
