"""A reader of untrusted HDF5 files, written in Python.

The HDF5 library crashes or hangs on some damaged files, follows links to other files and trusts the
sizes that a file states. This reader checks every address and size against the file and follows no
links out of it. The number of its steps is bounded by the file's size.

It supports the parts of the format that hold models: groups, attributes, arrays of numbers and
strings; contiguous, compact and chunked storage with all chunk indexes; the filters gzip, LZF,
shuffle and Fletcher's checksum. Other features raise a `FileError` that names them.

The reader follows the "HDF5 File Format Specification", versions 1 to 3,
https://support.hdfgroup.org/documentation/.
"""

from hornbeam.saving.hdf5.objects import Dataset, Group, open_hdf5, root_of
from hornbeam.saving.hdf5.source import Source

__all__ = ["Dataset", "Group", "Source", "open_hdf5", "root_of"]
