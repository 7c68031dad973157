"""The training loop and the batches: every kind of user, divergence, and runs that stop and go on to the bit."""

import json
import os
import signal
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trees import assert_same, host

from plastic import runs, training, xp
from plastic.data import sources
from plastic.errors import Diverged, PlasticError
from plastic.optimizers import SGD
from plastic.parameters import Affine


def new_run(folder, name="run"):
    return runs.Run.create(folder, "gait", "train", {"name": name}, name)


def rows(run):
    """metrics.csv as one tuple (step, replica, ...) per row, by column name."""
    columns = run.metrics()
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


# batches


def numbered(samples, batch_size, generators=(), most=None):
    """Batches whose x[n] = (n, n) and y[n] = 10 n tell which samples they hold."""
    numbers = np.arange(float(samples))
    return sources.Batches(
        xp.asarray(np.stack([numbers, numbers], axis=1)), xp.asarray(10 * numbers), batch_size, generators, most
    )


def samples_of(batch):
    x, y = (xp.asnumpy(array) for array in batch)
    np.testing.assert_array_equal(x[..., 0], x[..., 1])
    np.testing.assert_array_equal(10 * x[..., 0], y)
    return x[..., 0].astype(int)


def epoch_of(batches):
    return np.concatenate([samples_of(batches.next()) for _ in range(batches.per_epoch)], axis=-1)


def test_batches_in_file_order_leave_the_remainder_out(backend):
    batches = numbered(10, 3)
    assert batches.per_epoch == 3
    for _ in range(2):
        assert epoch_of(batches).tolist() == list(range(9))


def test_shuffled_batches_are_a_new_permutation_each_epoch(backend):
    batches = numbered(40, 8, [np.random.default_rng(0)])
    epochs = [epoch_of(batches) for _ in range(4)]
    assert all(sorted(epoch) == list(range(40)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in [np.arange(40), *epochs]}) == 5


def test_the_remainder_of_a_shuffled_set_is_another_one_each_epoch(backend):
    batches = numbered(10, 3, [np.random.default_rng(0)])
    epochs = [epoch_of(batches) for _ in range(20)]
    assert all(len(set(epoch)) == 9 for epoch in epochs)
    assert len({frozenset(epoch) for epoch in epochs}) > 1


def test_an_epoch_of_some_of_the_batches_draws_anew_at_its_end(backend):
    """The first batches of the orders that an epoch of all of them would have."""
    some, every = (numbered(20, 4, [np.random.default_rng(0)], most) for most in (2, None))
    assert some.per_epoch == 2 and numbered(20, 4, (), 9).per_epoch == 5
    for _ in range(3):
        assert epoch_of(some).tolist() == epoch_of(every)[:8].tolist()


def test_each_replica_has_the_order_of_its_own_generator(backend):
    together = numbered(20, 4, [np.random.default_rng(seed) for seed in (1, 2, 3)])
    alone = [numbered(20, 4, [np.random.default_rng(seed)]) for seed in (1, 2, 3)]
    for _ in range(7):
        expected = [samples_of(each.next()) for each in alone]
        np.testing.assert_array_equal(samples_of(together.next()), expected)
    assert len({tuple(row) for row in expected}) == 3


@given(
    replicas=st.integers(0, 3),
    samples=st.integers(1, 12),
    batch_size=st.integers(1, 12),
    taken=st.integers(0, 40),
    elsewhere=st.integers(0, 5),
)
def test_restored_batches_go_on_as_they_would_have(replicas, samples, batch_size, taken, elsewhere):
    if batch_size > samples:
        batch_size, samples = samples, batch_size

    def make(seeds):
        return numbered(samples, batch_size, [np.random.default_rng(seed) for seed in seeds])

    batches, other = make(range(replicas)), make(range(90, 90 + replicas))
    for _ in range(taken):
        batches.next()
    for _ in range(elsewhere):
        other.next()
    other.restore(json.loads(json.dumps(batches.state())))
    for _ in range(2 * batches.per_epoch + 1):
        np.testing.assert_array_equal(samples_of(batches.next()), samples_of(other.next()))


@pytest.mark.parametrize("batch_size", [0, -1, 11, 1.5])
def test_an_impossible_batch_size_is_refused(batch_size):
    with pytest.raises(PlasticError, match=rf"batch_size {batch_size} .* 10 samples"):
        numbered(10, batch_size)
    assert numbered(10, 10).per_epoch == 1


