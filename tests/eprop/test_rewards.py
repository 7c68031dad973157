"""Reward-based e-prop: signals against finite differences and the paper's online form; what agents play and learn."""

import dataclasses
import sys

import numpy as np
import pytest
from commands.eprop import REWARD, command, refused

from plastic import check, eprop, runs, xp
from plastic.eprop import rewards
from plastic.eprop.experiments import agents
from plastic.eprop.experiments.games import CartPole, Delayed, Walk
from plastic.eprop.experiments.plastic_network import without_traces
from plastic.errors import PlasticError
from plastic.functions import softmax


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """Run folders of a test lie in a directory of its own."""
    monkeypatch.chdir(tmp_path)
    xp.use(dtype="float64")


# signals


def test_returns_by_hand(backend):
    R = rewards.returns(xp.asarray([[1.0, 0.0], [0.0, 2.0], [4.0, 0.0]]), 0.5, last=xp.asarray([8.0, 0.0]))
    np.testing.assert_allclose(xp.asnumpy(R), [[3.0, 1.0], [4.0, 2.0], [8.0, 0.0]])


def test_returns_end_with_an_episode(backend):
    """Also where it ends with the last step: nothing is expected after it."""
    r, done = (np.transpose(each) for each in ([[1.0, 2.0, 4.0]] * 2, [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
    R = rewards.returns(xp.asarray(r), 0.5, last=xp.asarray([8.0, 8.0]), done=xp.asarray(done))
    np.testing.assert_allclose(xp.asnumpy(R).T, [[2.0, 2.0, 8.0], [3.0, 4.0, 4.0]])
    with pytest.raises(PlasticError, match="done has shape"):
        rewards.returns(xp.asarray([[1.0]]), 0.5, done=xp.asarray([1.0]))


def test_what_rewards_and_steps_must_be():
    output, actions, R, _ = drawn(np.random.default_rng(0))
    told = {
        "discount is an array": lambda: rewards.returns(R, np.ones((3, 1))),
        "last is None; it must be a number": lambda: rewards.returns(R, 0.9, last=None),
        "steps is 3; it must be a slice": lambda: rewards.actor_critic(output, 3, actions, R),
        "entropy is an array": lambda: rewards.actor_critic(output, STEPS, actions, R, entropy=np.ones(3)),
    }
    for message, call in told.items():
        with pytest.raises(PlasticError, match=message):
            call()


def drawn(rng, lead=(), T=7, batch=3, n_actions=3):
    """Output, actions, returns, and weights, of steps 1, 3, 5."""
    S = (*lead, 3, batch)
    output = rng.standard_normal((*lead, T, batch, n_actions + 1))
    return output, rng.integers(0, n_actions, S), rng.standard_normal(S), (rng.random(S) < 0.7).astype(float)


STEPS = slice(1, 6, 2)


def literal(output, actions, R, weights, held, baseline, entropy):
    """The loss as it is written, with the advantage held constant."""
    total, (_, batch, _) = 0.0, output.shape
    for place, t in enumerate(range(7)[STEPS]):
        for b in range(batch):
            logits, V = output[t, b, :-1], output[t, b, -1]
            pi = np.exp(logits) / np.exp(logits).sum()
            H = -np.sum(pi * np.log(pi))
            A = held[place, b]
            each = -A * np.log(pi[actions[place, b]]) + baseline / 2 * (R[place, b] - V) ** 2 - entropy * H
            total += weights[place, b] * each / batch
    return total


@pytest.mark.parametrize(("baseline", "entropy"), [(1.0, 0.0), (0.5, 0.3)])
def test_signals_are_the_gradient_of_the_loss_with_advantages_held(baseline, entropy):
    rng = np.random.default_rng(0)
    output, actions, R, weights = drawn(rng)
    held = R - output[STEPS][..., -1]
    costs = {"baseline": baseline, "entropy": entropy}
    loss, err = rewards.actor_critic(output, STEPS, actions, R, weights=weights, **costs)
    assert loss == pytest.approx(literal(output, actions, R, weights, held, **costs), rel=1e-12)
    check.gradient(lambda moved: literal(moved, actions, R, weights, held, **costs), output, err)
    assert not err[::2].any()
    whole = rewards.actor_critic(output, STEPS, actions, R, **costs)
    with_ones = rewards.actor_critic(output, STEPS, actions, R, weights=np.ones_like(R), **costs)
    np.testing.assert_array_equal(whole[1], with_ones[1])


def test_signals_of_replicas_and_backends(backend):
    output, actions, R, weights = drawn(np.random.default_rng(1), lead=(2,))
    given = (xp.asarray(output), STEPS, xp.asarray(actions, dtype=xp.int64), xp.asarray(R))
    found = rewards.actor_critic(*given, weights=xp.asarray(weights), entropy=0.1)
    loss, err = (np.asarray(xp.asnumpy(each), float) for each in found)
    xp.use(dtype="float64")
    for r in range(2):
        own = (output[r], STEPS, actions[r], R[r])
        expected = rewards.actor_critic(*own, weights=weights[r], entropy=0.1)
        np.testing.assert_allclose(loss[r], expected[0], rtol=1e-5)
        np.testing.assert_allclose(err[r], expected[1], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"actions": np.zeros((2, 3), int)}, "actions has shape"),
        ({"actions": np.full((3, 3), 3)}, "actions run from 3 to 3; with 3 classes they are 0 to 2"),
        ({"actions": np.full((3, 3), -1)}, "actions run from -1"),
        ({"actions": np.zeros((3, 3))}, "actions are float64; whole numbers from 0 to 2"),
        ({"output": [[0.0]]}, "output is a list"),
        ({"R": np.zeros((3, 2))}, "R has shape"),
        ({"R": np.zeros((3, 3), int)}, "R is int64"),
        ({"weights": np.zeros((3, 1))}, "weights has shape"),
        ({"output": np.zeros((7, 3, 1))}, "a value"),
        ({"entropy": -1.0}, "entropy"),
        ({"baseline": -1.0}, "baseline"),
    ],
    ids=str,
)
def test_signals_want_arguments_that_fit(change, message):
    output, actions, R, _ = drawn(np.random.default_rng(0))
    with pytest.raises(PlasticError, match=message):
        rewards.actor_critic(**({"output": output, "steps": STEPS, "actions": actions, "R": R} | change))
    with pytest.raises(PlasticError, match="discount"):
        rewards.returns(R, 1.5)
    for last in (np.zeros(2), np.zeros((5, 3))):
        with pytest.raises(PlasticError, match=r"last has shape .* a number, or \(3,\), is needed"):
            rewards.returns(R, 0.5, last=last)


