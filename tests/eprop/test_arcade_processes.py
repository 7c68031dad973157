"""The processes that play see what one process sees, their death is noticed, and none is left over."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from commands.eprop import ATARI, COMMANDS, command, split
from processes import alive, ends

from plastic import cli, runs
from plastic.eprop import convolutional
from plastic.eprop.experiments.arcade import pool as pools
from plastic.eprop.experiments.arcade.pool import Ended, Pool
from plastic.errors import PlasticError


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("PLASTIC_RESULTS", "PLASTIC_DEVICE"):
        monkeypatch.delenv(name, raising=False)


def seen(workers, groups=(3, 2)):
    """What all environments see in a few actions."""
    found, rng = [], np.random.default_rng(0)
    with Pool("catch", list(groups), 4, workers) as pool:
        for again in range(2):
            for number, count in enumerate(groups):
                pool.begin(number, [10 * again + k for k in range(count)], 9, 2)
            for _ in range(12):
                for number, count in enumerate(groups):
                    found.append(pool.receive(number))
                    pool.step(number, rng.integers(0, 3, count))
            for number in range(len(groups)):
                found.append(pool.receive(number))
    return found


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_it_does_not_matter_how_many_processes_play(workers):
    for a, b in zip(seen(workers), seen(0), strict=True):
        for one, other in zip(a.arrays(), b.arrays(), strict=True):
            np.testing.assert_array_equal(one, other)
    assert any(each.done.any() for each in seen(0))
    assert any(each.rewards.any() for each in seen(0))


def test_half_of_the_games_are_played_while_the_network_sees_the_others(monkeypatch):
    """Whenever the network is simulated, the other group has been told to play and has not been waited for."""
    waiting, overlaps = set(), []
    simulate = convolutional.simulate

    def seen(*given):
        overlaps.append(len(waiting))
        return simulate(*given)

    def noting(function, change):
        def noted(self, group, *given):
            change(group)
            return function(self, group, *given)

        return noted

    monkeypatch.setattr(convolutional, "simulate", seen)
    for name, change in {"begin": waiting.add, "step": waiting.add, "receive": waiting.discard}.items():
        monkeypatch.setattr(Pool, name, noting(getattr(Pool, name), change))
    command(ATARI)
    assert len(overlaps) > 100
    assert set(overlaps) == {1}


def test_what_goes_wrong_in_a_process_is_told():
    with Pool("no such game", [1], 4, 1) as pool:
        pool.begin(0, [1], 5, 0)
        with pytest.raises(PlasticError, match=r"game is 'no such game'|needs ale_py"):
            pool.receive(0)
    assert ends(pool_number(pool), 1) if pool.workers else True


def pool_number(pool):
    return pool.workers[0].process.pid


def test_a_pool_ends_its_processes():
    with Pool("catch", [1, 1], 4, 1) as pool:
        pool.begin(0, [1], 5, 0)
        number = pool_number(pool)
        assert alive(number)
    assert not alive(number)
    pool.close()


def test_a_process_that_is_killed_is_noticed():
    with Pool("catch", [1], 4, 1) as pool:
        pool.begin(0, [1], 5, 0)
        pool.receive(0)
        os.kill(pool_number(pool), signal.SIGKILL)
        with pytest.raises(Ended, match="which plays, has ended by SIGKILL"):
            for _ in range(100):
                pool.step(0, [0])
                pool.receive(0)


def killing(monkeypatch, times):
    """Kill the process that plays at so many of the next messages, one update apart at least."""
    left = list(times)
    count = [0]
    step = Pool.step

    def step_and_kill(self, group, actions):
        count[0] += 1
        if left and count[0] >= left[0]:
            left.pop(0)
            self.workers[0].process.kill()
            self.workers[0].process.wait()
        step(self, group, actions)

    monkeypatch.setattr(Pool, "step", step_and_kill)
    return left


def test_a_run_whose_process_is_killed_has_the_same_numbers(monkeypatch, capsys):
    whole, _ = command(ATARI)
    left = killing(monkeypatch, [60])
    folder, _ = command(ATARI, "--workers=1")
    assert not left
    assert "has ended by SIGKILL; the games begin anew" in capsys.readouterr().err
    a, b = (runs.Run(each).read_checkpoint()[0] for each in (whole, folder))
    for name, array in a.items():
        np.testing.assert_array_equal(array, b[name], err_msg=name)


def test_a_run_whose_processes_keep_dying_ends_with_the_error_and_can_go_on(monkeypatch, tmp_path, capsys):
    whole, _ = command(ATARI)
    with monkeypatch.context() as patched:
        killing(patched, [60, 62])
        with pytest.raises(SystemExit) as left:
            cli.run(COMMANDS, split(ATARI, "--workers=1", "--name=killed"), prog="plastic.eprop")
    assert left.value.code == 2
    first, error = capsys.readouterr().err.splitlines()
    assert first.startswith("warning: process ")
    assert re.fullmatch(
        "error: process [0-9]+, which plays, has ended by SIGKILL; a run goes on with --resume=FOLDER", error
    )
    [folder] = tmp_path.glob("results/eprop/atari-killed*")
    assert runs.Run(folder).config["status"] == "failed"
    command("atari", f"--resume={folder}")
    a, b = (runs.Run(each).read_checkpoint()[0] for each in (whole, folder))
    for name, array in a.items():
        np.testing.assert_array_equal(array, b[name], err_msg=name)


PLAYING = """
import sys, time
from plastic.eprop.experiments.arcade.pool import Pool
pool = Pool("catch", [2, 2], 4, 2)
for group in (0, 1):
    pool.begin(group, [1, 2], 50, 0)
    pool.receive(group)
