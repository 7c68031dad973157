"""Reinforcement learning: worlds against gymnasium itself, statistics against NumPy, targets and updates by hand."""

import sys
import types

import numpy as np
import pytest
from numpy.testing import assert_allclose

from plastic import xp
from plastic.errors import PlasticError
from plastic.pc import bp, predict
from plastic.pc.experiments import rl
from plastic.pc.experiments.chosen import gradients
from plastic.pc.experiments.options import Inference
from plastic.pc.experiments.worlds import Memory, Normalisation, Worlds, make

gymnasium = pytest.importorskip("gymnasium")


def generators(*seeds):
    return [xp.generator(seed) for seed in seeds]


def untouched(observations, running):
    return observations


@pytest.mark.parametrize(("name", "shortest"), [("CartPole-v1", 8), ("Acrobot-v1", 500), ("MountainCar-v0", 200)])
def test_an_episode_is_that_of_gymnasium(name, shortest):
    """Always the first action, which is never the way out of the two worlds that end by success."""
    worlds = Worlds(name, generators(3, 4))
    transitions, returns = worlds.play(lambda seen: np.eye(3)[[0, 0]], untouched, 0.0)
    for seed, (before, action, reward, after, done), total in zip((3, 4), transitions, returns, strict=True):
        alone = gymnasium.make(name)
        alone.unwrapped.np_random = xp.generator(seed).task
        seen = [alone.reset()[0]]
        for row in range(len(reward)):
            observation, gain, terminated, truncated, _ = alone.step(0)
            assert (gain, terminated or truncated) == (reward[row], done[row])
            seen.append(observation)
        assert_allclose(before, seen[:-1])
        assert_allclose(after, seen[1:])
        assert done.tolist() == [False] * (len(done) - 1) + [True] and not action.any()
        assert total == reward.sum() and len(reward) >= shortest


def test_an_action_is_the_best_but_for_the_random_ones():
    worlds = Worlds("MountainCar-v0", generators(0))
    (rows,), _ = worlds.play(lambda seen: np.array([[0.0, 2.0, 1.0]]), untouched, 0.0)
    assert set(rows[1]) == {1}
    (rows,), _ = worlds.play(lambda seen: np.array([[0.0, 2.0, 1.0]]), untouched, 1.0)
    assert np.all(np.abs(np.bincount(rows[1], minlength=3) / len(rows[1]) - 1 / 3) < 0.2)


def test_a_world_goes_on_from_its_state():
    first = Worlds("CartPole-v1", generators(1))
    first.play(lambda seen: np.eye(2)[:1], untouched, 0.5)
    second = Worlds("CartPole-v1", generators(9))
    second.restore(first.state())
    (played, returns), (again, same) = (each.play(lambda seen: seen[:, :2], untouched, 0.3) for each in (first, second))
    assert returns.tolist() == same.tolist()
    for one, other in zip(played[0], again[0], strict=True):
        assert_allclose(one, other)


def test_observations_are_normalised_by_all_that_have_been_seen():
    xp.use("numpy", dtype="float64")
    rng, normalise = np.random.default_rng(0), Normalisation(2, 3)
    seen = rng.standard_normal((20, 2, 3)) * [1, 5, 100] + [0, 3, -50]
    for t, observations in enumerate(seen):
        found = normalise(observations, np.array([True, t < 10]))
    for replica, rows in enumerate((seen[:, 0], seen[:10, 1])):
        expected = (seen[-1, replica] - rows.mean(axis=0)) / np.sqrt(rows.var(axis=0) + 1e-8)
        assert_allclose(found[replica], expected, rtol=1e-9)


def rows(start, count):
    steps = np.arange(start, start + count, dtype=float)
    return steps[:, None], steps, 10 * steps, steps[:, None] + 0.5, steps % 2


def test_a_memory_keeps_the_last_transitions_in_step():
    memory = Memory(2, 5, 1)
    memory.add([rows(0, 3), rows(100, 1)])
    memory.add([rows(3, 4), rows(101, 2)])
    assert memory.ready(4).tolist() == [True, False] and memory.ready(5).tolist() == [False, False]
    drawn = memory.draw(np.array([0]), generators(0, 1), 5)
    steps = np.sort(drawn["action"][0])
    assert steps.tolist() == [2, 3, 4, 5, 6]  # each once: without replacement, the oldest gone
    assert_allclose(drawn["reward"], 10 * drawn["action"])
    assert_allclose(drawn["before"][..., 0], drawn["action"])
    assert_allclose(drawn["after"][..., 0], drawn["action"] + 0.5)
    assert_allclose(drawn["done"], drawn["action"] % 2)
    other = memory.draw(np.array([1]), generators(0, 1), 3)
    assert sorted(other["action"][0].tolist()) == [100, 101, 102]


@pytest.fixture
def agents():
    xp.use("numpy", dtype="float64")
    worlds = types.SimpleNamespace(generators=generators(1, 2), observations=1, actions=2)
    practice = rl.Practice(batch_size=4, updates=1, memory=50, start=5, reward_discount=0.9)
    learn = gradients("bp", Inference(T=4))
    return rl.Agents(worlds, (3,), np.array([0.1, 0.2]), learn, practice)