def test_sources_say_what_they_take():
    x = xp.zeros((4, 2))
    for make, said in (
        (lambda: sources.Batches([1, 2], x, 1), "x is a list; it must be an array of the backend"),
        (lambda: sources.Batches(x, None, 1), "y is a NoneType"),
        (lambda: sources.Batches(x, x, 2, np.random.default_rng(0)), r"generators is .* list of them, .*\[generator\]"),
        (lambda: sources.Drawn(lambda each: 1, 3), "generators is 3; it must be a list of them"),
    ):
        with pytest.raises(PlasticError, match=said):
            make()


def test_a_frozen_source_gives_the_same_batch_again_and_each_step_is_an_epoch():
    batch = (np.zeros(2), np.ones(2))
    source = sources.Repeated(batch)
    assert source.per_epoch == 1
    assert all(source.next() is batch for _ in range(3))
    other = sources.Repeated(batch)
    other.restore(json.loads(json.dumps(source.state())))
    assert other.state() == source.state() == {"taken": 3} and other.next() is batch


# what is evaluated and saved, and when


class Counter:
    """The least source: next() is the number of the step."""

    def __init__(self, per_epoch=4):
        self.per_epoch, self.taken = per_epoch, 0

    def next(self):
        self.taken += 1
        return self.taken

    def state(self):
        return {"taken": self.taken}

    def restore(self, state):
        self.taken = state["taken"]


def counting(run, **options):
    """Count in a state of one replica; returns what `fit` returned, and the state."""
    state = {"count": xp.zeros(2, dtype=xp.float_dtype)}

    def step(batch, number):
        assert batch == number
        state["count"] += 1
        return xp.sum(state["count"])

    options = {
        "steps": 10,
        "evaluate_every": 4,
        "checkpoint_every": 3,
        "replicas": [{"replica": 0, "seed": 5}],
        "evaluate": lambda: {"count": state["count"][0], "half": state["count"][0] / 2},
    } | options
    return training.fit(run, state, options.pop("source", None) or Counter(), step, **options), state


def test_evaluations_and_checkpoints_come_on_the_clock(backend, tmp_path, monkeypatch):
    saved = []
    save = runs.Run.save_checkpoint

    def spy(run, tree, counters):
        saved.append((counters["step"], float(xp.asnumpy(tree["count"])[0])))
        save(run, tree, counters)

    monkeypatch.setattr(runs.Run, "save_checkpoint", spy)
    with new_run(tmp_path) as run:
        metrics, _ = counting(run)
        assert [(row["step"], row["epoch"]) for row in rows(run)] == [(0, 0.0), (4, 1.0), (8, 2.0), (10, 2.5)]
        assert [row["count"] for row in rows(run)] == [0, 4, 8, 10]
        assert list(run.metrics()) == ["step", "epoch", "replica", "seed", "count", "half"]
    assert saved == [(number, number) for number in (0, 3, 6, 9, 10)]
    assert all(isinstance(value, np.ndarray) for value in metrics.values())
    assert metrics == {"count": 10, "half": 5}


def test_the_last_step_is_evaluated_and_saved_once(backend, tmp_path):
    with new_run(tmp_path) as run:
        counting(run, steps=8, checkpoint_every=100)
        assert [row["step"] for row in rows(run)] == [0, 4, 8]
        assert run.read_checkpoint()[1]["step"] == 8


def test_every_replica_has_its_rows_and_its_columns(backend, tmp_path):
    columns = [{"replica": 0, "seed": 1, "rate": 0.5}, {"replica": 1, "seed": 1, "rate": 0.25}]
    rates = xp.asarray(np.array([[0.5], [0.25]]))
    state = {"w": xp.zeros((2, 3), dtype=xp.float_dtype)}

    def step(batch, number):
        state["w"] += rates
        return xp.sum(state["w"], axis=-1)

    with new_run(tmp_path) as run:
        training.fit(
            run, state, Counter(per_epoch=2), step, steps=4, evaluate=lambda: {"w": state["w"][:, 0]},
            evaluate_every=2, checkpoint_every=4, replicas=columns,
        )  # fmt: skip
        expected = [
            {"step": number, "epoch": number / 2, **column, "w": number * column["rate"]}
            for number in (0, 2, 4)
            for column in columns
        ]
        assert rows(run) == expected


