"""Games from their screens: preprocessing and episodes by their definitions, masks, schedules, updates, what is kept.

The processes that play are tested by test_arcade_processes.py; what all commands share by tests/test_commands.py.
"""

import dataclasses
import io
import re
import sys

import numpy as np
import pytest
from commands.eprop import ATARI, command, printed, refused

from plastic import parameters, runs, training, xp
from plastic.eprop import convolutional
from plastic.eprop.experiments.arcade import agent, figures, games, player
from plastic.eprop.experiments.arcade.agent import Unroll, counted, learned
from plastic.eprop.experiments.arcade.animation import animation
from plastic.eprop.experiments.arcade.games import Catch
from plastic.eprop.experiments.arcade.group import Group
from plastic.eprop.experiments.arcade.options import Learning, Play, Sizes
from plastic.eprop.experiments.arcade.pool import Pool
from plastic.eprop.experiments.arcade.screens import Environment, Preprocessing
from plastic.eprop.experiments.arcade.stage import Seen


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("PLASTIC_RESULTS", "PLASTIC_DEVICE"):
        monkeypatch.delenv(name, raising=False)


# screens


def test_a_screen_is_the_mean_of_grey_over_areas():
    """By making every pixel 2 x 21 smaller ones, of which 5 x 40 are a pixel of the screen."""
    frame = np.random.default_rng(0).integers(0, 256, (210, 160, 3)).astype(np.uint8)
    grey = 0.2989 * frame[..., 0] + 0.5870 * frame[..., 1] + 0.1140 * frame[..., 2]
    fine = np.repeat(np.repeat(grey, 2, axis=0), 21, axis=1)
    expected = fine.reshape(84, 5, 84, 40).mean(axis=(1, 3)) / 255
    np.testing.assert_allclose(Preprocessing((210, 160))(frame), expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(250, 160), (84, 84), (50, 60)])
def test_an_even_frame_stays_even_at_any_size(shape):
    screen = Preprocessing(shape)(np.full((*shape, 3), 200, np.uint8))
    assert screen.shape == (84, 84)
    np.testing.assert_allclose(screen, 0.9999 * 200 / 255, rtol=1e-5)


class Scripted:
    """A game whose frames say how many were played, with the rewards of a list; it is over when the list is."""

    shape = 84, 84

    def __init__(self, rewards):
        self.rewards, self.episodes, self.log = rewards, 0, []

    def begin(self, generator):
        self.generator = generator

    def reset(self):
        self.episodes += 1
        self.frames, self.acted = 0, False

    def act(self, action):
        self.log.append(action)
        self.frames += 1
        self.acted |= action > 0
        self.place = self.place + 1 if self.acted and self.frames > 1 and action > 0 else 0
        return self.rewards[self.place - 1] if action > 0 else 0.0

    def over(self):
        return self.acted and self.place == len(self.rewards)

    def frame(self):
        return np.full((84, 84, 3), self.frames, np.uint8)


def test_actions_are_repeated_and_rewards_summed_and_clipped():
    game = Scripted([0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.5, -3.0, 1.0, 5.0, 0.0])
    environment = Environment(game, 4)
    environment.begin(3, 100, 0)
    noops = game.frames
    found = [environment.step(1) for _ in range(3)]
    assert [each[1:] for each in found] == [(1.0, 1.0, False), (1.0, 2.5, False), (1.0, 3.0, True)]
    for k, (screen, *_) in enumerate(found[:2], 1):
        np.testing.assert_allclose(screen, 0.9999 * (noops + 4 * k) / 255, rtol=1e-4)
    assert game.episodes == 2  # the next one has begun, and its first screen is seen
    np.testing.assert_allclose(found[2][0], 0.9999 * game.frames / 255, rtol=1e-4, atol=1e-9)
    clipped = Environment(Scripted([-2.0, -3.0] + [0.0] * 20), 2)
    clipped.begin(0, 100, 0)
    assert clipped.step(1)[1:] == (-1.0, -5.0, False)


