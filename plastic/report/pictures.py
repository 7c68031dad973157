"""The figures of runs, for a page that stays small: PNG files as base64."""

import base64
import pathlib

from plastic import system
from plastic.errors import printable
from plastic.report.items import Item

_PICTURE, _PICTURES = 1_000_000, 4_000_000  # bytes of one figure, and of all
_PNG = b"\x89PNG\r\n\x1a\n"


def pictures(found: list[Item]) -> tuple[dict[int, list[list]], list[str]]:
    """Return {id of a run: [[name of a figure, its place, why it is left out]]}, and the figures, of the latest first.

    A page takes figures up to a size, and all of them up to another.
    """
    listed: dict[int, list[list]] = {}
    taken: list[str] = []
    room = _PICTURES
    for item in sorted(found, key=lambda each: each.started, reverse=True):
        if item.place is None:
            continue
        for name in item.place.figures:
            image, why = _picture(item.place.path / name, room)
            place = None
            if image:
                room -= len(image)
                place = len(taken)
                taken.append(base64.b64encode(image).decode())
            listed.setdefault(id(item), []).append([printable(name), place, why])
    return listed, taken


def _picture(path: pathlib.Path, room: int) -> tuple[bytes, str]:
    """Return the content of a PNG file, or b"" and why it is not in the page."""
    try:
        system.refuse_link(path)  # it might lead to any file of the reader
        with system.open_regular(path) as file:
            image = file.read(_PICTURE + 1)
    except OSError as error:
        return b"", printable(f"{path} cannot be read: {error.strerror or error}")
    if not image.startswith(_PNG):
        return b"", printable(f"{path} is no PNG file")
    if len(image) > _PICTURE:
        return b"", printable(f"{path} is larger than {_PICTURE // 10**6} MB; look at it there")
    if len(image) > room:
        return b"", printable(f"{path} has no room in this page beside the figures of later runs; look at it there")
    return image, ""