print(*(worker.process.pid for worker in pool.workers), flush=True)
while True:
    for group in (0, 1):
        pool.step(group, [0, 1])
        if len(sys.argv) > 1:
            pool.receive(group)
    time.sleep(0.01)
"""


@pytest.mark.parametrize("reads", [True, False])
def test_no_process_outlives_one_that_is_killed(reads):
    """Also while it writes what nobody reads."""
    words = [sys.executable, "-c", PLAYING, *(["reads"] if reads else [])]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        numbers = [int(each) for each in process.stdout.readline().split()]
        assert len(numbers) == 2
        time.sleep(0.3)
        assert all(map(alive, numbers))
        process.kill()
    assert all(map(ends, numbers))


def children(process):
    """The numbers of the processes that a process has started."""
    return [int(each) for each in pathlib.Path(f"/proc/{process}/task/{process}/children").read_text().split()]


@pytest.mark.skipif(not pathlib.Path("/proc/self/task").is_dir(), reason="it looks for processes as Linux shows them")
def test_no_process_outlives_ctrl_c_and_the_run_goes_on(tmp_path):
    """Sent to the whole group of processes, as a terminal does it."""
    line = split(ATARI, "--workers=2 --parallel_episodes=4 --total_environment_frames=1e6 --no_plot")
    with subprocess.Popen(
        [sys.executable, "-m", "plastic.eprop", *line], stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        until, found = time.monotonic() + 300, []
        while time.monotonic() < until and not (len(found) >= 2 and list(tmp_path.glob("results/eprop/*/config.json"))):
            time.sleep(0.05)
            found = children(process.pid)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=300)
    assert process.returncode == 130
    assert re.fullmatch("interrupted[^\n]* go on with --resume=[^\n]+\n", errors)  # and no word of those that play
    assert all(map(ends, found))
    [folder] = tmp_path.glob("results/eprop/*")
    assert runs.Run(folder).config["status"] == "interrupted"


def test_a_process_that_is_told_nothing_ends_without_a_word():
    """As where Ctrl-C comes between the start of a process and the first message to it."""
    line = [sys.executable, "-c", pools._START, json.dumps(sys.path)]
    done = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_processes_before_one_that_cannot_be_started_are_ended(monkeypatch):
    started = []

    def worker(*arguments):
        if started:
            raise OSError("no more processes")
        started.append(pools_worker(*arguments))
        return started[0]

    pools_worker = pools.Worker
    monkeypatch.setattr(pools, "Worker", worker)
    with pytest.raises(OSError, match="no more"), Pool("catch", [2], 4, 2) as pool:
        pool.begin(0, [1, 2], 5, 0)
    assert started[0].process.returncode is not None


def test_processes_have_one_thread(monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    with Pool("catch", [1], 4, 1) as pool:
        pool.begin(0, [1], 5, 0)
        pool.receive(0)
        number = pool_number(pool)
        status = pathlib.Path(f"/proc/{number}/status")
        if status.exists():
            assert "Threads:\t1\n" in status.read_text()
    assert set(pools._THREADS.values()) == {"1"}
