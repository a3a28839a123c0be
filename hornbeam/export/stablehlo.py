"""StableHLO files: a model's inference as a portable XLA program, with the weights.

A file is a zip archive of three members, stored without compression:

- `program.mlirbc`: the program as a portable StableHLO artifact (https://openxla.org/stablehlo).
  Its arguments are the flattened weights, then the flattened inputs.
- `weights.bin`: the arrays of the weights one after another, little-endian, without gaps.
- `signature.json`: names, shapes and dtypes of weights, inputs and outputs, and the platforms. An
  unknown size is the name of a symbol, such as `"batch"`.

Reading a file runs no code from it. The program is compiled when it is called; a program that calls
code outside XLA is rejected.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export as jax_export
from jax.errors import InconclusiveDimensionOperation

from hornbeam.dtypes import standardize_dtype
from hornbeam.errors import FileError, listed
from hornbeam.export.exporter import Exporter, pure_call, symbolic_inputs
from hornbeam.objects.guard import one_error
from hornbeam.saving.disk import MissingFileError, parse_json, written_aside
from hornbeam.typing import FilePath, Structure

if TYPE_CHECKING:
    from hornbeam.models.model import Model

__all__ = ["LoadedProgram", "StableHLOExporter", "export_stablehlo", "load_stablehlo"]

_PROGRAM, _WEIGHTS, _SIGNATURE = "program.mlirbc", "weights.bin", "signature.json"
_FORMAT = 1
_PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
# Custom calls that XLA replaces by instructions; all other custom calls run code of a library.
_OF_XLA = re.compile(r"(Sharding|shape_assertion|(mhlo|stablehlo|chlo)\.\w+)")
_CUSTOM_CALL = re.compile(
    r"custom_call\s+@(?:\"([^\"]*)\"|([\w.$-]+))|call_target_name\s*=\s*\"([^\"]*)\""
)
# A size: a number, a symbol, or a sum, product or quotient of these.
_SIZE = re.compile(r"[A-Za-z0-9_+*(), -]{1,200}")


class StableHLOExporter(Exporter):
    """Writes StableHLO files; see `export_stablehlo`."""

    name = "stablehlo"

    def write(
        self, model: Model, path: FilePath, input_signature: Structure = None, **options: Any
    ) -> None:
        """Write a built model to a file; `options` are passed to `export_stablehlo`."""
        export_stablehlo(model, path, input_signature, **options)


def export_stablehlo(
    model: Model,
    path: FilePath,
    input_signature: Structure = None,
    platforms: Sequence[str] | None = None,
) -> None:
    """Write a model's inference to a StableHLO file.

    The file runs without the model's code and without Hornbeam's kernels. It accepts any batch
    size, and any size for other axes that are `None` in the inputs' shapes.

    Args:
        model: A built model.
        path: Path of the file; an existing one is replaced.
        input_signature: The inputs, in the structure in which the model is called. Each tensor is
            any object with a `shape` and a `dtype`. Default: the model's symbolic inputs.
        platforms: Platforms that the program can run on: some of `"cpu"`, `"cuda"`, `"rocm"` and
            `"tpu"`. Default: the current platform.

    Raises:
        ValueError: If the model does not know its inputs, an argument is out of range, or the model
            calls code outside XLA, such as a Python callback.

    Example:
        >>> import tempfile
        >>> import hornbeam as hb
        >>> model = hb.Sequential([hb.Input((3,)), hb.layers.Dense(2, kernel_initializer="ones")])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     export_stablehlo(model, f"{folder}/model.stablehlo")
        ...     program = load_stablehlo(f"{folder}/model.stablehlo")
        >>> program(np.ones((4, 3))).shape
        (4, 2)
    """
    unknown = [name for name in platforms or () if name not in _PLATFORMS]
    if unknown or (platforms is not None and not platforms):
        raise ValueError(
            f"export_stablehlo: `platforms` must be some of {listed(_PLATFORMS)}, received"
            f" {platforms!r}."
        )
    inputs = symbolic_inputs(model, input_signature)
    call, variables = pure_call(model)
    weights = [jax.ShapeDtypeStruct(v.shape, v.stored_dtype) for v in variables]
    try:
        exported = _export(call, weights, inputs, platforms)
    except (NotImplementedError, TypeError, ValueError, InconclusiveDimensionOperation) as error:
        raise ValueError(
            f"export_stablehlo: the model '{model.name}' cannot be exported: {error} If a size must"
            " be a number, set it with `input_signature`. Leave out layers that call back into"
            " Python."
        ) from error
    _check_calls(exported.mlir_module(), f"export_stablehlo: the model '{model.name}'", ValueError)
    outputs = jax.tree.unflatten(exported.out_tree, exported.out_avals)
    signature = {
        "format": _FORMAT,
        "calling_convention": exported.calling_convention_version,
        "platforms": list(exported.platforms),
        "weights": [
            {"name": v.path, **_described(w)} for v, w in zip(variables, weights, strict=True)
        ],
        "inputs": _as_json(inputs),
        "outputs": _as_json(outputs),
    }
    with written_aside(path) as aside, zipfile.ZipFile(aside, "w") as archive:
        archive.writestr(_SIGNATURE, json.dumps(signature))
        archive.writestr(_PROGRAM, exported.mlir_module_serialized)
        with archive.open(_WEIGHTS, "w", force_zip64=True) as file:
            for variable in variables:
                file.write(np.ascontiguousarray(variable.numpy()).tobytes())


@dataclasses.dataclass(frozen=True)
class LoadedProgram:
    """A program read from a StableHLO file; call it with inputs in the structure of `inputs`.

    Attributes:
        inputs: Structure of `jax.ShapeDtypeStruct`; unknown sizes are symbols.
        outputs: The same for the result of a call.
        weights: Arrays by the names of the model's weights.
    """

    inputs: Any
    outputs: Any
    weights: dict[str, jax.Array]
    _exported: jax_export.Exported = dataclasses.field(repr=False)

    def __call__(self, inputs: Any) -> Any:
        """Return the outputs; the inputs are cast to the dtypes of the signature.

        Raises:
            ValueError: If the structure or a shape does not fit the signature.
        """
        structure: Any = jax.tree.structure(self.inputs)
        given, found = jax.tree.flatten(inputs)
        wanted = jax.tree.leaves(self.inputs)
        if found != structure:
            raise ValueError(
                f"LoadedProgram: `inputs` must have the structure {structure}, received {found}."
            )
        arrays = [jnp.asarray(x, w.dtype) for x, w in zip(given, wanted, strict=True)]
        return self._exported.call(
            list(self.weights.values()), jax.tree.unflatten(structure, arrays)
        )


def load_stablehlo(path: FilePath) -> LoadedProgram:
    """Read a StableHLO file that `export_stablehlo` wrote.

    Reading runs no code from the file. A call runs an XLA program, which can only compute. XLA's
    parser is not hardened against malicious files, so load only files from sources that you trust.

    Args:
        path: Path of the file.

    Returns:
        A callable that runs on the platforms for which the file was written.

    Raises:
        FileNotFoundError: If there is no file.
        FileError: If the file is damaged or has another format, or its program calls code outside
            XLA.

    Example:
        >>> load_stablehlo("missing.stablehlo")
        Traceback (most recent call last):
        ...
        hornbeam.saving.disk.MissingFileError: load_stablehlo: no file at 'missing.stablehlo'.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"load_stablehlo: no file at '{path}'.")
    what = f"'{path.name}'"
    with one_error(what):
        members = _members(path, what)
        signature = parse_json(members[_SIGNATURE], f"{what}: {_SIGNATURE}")
        if not isinstance(signature, dict) or signature.get("format") != _FORMAT:
            raise FileError(f"{what} does not have the expected format version {_FORMAT}.")
        scope = jax_export.SymbolicScope()
        inputs, outputs = (_from_json(signature[key], scope) for key in ("inputs", "outputs"))
        weights = _weights(signature["weights"], members[_WEIGHTS], what)
        exported = _restored(members[_PROGRAM], signature, [*weights.values()], inputs, outputs)
        _check_calls(exported.mlir_module(), what, FileError)
        return LoadedProgram(inputs, outputs, weights, exported)