def test_no_frame_is_played_when_the_game_is_over():
    environment = Environment(Scripted([0.0, 1.0, 2.0]), 2)
    environment.begin(0, 100, 0)
    environment.step(1)
    assert environment.step(1)[1:] == (1.0, 2.0, True)


def test_episodes_end_in_time_and_begin_with_up_to_29_frames_without_action():
    game = Scripted([0.0] * 100)
    environment = Environment(game, 1)
    environment.begin(5, 8, 3)
    lengths, noops, played = [], [game.frames], 0
    for _ in range(3000):
        *_, done = environment.step(1)
        played += 1
        if done:
            lengths.append(played)
            noops.append(game.frames)
            played = 0
    assert set(lengths) == set(range(5, 12))
    assert set(noops) == set(range(30))
    before = environment.generator.bit_generator.state
    environment.begin(5, 8, 3)
    assert game.frames == noops[0]
    assert environment.generator.bit_generator.state != before


# games


def test_catch_is_won_by_who_follows_the_ball_and_lost_by_who_does_not():
    totals = []
    for follow in (True, False):
        game = Catch()
        game.begin(np.random.default_rng(0))
        total = 0.0
        for _ in range(20):
            game.reset()
            while not game.over():
                target = game.column if follow else 7 * (game.column < 4)
                total += game.act(int(np.sign(target - game.paddle)) % 3 and (2 if target > game.paddle else 1))
        totals.append(total)
    assert totals[0] == 100
    assert totals[1] < -60


def test_catch_shows_the_ball_and_the_paddle():
    game = Catch()
    game.begin(np.random.default_rng(0))
    game.reset()
    for row in range(6):
        frame = game.frame()
        assert frame.shape == (210, 160, 3)
        assert frame.dtype == np.uint8
        assert frame[30 * row + 3, 20 * game.column + 10].tolist() == [236, 236, 236]
        assert frame[-1, 20 * game.paddle + 10].tolist() == [92, 186, 92]
        for _ in range(4):
            game.act(0)


def test_without_ale_py_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ale_py", None)
    assert refused("atari") == "error: --game=pong needs ale_py: pip install 'plastic-learning[atari]'\n"
    assert printed(ATARI, "--no_plot")  # catch needs nothing


@pytest.mark.parametrize("name", ["pong", "tennis"])
def test_a_game_of_the_arcade_is_always_the_same(name):
    """Tennis is not by its reset alone."""
    pytest.importorskip("ale_py")
    assert games.n_actions("pong") == 3
    assert games.n_actions("tennis") == 10

    def played(game):
        game.begin(np.random.default_rng(0))
        game.reset()
        return [(game.act(k % 3), int(game.frame().sum(dtype=int))) for k in range(60)]

    game = games.make(name)
    before = played(game)
    for action in np.random.default_rng(0).integers(0, 3, 200):
        game.act(action)
    assert played(game) == before == played(games.make(name))
    assert game.frame().shape == game.shape + (3,)


def test_a_game_for_two_is_refused():
    pytest.importorskip("ale_py")
    assert "game is joust, which is for two players" in refused("atari --game=joust")


def test_pong_is_played_and_learned_from():
    pytest.importorskip("ale_py")
    folder, lines = command(ATARI, "--game=pong --workers=1")
    assert runs.Run(folder).metrics()["frames"][-1] >= 240
    assert "of 3 new episodes of at most 6 actions" in lines[0]
    assert "frames per second" in lines[1]
    assert re.search("game is 'pon'; pong.* or another of the [0-9]+ of ale-py", refused("atari --game=pon"))


# masks, schedules


def masks(done, ended, published):
    """The definition, action by action."""
    found = np.zeros(done.shape)
    for b in range(done.shape[1]):
        ends = 0
        for s in range(len(done)):
            if published:
                ends += done[s, b]
                found[s, b] = (1 - ends) * (not ended[b])
            else:
                found[s, b] = not ended[b] and ends == 0
                ends += done[s, b]
    return found


