"""An environment as the published code has it: frames repeated, rewards clipped, screens made grey and small."""

import numpy as np

SIZE = 84, 84
LUMA = np.array([0.2989, 0.5870, 0.1140], np.float32)  # of red, green and blue in a grey
NOOPS = 30  # an episode begins after fewer frames without action than these


def areas(length, size):
    """Return the matrix (size, length) that makes each of `size` pixels the mean over its area of `length` ones."""
    edges = np.arange(size + 1) * (length / size)
    pixels = np.arange(length)
    covered = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return (np.maximum(covered, 0) * (size / length)).astype(np.float32)


class Preprocessing:
    """From the colours of a frame (H, W, 3), 0 to 255, to a grey screen `SIZE`, 0 to 1: means over areas."""

    def __init__(self, shape):
        """Of frames of a shape (H, W)."""
        self.rows, self.columns = areas(shape[0], SIZE[0]), np.ascontiguousarray(areas(shape[1], SIZE[1]).T)
        self.rows /= 255

    def __call__(self, frame):
        """Return the screen of a frame."""
        grey = (frame.reshape(-1, 3).astype(np.float32) @ LUMA).reshape(frame.shape[:2])
        return self.rows @ grey @ self.columns


class Environment:
    """A game, one episode after another; an action is repeated, and an episode ends with the game or with its time.

    After its end the next one begins at once, with 0 to 29 frames without action.
    """

    def __init__(self, game, repeats):
        """Of a game of `games`, with each action repeated so often."""
        self.game, self.repeats = game, repeats
        self.preprocessing = Preprocessing(game.shape)

    def begin(self, seed, length, jitter):
        """Begin anew with the draws of a seed; return the screen.

        Episodes last `length` actions at most, give or take a uniform draw of `jitter`.
        """
        self.generator, self.length, self.jitter = np.random.default_rng(seed), length, jitter
        self.game.begin(self.generator)
        return self._next()

    def step(self, action):
        """Return (screen, reward clipped to -1 .. 1, reward, whether the episode has ended).

        The screen after an end is the first of the next episode.
        """
        reward = 0.0
        for _ in range(self.repeats):
            reward += self.game.act(action)
            if self.game.over():
                break
        self.left -= 1
        done = self.left <= 0 or self.game.over()
        screen = self._next() if done else self.preprocessing(self.game.frame())
        return screen, min(1.0, max(-1.0, reward)), reward, done

    def _next(self):
        self.left = max(1, self.length + int(self.generator.integers(-self.jitter, self.jitter + 1)))
        self.game.reset()
        for _ in range(int(self.generator.integers(NOOPS))):
            self.game.act(0)
            if self.game.over():
                self.game.reset()
        return self.preprocessing(self.game.frame())
