"""Options of a command that makes runs: which a resumed run keeps, seeds, and numbers that must be at least one."""

import pytest

from plastic import runs
from plastic.errors import PlasticError
from plastic.runs.options import check_at_least_one, check_seeds, resumed, seeds_of


def command(*, rate=0.1, widths=None, seed=0, seeds=None, device=None, threads=1, results=None, resume=None):
    """A command as `resumed` sees one: its keywords and their defaults."""


DEFAULTS = command.__kwdefaults__
KEPT = DEFAULTS | {"rate": 0.5, "widths": (3, 2), "seeds": (1, 2), "threads": 4, "device": "cpu"}


@pytest.fixture
def folder(tmp_path):
    with runs.Run.create(tmp_path, "family", "train", KEPT) as run:
        return run.folder


def resume(folder, family="family", experiment="train", **given):
    return resumed(command, DEFAULTS | {"resume": folder} | given, family, experiment)


def test_a_resumed_run_has_its_own_options_and_what_computes_nothing_from_the_command(folder):
    here = {"device": "gpu", "threads": 2, "results": "elsewhere", "resume": folder}
    options = resume(folder, **here)
    assert options == KEPT | here and list(options) == list(DEFAULTS)
    assert isinstance(options["widths"], tuple) and isinstance(options["seeds"], tuple)
    assert resume(folder) == KEPT | {"device": None, "threads": 1, "resume": folder}


@pytest.mark.parametrize(
    "given", [{"rate": 0.5}, {"widths": (3, 2)}, {"widths": [3, 2]}, {"rate": 0.5, "seeds": (1, 2)}]
)
def test_what_the_run_has_may_be_asked_for_again(folder, given):
    assert resume(folder, **given) == resume(folder)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rate": 0.2}, r"rate is 0\.2, but the run to resume has 0\.5; "),
        ({"widths": (3, 3)}, r"widths is \(3, 3\), but the run to resume has \[3, 2\]; "),
        ({"seed": 1}, "seed is 1, but the run to resume has 0; "),
        ({"rate": 0.5, "seeds": (2, 1)}, r"seeds is \(2, 1\), but "),
    ],
)
def test_what_the_run_does_not_have_is_refused(folder, given, message):
    with pytest.raises(PlasticError, match=message):
        resume(folder, **given)


@pytest.mark.parametrize("other", [{"family": "relatives"}, {"experiment": "curves"}])
def test_a_run_of_another_family_or_experiment_is_refused(folder, other):
    asked = {"family": "family", "experiment": "train"} | other
    with pytest.raises(PlasticError) as refusal:
        resume(folder, **asked)
    expected = f"{folder} is a run of family train; plastic.{asked['family']} cannot resume it as {asked['experiment']}"
    assert str(refusal.value) == expected


def test_seeds_are_a_list_of_their_own():
    assert seeds_of({"seed": 3, "seeds": None}) == [3]
    given = [4, 0]
    found = seeds_of({"seed": 3, "seeds": given})
    found.append(5)
    assert given == [4, 0] and seeds_of({"seed": 3, "seeds": (4, 0)}) == [4, 0]
    assert seeds_of({"seed": 3, "seeds": ()}) == []


@pytest.mark.parametrize("seeds", [(0,), (2**31 - 1, 0), (1, 2, 3)])
def test_seeds_in_range(seeds):
    check_seeds({"seed": -1, "seeds": seeds})  # `seed` does not count beside them
    check_seeds({"seed": seeds[0], "seeds": None})


@pytest.mark.parametrize("seeds", [(), (1, 2, 1), (-1,), (0, 2**31), (3, -2)])
def test_seeds_that_are_wrong(seeds):
    with pytest.raises(PlasticError, match=r"seeds are .* different whole numbers from 0 to 2147483647"):
        check_seeds({"seed": 0, "seeds": seeds})


def test_at_least_one():
    options = {"epochs": 1, "size": None, "steps": 0, "workers": -1}
    check_at_least_one(options, "epochs", "size")
    check_at_least_one(options)
    for name in ("steps", "workers"):
        with pytest.raises(PlasticError, match=f"{name} is {options[name]}; it must be at least 1"):
            check_at_least_one(options, "epochs", name)