@pytest.mark.parametrize("published", [False, True])
def test_actions_count_until_the_end_of_the_episode(published):
    done = np.array([[0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    ended = np.array([0, 1, 0, 0])
    found = counted(done, ended, published)
    np.testing.assert_array_equal(found, masks(done, ended, published))
    last = [[1, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 1, 1]]
    quirk = [[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, -1, -1], [1, 1, 1, 0]]
    np.testing.assert_array_equal(found.T, quirk if published else last)


@pytest.mark.parametrize(("n", "fraction", "adaptive"), [(400, 0.4, 160), (100, 0.29, 29), (5, 0.0, 0), (5, 1.0, 5)])
def test_the_last_neurons_adapt(n, fraction, adaptive):
    """.29 of a hundred are 29, though .29 * 100 is 28.999999999999996."""
    beta = xp.asnumpy(Sizes(n_rec=n, fraction_adaptive=fraction).cells().beta)[0]
    np.testing.assert_allclose(beta, [0] * (n - adaptive) + [0.1] * adaptive)


def test_episodes_grow_by_the_published_schedule():
    play = Play()
    assert [play.longer(200, k * 7e7) for k in range(5)] == [200, 321, 483, 692, 954]
    assert play.longer(200, 7e7 - 1) == 200
    linear = Play(use_cubic_schedule=False, increase_episode_len_by=10.0)
    assert [linear.longer(200, k * 7e7) for k in range(3)] == [200, 210, 220]
    assert [play.longer(27, k * 7e7) for k in range(4)] == [27, 64, 125, 216]  # cubes, whatever roots are rounded to
    assert Play(increase_episode_len_by=0.0).longer(200, 7e8) == 200
    assert play.block == 12800
    assert play.blocks(1e9) == 78125
    assert play.blocks(1) == 1
    assert play.groups == [16, 16]
    assert Play(parallel_episodes=5).groups == [3, 2]
    assert Play(parallel_episodes=1).groups == [1]


def test_the_learning_rate_falls_in_stairs():
    learning = Learning(learning_rate=0.5, learning_rate_decay=0.1, decay_every=100.0)
    np.testing.assert_allclose([learning.rate(frames) for frames in (0, 99, 100, 250)], [0.5, 0.5, 0.05, 0.005])


# learning

TINY = Sizes(n_rec=5, n_filters_1=2, n_filters_2=2, n_rnn_step_factor=2)
STRONG = Learning(entropy_cost=0.1, rate_cost=3.0, voltage_cost_rnn=0.2, voltage_cost_cnn=0.3, reg_factor_cnn=7.0)


def unrolled(net, S=5, batch=3, seed=0):
    """An unroll of random screens, rewards and ends."""
    rng = np.random.default_rng(seed)
    done = (rng.random((S, batch)) < 0.25).astype(float)
    starts = np.concatenate([np.ones((1, batch)), done[:-1]])
    record = convolutional.simulate(net, xp.asarray(rng.random((S, batch, 84, 84))), done=xp.asarray(starts))
    rewards, actions = rng.standard_normal((S, batch)), rng.integers(0, 3, (S, batch))
    return Unroll(record, actions, rewards, done, counted(done, np.zeros(batch), False), rng.standard_normal(batch))


def part(net, unroll, chosen):
    """The unroll of some of its episodes, simulated by themselves."""
    record = convolutional.simulate(net, unroll.record.screens[:, chosen], done=unroll.record.done[:, chosen])
    names = ("actions", "rewards", "done", "counted")
    return Unroll(record, **{name: getattr(unroll, name)[:, chosen] for name in names}, last=unroll.last[chosen])


def test_groups_learn_what_all_episodes_together_do():
    xp.use(dtype="float64")
    net = agent.network(agent.drawn(np.random.default_rng(1), TINY, 4), TINY)
    whole = unrolled(net)
    expected, told = learned(net, [whole], STRONG, {})
    found, of_groups = learned(net, [part(net, whole, slice(0, 2)), part(net, whole, slice(2, 3))], STRONG, {})
    for (path, a), (_, b) in zip(parameters.leaves(found), parameters.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12, err_msg=path)
    assert told.keys() == of_groups.keys()
    for name, value in told.items():
        assert of_groups[name] == pytest.approx(value, rel=1e-12), name


def test_the_loss_is_the_published_sum():
    xp.use(dtype="float64")
    net = agent.network(agent.drawn(np.random.default_rng(1), TINY, 4), TINY)
    unroll = unrolled(net)
    _, told = learned(net, [unroll], STRONG, {})
    output, expected = unroll.record.output[1::2], 0.0
    for b in range(3):
        R = unroll.last[b]
        for s in reversed(range(5)):
            R = unroll.rewards[s, b] + 0.99 * (1 - unroll.done[s, b]) * R
            pi = np.exp(output[s, b, :-1]) / np.exp(output[s, b, :-1]).sum()
            A = R - output[s, b, -1]
            each = -A * np.log(pi[unroll.actions[s, b]]) + A * A / 2 + 0.1 * np.sum(pi * np.log(pi))
            expected += unroll.counted[s, b] * each
    assert told["loss"] == pytest.approx(expected, rel=1e-10)


def test_what_follows_an_episode_teaches_nothing():
    """Other actions and rewards after the end change neither loss nor gradient; those before it do."""
    xp.use(dtype="float64")
    net = agent.network(agent.drawn(np.random.default_rng(1), TINY, 4), TINY)
    unroll = unrolled(net)
    assert (unroll.counted == 0).any()
    after, before = unroll.counted == 0, unroll.counted == 1
    grads, told = learned(net, [unroll], STRONG, {})
    for chosen, same in ((after, True), (before, False)):
        moved = dataclasses.replace(unroll, rewards=unroll.rewards + chosen, actions=(unroll.actions + chosen) % 3)
        found, of_moved = learned(net, [moved], STRONG, {})
        close = [
            np.allclose(a, b, rtol=1e-9) for (_, a), (_, b) in zip(*map(parameters.leaves, (grads, found)), strict=True)
        ]
        assert all(close) if same else not any(close)
        assert (of_moved["loss"] == pytest.approx(told["loss"])) == same


def test_kernels_learn_from_the_divided_loss_without_entropy():
    xp.use(dtype="float64")
    net = agent.network(agent.drawn(np.random.default_rng(1), TINY, 4), TINY)
    unroll = unrolled(net)
    plain = dataclasses.replace(STRONG, voltage_cost_cnn=0.0, entropy_cost=0.0)
    found = learned(net, [unroll], dataclasses.replace(plain, entropy_cost=0.5), {})[0]["kernels"]
    expected = learned(net, [unroll], dataclasses.replace(plain, reg_factor_cnn=1.0), {})[0]["kernels"]
    for a, b in zip(found, expected, strict=True):
        assert np.abs(b).max() > 0
        np.testing.assert_allclose(7 * a, b, rtol=1e-9)


def test_adam_adds_epsilon_as_tensorflow_does(monkeypatch):
    """w <- w - lr sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + epsilon), once for each update."""
    xp.use(dtype="float64")
    play, learning = Play(parallel_episodes=3), Learning(learning_rate=0.1, epsilon=0.7)
    net = agent.network(agent.drawn(np.random.default_rng(1), TINY, 4), TINY)
    found = player.Player(net, None, play, learning, 0)
    rng = np.random.default_rng(2)
    w, m, v = net.readout.W.copy(), 0.0, 0.0
    for t in range(1, 4):
        grads = parameters.map(lambda leaf: rng.standard_normal(leaf.shape), net.parameters)
        told = grads, dict.fromkeys(player.TOLD, 0.5)
        monkeypatch.setattr(found, "_episodes", lambda *_, told=told, **__: ([], told))
        found._update(0)
        g = grads["readout"].W
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        w = w - 0.1 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(v) + 0.7)
        np.testing.assert_allclose(net.readout.W, w, rtol=1e-10)
    assert found.clock("updates") == 3


@pytest.mark.parametrize("rule", ["", "--no_use_eprop", "--published_masks", "--no_avg_ba_cnn"])
def test_every_way_to_learn_runs_and_is_one_of_its_own(rule):
    folder, _ = command(ATARI, rule, "--max_episode_len=4 --max_episode_len_jitter=3 --unroll_length=8 --dtype=float64")
    arrays, _ = runs.Run(folder).read_checkpoint()
    plain, _ = command(
        ATARI, "--max_episode_len=4 --max_episode_len_jitter=3 --unroll_length=8 --dtype=float64 --name=o"
    )
    before, _ = runs.Run(plain).read_checkpoint()
    same = arrays["parameters/readout/W"].shape == before["parameters/readout/W"].shape and np.array_equal(
        arrays["parameters/cells/W_in"], before["parameters/cells/W_in"]
    )
    assert same == (rule == "")


def test_an_update_learns_in_unrolls_and_counts_what_is_played():
    """Of the same draws, in unrolls of 2 and 5 actions: the same episodes, but other traces."""
    told = {}
    net = agent.network(agent.drawn(np.random.default_rng(1), TINY, 4), TINY)
    for unroll in (2, 5, 100):
        play = Play(parallel_episodes=3, unroll_length=unroll, num_action_repeats=2)
        with Pool("catch", play.groups, 2, 0) as pool:
            groups, (grads, found) = player.Player(net, pool, play, STRONG, 0)._episodes(7, 9, 4, learn=True)
        told[unroll] = found, grads, [each.length for each in groups], sum(each.played for each in groups)
        assert {each.played // each.count for each in groups} == {int(max(each.length.max() for each in groups)) + 1}
    for name in ("score", "episode_len"):
        assert told[2][0][name] == told[5][0][name] == told[100][0][name]
    assert told[2][3] == told[100][3]
    W = [each[1]["readout"].W for each in told.values()]
    assert not np.allclose(W[0], W[2], rtol=1e-3)


class Told:
    """A pool of two environments whose episodes end with the actions that are named."""

    def __init__(self, ends):
        self.ends, self.actions = ends, 0

    def receive(self, group):
        seen = Seen.empty(2)
        seen.screens[...] = np.random.default_rng(self.actions).random(seen.screens.shape)
        seen.rewards[...] = seen.scores[...] = self.actions
        seen.done[...] = [(self.actions, k) in self.ends for k in range(2)]
        return seen

    def step(self, group, actions):
        self.actions += 1


def test_a_group_resets_where_episodes_begin_and_counts_the_first_of_each():
    """The first environment's episodes end with its actions 3 and 4, the second's with its action 5."""
    net = agent.network(agent.drawn(np.random.default_rng(1), TINY, 4), TINY)
    group, pool, unrolls = Group(net, 0, 2, np.random.default_rng(0), {}), Told({(3, 0), (4, 0), (5, 1)}), []
    for action in range(1, 8):
        group.move(pool)
        if len(group.rewards) == 3:
            unrolls.append(group.unroll(False))
        assert group.ended.tolist() == [action > 3, action > 5]
    first, second = unrolls
    done = np.concatenate([first.record.done, second.record.done])
    np.testing.assert_array_equal(done, [[1, 1], [0, 0], [0, 0], [1, 0], [1, 0], [0, 1]])
    np.testing.assert_array_equal(np.concatenate([first.done, second.done]), [*done[1:], [0, 0]])
    np.testing.assert_array_equal(first.counted, np.ones((3, 2)))
    np.testing.assert_array_equal(second.counted, [[0, 1], [0, 1], [0, 0]])
    assert first.rewards[:, 0].tolist() == [1, 2, 3]
    assert group.score.tolist() == [1 + 2 + 3, 1 + 2 + 3 + 4 + 5]
    assert group.length.tolist() == [3, 5]
    np.testing.assert_allclose(first.last, second.record.output[1, :, -1], rtol=1e-6)
    screens = np.concatenate([first.record.screens, second.record.screens])
    np.testing.assert_allclose(screens[4], np.random.default_rng(4).random((2, 84, 84)).astype("f4"))


def test_an_evaluation_changes_nothing_and_has_the_same_draws():
    play = Play(parallel_episodes=3, eval_length=6)
    net = agent.network(agent.drawn(np.random.default_rng(1), TINY, 4), TINY)
    with Pool("catch", play.groups, 4, 0) as pool:
        found = player.Player(net, pool, play, STRONG, 5)
        before = parameters.copy(found.state)
        first, second = found.evaluate(), found.evaluate()
    assert first["evaluation_score"] == second["evaluation_score"]
    assert np.isnan(first["score"]).all()
    for (_, a), (_, b) in zip(parameters.leaves(before), parameters.leaves(found.state), strict=True):
        np.testing.assert_array_equal(a, b)


# runs


def test_another_run_is_gone_on_from(monkeypatch):
    folder, _ = command(ATARI, "--increase_episode_len_every=100")
    arrays, _ = runs.Run(folder).read_checkpoint()
    states = []
    fit = training.fit

    def spy(run, state, *args, **options):
        states.append({path: np.array(leaf) for path, leaf in parameters.leaves(state)})
        return fit(run, state, *args, **options)

    monkeypatch.setattr(training, "fit", spy)
    command(ATARI, f"--restore_from={folder} --seed=2")
    command(ATARI, f"--restore_from={folder} --seed=2 --no_resume_max_episode_len")
    command(ATARI, f"--restore_cnn_from={folder} --seed=2")
    command(ATARI, "--seed=2")
    whole, without, kernels, fresh = states
    for path, array in arrays.items():
        if path.startswith(("parameters/", "moments/")):
            np.testing.assert_array_equal(whole[path], array)
            np.testing.assert_array_equal(without[path], array)
            np.testing.assert_array_equal(
                kernels[path], array if "kernels" in path and "parameters" in path else fresh[path]
            )
    assert not np.array_equal(whole["parameters/kernels/0"], fresh["parameters/kernels/0"])
    grown = Play(increase_episode_len_every=100.0).longer(7, int(arrays["clock/frames"]))
    assert (whole["clock/length"], without["clock/length"]) == (grown, 7)
    assert grown > 7
    assert whole["clock/frames"] == 0
    message = refused(ATARI, f"--restore_from={folder} --n_rec=7")
    assert "its parameters/cells/W_in has shape (578, 6), and that of this run (578, 7)" in message
    other, _ = command("reward --n_iter=1 --n_batch=2 --n_regular=2 --n_adaptive=2 --t_delay=5 --t_cue=5")
    assert "which is no run of eprop atari" in refused(ATARI, f"--restore_from={other}")


def test_an_episode_is_kept_with_what_it_led_to():
    folder, _ = command(ATARI, "--save_anim --eval_length=12")
    run = runs.Run(folder)
    arrays, K = run.arrays(), 2
    S = len(arrays["screens"])
    assert arrays["z"].shape == (S * K, 6)
    assert arrays["maps_1"].shape == (S, 20, 20)
    assert arrays["output"].shape == (S * K, 4)
    R = 0.0
    for s in reversed(range(S)):
        R = arrays["rewards"][s] + 0.99 * R
        assert arrays["returns"][s] == pytest.approx(R, rel=1e-5)
    pi = arrays["output"][K - 1 :: K, :-1]
    np.testing.assert_allclose(arrays["probability"], np.exp(pi) / np.exp(pi).sum(axis=1, keepdims=True), rtol=1e-4)
    from PIL import Image

    with Image.open(folder / "episode.gif") as image:
        assert image.n_frames == S
    with Image.open(io.BytesIO(animation(arrays, "catch"))) as image:
        assert image.n_frames == S


def test_the_figures_show_the_run(figures_too):
    folder, _ = command(ATARI)
    run = runs.Run(folder)
    left, right = figures.performance([run]).axes
    metrics = run.metrics()
    np.testing.assert_allclose(left.lines[1].get_ydata(), metrics["evaluation_score"])
    np.testing.assert_allclose(left.lines[1].get_xdata(), np.array(metrics["frames"]) / 1e6)
    np.testing.assert_allclose(right.lines[0].get_ydata()[1:], metrics["loss"][1:])
    top, bottom = figures.value([run]).axes
    arrays = run.arrays()
    np.testing.assert_allclose(top.lines[0].get_ydata(), arrays["output"][1::2, -1])
    np.testing.assert_allclose(top.lines[1].get_ydata(), arrays["returns"])
    assert len(bottom.lines) == 3
    raster = figures.episode([run]).axes[-3]
    assert len(raster.lines[0].get_xdata()) == arrays["z"].sum()
