"""What a checkpoint of `fit` says of the training is believed only where it can be, and then nothing is changed."""

import json
import math
import re

import numpy as np
import pytest

from plastic import files, runs, training, xp
from plastic.data.sources import Batches, Drawn, Together
from plastic.errors import PlasticError
from plastic.pc.experiments.passes import Passes

REPLICAS = [{"replica": 0, "seed": 3}, {"replica": 1, "seed": 5}]


def batches():
    """Five batches an epoch, shuffled."""
    x = xp.asarray(np.arange(20.0).reshape(10, 2))
    return Batches(x, x[:, 0], 2, [np.random.default_rng(0)])


def together():
    return Together(batches=batches(), signs=Drawn(lambda generator: generator.integers(2), [np.random.default_rng(1)]))


def passes():
    x = xp.asarray(np.arange(20.0).reshape(1, 1, 10, 2))
    return Passes(lambda number: (x + number, x[..., :1]), 2, [np.random.default_rng(0)])


def train(run, source=batches, steps=12, stop_at=None):
    """Sum the batches in two replicas, the second of which diverges at step 4; raise KeyboardInterrupt at a step."""
    state = {"w": xp.zeros((2, 3), dtype=xp.float_dtype), "n": np.zeros(2, dtype=np.int64)}
    source = source()

    def step(batch, number):
        if number == stop_at:
            raise KeyboardInterrupt
        x = batch[0] if isinstance(batch, tuple) else batch
        state["w"] += xp.sum(x)
        state["n"] += 1
        return xp.asarray([1.0, np.nan if number == 4 else 1.0])

    def evaluate():
        return {"loss": state["w"][:, 0], "twice": 2 * state["w"][:, 0]}

    training.fit(run, state, source, step, steps=steps, evaluate=evaluate, evaluate_every=3, checkpoint_every=2,
                 replicas=REPLICAS)  # fmt: skip
    return state


@pytest.fixture(params=[batches, together, passes], ids=lambda make: make.__name__)
def cut(request, tmp_path):
    """(A run that was killed in its ninth step, and has a checkpoint of the eighth; how its source is made)."""
    run = runs.Run.create(tmp_path, "fake", "train", {"rate": 0.1})
    with pytest.raises(KeyboardInterrupt):
        train(run, request.param, stop_at=9)
    run.close()
    assert run.read_checkpoint()[1]["step"] == 8
    return run, request.param


def crafted(run, change):
    """Change the counters of the checkpoint by change(counters), or its arrays by change(arrays=..); seal it again."""
    path = run.folder / run.checkpoint
    arrays, attributes = files.read_hdf5(path)
    counters = json.loads(attributes["counters"])
    change(counters, arrays)
    files.write_hdf5(path, arrays, **attributes | {"counters": json.dumps(counters)})


def set_(*path):
    """Return a change of the counters: those at a path, but for its end, get this value there."""
    *names, last, value = path

    def change(counters, arrays):
        node = counters
        for name in names:
            node = node[name]
        node[last] = value

    return change


def without(*path):
    *names, last = path

    def change(counters, arrays):
        node = counters
        for name in names:
            node = node[name]
        del node[last]

    return change


def refused(run, source, **options):
    """Resume a run, which has to be refused with nothing changed; return the message."""
    before = {each.name: each.read_bytes() for each in run.folder.iterdir()}
    with pytest.raises(PlasticError) as error, runs.Run.resume(run.folder) as again:
        train(again, source, **options)
    assert {each.name: each.read_bytes() for each in run.folder.iterdir()} == before
    message = str(error.value)
    assert message.startswith(f"{run.folder / run.checkpoint} does not fit: ")
    return message


NO_NUMBER = (None, True, "8", 8.0, math.nan, math.inf, [8], {})
WRONG = [
    *((set_("step", value), "step is .*; it must be") for value in (*NO_NUMBER, -1, 13, 10**30)),
    *((set_("step", value), "but the state of its batches is that after 8") for value in (7,)),
    *((set_("step", value), "the step at which replica 1 diverged is 4") for value in (0, 3)),
    *((set_("step", value), "step is .*, but metrics.csv ends at step 6") for value in (5, 9, 12)),
    *((set_("stopped", value), "stopped is .*; it must be true or false") for value in (None, 0, 1, "no", [])),
    *((set_("diverged", value), "its counters: ") for value in (None, 3, [], "x", {"x": 3}, {"0.5": 3})),
    *((set_("diverged", {"1": value}), "diverged is .*; it must be") for value in (*NO_NUMBER, 0, -1, 9)),
    *((set_("diverged", {value: 4}), "a replica that diverged is .*; it must be") for value in ("2", "-1", "9" * 30)),
    (set_("diverged", {}), "metrics.csv has no row of .* at step 6"),  # its rows end earlier
    *((set_("metrics", value), "its counters: ") for value in (None, 3, [], "x")),
    *((set_("metrics", "loss", value), "the metric loss is not") for value in (None, 3, "xx", [], [1], [1, 2, 3])),
    *((set_("metrics", "loss", value), "the metric loss is not") for value in ([[1, 2]], ["1", "2"], [1, None], {})),
    (set_("metrics", "loss", [[1], 2]), "its counters: "),
    *((set_("metrics", "loss", 0, value), "loss is .*, but metrics.csv ends with") for value in (1, math.nan)),
    (set_("metrics", "more", [1.0, 2.0]), "metrics.csv: KeyError: 'more'"),
    (without("metrics", "loss"), "metrics.csv has loss, too"),
    (set_("metrics", {}), "metrics.csv has loss, twice, too"),
    *((without(name), "its counters: ") for name in ("step", "stopped", "metrics", "diverged", "source")),
    (set_("more", 1), "its counters: "),
    *((set_("source", value), "the state of its batches") for value in (None, 3, [], "x", {})),
]