# the kinds of users


def test_a_static_set_least_squares_by_sgd(backend, tmp_path):
    generator = np.random.default_rng(3)
    x, W, b = generator.normal(size=(32, 4)), generator.normal(size=(4, 2)), generator.normal(size=(1, 2))
    orders = [np.random.default_rng(seed) for seed in (1, 2)]
    source = sources.Batches(xp.asarray(x), xp.asarray(x @ W + b), 8, orders)
    layer = Affine(xp.zeros((2, 4, 2), dtype=xp.float_dtype), xp.zeros((2, 1, 2), dtype=xp.float_dtype))
    optimizer = SGD(0.1)
    state = {"layers": [layer], "moments": optimizer.init([layer])}

    def step(batch, number):
        x, y = batch
        error = x @ layer.W + layer.b - y
        grads = [Affine(xp.swapaxes(x, -1, -2) @ error / 8, xp.mean(error, axis=-2, keepdims=True))]
        optimizer.step([layer], grads, state["moments"])
        return xp.sum(error**2, axis=(-2, -1))

    def evaluate():
        return {"mse": xp.mean((source.x @ layer.W + layer.b - source.y) ** 2, axis=(-2, -1))}

    with new_run(tmp_path) as run:
        metrics = training.fit(
            run, state, source, step, steps=400, evaluate=evaluate, evaluate_every=100, checkpoint_every=100,
            replicas=[{"replica": index, "seed": index + 1} for index in range(2)],
        )  # fmt: skip
        first = rows(run)[0]["mse"]
    np.testing.assert_allclose(xp.asnumpy(layer.W), [W, W], atol=1e-6)
    np.testing.assert_allclose(xp.asnumpy(layer.b), [b, b], atol=1e-6)
    assert first == pytest.approx(np.mean((x @ W + b) ** 2))  # of the zero weights
    assert metrics["mse"].max() < 1e-12


class Teacher:
    """An endless time series: noisy inputs u(t), and the potential of a teacher neuron, one Euler step at a time."""

    per_epoch = 100

    def __init__(self, weights, rate):
        self.weights, self.rate, self.generator = weights, rate, np.random.default_rng(7)
        self.filtered, self.time = np.zeros(3), 0

    def next(self):
        u = self.generator.normal(size=3) + np.sin(self.time / np.array([3, 5, 7]))
        self.filtered += self.rate * (u - self.filtered)
        self.time += 1
        return xp.asarray(u), xp.asarray(np.array([self.weights @ self.filtered]))

    def state(self):
        generator = self.generator.bit_generator.state
        return {"time": self.time, "filtered": self.filtered.tolist(), "generator": generator}

    def restore(self, state):
        self.time, self.filtered = state["time"], np.array(state["filtered"])
        self.generator.bit_generator.state = state["generator"]


def student(run, crash_at=None):
    """A leaky neuron v that learns online from a teacher: tau dv/dt = w u - v, weights updated in each Euler step."""
    rate = 0.2  # dt / tau
    source = Teacher(np.array([1.0, -2.0, 0.5]), rate)
    state = {"w": xp.zeros(3, dtype=xp.float_dtype), "trace": xp.zeros(3, dtype=xp.float_dtype)}

    def step(batch, number):
        if number == crash_at:
            raise ZeroDivisionError("the power fails")
        u, target = batch
        state["trace"] += rate * (u - state["trace"])
        error = target - xp.sum(state["w"] * state["trace"], keepdims=True)
        state["w"] += 0.3 * error * state["trace"]
        return error

    training.fit(
        run, state, source, step, steps=600, evaluate=lambda: {"w": state["w"][0]}, evaluate_every=80,
        checkpoint_every=70, replicas=[{"replica": 0, "seed": 0}],
    )  # fmt: skip
    return host(state)


def test_a_teacher_stream_with_an_update_per_euler_step(backend, tmp_path):
    with new_run(tmp_path) as run:
        np.testing.assert_allclose(student(run)["w"], [1.0, -2.0, 0.5], atol=1e-3)


