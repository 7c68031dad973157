"""Games at the published size, by the screen of 16 episodes (half of the 32, 4 frames each): environment, simulation,
gradient, each beside a floor, and how much of the games' time is off the learning where a process plays them.

The floor of the environment is the emulator's frames and the colours of the last. That of the simulation is the dense
products of the same equations and the patches of their convolutions: the screen with the first kernel, the maps of
five steps with the second, their spikes with W_in, those of the cells with W_rec, and the averages. That of the
gradient is the products with what the sweep has found, and the patches again, and the averages spread back over the
maps. None of them has a pass over the potentials, of which there are 8,712 for every episode in each of five steps.

Run `pytest tests/benchmarks/test_atari_speed.py -s` to see the ratios. Nothing is asserted about time.
"""

import functools
import time

import numpy as np
import pytest
import timing

from plastic import convolution
from plastic.eprop import convolutional
from plastic.eprop.experiments.arcade import agent, games
from plastic.eprop.experiments.arcade.group import Group
from plastic.eprop.experiments.arcade.options import Learning, Play, Sizes
from plastic.eprop.experiments.arcade.player import Player
from plastic.eprop.experiments.arcade.pool import Pool
from plastic.eprop.experiments.arcade.screens import Environment

BATCH, UNROLL, K = 16, 20, 5


@pytest.fixture(scope="module")
def played():
    """The network as drawn, and what a group of episodes has seen of a game in an unroll."""
    sizes = Sizes()
    net = agent.network(agent.drawn(np.random.default_rng(1), sizes, 4), sizes)
    work = {}
    with Pool("catch", [BATCH], 4, 0) as pool:
        group = Group(net, 0, BATCH, np.random.default_rng(0), work)
        pool.begin(0, range(BATCH), 1000, 0)
        for _ in range(UNROLL + 1):
            group.move(pool)
    return net, group.unroll(False), work


def test_environment(benchmark):
    """Sixteen actions of Pong, preprocessing included."""
    pytest.importorskip("ale_py")
    environments = [Environment(games.make("pong"), 4) for _ in range(BATCH)]
    for seed, environment in enumerate(environments):
        environment.begin(seed, 10**6, 0)

    def ours():
        for environment in environments:
            environment.step(1)

    def floor():
        for environment in environments:
            for _ in range(4):
                environment.game.act(1)
            environment.game.frame()

    timing.compare(benchmark, f"environment, {BATCH} actions of 4 frames", ours, floor, rounds=31)


def test_simulation(benchmark, played):
    net, unroll, work = played
    screens, state, done = unroll.record.screens[-1:], unroll.record.state, np.zeros((1, BATCH), np.float32)
    ours = functools.partial(convolutional.simulate, net, screens, state, done, work)
    first, second = net.layers
    z1, z2 = (np.concatenate([(v > 0.1) for v in unroll.record.v[-1][layer]]).astype("f4") for layer in (0, 1))
    z, columns = unroll.record.cells.z[-1].astype("f4"), {}
    flat, maps = z2.reshape(K * BATCH, -1), [each.reshape(K * BATCH, -1, each.shape[-1]) for each in (z1, z2)]

    def conv(x, layer):
        patches = convolution.patches(x, len(layer.K), columns.get(id(layer)), layer.stride)
        columns[id(layer)] = patches
        return patches.reshape(len(x) * patches.shape[1] * patches.shape[2], -1) @ layer.K.reshape(
            -1, layer.K.shape[-1]
        )

    def floor():
        conv(screens[0][..., None], first)
        for k in range(K):
            conv(z1[k * BATCH : (k + 1) * BATCH], second)
            z @ net.cells.W_rec
        flat @ net.cells.W_in
        for Q, each in zip(net.pooled, maps, strict=True):
            Q @ each
        unroll.record.seen[:K].reshape(K * BATCH, -1) @ net.readout.W

    timing.compare(benchmark, f"simulation, a screen of {BATCH} episodes", ours, floor, rounds=31)


def test_gradient(benchmark, played):
    net, unroll, work = played
    ours = functools.partial(agent.learned, net, [unroll], Learning(), work)
    first, second = net.layers
    record = unroll.record
    z1, z2 = ([(each[layer] > 0.1).astype("f4") for each in record.v] for layer in (0, 1))
    mu = np.random.default_rng(0).standard_normal((UNROLL * K * BATCH, 400)).astype("f4")
    rows = [each.reshape(UNROLL * K * BATCH, -1).astype("f4") for each in (record.cells.x, record.cells.z, record.seen)]
    err, columns = record.output.reshape(UNROLL * K * BATCH, -1), {}
    signals = [np.zeros((K, BATCH, len(Q), shape[-1]), "f4") for Q, shape in zip(net.pooled, net.shapes, strict=True)]

    def kernel(x, mus, layer):
        patches = convolution.patches(x, len(layer.K), columns.get(id(layer)), layer.stride)
        columns[id(layer)] = patches
        return patches.reshape(-1, layer.K[..., 0].size).T @ mus.reshape(-1, layer.K.shape[-1])

    def floor():
        for s in range(UNROLL):
            kernel(record.screens[s][..., None], z1[s][0], first)
            for k in range(K):
                kernel(z1[s][k], z2[s][k], second)
            for Q, each in zip(net.pooled, signals, strict=True):
                Q.T @ each
        err @ net.readout.W.T
        for each in rows[:2]:
            each.T @ mu
        rows[2].T @ err

    found = timing.compare(benchmark, f"gradient, {UNROLL} screens of {BATCH} episodes", ours, floor, rounds=7)
    print(f"a screen of {BATCH} episodes: {found['ours'] / UNROLL:.3g} ms")


@pytest.mark.parametrize("game", ["pong", "catch"])
def test_processes_play_while_the_network_learns(benchmark, game):
    """An update of 32 episodes, played in this process and by another: the time on the clock, which needs two cores."""
    if game == "pong":
        pytest.importorskip("ale_py")
    sizes, play = Sizes(), Play(unroll_length=20, max_episode_len=40, max_episode_len_jitter=0)
    times, waited = {}, {}
    for workers in (0, 1):
        net = agent.network(agent.drawn(np.random.default_rng(1), sizes, 4), sizes)
        with Pool(game, play.groups, 4, workers) as pool:
            player, spent = Player(net, pool, play, Learning(), 0), [0.0]
            receive, step = pool.receive, pool.step

            def timed(function, group, *actions, spent=spent):
                start = time.perf_counter()
                found = function(group, *actions)
                spent[0] += time.perf_counter() - start
                return found

            pool.receive, pool.step = functools.partial(timed, receive), functools.partial(timed, step)
            player._update(0)
            rounds = []
            for seed in range(1, 1 + timing.as_many_as_count(3)):
                spent[0], start = 0.0, time.perf_counter()
                player._update(seed)
                rounds.append((time.perf_counter() - start, spent[0]))
            times[workers], waited[workers] = np.median(rounds, axis=0)
    frames = 32 * 41 * 4
    alone, beside = (f"{times[count]:.3g} s ({frames / times[count]:,.0f} frames/s)" for count in (0, 1))
    print(
        f"\n{game}, an update: {alone} in one process, {waited[0]:.3g} s of them games; {beside} with a process that "
        f"plays, {waited[1]:.3g} s of them spent with waiting for it"
    )
    benchmark.extra_info.update({"alone_s": times[0], "games_s": waited[0], "with_s": times[1], "waited_s": waited[1]})
    benchmark.pedantic(lambda: None, rounds=1)
