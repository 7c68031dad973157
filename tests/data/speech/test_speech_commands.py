"""Speech in `python -m plastic.data list | get | show`."""

import pytest

from plastic.data import commands, speech
from plastic.data.speech.figures import speech_sheet
from plastic.errors import PlasticError


@pytest.fixture(autouse=True)
def sets(tmp_path, monkeypatch):
    monkeypatch.setenv("PLASTIC_DATASETS", str(tmp_path / "sets"))


def test_list_has_speech_and_says_when_it_is_here(gsc_mirror, gsc_entries, capsys):
    gsc_mirror(gsc_entries)
    commands.list_sets()
    before = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "download, 2430 MB  Google" in before["GSC"] and "download, 16 MB" in before["FSDD"]
    commands.get("gsc")
    capsys.readouterr()
    commands.list_sets()
    after = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert " yes " in after["GSC"] and "download, 16 MB" in after["FSDD"]


def test_get_says_what_it_got(gsc_mirror, gsc_entries, capsys):
    gsc_mirror(gsc_entries)
    commands.get("gsc")
    found = speech.load("GSC")
    counts = f"{len(found.train)} training, {len(found.validation)} validation and {len(found.test)} test"
    assert f"GSC is ready: {counts} recordings at 16,000 Hz, 12 classes" in capsys.readouterr().out


def test_show_draws_a_picture_and_never_over_one(gsc_mirror, gsc_entries, tmp_path, capsys):
    gsc_mirror(gsc_entries)
    commands.show("gsc", out=str(tmp_path / "speech.png"))
    assert (tmp_path / "speech.png").read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out == f"{tmp_path / 'speech.png'}\n"
    with pytest.raises(PlasticError, match="exists and is left as it is"):
        commands.show("gsc", out=str(tmp_path / "speech.png"))


def test_the_picture_has_a_waveform_and_a_spectrogram_of_each_class_that_has_recordings(gsc_mirror, gsc_entries):
    gsc_mirror(gsc_entries)
    found = speech.load("GSC")
    figure = speech_sheet(found)
    drawn = [axis for axis in figure.axes if axis.get_title()]
    assert [axis.get_title() for axis in drawn] == ["unknown", "silence", "yes", "no", "go"]
    (yes,) = (axis for axis in drawn if axis.get_title() == "yes")
    first = list(found.train.labels).index(found.classes.index("yes"))
    assert (yes.lines[0].get_ydata() == found.train.waves([first])[0]).all()
    assert sum(len(axis.images) for axis in figure.axes) == 5