def test_a_stream_that_broke_off_goes_on_to_the_bit(backend, tmp_path):
    with new_run(tmp_path, "undisturbed") as run:
        expected = student(run)
        table = (run.folder / "metrics.csv").read_bytes()
    with new_run(tmp_path, "broken") as run, pytest.raises(ZeroDivisionError):
        student(run, crash_at=405)  # after the row of step 400, which the checkpoint of step 350 does not have
    with runs.Run.resume(run.folder) as run, pytest.raises(ZeroDivisionError):
        student(run, crash_at=351)  # in the first step
    with runs.Run.resume(run.folder) as run:
        assert_same(student(run), expected)
        assert (run.folder / "metrics.csv").read_bytes() == table


class Tasks:
    """A new task in each iteration: the slope of a line to learn, drawn anew, with two points of it."""

    per_epoch = 1

    def __init__(self):
        self.generator = np.random.default_rng(11)

    def next(self):
        x = self.generator.uniform(1, 2, size=(2, 1))
        return xp.asarray(x), xp.asarray(3 * x)

    def state(self):
        return self.generator.bit_generator.state

    def restore(self, state):
        self.generator.bit_generator.state = state


def generated_tasks(run, forbidden=False):
    state, calls = {"w": xp.zeros((1, 1), dtype=xp.float_dtype)}, []

    def step(batch, number):
        assert not forbidden, "a finished run takes no more steps"
        x, y = batch
        error = x @ state["w"] - y
        state["w"] -= 0.1 * xp.sum(x * error, axis=0, keepdims=True)
        calls.append(number)
        return xp.sum(error**2)

    metrics = training.fit(
        run, state, Tasks(), step, steps=1000, evaluate=lambda: {"error": xp.abs(state["w"] - 3)[0, 0]},
        evaluate_every=2, checkpoint_every=50, replicas=[{"replica": 0, "seed": 0}],
        stop=lambda metrics: metrics["error"] < 0.01,
    )  # fmt: skip
    return metrics, host(state), calls


def test_tasks_until_the_goal_is_reached(backend, tmp_path):
    with new_run(tmp_path) as run:
        metrics, state, calls = generated_tasks(run)
        errors = run.metrics()["error"]
        arrays, counters = run.read_checkpoint()
        table = (run.folder / "metrics.csv").read_bytes()
    assert len(calls) < 50  # the error shrinks by 0.6 at least in each step: 3 * 0.6^12 < 0.01
    assert errors[-1] == metrics["error"] < 0.01 <= min(errors[:-1])
    assert errors[-1] == abs(state["w"][0, 0] - 3)
    assert counters["step"] == calls[-1] == run.metrics()["step"][-1] and counters["stopped"]
    assert_same(arrays, state)
    with runs.Run.resume(run.folder) as run:
        again, same, calls = generated_tasks(run, forbidden=True)
        assert (run.folder / "metrics.csv").read_bytes() == table
    assert calls == [] and again == metrics
    assert_same(same, state)


class Bandit:
    """Three arms, and the last transitions, which the policy in `state` chose and which it learns from in batches."""

    per_epoch = 10

    def __init__(self, state):
        self.policy, self.generator, self.memory = state, np.random.default_rng(5), []

    def next(self):
        p = softmax(xp.asnumpy(self.policy["logits"]))
        action = int(self.generator.choice(3, p=p))
        reward = float(self.generator.random() < (0.1, 0.2, 0.9)[action])
        self.memory = [*self.memory, [action, reward]][-8:]
        actions, rewards = zip(*self.memory, strict=True)
        return xp.asarray(np.eye(3)[list(actions)]), xp.asarray(np.array(rewards)[:, None])

    def state(self):
        return {"generator": self.generator.bit_generator.state, "memory": self.memory}

    def restore(self, state):
        self.generator.bit_generator.state, self.memory = state["generator"], state["memory"]


def softmax(logits):
    e = np.exp(logits - logits.max())
    return e / e.sum()


