"""Games of the Atari 2600 learned from their screens (Bellec, Scherr et al. 2020, Fig. 4)."""

import dataclasses

import numpy as np

from plastic import parameters, require, runs, training, xp
from plastic.data.sources import Drawn
from plastic.eprop import convolutional
from plastic.eprop.experiments.arcade import agent, figures, games
from plastic.eprop.experiments.arcade.animation import animation
from plastic.eprop.experiments.arcade.options import Learning, Play, Sizes
from plastic.eprop.experiments.arcade.player import Player
from plastic.eprop.experiments.arcade.pool import Pool
from plastic.eprop.experiments.options import PLOT
from plastic.errors import PlasticError
from plastic.files import write
from plastic.runs import Spelling

_OF_THE_AVERAGES = ("avg_pool_1", "avg_pool_stride_1", "avg_pool_2", "avg_pool_stride_2", "reg_factor_cnn")
_OF_THE_GROWTH = ("increase_episode_len_every", "use_cubic_schedule")
_SPELLINGS = PLOT | {
    "result_dir": Spelling("results", str | None, None, "folder of the run folders."),
    "comment": Spelling("name", str | None, None, "what the name of the run folder says."),
    "level_name": Spelling("game", str | None, None, "atari/ and the game.", lambda name: name.removeprefix("atari/")),
}


def restore(arrays, *, game, **options):
    """Return (network, predict) from the `arrays` of a checkpoint and the options of its run; see `plastic.load`.

    predict(screens) takes screens (S, batch, 84, 84) of the host, from 0 to 1, to the logits of the policy and, last,
    the value at each of them (S, batch, n_actions + 1), from rest.
    """
    sizes = Sizes(**{field.name: options[field.name] for field in dataclasses.fields(Sizes)})
    tree = agent.drawn(np.random.default_rng(0), sizes, arrays["parameters/readout/b"].shape[1])
    parameters.assign({"parameters": tree}, {name: each for name, each in arrays.items() if _is_weight(name)})
    net = agent.network(tree, sizes)
    last = slice(net.steps - 1, None, net.steps)
    return net, lambda screens: xp.asnumpy(convolutional.simulate(net, xp.asarray(screens)).output[last])