def _export(
    call: Any, weights: Any, inputs: Any, platforms: Sequence[str] | None
) -> jax_export.Exported:
    return jax_export.export(jax.jit(call, keep_unused=True), platforms=platforms)(weights, inputs)


def _restored(
    program: bytes, signature: Any, weights: Any, inputs: Any, outputs: Any
) -> jax_export.Exported:
    """Return the program as a `jax.export.Exported`.

    It is the export of an empty function with the same signature, whose program is replaced.
    """
    platforms, version = signature["platforms"], signature["calling_convention"]
    low = jax_export.minimum_supported_calling_convention_version
    high = jax_export.maximum_supported_calling_convention_version
    if not platforms or not all(name in _PLATFORMS for name in platforms):
        raise FileError(f"the platforms {platforms!r:.80} are not known.")
    if not isinstance(version, int) or not low <= version <= high:
        raise FileError(
            f"it needs a JAX that reads calling convention {version!r:.20}; this one reads {low} to"
            f" {high}."
        )

    def empty(weights: Any, inputs: Any) -> Any:
        return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), outputs)

    shapes = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in weights]
    exported = _export(empty, shapes, inputs, platforms)
    return dataclasses.replace(
        exported, mlir_module_serialized=program, calling_convention_version=version
    )


def _members(path: Path, what: str) -> dict[str, bytes]:
    """Return the three members; they are not compressed, so they cannot outgrow the file."""
    with zipfile.ZipFile(path) as archive:
        infos = {info.filename: info for info in archive.infolist()}
        if sorted(infos) != sorted((_PROGRAM, _WEIGHTS, _SIGNATURE)) or len(infos) != len(
            archive.infolist()
        ):
            raise FileError(
                f"{what} is not a StableHLO file of Hornbeam: its members are {list(infos)!r:.200}."
            )
        if any(
            info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1
            for info in infos.values()
        ):
            raise FileError(f"{what}: its members must be neither compressed nor encrypted.")
        if sum(info.file_size for info in infos.values()) > path.stat().st_size:
            raise FileError(f"{what} is damaged: its members are longer than the file.")
        return {name: archive.read(info) for name, info in infos.items()}