def bandit(run, crash_at=None):
    state = {"logits": xp.zeros(3, dtype=xp.float_dtype), "baseline": xp.zeros(1, dtype=xp.float_dtype)}

    def step(batch, number):
        if number == crash_at:
            raise ZeroDivisionError("the power fails")
        chosen, reward = batch
        e = xp.exp(state["logits"])
        advantage = reward - state["baseline"]
        state["logits"] += 0.3 * xp.mean(advantage * (chosen - e / xp.sum(e)), axis=0)
        state["baseline"] += 0.05 * (xp.mean(reward) - state["baseline"])
        return xp.sum(state["logits"])

    def evaluate():
        e = xp.exp(state["logits"])
        return {"p_best": e[2] / xp.sum(e)}

    metrics = training.fit(
        run, state, Bandit(state), step, steps=600, evaluate=evaluate, evaluate_every=50, checkpoint_every=60,
        replicas=[{"replica": 0, "seed": 0}],
    )  # fmt: skip
    return metrics, host(state)


def test_reinforcement_learning_with_remembered_transitions(backend, tmp_path):
    with new_run(tmp_path, "undisturbed") as run:
        metrics, state = bandit(run)
        assert run.metrics()["p_best"][0] == pytest.approx(1 / 3)
        table = (run.folder / "metrics.csv").read_bytes()
    assert metrics["p_best"] > 0.8
    with new_run(tmp_path, "broken") as run, pytest.raises(ZeroDivisionError):
        bandit(run, crash_at=305)
    with runs.Run.resume(run.folder) as run:
        assert_same(bandit(run)[1], state)
        assert (run.folder / "metrics.csv").read_bytes() == table


# divergence


REPLICAS = [{"replica": index, "seed": index} for index in range(3)]


def poisoned(run, bad=(), replicas=REPLICAS, hidden=False, crash_at=None):
    """Count in each replica, from its seed on, in strides of 1; a NaN comes in at each (step, replica) of `bad`.

    hidden: the vital sign does not show it. Returns the state.
    """
    poison = np.ones((21, len(replicas), 1))
    for number, replica in bad:
        poison[number, replica] = np.nan
    poison = xp.asarray(poison)
    seeds = np.array([[float(column["seed"])] for column in replicas])
    state = {"w": xp.asarray(np.repeat(seeds, 2, axis=1)), "v": xp.asarray(seeds), "t": xp.asarray(np.zeros(1))}

    def step(batch, number):
        if number == crash_at:
            raise ZeroDivisionError("the power fails")
        state["t"] += 1
        state["w"] += poison[number]
        state["v"] += state["w"][:, :1]
        return xp.ones(len(replicas), dtype=xp.float_dtype) if hidden else xp.sum(state["w"], axis=-1)

    training.fit(
        run, state, Counter(), step, steps=20, evaluate=lambda: {"w": state["w"][:, 0]}, evaluate_every=4,
        checkpoint_every=5, replicas=replicas, advice="try a smaller rate",
    )  # fmt: skip
    return host(state)


def config_of(run):
    return json.loads((run.folder / "config.json").read_text())


def test_a_replica_that_diverges_is_frozen_and_leaves_the_others_alone(backend, tmp_path):
    with new_run(tmp_path, "healthy") as run:
        expected, all_rows = poisoned(run), rows(run)
    with new_run(tmp_path, "without") as run:
        without = poisoned(run, replicas=[REPLICAS[0], REPLICAS[2]])
    with new_run(tmp_path, "sick") as run:
        state = poisoned(run, bad=[(7, 1)])
        arrays, counters = run.read_checkpoint()
        assert rows(run) == [row for row in all_rows if row["replica"] != 1 or row["step"] < 7]
        assert config_of(run)["details"]["diverged"] == {"1": 7}
        assert counters["diverged"] == {"1": 7} and counters["step"] == 20
    assert_same(state, arrays)
    for name in ("w", "v"):
        np.testing.assert_array_equal(state[name][[0, 2]], expected[name][[0, 2]])
        np.testing.assert_array_equal(state[name][[0, 2]], without[name])
    # five steps from the seed, 1, at the checkpoint of step 5: w = 1 + 5, v = 1 + (2 + 3 + 4 + 5 + 6)
    np.testing.assert_array_equal(state["w"][1], [6, 6])
    np.testing.assert_array_equal(state["v"][1], [21])


def test_the_first_bad_step_counts_also_when_the_vital_sign_recovers(backend, tmp_path):
    """A replica put back to its last finite arrays trains on, unseen: what is bad later is no news."""
    with new_run(tmp_path) as run:
        poisoned(run, bad=[(7, 1), (13, 1)])
        assert config_of(run)["details"]["diverged"] == {"1": 7}


