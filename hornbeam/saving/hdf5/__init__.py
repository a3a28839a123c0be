"""A reader of HDF5 files in Python, for files of unknown origin.

The HDF5 library crashes or hangs on some damaged files, follows links to other files and believes
the sizes that a file states. This reader knows the parts of the format that hold models (groups,
attributes, arrays of numbers and strings; contiguous, compact and chunked storage with all its
indexes; the filters gzip, LZF, shuffle and Fletcher's checksum), checks every address and size
against the file, follows no links out of it, and ends after a number of steps that is bounded by
the file's size. Everything else is refused with a `FileError` that names it.

It follows the "HDF5 File Format Specification", versions 1 to 3,
https://support.hdfgroup.org/documentation/.
"""

from hornbeam.saving.hdf5.objects import Dataset, Group, open_hdf5, root_of
from hornbeam.saving.hdf5.source import Source

__all__ = ["Dataset", "Group", "Source", "open_hdf5", "root_of"]