@pytest.mark.parametrize("cut", [batches], indirect=True)
@pytest.mark.parametrize("change, message", WRONG, ids=range(len(WRONG)))
def test_counters_that_cannot_be_are_refused(cut, change, message):
    run, source = cut
    crafted(run, change)

    assert re.search(message, refused(run, source))


def test_what_was_not_touched_goes_on_to_the_bit(cut, tmp_path):
    run, source = cut
    with runs.Run.create(tmp_path, "fake", "train", {"rate": 0.1}) as whole:
        expected = train(whole, source)
    crafted(run, lambda counters, arrays: None)
    with runs.Run.resume(run.folder) as again:
        found = train(again, source)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)
    for name in ("metrics.csv", "checkpoint.h5"):
        assert (run.folder / name).read_bytes() == (whole.folder / name).read_bytes()


@pytest.mark.parametrize("value", [*NO_NUMBER, 7, 9, 0, -8, 10**12])
def test_a_source_that_is_not_where_training_is(cut, value):
    run, source = cut
    inner = ("batches",) if source is together else ()
    crafted(run, set_("source", *inner, "taken", value))
    assert re.search("the state of its batches|taken is .*; it must be", refused(run, source))


@pytest.mark.parametrize("value", [*NO_NUMBER, -1])
def test_a_second_source_that_is_nowhere(tmp_path, value):
    with runs.Run.create(tmp_path, "fake", "train", {}) as run:
        train(run, together)
    crafted(run, set_("source", "signs", "taken", value))
    assert re.search("the state of its batches|taken is .*; it must be", refused(run, together))


@pytest.mark.parametrize(
    "change",
    [
        set_("generators", []),
        set_("generators", None),
        set_("generators", {}),
        set_("generators", 0, {}),
        set_("generators", 0, "bit_generator", "MT19937"),
        set_("generators", 0, "uinteger", -1),
        set_("generators", 0, "state", None),
        set_("generators", 0, "state", "state", -1),
        set_("generators", 0, "state", "state", 0.5),
        set_("generators", 0, "state", "inc", 2**200),
        set_("more", 3),
        without("generators"),
    ],
    ids=range(12),
)
def test_a_state_of_the_source_that_cannot_be(cut, change):
    run, source = cut

    def inner(counters, arrays):
        change(counters["source"]["batches"] if source is together else counters["source"], arrays)

    crafted(run, inner)
    assert "the state of its batches" in refused(run, source)


@pytest.mark.parametrize("cut", [batches], indirect=True)
@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("w", np.full((2, 3), np.nan, np.float32)),
        ("w", np.full((2, 3), np.inf, np.float32)),
        ("w", np.ones((2, 3), np.float64)),
        ("w", np.ones((2, 3), np.int32)),
        ("w", np.ones((2, 4), np.float32)),
        ("w", np.ones((1, 2, 3), np.float32)),
        ("n", np.ones(2, np.float32)),
        ("n", np.full(2, b"8")),
        ("more", np.ones(2)),
        ("n", None),
    ],
)
def test_arrays_that_no_training_has_saved(cut, name, array):
    run, source = cut
    crafted(run, lambda counters, arrays: arrays.pop(name) if array is None else arrays.update({name: array}))
    assert name in refused(run, source)


def test_a_part_may_be_set_apart_by_a_column_of_its_replicas(tmp_path):
    columns = [{"rule": "a", "seed": 3}, {"rule": "b", "seed": 3}]

    def trained(run, stop_at=None):
        for part in run.parts(columns):
            state = {"w": xp.zeros((1, 3), dtype=xp.float_dtype)}

            def step(batch, number, part=part, state=state):
                if (part.index, number) == (1, stop_at):
                    raise KeyboardInterrupt
                state["w"] += xp.sum(batch[0])
                return state["w"][:, 0]

            clock = {"steps": 6, "evaluate_every": 2, "replicas": [{"replica": 0, "seed": 3}]}
            training.fit(part, state, batches(), step, evaluate=lambda w=state["w"]: {"loss": w[:, 0]}, **clock)

    with runs.Run.create(tmp_path, "fake", "train", {}) as whole:
        trained(whole)
    cut = runs.Run.create(tmp_path, "fake", "train", {})
    with pytest.raises(KeyboardInterrupt):
        trained(cut, stop_at=4)
    cut.close()
    with runs.Run.resume(cut.folder) as again:
        trained(again)
    for name in ("metrics.csv", "checkpoint-0.h5", "checkpoint-1.h5"):
        assert (cut.folder / name).read_bytes() == (whole.folder / name).read_bytes()


def test_more_steps_than_the_run_has_now(cut):
    run, source = cut
    assert "step is 8; it must be from 0 to 6" in refused(run, source, steps=6)


def test_metrics_are_no_views_of_the_state(tmp_path):
    """What was measured at step 9 is in the checkpoint of step 10."""
    run = runs.Run.create(tmp_path, "fake", "train", {})
    with pytest.raises(KeyboardInterrupt):
        train(run, stop_at=11)
    run.close()
    _, counters = run.read_checkpoint()
    assert counters["step"] == 10
    assert counters["metrics"]["loss"][0] == run.metrics()["loss"][-1]
    assert run.metrics()["step"][-1] == 9
