"""Files that are whole or absent: atomic replacement, and HDF5 sealed by a checksum.

A file is written to a temporary name in its own folder, flushed to the disk and renamed, so that a crash at any moment
leaves the old file or the new one.

An HDF5 file carries a user block of 512 bytes in front, which other HDF5 tools skip. In it stands the seal: the CRC-32
of all that follows. A damaged file is refused before the HDF5 library sees it, since some damage would crash that
library, and the whole process with it. Two kinds of file are written: from arrays in memory (`write_hdf5`), and with
one more dataset that is larger than the memory (`stream_hdf5`). The seal leaves that one out and says where it lies,
so that its rows are read from their place; whoever reads them checks them.

A seal tells damage, not malice: anybody can seal a file. So nothing is read of one that refers to other files, as
external storage and links of HDF5 do, or whose datasets take more room than the file has.

This is the only module that writes or reads HDF5.
"""

from plastic.files.sealed import UnusableError, read_around, read_hdf5, stream_hdf5, write_hdf5
from plastic.files.whole import read_json, remove_temporary, settle, system_errors, to_json, write, write_json

__all__ = [
    "UnusableError",
    "read_around",
    "read_hdf5",
    "read_json",
    "remove_temporary",
    "settle",
    "stream_hdf5",
    "system_errors",
    "to_json",
    "write",
    "write_hdf5",
    "write_json",
]
