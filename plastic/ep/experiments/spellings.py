"""Published spellings that our options have as well."""

from plastic.runs import Spelling


def _device(label):
    return None if label is None else "cpu" if label < 0 else str(label)


SPELLINGS = {
    "device_label": Spelling("device", int | None, None, "the number of a GPU, or -1 for the CPU.", _device),
}
"""Of the options that all experiments share."""
