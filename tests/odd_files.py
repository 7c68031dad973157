"""Odd files for tests of commands: data sets that are few, uneven or no data at all, and damaged run folders."""

import json
import os
import shutil
import struct
import zipfile

import numpy as np

from plastic import files


def _chosen(arrays, split, keep):
    """Return the arrays with those samples of a split only at which the array `keep` is true."""
    return arrays | {f"{letter}_{split}": arrays[f"{letter}_{split}"][keep] for letter in "xy"}


def _but(arrays, *splits, label=1, left=0):
    """Return the arrays with so many samples of a class left."""
    for split in splits:
        y = arrays[f"y_{split}"]
        arrays = _chosen(arrays, split, (y != label) | (np.cumsum(y == label) <= left))
    return arrays


def _of_each(arrays, count):
    """Return the arrays with so many samples of each class."""
    for split in ("train", "test"):
        y = arrays[f"y_{split}"]
        seen = np.array([np.sum(y[:place] == label) for place, label in enumerate(y)])
        arrays = _chosen(arrays, split, seen < count)
    return arrays


def _classes(arrays, count):
    """Return the arrays with another number of classes."""
    return arrays | {name: arrays[name] % count for name in ("y_train", "y_test")}


def _labels(arrays, change):
    return arrays | {name: change(arrays[name]) for name in ("y_train", "y_test")}


def _images(arrays, change):
    return arrays | {name: change(arrays[name].astype(float)) for name in ("x_train", "x_test")}


def _more_classes(arrays):
    """Return the arrays with two classes more, of half of the samples of the first two."""
    y = arrays["y_train"]
    return arrays | {"y_train": np.where((y < 2) & (np.arange(len(y)) % 2 > 0), y + 1 + y.max(), y)}


SETS = {
    "as it is": lambda arrays: arrays,
    "one test sample": lambda arrays: _chosen(arrays, "test", np.arange(len(arrays["y_test"])) < 1),
    "two test samples": lambda arrays: _chosen(arrays, "test", np.arange(len(arrays["y_test"])) < 2),
    "no training sample of a class": lambda arrays: _but(arrays, "train"),
    "no test sample of a class": lambda arrays: _but(arrays, "test"),
    "no sample of a class": lambda arrays: _but(arrays, "train", "test"),
    "one training sample of a class": lambda arrays: _but(arrays, "train", left=1),
    "one test sample of a class": lambda arrays: _but(arrays, "test", left=1),
    "one sample of each class": lambda arrays: _of_each(arrays, 1),
    "two samples of each class": lambda arrays: _of_each(arrays, 2),
    "one class": lambda arrays: arrays | {"y_train": 0 * arrays["y_train"]},
    "one class to test": lambda arrays: _chosen(arrays, "test", arrays["y_test"] == 0),
    "no test samples": lambda arrays: _chosen(arrays, "test", np.arange(len(arrays["y_test"])) < 0),
    "a label less": lambda arrays: arrays | {"y_train": arrays["y_train"][1:]},
    "a test label more": lambda arrays: arrays | {"y_test": np.append(arrays["y_test"], 0)},
    "other test samples": lambda arrays: arrays | {"x_test": arrays["x_test"][..., 1:]},
    "labels not finite": lambda arrays: _labels(arrays, lambda y: np.where(y == 1, np.nan, y)),
    "labels of 2^63": lambda arrays: _labels(arrays, lambda y: y.astype(np.uint64) + 2**63),
    "labels that overflow": lambda arrays: _labels(arrays, lambda y: (y + 125).astype(np.int8)),
    "bytes": lambda arrays: _images(arrays, lambda x: np.uint8(x * 255 / np.abs(x).max() % 256)),
    "signed bytes": lambda arrays: _images(
        arrays, lambda x: np.int8(np.clip(np.round(x * 256 / x.max()) - 128, -128, 127))
    ),
    "halves": lambda arrays: _images(arrays, lambda x: x.astype(np.float16)),
    "largest whole numbers": lambda arrays: _images(arrays, lambda x: np.int64(np.sign(x)) * (2**63 - 1)),
    "channels": lambda arrays: _images(arrays, lambda x: x[..., None]),
    "two classes": lambda arrays: _classes(arrays, 2),
    "three classes": lambda arrays: _classes(arrays, 3),
    "five classes": lambda arrays: _classes(arrays, 5),
    "two classes more": _more_classes,
    "labels from 1": lambda arrays: _labels(arrays, lambda y: y + 1),
    "labels that skip": lambda arrays: _labels(arrays, lambda y: 2 * y),
    "labels as floats": lambda arrays: _labels(arrays, lambda y: y.astype(float)),
    "labels of halves": lambda arrays: _labels(arrays, lambda y: y / 2),
    "labels below 0": lambda arrays: _labels(arrays, lambda y: y - 1),
    "labels as rows": lambda arrays: _labels(arrays, lambda y: np.eye(20)[y]),
    "equal samples": lambda arrays: _images(arrays, np.ones_like),
    "zeros": lambda arrays: _images(arrays, np.zeros_like),
    "nearly zeros": lambda arrays: _images(arrays, lambda x: 1e-42 * x),
    "huge": lambda arrays: _images(arrays, lambda x: 1e300 * (1 + np.abs(x))),
    "not finite": lambda arrays: _images(arrays, lambda x: np.where(x == x.max(), np.nan, x)),
    "complex": lambda arrays: _images(arrays, lambda x: 1j * x),
    "objects": lambda arrays: _images(arrays, lambda x: x.astype(object)),
    "flat": lambda arrays: _images(arrays, lambda x: x.reshape(len(x), -1)),
    "one axis": lambda arrays: _images(arrays, lambda x: x.reshape(len(x), -1)[:, 0]),
    "one pixel": lambda arrays: _images(arrays, lambda x: x.reshape(len(x), -1)[:, :1]),
    "colours": lambda arrays: _images(arrays, lambda x: np.stack([x] * 3, axis=-1)),
    "oblong": lambda arrays: _images(arrays, lambda x: np.concatenate([x, x], axis=-1)),
    "no samples": lambda arrays: _chosen(arrays, "train", np.arange(len(arrays["y_train"])) < 0),
    "an array less": lambda arrays: {name: array for name, array in arrays.items() if name != "y_test"},
}
"""{name: a function of the arrays of a good .npz file that returns others}."""