@runs.experiment(
    "eprop",
    draw=figures.ARCADE,
    restore=restore,
    length="total_environment_frames",
    readable="{game}-{seeds}",
    seeds=False,
    spellings=_SPELLINGS,
)
def atari(
    run,
    *,
    game: str = "pong",
    play: Play,
    sizes: Sizes,
    learning: Learning,
    restore_from: str | None = None,
    restore_cnn_from: str | None = None,
    resume_max_episode_len: bool = True,
    save_anim: bool = False,
    workers: int = 1,
):
    """Learn to play from the screen: spiking maps and LIF and ALIF neurons, an actor and a critic, reward-based e-prop.

    The games are those of the Arcade Learning Environment (pip install 'plastic-learning[atari]'; their ROMs come with
    it), each action repeated for 4 frames, the last of which is seen, grey, in 84 x 84 pixels; `catch` is a small game
    of our own that needs nothing installed. They are played by processes of their own, half of the episodes while the
    network sees the other half. When all episodes have ended, the weights change once; checkpoints lie between two such
    updates, and a run that is resumed has the same numbers. An episode's state is 0 at its first screen, and no trace
    goes beyond an unroll. The defaults are published; 1e9 frames take days.

    The run folder, results/eprop/atari-..., gets config.json, metrics.csv, checkpoint.h5, arrays.h5, which has an
    episode and the test_score of new ones, and figures, with --save_anim episode.gif too.

    Args:
        game: pong, or another of the Arcade Learning Environment, or catch.
        restore_from: a run folder of this command, whose weights and moments are taken at the beginning.
        restore_cnn_from: one whose kernels are taken.
        resume_max_episode_len: with restore_from, begin with the length of episodes that it had come to.
        save_anim: draw an episode, its maps and its spikes as an animation, episode.gif.
        workers: processes that play; 0 plays in the process that learns. The numbers do not depend on it.
    """
    require.whole("workers", workers, 0)
    run.require_used(
        **{name: not sizes.avg_ba_cnn and "--avg_ba_cnn" for name in _OF_THE_AVERAGES},
        decay_every=learning.learning_rate_decay == 1 and "--learning_rate_decay",
        **{name: play.increase_episode_len_by == 0 and "--increase_episode_len_by" for name in _OF_THE_GROWTH},
        resume_max_episode_len=restore_from is None and "--restore_from",
    )
    n_out = games.n_actions(game) + 1
    run.expect(agent.entries(sizes, play, n_out), n_rec=sizes.n_rec, parallel_episodes=play.parallel_episodes,
               unroll_length=play.unroll_length)  # fmt: skip
    [generators] = run.generators()
    net = agent.network(agent.drawn(generators.init, sizes, n_out), sizes)
    with Pool(game, play.groups, play.num_action_repeats, workers) as pool:
        player = Player(net, pool, play, learning, int(generators.task.integers(2**62)))
        if not run.resuming:
            _restore(player, restore_from, restore_cnn_from, resume_max_episode_len)
        training.fit(
            run,
            player.state,
            Drawn(_seed, [generators.data]),
            player.step,
            steps=play.blocks(play.total_environment_frames),
            evaluate=player.evaluate,
            evaluate_every=play.blocks(play.log_every),
            checkpoint_every=play.blocks(play.save_every),
            advice="try a smaller learning_rate, or a larger epsilon",
        )
        seed = _seed(generators.noise)
        mean, spread = player.score(seed)
        run.save_tested({"test_score": np.array(mean)})
        run.save_arrays(player.episode(seed))
    if save_anim:
        write(run.folder / "episode.gif", animation(run.arrays(), game))
    return _report(player, mean, spread)


def _report(player, mean, spread):
    frames, updates = (player.clock(name) for name in ("frames", "updates"))
    line = (
        f"score {mean:.3g}, standard deviation {spread:.3g}, of {player.play.parallel_episodes} new episodes of at "
        f"most {player.play.eval_length} actions, after {frames:,} frames and {updates:,} updates"
    )
    if player.played == 0:
        return [line]
    speed = player.played / player.seconds
    hours = 1e9 / speed / 3600
    return [line, f"{speed:,.0f} frames per second here; 1e9 frames would take {hours:,.0f} hours"]


def _restore(player, restore_from, restore_cnn_from, resume_length):
    """Take what another run has learned."""
    for name, folder in (("restore_from", restore_from), ("restore_cnn_from", restore_cnn_from)):
        if folder is None:
            continue
        other = runs.Run(folder)
        if (other.family, other.experiment) != ("eprop", "atari") or not other.has_checkpoint():
            raise PlasticError(f"{name} is {folder}, which is no run of eprop atari with a checkpoint")
        arrays, _ = other.read_checkpoint()
        wanted = ("parameters/kernels/",) if name == "restore_cnn_from" else ("parameters/", "moments/")
        found = {path: leaf for path, leaf in parameters.leaves(player.state) if path.startswith(wanted)}
        for path, leaf in found.items():
            if path not in arrays or arrays[path].shape != leaf.shape:
                shape = getattr(arrays.get(path), "shape", None)
                raise PlasticError(
                    f"{name} is {folder}; its {path} has shape {shape}, and that of this run {leaf.shape}"
                )
            leaf[...] = xp.asarray(arrays[path])
        if name == "restore_from" and resume_length:
            before = Play(**{field.name: other.options[field.name] for field in dataclasses.fields(Play)})
            length = before.longer(int(arrays["clock/length"]), int(arrays["clock/frames"]))
            player.state["clock"]["length"][...] = length


def _is_weight(path):
    return path.startswith("parameters/")


def _seed(generator):
    return int(generator.integers(2**62))
