"""A process that plays: it reads messages from its input, plays them on a `Stage`, and writes what is seen.

It ends when its input does, so that it never outlives the process that learns, however that ends.
"""

import json
import os
import struct

import numpy as np

HEADER = struct.Struct("<BBI")  # of a message: its kind, its group, how many whole numbers follow
REPLY = struct.Struct("<BI")  # 0, or 1 for an error, and how many bytes follow
SEEN, ERROR = 0, 1


def main():
    """Play until the input ends."""
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a game prints is no reply
    try:
        if line := source.readline():  # without one, whoever started this has ended before a word was said
            _play(source, sink, json.loads(line))
    except BrokenPipeError:
        os._exit(0)  # nobody listens any more


def _play(source, sink, told):
    from plastic.eprop.experiments.arcade.stage import Stage
    from plastic.errors import told as words

    try:
        stage = Stage(**told)
        while header := source.read(HEADER.size):
            kind, group, count = HEADER.unpack(header)
            numbers = np.frombuffer(source.read(8 * count), np.int64)
            arrays = stage.play(kind, group, numbers).arrays()
            sink.write(REPLY.pack(SEEN, sum(each.nbytes for each in arrays)))
            for each in arrays:
                sink.write(memoryview(each).cast("B"))
            sink.flush()
    except BrokenPipeError:
        raise
    except Exception as error:  # whatever it is, the process that learns has to say it
        text = words(error).encode()
        sink.write(REPLY.pack(ERROR, len(text)) + text)
        sink.flush()