HEADER = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000, 3), }"
CRAFTED = {
    "text": b"x_train",
    "nothing": b"",
    "no array": {"x_train.npy": b"text"},
    "a header of 10^15 rows": {"x_train.npy": b"\x93NUMPY\1\0" + struct.pack("<H", len(HEADER)) + HEADER + bytes(48)},
    "an open bracket": {"x_train.npy": b"\x93NUMPY\1\0" + struct.pack("<H", 9) + b"{'descr':"},
    "a folder in the archive": {"x_train.npy/": b""},
}
"""{name: the bytes of a file, or {member: content} of an archive that has the other arrays of a good one}."""


def data_sets(good, folder):
    """Write an odd .npz file for each of `SETS` and `CRAFTED`, after a good one; return {name: path}."""
    with np.load(good) as file:
        arrays = dict(file)
    paths = {}
    for name, change in SETS.items():
        paths[name] = folder / f"{name.replace(' ', '_')}.npz"
        np.savez(paths[name], **change(arrays))
    for name, content in CRAFTED.items():
        paths[name] = folder / f"{name.replace(' ', '_')}.npz"
        if isinstance(content, bytes):
            paths[name].write_bytes(content)
            continue
        with zipfile.ZipFile(good) as whole, zipfile.ZipFile(paths[name], "w") as archive:
            for member in whole.namelist():
                if member not in {each.rstrip("/") for each in content}:
                    archive.writestr(member, whole.read(member))
            for member, bytes_ in content.items():
                archive.writestr(member, bytes_)
    return paths


def _edited(folder, chance):
    """Change a value of config.json, with a checksum that fits."""
    record = files.read_json(folder / "config.json")
    place = chance.choice([record, record["options"], record])
    name = chance.choice(sorted(place))
    place[name] = chance.choice([None, 0, -1, 1e300, "x", [], {}, [1, "a"], {"a": None}, "finished", "running", True])
    if chance.random() < 0.2:
        del place[name]
    files.write_json(folder / "config.json", record)


def _one(folder, chance):
    """Return one of the files of a folder."""
    return folder / chance.choice(sorted(name for name in os.listdir(folder) if os.path.isfile(folder / name)))


def _flipped(folder, chance):
    path = _one(folder, chance)
    content = bytearray(path.read_bytes())
    for _ in range(chance.randint(1, 4) if content else 0):
        content[chance.randrange(len(content))] = chance.randrange(256)
    path.write_bytes(content)


def _cut(folder, chance):
    path = _one(folder, chance)
    os.truncate(path, chance.randrange(path.stat().st_size + 1))


def _longer(folder, chance):
    with open(_one(folder, chance), "ab") as file:
        file.write(b"more")


def _instead(make):
    def damage(folder, chance):
        path = _one(folder, chance)
        path.unlink()
        make(path)

    return damage


def _not_json(folder, chance):
    texts = ["", "{", "[]", "null", json.dumps({"format": 1}), "\0", '{"format": 1e400}', "[" * 3000]
    (folder / "config.json").write_text(chance.choice(texts))


DAMAGE = {
    "none": lambda folder, chance: None,
    "a file less": lambda folder, chance: _one(folder, chance).unlink(),
    "bytes flipped": _flipped,
    "cut": _cut,
    "more": _longer,
    "edited": _edited,
    "a config of something else": _not_json,
    "a folder instead": _instead(os.mkdir),
    "a pipe instead": _instead(os.mkfifo),
    "a link instead": _instead(lambda path: path.symlink_to("nowhere")),
    "a loop instead": _instead(lambda path: path.symlink_to(path)),
}
"""{name: a function of a run folder and a `random.Random` that damages it}."""


def run_folder(good, folder, chance):
    """Copy a good run folder and damage it; return what was done."""
    shutil.copytree(good, folder)
    name = chance.choice(list(DAMAGE))
    DAMAGE[name](folder, chance)
    return name
