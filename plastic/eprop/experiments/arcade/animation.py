"""An episode as an animation: the screen, where the maps fire, and the spikes of the cells."""

import io

import numpy as np

_SCALE = 4  # pixels of the animation for one of the screen
_PAST = 60  # screens whose spikes are shown
_SECOND = 15  # screens, as the game shows them with four frames each at 60 Hz
_GREYS = 16  # so that the file is small
_MARGIN = 16


def animation(arrays, game):
    """Return a GIF of the episode in `arrays`, those of a run of a `game`."""
    from PIL import Image

    frames = [Image.fromarray(picture(arrays, s, game)) for s in range(len(arrays["screens"]))]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=1000 // _SECOND, loop=0)
    return file.getvalue()


def picture(arrays, s, game):
    """Return the picture (rows, columns) of 0 to 255 at the screen s."""
    from PIL import Image, ImageDraw

    side, K, n = 84 * _SCALE, len(arrays["z"]) // len(arrays["screens"]), arrays["z"].shape[1]
    spikes = np.zeros((n, _PAST * K), bool)
    past = arrays["z"][: (s + 1) * K][-_PAST * K :].T
    spikes[:, _PAST * K - past.shape[1] :] = past
    whole = max(1, (3 * side + 2 * _MARGIN) // (_PAST * K)), max(1, side // n)  # pixels of a spike: none is left out
    size = spikes.shape[1] * whole[0], n * whole[1]
    width = 2 * _MARGIN + max(3 * side + 2 * _MARGIN, size[0])
    page = Image.new("L", (width, side + size[1] + 5 * _MARGIN), 255)
    draw = ImageDraw.Draw(page)

    def place(image, left, top, size, text):
        grey = np.round(image / 255 * (_GREYS - 1)) * (255 / (_GREYS - 1))
        page.paste(Image.fromarray(grey.astype(np.uint8)).resize(size, Image.Resampling.NEAREST), (left, top))
        draw.text((left, top - _MARGIN + 2), text, fill=0)

    lefts = [_MARGIN + column * (side + _MARGIN) for column in range(3)]
    score = arrays["rewards"][:s].sum()
    words = f"{game}, action {s}, rewards so far {score:+g}"
    place(arrays["screens"][s], lefts[0], 2 * _MARGIN, (side, side), words)
    for left, name, which in ((lefts[1], "maps_1", "first"), (lefts[2], "maps_2", "second")):
        image = 255 - arrays[name][s] * (255 / max(1, arrays[name].max()))
        place(image, left, 2 * _MARGIN, (side, side), f"spikes of the {which} maps in {K} ms, all channels")
    words = f"spikes of the {n} cells in the last {_PAST * K} ms"
    place(np.where(spikes, 0, 255), lefts[0], side + 4 * _MARGIN, size, words)
    return np.asarray(page)