def test_a_sure_policy_has_a_finite_loss_of_its_own():
    """-log pi of an action whose logit is 1000 below the other's is 1000, in float32 too."""
    xp.use(dtype="float32")
    output = xp.asarray([[[1000.0, 0.0, 0.0]]], dtype=xp.float_dtype)
    given = slice(0, 1), xp.asarray([[1]]), xp.asarray([[1.0]], dtype=xp.float_dtype)
    loss, err = rewards.actor_critic(output, *given, baseline=0.0, entropy=0.5)
    assert float(loss) == pytest.approx(1000)
    np.testing.assert_allclose(err[0, 0], [1, -1, 0], atol=1e-6)


def test_the_gradient_is_that_of_reward_prediction_errors_and_filtered_traces():
    """The paper's online form: the sum over s of delta_s F(L ebar)_s, delta the error of temporal differences."""
    rng = np.random.default_rng(2)
    net = eprop.lsnn((3, 5, 3), rng, tau_v=5.0, tau_a=20.0, tau_out=5.0, n_ref=2)
    record = eprop.simulate(net, 1.5 * rng.random((7, 1, 3)))
    actions, r, discount = rng.integers(0, 2, (3, 1)), rng.standard_normal((3, 1)), 0.8
    steps = range(7)[STEPS]
    _, err = rewards.actor_critic(record.output, STEPS, actions, rewards.returns(r, discount))
    grads = eprop.eprop_gradients(net, record, err)
    pi, V = softmax(record.output[..., :-1]), np.append(record.output[list(steps), 0, -1], 0.0)
    G, F, place = 0.0, 0.0, 0
    for t, trace in enumerate(eprop.eligibility_traces(net, record)):
        if t not in steps:
            continue
        of_one = np.append(pi[t, 0] - np.eye(2)[actions[place, 0]], -1.0)  # err / A
        F = discount * F + (net.W_out @ of_one)[None, :] * trace.ebar[0]
        delta = r[place, 0] + discount * V[place + 1] - V[place]
        G, place = G + delta * F, place + 1
    np.testing.assert_allclose(np.concatenate([grads["W_in"], grads["W_rec"]]), G, rtol=0, atol=1e-13)
    assert np.abs(G).max() > 1e-4


