"""An episode as an animation: the screen, where the maps fire, and the spikes of the cells."""

import io

import numpy as np

_SCALE = 4  # pixels of the animation for one of the screen
_PAST = 60  # screens whose spikes are shown
_SECOND = 15  # screens, as the game shows them with four frames each at 60 Hz


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

    side, margin = 84 * _SCALE, 16
    K = len(arrays["z"]) // len(arrays["screens"])
    page = Image.new("L", (3 * side + 4 * margin, 2 * side + 4 * margin), 255)
    draw = ImageDraw.Draw(page)

    def place(image, column, row, width, text):
        left, top = margin + column * (side + margin), 2 * margin + row * (side + 2 * margin)
        page.paste(Image.fromarray(image).resize((width, side), Image.Resampling.NEAREST), (left, top))
        draw.text((left, top - margin + 2), text, fill=0)

    score = arrays["rewards"][:s].sum()
    place(arrays["screens"][s], 0, 0, side, f"{game}, action {s}, rewards so far {score:+g}")
    for column, name in enumerate(("maps_1", "maps_2"), 1):
        most = max(1, arrays[name].max())
        text = f"spikes of the {'first' if column == 1 else 'second'} maps in {K} ms, all channels"
        place(255 - (arrays[name][s] * (255 / most)).astype(np.uint8), column, 0, side, text)
    spikes = np.zeros((_PAST * K, arrays["z"].shape[1]), bool)
    past = arrays["z"][: (s + 1) * K][-_PAST * K :]
    spikes[len(spikes) - len(past) :] = past
    # bins of neurons, so that a spike is a whole pixel or more
    place(
        np.where(spikes.T, 0, 255).astype(np.uint8),
        0,
        1,
        3 * side + 2 * margin,
        f"spikes of the cells, last {_PAST * K} ms",
    )
    return np.asarray(page)