def test_replicas_diverge_one_after_the_other(backend, tmp_path):
    with new_run(tmp_path) as run:
        state = poisoned(run, bad=[(17, 0), (9, 2)])
        assert config_of(run)["details"]["diverged"] == {"0": 17, "2": 9}
        last = {column["replica"]: 0 for column in REPLICAS}
        for row in rows(run):
            last[row["replica"]] = row["step"]
    assert last == {0: 16, 1: 20, 2: 8}
    np.testing.assert_array_equal(state["w"][:, 0], [0 + 15, 1 + 20, 2 + 5])


@pytest.mark.parametrize("hidden", [False, True])
def test_a_resumed_run_remembers_who_diverged(backend, tmp_path, hidden):
    bad = [(7, 1)]
    with new_run(tmp_path, "undisturbed") as run:
        expected = poisoned(run, bad, hidden=hidden)
        table, details = (run.folder / "metrics.csv").read_bytes(), config_of(run)["details"]
    for crash_at in (6, 9, 11, 16):  # before it, after it was seen, after its first and its second checkpoint
        with new_run(tmp_path, f"crash-{crash_at}") as run, pytest.raises(ZeroDivisionError):
            poisoned(run, bad, hidden=hidden, crash_at=crash_at)
        with runs.Run.resume(run.folder) as run:
            assert_same(poisoned(run, bad, hidden=hidden), expected)
            assert (run.folder / "metrics.csv").read_bytes() == table
            assert config_of(run)["details"] == details