# what agents play


def test_a_walk_is_rewarded_once_and_on_the_side_of_the_cue():
    game = Delayed(Walk(t_cue=30, t_delay=20, n_moves=3, input_f0=500.0), 10, 200)
    x = game.begin(np.random.default_rng(0))
    assert x.shape == (60, 200, 20) == (game.first, 200, game.n_in)
    counts = x[:30].reshape(30, 200, 4, 5).sum(axis=(0, 3))
    assert (counts[:, :2].argmax(axis=1) == game.side).all() and 0 < game.side.mean() < 1
    means = x.reshape(60, 200, 4, 5).mean(axis=(1, 3))
    np.testing.assert_allclose(means[30:50], 0.005, atol=0.006)  # nothing but noise in the delay
    np.testing.assert_allclose(means[50:, 2], 0.5, atol=0.06)
    left_then_right = [np.zeros(200, int), np.ones(200, int), np.ones(200, int)]
    for place, actions in enumerate(left_then_right):
        x, reward, playing = game.act(actions)
        assert x.shape == (10, 200, 20) and playing.all() == (place < 2)
        assert not reward.any() or place == 2
    np.testing.assert_array_equal(reward, game.side == 1)


def test_the_record_of_an_episode_is_that_of_one_simulation():
    rng = np.random.default_rng(3)
    net = eprop.lsnn((20, 6, 3), rng, tau_a=50.0)
    game = Delayed(Walk(t_cue=20, t_delay=10, n_moves=3, input_f0=300.0), 5, 4)
    episodes = agents.play(net, game, np.random.default_rng(5))
    whole = eprop.simulate(net, episodes.record.x)
    for name in ("z", "psi", "output"):
        np.testing.assert_allclose(getattr(episodes.record, name), getattr(whole, name), rtol=0, atol=1e-12)
    assert len(whole.output) == 20 + 10 + 15 and len(whole.output[episodes.steps]) == 3
    assert episodes.actions.shape == episodes.rewards.shape == episodes.weights.shape == (3, 4)
    again = agents.play(net, game, np.random.default_rng(5))
    np.testing.assert_array_equal(again.actions, episodes.actions)


def test_actions_have_the_probabilities_of_the_policy():
    net = eprop.lsnn((20, 6, 3), np.random.default_rng(3))
    net.b_out = np.array([[1.0, 0.0, 0.0]])
    net.W_out[...] = 0
    game = Delayed(Walk(t_cue=1, t_delay=0, n_moves=1), 1, 20_000)
    found = agents.play(net, game, np.random.default_rng(0)).actions.mean()
    assert found == pytest.approx(1 / (1 + np.e), abs=0.015)


def test_without_traces_only_inputs_of_the_present_step_learn():
    rng = np.random.default_rng(4)
    net = eprop.lsnn((3, 5, 2), rng, tau_v=5.0, tau_a=20.0, tau_out=5.0, n_ref=2)
    record = eprop.simulate(net, 1.5 * rng.random((9, 2, 3)))
    err, R = rng.standard_normal((9, 2, 2)), rng.standard_normal((1, 1, 5))
    found = without_traces(net, record, err, R, None)
    signal = (net.g_out * err @ net.W_out.T + R) * record.psi
    np.testing.assert_allclose(found["W_in"], np.einsum("tbi,tbj->ij", record.x, signal), atol=1e-13)
    before = np.concatenate([np.zeros((1, 2, 5)), record.z[:-1]])
    expected = np.einsum("tbi,tbj->ij", before, signal) * (1 - np.eye(5))
    np.testing.assert_allclose(found["W_rec"], expected, atol=1e-13)
    whole = eprop.eprop_gradients(net, record, err, R)
    np.testing.assert_array_equal(found["W_out"], whole["W_out"])
    assert np.abs(found["W_in"] - whole["W_in"]).max() > 0.01