def _weights(entries: Any, data: bytes, what: str) -> dict[str, jax.Array]:
    found: dict[str, jax.Array] = {}
    start = 0
    for entry in entries:
        shape, dtype = entry["shape"], np.dtype(jnp.dtype(standardize_dtype(entry["dtype"])))
        if not all(isinstance(n, int) and n >= 0 for n in shape):
            raise FileError(f"{what} is damaged: a weight has the shape {shape!r:.80}.")
        count = math.prod(shape)
        if start + count * dtype.itemsize > len(data) or entry["name"] in found:
            raise FileError(f"{what} is damaged: its weights do not fit its signature.")
        found[entry["name"]] = jnp.asarray(np.frombuffer(data, dtype, count, start).reshape(shape))
        start += count * dtype.itemsize
    if start != len(data):
        raise FileError(f"{what} is damaged: its weights do not fit its signature.")
    return found


def _check_calls(module: str, what: str, error: type[ValueError]) -> None:
    """Raise `error` if a program calls code outside XLA."""
    targets = {name for match in _CUSTOM_CALL.findall(module) for name in match if name}
    foreign = sorted(name for name in targets if not _OF_XLA.fullmatch(name))
    if foreign:
        raise error(
            f"{what} calls {listed(foreign)}, which is code outside XLA; expected only StableHLO"
            " instructions. Leave out the layer or op that makes the call."
        )


# --- structures as JSON ------------------------------------------------------------------------


def _described(x: Any) -> dict[str, Any]:
    return {
        "shape": [n if isinstance(n, int) else str(n) for n in x.shape],
        "dtype": jnp.dtype(x.dtype).name,
    }


def _as_json(structure: Any) -> Any:
    """Return a structure of shapes as JSON: tensors as objects, other nodes as [kind, parts]."""
    if hasattr(structure, "shape"):
        return _described(structure)
    if isinstance(structure, dict):
        return ["dict", {name: _as_json(part) for name, part in structure.items()}]
    if type(structure) in (list, tuple):
        return [type(structure).__name__, [_as_json(part) for part in structure]]
    raise ValueError(
        "export_stablehlo: inputs and outputs must be tensors in lists, tuples and dicts, received"
        f" {structure!r}."
    )


def _from_json(value: Any, scope: jax_export.SymbolicScope) -> Any:
    if isinstance(value, dict):
        return jax.ShapeDtypeStruct(
            tuple(_sizes(value["shape"], scope)), standardize_dtype(value["dtype"])
        )
    kind, parts = value
    if kind == "dict":
        return {name: _from_json(part, scope) for name, part in parts.items()}
    return {"list": list, "tuple": tuple}[kind](_from_json(part, scope) for part in parts)


def _sizes(shape: Any, scope: jax_export.SymbolicScope) -> Iterator[Any]:
    for size in shape:
        if isinstance(size, int) and not isinstance(size, bool) and size >= 0:
            yield size
        elif isinstance(size, str) and _SIZE.fullmatch(size) and "**" not in size:
            yield from jax_export.symbolic_shape(f"({size},)", scope=scope)
        else:
            raise FileError(f"a shape has the size {size!r:.80}.")