@pytest.mark.parametrize("bad, first", [([(7, 0)], 7), ([(7, 1), (9, 0)], 7), ([(3, 0), (3, 1)], 3)])
def test_a_run_without_a_finite_replica_stops(backend, tmp_path, bad, first):
    replicas = REPLICAS[: len(bad)]
    with new_run(tmp_path) as run:
        with pytest.raises(PlasticError) as caught:
            poisoned(run, bad, replicas)
        message = str(caught.value)
        assert f"diverged at step {first}:" in message and "try a smaller rate" in message
        assert str(run.folder) in message and "\n" not in message
        assert config_of(run)["status"] == "diverged"
        assert config_of(run)["details"]["diverged"] == {str(replica): number for number, replica in bad}
        arrays, counters = run.read_checkpoint()
        saved = 5 * (max(bad)[0] // 5)
        assert counters["step"] == saved
        for replica, column in enumerate(replicas):  # each from its own last finite checkpoint
            finite = 5 * (next(number for number, index in bad if index == replica) // 5)
            np.testing.assert_array_equal(arrays["w"][replica], [column["seed"] + finite] * 2)
        assert all(np.isfinite(value) for row in rows(run) for value in row.values())


def test_divergence_that_only_the_state_shows_is_found_before_it_is_logged_or_saved(backend, tmp_path, capsys):
    with new_run(tmp_path) as run:
        state = poisoned(run, bad=[(7, 1)], hidden=True)
        assert config_of(run)["details"]["diverged"] == {"1": 8}
        assert max(row["step"] for row in rows(run) if row["replica"] == 1) < 8
        who = f"seed {REPLICAS[1]['seed']} at step 8"
        assert capsys.readouterr().err == f"warning: diverged, and left out from there on: {who}: try a smaller rate\n"
        assert_same(run.read_checkpoint()[0], state)
    np.testing.assert_array_equal(state["w"][1], [6, 6])
    np.testing.assert_array_equal(state["w"][[0, 2], 0], [20, 22])


def test_no_checkpoint_of_a_state_that_is_not_finite(backend, tmp_path):
    with new_run(tmp_path) as run, pytest.raises(PlasticError, match="diverged at step 8:"):
        poisoned(run, bad=[(7, 0)], replicas=REPLICAS[:1], hidden=True)
    arrays, counters = run.read_checkpoint()
    assert counters["step"] == 5 and all(np.isfinite(array).all() for array in arrays.values())


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_an_infinite_metric_of_a_finite_state_counts(backend, tmp_path, bad):
    """As of the last update, whose loss nobody has computed; a NaN means that there is no number yet."""
    w = xp.zeros((2, 1), dtype=xp.float_dtype)

    def step(batch, number):
        w[...] += 1
        return w[:, 0]

    def evaluate():
        return {
            "loss": xp.asarray([0.0, bad if xp.asnumpy(w)[1, 0] == 4 else 1.0]),
            "later": xp.asarray([np.nan, np.nan]),
        }

    def trained(run, evaluate=evaluate):
        columns = [{"replica": replica, "seed": replica} for replica in range(2)]
        training.fit(run, {"w": w}, Counter(), step, steps=4, evaluate=evaluate, evaluate_every=2, replicas=columns)

    with new_run(tmp_path) as run:
        trained(run)
        assert config_of(run)["details"]["diverged"] == {"1": 4}
        assert [(row["replica"], row["step"]) for row in rows(run)] == [(0, 0), (1, 0), (0, 2), (1, 2), (0, 4)]
        np.testing.assert_array_equal(host({"w": w})["w"], [[4], [2]])
    with new_run(tmp_path, "all") as run, pytest.raises(Diverged, match=r"diverged at step 4: .* checkpoint is in"):
        w[...] = 0
        trained(run, lambda: {"loss": xp.asarray([bad, bad] if xp.asnumpy(w)[0, 0] == 4 else [0.0, 0.0])})
    with new_run(tmp_path, "at once") as run, pytest.raises(Diverged, match=r"diverged at step 1: [^;]*$"):
        trained(run, lambda: {"loss": xp.asarray([bad, bad])})
    assert config_of(run)["status"] == "diverged" and not (run.folder / "metrics.csv").exists()


# interruption


SIGNALS = (signal.SIGINT, signal.SIGTERM)


def interruptible(run, signals=()):
    """Shuffled sums; during each step in `signals`, {step: signals}, those come, and the step goes on."""
    source = sources.Batches(
        xp.asarray(np.arange(20.0).reshape(20, 1)), xp.asarray(np.zeros(20)), 3, [np.random.default_rng(0)]
    )
    state = {"w": xp.zeros((1, 1), dtype=xp.float_dtype)}

    def step(batch, number):
        state["w"] *= 0.9
        for each in dict(signals).get(number, ()):
            os.kill(os.getpid(), each)
        state["w"] += xp.sum(batch[0])
        return state["w"][0, 0]

    training.fit(
        run, state, source, step, steps=30, evaluate=lambda: {"w": state["w"][0, 0]}, evaluate_every=4,
        checkpoint_every=9, replicas=[{"replica": 0, "seed": 0}],
    )  # fmt: skip
    return host(state)


@pytest.mark.parametrize("kind", SIGNALS)
@pytest.mark.parametrize("number", [1, 7, 8, 9, 29, 30])
def test_an_interrupted_run_ends_its_step_saves_and_can_go_on(tmp_path, kind, number):
    before = [signal.getsignal(each) for each in SIGNALS]
    with new_run(tmp_path, "undisturbed") as run:
        expected = interruptible(run)
        table = (run.folder / "metrics.csv").read_bytes()
    with new_run(tmp_path, "interrupted") as run, pytest.raises(KeyboardInterrupt) as caught:
        interruptible(run, {number: [kind]})
    assert str(caught.value) == f"interrupted at step {number}; go on with Run.resume({str(run.folder)!r})"
    assert config_of(run)["status"] == "interrupted" and config_of(run)["details"] == {"step": number}
    assert run.read_checkpoint()[1]["step"] == number
    with runs.Run.resume(run.folder) as run:
        assert_same(interruptible(run), expected)
        assert (run.folder / "metrics.csv").read_bytes() == table
    assert [signal.getsignal(each) for each in SIGNALS] == before


def test_a_second_interruption_leaves_at_once(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    with new_run(tmp_path) as run, pytest.raises(KeyboardInterrupt) as caught:
        interruptible(run, {7: [signal.SIGINT, signal.SIGINT]})
    assert "--resume" not in str(caught.value) and run.read_checkpoint()[1]["step"] == 0
    assert signal.getsignal(signal.SIGINT) is before
    with runs.Run.resume(run.folder) as run:
        interruptible(run)


def test_an_interrupted_run_still_says_who_diverged(tmp_path):
    """Both are told by config.json: where it stopped, and the replica that had diverged."""
    with new_run(tmp_path) as run, pytest.raises(KeyboardInterrupt):
        state = {"w": xp.zeros((2, 1), dtype=xp.float_dtype)}

        def step(batch, number):
            if number == 6:
                os.kill(os.getpid(), signal.SIGINT)
            state["w"] += xp.asarray([[1.0], [np.nan if number == 3 else 1.0]])
            return state["w"][:, 0]

        training.fit(
            run, state, Counter(), step, steps=9, evaluate=lambda: {"w": state["w"][:, 0]}, evaluate_every=4,
            checkpoint_every=4, replicas=REPLICAS[:2],
        )  # fmt: skip
    assert config_of(run)["details"] == {"step": 6, "diverged": {"1": 3}}


def test_training_in_a_thread_takes_no_signals(tmp_path):
    with new_run(tmp_path) as run:
        result = []
        thread = threading.Thread(target=lambda: result.append(interruptible(run)))
        thread.start()
        thread.join()
        assert run.read_checkpoint()[1]["step"] == 30 and result


# a run that ends before its first checkpoint


def test_a_run_killed_before_its_first_checkpoint_begins_anew(tmp_path, monkeypatch):
    with new_run(tmp_path) as run:
        with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
            patch.setattr(runs.Run, "save_checkpoint", lambda *_: 1 / 0)
            counting(run)
        assert [row["step"] for row in rows(run)] == [0]
    with runs.Run.resume(run.folder) as run:
        counting(run)
        assert [row["step"] for row in rows(run)] == [0, 4, 8, 10]


ONE, TWO = {"replica": 0, "seed": 0}, [{"replica": 0, "seed": 0}, {"replica": 1, "seed": 1}]
MISUSE = {
    "steps is -1; it must be at least 0": {"steps": -1},
    "steps is 2.5; it must be a whole number": {"steps": 2.5},
    "evaluate_every is 0; it must be at least 1": {"evaluate_every": 0},
    "checkpoint_every is 2.5; it must be a whole number": {"checkpoint_every": 2.5},
    "source is a list; it must be one of plastic.data.sources": {"source": [1, 2]},
    "state has no arrays": {"state": {}},
    "lr is a float; a state has arrays and nothing else": {"state": {"w": np.ones((1, 2)), "lr": 0.1}},
    r"w has shape \(1, 2\); of 2 replicas it must begin with \(2,\)": {"replicas": TWO},
    r"replicas is \[0.1\]; it must have a dict for each of 1 replicas": {"replicas": [0.1]},
    "it must have a dict for each of 4 replicas": {"shape": (2, 2)},
    "what step returns, a vital sign, is a NoneType; it must be an array of the replica shape": {"vital": None},
    r"what step returns, a vital sign, is float64 of shape \(5,\)": {"vital": np.ones(5)},
    "what step returns, a vital sign, is a dict": {"vital": {"W": 1.0}},
    "evaluate returns a float; it must be a dict": {"metrics": 0.5},
    r"the metric loss is float64 of shape \(4,\); it must be an array of the replica shape": {
        "metrics": {"loss": np.ones(4)}
    },
    "the metric loss is a str": {"metrics": {"loss": "low"}},
    "evaluate returns a metric called step, as a column of metrics.csv is": {"metrics": {"step": 0.5}},
    "evaluate returns a metric called seed": {"metrics": {"seed": 0.5}},
}


@pytest.mark.parametrize("said", MISUSE)
def test_what_fit_is_given_wrongly_is_told(said, tmp_path):
    given = {"state": {"w": np.ones((1, 2))}, "source": sources.Repeated(), "steps": 3, "replicas": [ONE]}
    given |= {"metrics": {}, "vital": 1.0} | MISUSE[said]
    state, source, vital, metrics = (given.pop(name) for name in ("state", "source", "vital", "metrics"))
    with new_run(tmp_path) as run, pytest.raises(PlasticError, match=said):
        training.fit(run, state, source, lambda batch, number: vital, evaluate=lambda: metrics, **given)
    assert run.metrics() == {} or "vital" in said


def test_numbers_of_python_are_metrics_and_vital_signs(tmp_path):
    with new_run(tmp_path) as run:
        training.fit(
            run, {"w": np.ones(2)}, sources.Repeated(), lambda *_: 1, steps=1, evaluate=lambda: {"loss": 0.5, "n": 3},
            replicas=[ONE],
        )  # fmt: skip
    assert run.metrics()["loss"] == [0.5, 0.5] and run.metrics()["n"] == [3, 3]