def test_an_update_is_a_step_of_descent_on_the_error_of_the_action_taken(agents):
    done = np.array([0.0, 1, 0, 1, 0, 0, 1, 0])
    steps = np.linspace(-1, 1, 8)[:, None], np.arange(8.0) % 2, np.arange(8.0), np.linspace(1, 2, 8)[:, None], done
    agents.memory.add([steps, steps])
    before = [rl.Affine(layer.W.copy(), layer.b.copy()) for layer in agents.net.layers]
    drawn = agents.memory.draw(np.array([0, 1]), generators(1, 2), 4)  # the draws that the update will make
    agents._update(np.array([0, 1]))
    old = rl.Network(before, "sigmoid")
    for replica, rate in enumerate((0.1, 0.2)):

        def loss(W, replica=replica):
            net = rl.Network([rl.Affine(W[k], old.layers[k].b[replica]) for k in range(2)], "sigmoid")
            following = predict(
                rl.Network([rl.Affine(each.W[replica], each.b[replica]) for each in before], "sigmoid"),
                drawn["after"][replica],
            ).max(axis=-1)
            target = drawn["reward"][replica] + 0.9 * following * (1 - drawn["done"][replica])
            taken = predict(net, drawn["before"][replica])[np.arange(4), drawn["action"][replica].astype(int)]
            return 0.5 * np.sum((taken - target) ** 2)  # a sum over the batch

        W = [each.W[replica].copy() for each in before]
        for k in range(2):
            gradient = np.zeros_like(W[k])
            for place in np.ndindex(*W[k].shape):
                shifted = []
                for sign in (1, -1):
                    moved = [each.copy() for each in W]
                    moved[k][place] += sign * 1e-5
                    shifted.append(loss(moved))
                gradient[place] = (shifted[0] - shifted[1]) / 2e-5
            assert_allclose(agents.net.layers[k].W[replica], W[k] - rate * gradient, rtol=1e-6, atol=1e-8)


def test_who_has_too_few_transitions_does_not_learn(agents):
    agents.memory.add([rows(0, 8), rows(0, 3)])
    before = [layer.W.copy() for layer in agents.net.layers]
    agents._update(np.flatnonzero(agents.memory.ready(5)))
    for layer, W in zip(agents.net.layers, before, strict=True):
        assert np.any(layer.W[0] != W[0]) and np.all(layer.W[1] == W[1])


def test_actions_at_random_become_rare(agents):
    """epsilon = max(.01, .08 - .01 episode / 200), the first episode being 0."""
    seen = []

    def play(values, normalise, epsilon):
        seen.append(epsilon)
        return [], np.zeros(len(agents.returns))

    worlds, agents.memory.add = types.SimpleNamespace(play=play), lambda transitions: None
    for number in (1, 101, 201, 1401, 9000):
        agents.episode(worlds, number)
    assert_allclose(seen, [0.08, 0.075, 0.07, 0.01, 0.01])


def test_the_mean_return_is_that_of_the_last_episodes(agents):
    assert np.isnan(agents.mean_return()["mean_return"]).all()
    agents.returns[:, :2], agents.played[...] = [[10, 20], [1, 2]], 2
    assert_allclose(agents.mean_return()["mean_return"], [15, 1.5])
    agents.returns[...], agents.played[...] = 7, 900
    assert_allclose(agents.mean_return()["mean_return"], 7)


def test_the_best_rate_has_the_largest_mean_over_the_curve():
    columns = ("rule", "step", "seed", "rate", "mean_return")
    table = [
        *(("pc", step, seed, 0.1, 10.0 * step + seed) for step in (0, 1, 2) for seed in (1, 2)),
        *(("pc", step, seed, 0.01, 100.0 - step) for step in (0, 1, 2) for seed in (1, 2)),
        *(("pc", step, seed, 0.5, None) for step in (0, 1, 2) for seed in (1, 2)),
    ]
    metrics = {name: list(column) for name, column in zip(columns, zip(*table, strict=True), strict=True)}
    rate, episodes, curves = rl.best(metrics, "pc")
    assert rate == 0.01 and episodes.tolist() == [1, 2]
    assert_allclose(curves, [[99, 98], [99, 98]])
    with pytest.raises(PlasticError, match="no returns of bp"):
        rl.best(metrics, "bp")


@pytest.mark.parametrize(("episodes", "counted"), [(3, 3), (500, 200)])
def test_the_line_says_how_many_episodes_a_mean_is_of(episodes, counted):
    line = rl._line("pc", 0.1, np.array([1, episodes]), np.array([[9.0, 10.0], [11.0, 12.0]]))
    assert f"mean return of the last {counted} episodes 11.0 (10.0 to 12.0, n = 2) after {episodes}; 10.5 over" in line


def test_without_gymnasium_a_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(PlasticError, match=r"rl needs gymnasium: pip install 'plastic-learning\[rl\]'"):
        make("CartPole-v1", 1)


def test_gradients_of_chosen_outputs_are_those_of_the_net_without_the_others():
    xp.use("numpy", dtype="float64")
    net = rl.networks((2, 3, 2), generators(0))
    x, chosen = np.random.default_rng(0).standard_normal((1, 5, 2)), np.tile([0.0, 1.0], (1, 5, 1))
    target = np.random.default_rng(1).standard_normal((1, 5, 1))
    last = net.layers[-1]
    alone = rl.Network([net.layers[0], rl.Affine(last.W[..., 1:], last.b[..., 1:])], "sigmoid")
    found = gradients("bp", Inference())(net, x, target, chosen)["layers"]
    assert_allclose(found[0].W, bp(alone, x, target)[0]["layers"][0].W)
    assert_allclose(found[1].W[..., 0], 0)
