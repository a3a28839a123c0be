"""Weights in safetensors files: an 8-byte header length, a JSON header, and the arrays.

The format is specified at https://github.com/huggingface/safetensors. The name of an array, such as
`layers.dense_1.kernel`, is the path of the layer in the model, as in `.weights.h5` files, followed
by the name of the weight. The path does not depend on the names of layers, so the weights also fit
a model that is built again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import jax.numpy as jnp
import numpy as np

from hornbeam.core.placement import whole
from hornbeam.core.variable import Variable
from hornbeam.errors import FileError
from hornbeam.layers.state import saved_variables
from hornbeam.optimizers import Optimizer
from hornbeam.saving.disk import check_overwrite, parse_json, written_aside
from hornbeam.saving.layout import Differences, check_built, file_label, walk
from hornbeam.typing import FilePath

if TYPE_CHECKING:
    from hornbeam.models.model import Model

__all__ = [
    "load_safetensors", "looks_like_safetensors", "read_tensors", "save_safetensors",
    "write_tensors",
]  # fmt: skip

_NAMES = {
    "BF16": "bfloat16", "BOOL": "bool", "F16": "float16", "F32": "float32", "F64": "float64",
    "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "I16": "int16", "I32": "int32",
    "I64": "int64", "I8": "int8", "U16": "uint16", "U32": "uint32", "U64": "uint64", "U8": "uint8",
}  # fmt: skip
_MAX_HEADER = 100 * 2**20


def _named(model: Any) -> dict[str, Variable]:
    """Return the weights of a model by their names in the file."""
    found: dict[str, Variable] = {}
    for path, part in walk(model):
        if isinstance(part, Optimizer):
            continue
        for variable in saved_variables(part):
            name = ".".join([*(path.split("/") if path else []), variable.name])
            unique, number = name, 1
            while unique in found:
                unique, number = f"{name}_{number}", number + 1
            found[unique] = variable
    return found


def save_safetensors(model: Model, filepath: FilePath, overwrite: bool = True) -> None:
    """Write the weights of a built model.

    Args:
        model: The model.
        filepath: Path of the file.
        overwrite: Whether an existing file may be replaced.

    Raises:
        FileExistsError: If the file exists and `overwrite` is false.
        ValueError: If the model is not built, or a weight has a dtype that the format lacks.
    """
    check_built(model, "save_weights")
    check_overwrite(filepath, overwrite)
    named = _named(model)
    for variable in named.values():
        if variable.dtype not in _NAMES.values():
            raise ValueError(
                f"save_weights: '{variable.path}' has the dtype {variable.dtype}, which safetensors"
                " files cannot hold. Save to `.weights.h5` instead."
            )
    _write(filepath, named, lambda variable: variable.stored)


def write_tensors(filepath: FilePath, tensors: Mapping[str, Any]) -> None:
    """Write arrays by name.

    Example:
        >>> import tempfile
        >>> path = tempfile.mkdtemp() + "/arrays.safetensors"
        >>> write_tensors(path, {"a": np.arange(3)})
        >>> read_tensors(path)["a"].tolist()
        [0, 1, 2]
    """
    arrays = {name: np.asarray(value) for name, value in tensors.items()}
    _write(filepath, arrays, lambda array: array)


def _write(filepath: FilePath, items: Mapping[str, Any], read: Callable[[Any], Any]) -> None:
    """Write arrays: `items` have their dtypes and shapes, and are read one after the other."""
    short = {name: key for key, name in _NAMES.items()}
    header: dict[str, Any] = {"__metadata__": {"format": "hornbeam"}}
    start = 0
    for name, array in items.items():
        header[name] = {
            "dtype": short[str(array.dtype)],
            "shape": list(array.shape),
            "data_offsets": [start, start + array.nbytes],
        }
        start += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # aligns the arrays
    with written_aside(filepath) as path, path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for item in items.values():
            file.write(np.ascontiguousarray(whole(read(item))).tobytes())


def looks_like_safetensors(path: FilePath) -> bool:
    """Return whether the first bytes of a file look like a safetensors file."""
    path = Path(path)
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(9)
    return (
        len(head) == 9
        and head[8:] == b"{"
        and int.from_bytes(head[:8], "little") < path.stat().st_size
    )


def load_safetensors(
    model: Model, filepath: FilePath, skip_mismatch: bool = False, by_name: bool = False
) -> None:
    """Read weights into a built model.

    Args:
        model: The model.
        filepath: Path of the file.
        skip_mismatch: Whether weights that do not fit are skipped with a warning.
        by_name: Whether to ignore names that only the file or only the model has.

    Raises:
        ValueError: If the weights do not fit; the message lists all differences, and nothing is
            changed.
    """
    what = file_label(filepath)
    named = _named(model)
    differences = Differences(what, skip_mismatch)
    with Path(filepath).open("rb") as file:
        saved, start = _header(file, what)
        jobs = []
        for name, variable in named.items():
            if name not in saved:
                if not by_name:
                    differences.add(f"'{name}' of shape {variable.shape} is not in the file.")
            elif saved[name][1] != variable.shape:
                differences.add(
                    f"'{name}' has shape {variable.shape}; in the file it has {saved[name][1]}."
                )
            else:
                differences.loaded.append(name)
                jobs.append((variable, *saved[name]))
        if not by_name:
            for name in saved.keys() - named.keys():
                differences.add(
                    f"the file has '{name}' of shape {saved[name][1]}, which the model lacks."
                )
        if differences.lines and not skip_mismatch:
            differences.report()
        for variable, dtype, shape, offset, size in jobs:
            file.seek(start + offset)
            variable.assign(np.frombuffer(file.read(size), dtype=dtype).reshape(shape))
    differences.report()


def read_tensors(filepath: FilePath) -> dict[str, np.ndarray]:
    """Return the arrays of a file by name. They are read from the disk when they are used.

    Raises:
        FileNotFoundError: If there is no such file.
        FileError: If the file is damaged, or no safetensors file.
    """
    what = file_label(filepath)
    with Path(filepath).open("rb") as file:
        saved, start = _header(file, what)
    found = {}
    for name, (dtype, shape, offset, size) in saved.items():
        if size == 0:
            found[name] = np.zeros(shape, dtype)
        else:
            raw = np.memmap(filepath, np.uint8, "r", start + offset, (size,))
            found[name] = raw.view(dtype).reshape(shape)
    return found


Entry = tuple[np.dtype, tuple[int, ...], int, int]


def _header(file: BinaryIO, what: str) -> tuple[dict[str, Entry], int]:
    """Return the checked dtype, shape, offset and size of each array, and the first offset."""
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if not 0 < length <= min(_MAX_HEADER, size - 8):
        raise FileError(f"{what} is not a safetensors file: its header would have {length} bytes.")
    header = parse_json(file.read(length), f"{what}: header")
    if not isinstance(header, dict):
        raise FileError(f"{what} is damaged: its header is not a JSON object.")
    found = dict(_entries(header, what))
    end = 0
    for _, _, offset, nbytes in sorted(found.values(), key=lambda entry: entry[2:]):
        if offset != end:
            raise FileError(f"{what} is damaged: its arrays overlap, or have gaps between them.")
        end = offset + nbytes
    if 8 + length + end != size:
        raise FileError(
            f"{what} is damaged: it has {size} bytes, but its header describes {8 + length + end}."
        )
    return found, 8 + length


def _entries(header: dict[str, Any], what: str) -> Iterator[tuple[str, Entry]]:
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        try:
            dtype = np.dtype(jnp.dtype(_NAMES[entry["dtype"]]))
            shape, (start, end) = entry["shape"], entry["data_offsets"]
            numbers = all(
                isinstance(n, int) and not isinstance(n, bool) and n >= 0
                for n in [*shape, start, end]
            )
        except (KeyError, TypeError, ValueError):
            numbers = False
        count = dtype.itemsize if numbers else 0
        for n in shape if numbers else ():
            count *= n
        if not numbers or end - start != count:
            raise FileError(f"{what} is damaged: its header contradicts itself about '{name}'.")
        yield name, (dtype, tuple(shape), start, count)
