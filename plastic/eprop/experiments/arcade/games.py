"""The games: those of the Arcade Learning Environment, and `catch`, in plain NumPy, which needs nothing installed.

A game has a `shape` (rows, columns) of its frames; `begin(generator)` puts it where it was when it was made, with draws
from there on by the generator, `reset()` begins an episode, `act(action)` plays one frame and returns its reward,
`over()` tells whether the episode has ended, and `frame()` gives the colours (rows, columns, 3), 0 to 255.
"""

import difflib

import numpy as np

from plastic import require
from plastic.eprop.experiments.games import GAMES
from plastic.errors import PlasticError

PONG = (0, 3, 4)  # stay, up, down, as the published code has it
OTHERS = tuple(range(10))  # as the published code has it for every other game
FOR_TWO = ("combat", "joust", "maze_craze", "warlords")  # ALE ends the process that asks for them for one


class Catch:
    """A ball falls, and the paddle below catches it (a reward of 1) or not (-1). An episode has `BALLS` balls."""

    shape = 210, 160
    BALLS = 5
    CELLS = 7, 8  # rows and columns that the ball and the paddle move in
    FRAMES = 4  # that the ball stays in a row

    def begin(self, generator):
        """Draw by the generator from now on."""
        self.generator = generator

    def reset(self):
        """Begin an episode."""
        self.balls, self.paddle = 0, 4
        self._drop()

    def act(self, action):
        """Stay (0), or be on the way to the left (1) or right (2); return the reward of the frame."""
        self.time += 1
        if self.time % self.FRAMES:
            return 0.0
        self.paddle = min(self.CELLS[1] - 1, max(0, self.paddle + (0, -1, 1)[action]))
        self.row += 1
        if self.row < self.CELLS[0] - 1:
            return 0.0
        reward = 1.0 if abs(self.column - self.paddle) <= 1 else -1.0
        self.balls += 1
        self._drop()
        return reward

    def over(self):
        """Whether the last ball has come down."""
        return self.balls == self.BALLS

    def frame(self):
        """Return the colours."""
        frame = np.zeros((*self.shape, 3), np.uint8)
        height, width = self.shape[0] // self.CELLS[0], self.shape[1] // self.CELLS[1]
        row, column, left = self.row * height, self.column * width, max(0, self.paddle - 1) * width
        frame[row : row + height, column : column + width] = (236, 236, 236)
        frame[-height // 2 :, left : (self.paddle + 2) * width] = (92, 186, 92)
        return frame

    def _drop(self):
        self.row, self.time, self.column = 0, 0, int(self.generator.integers(self.CELLS[1]))


class Arcade:
    """A game of the Arcade Learning Environment, whose actions are those of a list; nothing in it is random."""

    def __init__(self, name, actions):
        """By the name of its ROM, which comes with ale-py."""
        ale_py, path = _rom(name)
        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
        self.ale, self.actions = ale_py.ALEInterface(), actions
        self.ale.setInt("random_seed", 1)
        self.ale.setFloat("repeat_action_probability", 0.0)
        self.ale.loadROM(path)
        self.shape = self.ale.getScreenDims()
        self.colours = np.empty((*self.shape, 3), np.uint8)
        self.first = self.ale.cloneState(include_rng=True)

    def begin(self, generator):
        """Be as after the start, which `reset` does not do in all games; the `generator` has nothing to draw."""
        self.ale.restoreState(self.first)

    def reset(self):
        """Begin an episode."""
        self.ale.reset_game()

    def act(self, action):
        """Play a frame with an action, by its place in the list; return the reward."""
        return self.ale.act(self.actions[action])

    def over(self):
        """Whether the game is over."""
        return self.ale.game_over()

    def frame(self):
        """Return the colours, valid until the next frame."""
        self.ale.getScreenRGB(self.colours)
        return self.colours


def n_actions(name):
    """Return how many actions a game has; refuse a game that is not there, without making it."""
    if name == "catch":
        return 3
    _rom(name)
    return len(_actions(name))


def make(name):
    """Return a game by its name."""
    return Catch() if name == "catch" else Arcade(name, _actions(name))


def _actions(name):
    return PONG if name == "pong" else OTHERS


def _rom(name):
    """Return the module of ALE and the path of a ROM."""
    if name in GAMES:
        raise PlasticError(f"game is {name}, which has no screen: python -m plastic.eprop reward --game={name}")
    ale_py = require.package("ale_py", "atari", f"--game={name}")
    from ale_py import roms

    names = roms.get_all_rom_ids()
    if name in FOR_TWO:
        raise PlasticError(f"game is {name}, which is for two players; take another")
    if name not in names:
        near = difflib.get_close_matches(name, [*names, "catch"], 3)
        raise PlasticError(
            f"game is {name!r}; {' or '.join(near) or 'pong'}, say, or another of the {len(names)} of ale-py"
        )
    return ale_py, roms.get_rom_path(name)