# the command


@pytest.mark.parametrize("words", ["--rule=no_traces", "--rule=bptt", "--feedback=random", "--feedback=adaptive"])
def test_every_rule_plays(words):
    folder, lines = command(REWARD, "--n_iter=4", words)
    metrics = runs.Run(folder).metrics()
    assert metrics["step"] == [0, 3, 4] and all(0 <= value <= 1 for value in metrics["reward"])
    assert lines[0].startswith("mean reward") and lines[0].endswith("after 4 batches of 4")
    assert f"mean reward {runs.Run(folder).tested()['test_reward']:.4g} of" in lines[0]
    other = runs.Run(command(REWARD, "--n_iter=4")[0]).read_checkpoint()[0]
    mine = runs.Run(folder).read_checkpoint()[0]
    assert np.abs(other["parameters/W_rec"] - mine["parameters/W_rec"]).max() > 1e-6


def test_training_ends_at_the_goal():
    folder, lines = command(REWARD, "--n_iter=9 --stop_crit=0")
    assert runs.Run(folder).metrics()["step"] == [0, 3] and lines[0].endswith("after 3 batches of 4")


def test_a_delayed_reward_is_learned_with_traces_only():
    """A short delay; the same net without traces stays near chance, 1/2."""
    line = "reward --n_regular=10 --n_adaptive=10 --t_cue=50 --t_delay=50 --tau_a=200 --n_iter=200 --input_f0=200"
    found = {}
    for rule in ("eprop", "no_traces"):
        folder, _ = command(line, f"--rule={rule}", "--dtype=float64")
        found[rule] = max(runs.Run(folder).metrics()["reward"])
    assert found["eprop"] > 0.9 and found["no_traces"] < 0.75


def test_cartpole_falls_and_is_played_to_its_end():
    pytest.importorskip("gymnasium")
    game = CartPole(None, 4, 3)
    x = game.begin(np.random.default_rng(0))
    assert x.shape == (4, 3, 40) and x.min() >= 0
    np.testing.assert_allclose(x[0].reshape(3, 4, 10).sum(axis=-1), 1)  # a triangle is shared by two neighbours
    played = np.zeros(3)
    for _ in range(60):  # always to the right: the pole falls soon
        x, reward, playing = game.act(np.ones(3, int))
        played += reward
        if not playing.any():
            break
    assert (played > 5 / 500).all() and (played < 15 / 500).all()


def test_cartpole_is_a_game(monkeypatch):
    pytest.importorskip("gymnasium")
    line = (
        "reward --game=cartpole --n_regular=3 --n_adaptive=3 --n_batch=4 --t_action=5 --validate_every=2 --stop_crit=2"
    )
    folder, lines = command(line, "--n_iter=2")
    assert runs.Run(folder).metrics()["step"] == [0, 2] and "of at most 1" in lines[0]
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    assert "plastic-learning[rl]" in refused(line, "--n_iter=3")


class Countdown:
    """Episodes of one, two and three actions, each of which is rewarded, also after the end."""

    n_in, n_actions, steps, first, move = 2, 2, 10, 1, 1

    def begin(self, generator):
        self.left = np.array([1, 2, 3])
        return np.ones((1, 3, 2))

    def act(self, actions):
        self.left = self.left - 1
        return np.ones((1, 3, 2)), np.ones(3), self.left > 0


def test_nothing_counts_after_the_end_of_an_episode():
    net = eprop.lif((2, 3, 3), np.random.default_rng(0))
    episodes = agents.play(net, Countdown(), np.random.default_rng(1))
    np.testing.assert_array_equal(episodes.weights, [[1, 1, 1], [0, 1, 1], [0, 0, 1]])
    assert agents.total_reward(episodes) == 2


def test_options_of_a_walk_are_told_from_one_another():
    assert dataclasses.asdict(Walk()) == {"t_cue": 100, "t_delay": 500, "n_moves": 5, "input_f0": 100.0}
