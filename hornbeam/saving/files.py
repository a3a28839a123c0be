"""Saving and loading of models and weights, with the format chosen by path or content."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from hornbeam import errors
from hornbeam.checked import Positive, check
from hornbeam.core.placement import placement_scope
from hornbeam.errors import FileError
from hornbeam.layers.layer import Layer
from hornbeam.objects.guard import checked_model, guarded_file, one_error
from hornbeam.optimizers import Optimizer
from hornbeam.saving.archive import load_archive, load_archive_weights, save_archive
from hornbeam.saving.disk import kind_of
from hornbeam.saving.h5 import (
    load_h5,
    load_h5_weights,
    save_h5,
    save_h5_weights,
    save_layered_weights,
)
from hornbeam.saving.layout import check_built, parts_of
from hornbeam.saving.orbax import load_orbax, load_orbax_weights, orbax_step
from hornbeam.saving.safetensors import load_safetensors, looks_like_safetensors, save_safetensors
from hornbeam.saving.shards import index_of, load_shards, save_shards
from hornbeam.saving.streams import is_stream, read_path, written_path
from hornbeam.saving.together import saved_once
from hornbeam.typing import CustomObjects, FilePath

if TYPE_CHECKING:
    from hornbeam.models.model import Model

__all__ = ["load_model", "load_weights", "save_model", "save_weights"]


@saved_once
def save_model(
    model: Model,
    filepath: FilePath,
    overwrite: bool = True,
    zipped: bool | None = None,
    **kwargs: Any,
) -> None:
    """Save a model's architecture, weights and training state; the extension chooses the format.

    Args:
        model: Any model.
        filepath: A path that ends in `.keras`, `.h5` or `.hdf5`, or a file that is open in binary
            mode, which gets a `.keras` file unless `save_format` is `"h5"`.
        overwrite: Whether an existing file may be replaced.
        zipped: Whether `.keras` is one zip file (the default) or a folder.
        **kwargs: `include_optimizer` (default: true): whether the training state is saved.
            `save_format`, from Keras 2: `"keras"` or `"h5"`; it overrides the extension.

    Raises:
        FileExistsError: If the file exists and `overwrite` is false.
        ValueError: If the extension is none of these.

    Example:
        >>> import tempfile, hornbeam as hb
        >>> path = tempfile.mkdtemp() + "/model.keras"
        >>> save_model(hb.Sequential([hb.Input((3,)), hb.layers.Dense(2)]), path)
        >>> load_model(path).count_params()
        8
    """
    include_optimizer = kwargs.pop("include_optimizer", True)
    save_format = kwargs.pop("save_format", None)
    _check_flags(
        "save_model", overwrite=overwrite, zipped=zipped, include_optimizer=include_optimizer
    )
    _check_format("save_model", save_format, ("keras", "h5", "hdf5"))
    for ignored in ("signatures", "options", "save_traces"):
        if kwargs.pop(ignored, None) not in (None, True):
            raise ValueError(
                f"save_model: `{ignored}` belongs to TensorFlow's SavedModel, which Hornbeam does"
                " not write. Leave it out."
            )
    if kwargs:
        known = ("filepath", "overwrite", "zipped", "include_optimizer", "save_format")
        raise errors.unexpected("save_model", kwargs, known)
    if is_stream(filepath):
        # An open HDF5 file can hold only the older format.
        older = save_format not in (None, "keras") or hasattr(filepath, "create_group")
        with written_path(filepath, ".h5" if older else ".keras") as place:
            save_model(model, place, overwrite, zipped, include_optimizer=include_optimizer)
        return
    path = os.fspath(filepath)
    name = str(path).lower()
    kind = {"h5": "h5", "hdf5": "h5", "keras": "keras"}.get(str(save_format).lower())
    if kind is None:
        kind = (
            "keras"
            if name.endswith(".keras")
            else "h5"
            if name.endswith((".h5", ".hdf5"))
            else None
        )
    if kind is None:
        raise ValueError(
            "save_model: `filepath` must end in '.keras' (recommended) or '.h5', received"
            f" {str(filepath)!r}. Try '{str(filepath).rstrip('/')}.keras'."
        )
    if zipped is not None and kind == "h5":
        raise ValueError(
            "save_model: `zipped` applies to '.keras' only, and `filepath` ends in '.h5'. Leave"
            " `zipped` out."
        )
    if kind == "keras":
        save_archive(model, path, overwrite, zipped is not False, include_optimizer)
    else:
        save_h5(model, path, overwrite, include_optimizer)


@errors.known_arguments
def load_model(
    filepath: FilePath,
    custom_objects: CustomObjects = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Model:
    """Return the model in a `.keras` or `.h5` file, or in a checkpoint of Orbax.

    Args:
        filepath: Path of the file, of a folder of checkpoints (the newest counts), or a file that
            is open in binary mode, such as `io.BytesIO`.
        custom_objects: Custom classes and functions by name, in addition to registered ones.
        compile: Whether the model is compiled as it was when it was saved.
        safe_mode: If false, the file is trusted like a program: functions that Keras stored as
            bytecode may run, and arrays may take far more memory than the file's size. A file
            cannot change this setting.

    Raises:
        FileNotFoundError: If there is no such file.
        FileError: If the file holds no model, names unknown classes, is damaged, or holds code.

    Example:
        >>> import tempfile, hornbeam as hb
        >>> path = tempfile.mkdtemp() + "/model.keras"
        >>> hb.Sequential([hb.Input((3,)), hb.layers.Dense(2)]).save(path)
        >>> load_model(path).output_shape
        (None, 2)
    """
    if is_stream(filepath):
        with read_path(filepath) as path:
            return load_model(path, custom_objects, compile, safe_mode)
    path = os.fspath(filepath)
    kind = kind_of(path)
    if kind == "folder" and os.path.exists(os.path.join(path, "saved_model.pb")):
        raise FileError(
            f"'{path}' is a SavedModel of TensorFlow, which is a program, not a model file."
        )
    if kind == "unknown":
        raise FileError(f"'{path}' is neither a `.keras` nor an `.h5` file.{_hint(path)}")
    load = load_h5 if kind == "h5" else load_archive
    if kind == "folder" and orbax_step(path) is not None:
        load = load_orbax
    with guarded_file(path, safe_mode):
        model = load(path, custom_objects=custom_objects, compile=compile, safe_mode=safe_mode)
        return checked_model(model, f"'{os.path.basename(path)}'", ("model", "feature space"))


def _hint(path: FilePath) -> str:
    """Return a hint for the user of a file that holds only a part of a model."""
    with open(path, "rb") as file:
        start = file.read(64).lstrip()
    if looks_like_safetensors(path):
        return (
            " It seems to hold weights only: build the model in your program and call"
            " `model.load_weights(path)`."
        )
    if start.startswith(b"{"):
        return (
            " It seems to hold an architecture: `hornbeam.models.model_from_json(text)`, then"
            " `load_weights(path)`."
        )
    if start.startswith((b"backend:", b"class_name:", b"config:")):
        return (
            " It seems to hold an architecture: `hornbeam.models.model_from_yaml(text)`, then"
            " `load_weights(path)`."
        )
    return ""


@saved_once
def save_weights(
    model: Model,
    filepath: FilePath,
    overwrite: bool = True,
    max_shard_size: float | None = None,
    **kwargs: Any,
) -> None:
    """Save the weights of a model.

    Args:
        model: A built model.
        filepath: A path that ends in `.weights.h5` or `.safetensors`. Other `.h5` files get Keras
            2's layout. A file that is open in binary mode gets the layout of `.weights.h5`.
        overwrite: Whether an existing file may be replaced.
        max_shard_size: Size in GiB of the arrays in one file. The weights then go to several files
            `NAME_00000.weights.h5`, which the file `NAME.weights.json` lists.
        **kwargs: `save_format`, from Keras 2: `"h5"` for Keras 2's layout. `objects_to_skip`: a
            list of layers that are left out, in `.weights.h5`.

    Raises:
        ValueError: If the extension is none of these, or the model is not built.
    """
    save_format = kwargs.pop("save_format", None)
    objects = _objects("save_weights", kwargs)
    skipped = parts_of(objects)
    _check_format("save_weights", save_format, ("h5", "hdf5"))
    _check_flags("save_weights", overwrite=overwrite)
    _refuse_options("save_weights", kwargs)
    if kwargs:
        known = ("filepath", "overwrite", "save_format")
        raise errors.unexpected("save_weights", kwargs, known)
    if is_stream(filepath):
        with written_path(filepath, ".h5" if save_format else ".weights.h5") as path:
            save_weights(model, path, overwrite, max_shard_size, objects_to_skip=objects)
        return
    path = os.fspath(filepath)
    if max_shard_size is not None or str(path).endswith(".weights.json"):
        _save_shards(model, path, overwrite, max_shard_size, skipped)
    elif skipped and not str(path).endswith(".weights.h5"):
        raise ValueError(
            "save_weights: `objects_to_skip` needs a `filepath` that ends in '.weights.h5',"
            f" received {str(filepath)!r}."
        )
    elif str(path).endswith(".weights.h5"):
        save_h5_weights(model, path, overwrite, skipped)
    elif str(path).endswith((".h5", ".hdf5")) or save_format is not None:
        save_layered_weights(model, path, overwrite)
    elif str(path).endswith(".safetensors"):
        save_safetensors(model, path, overwrite)
    else:
        raise ValueError(
            "save_weights: `filepath` must end in '.weights.h5' or '.safetensors', received"
            f" {str(filepath)!r}. Try '{filepath}.weights.h5'."
        )


def load_weights(
    model: Model, filepath: FilePath, skip_mismatch: bool = False, **kwargs: Any
) -> None:
    """Load weights into a built model from `.weights.h5`, `.h5`, `.keras` or `.safetensors`, or
    from a checkpoint of Orbax.

    The optimizer's state is loaded too, if the file has it and the model is compiled. The optimizer
    keeps the learning rate that it has. A state that does not fit is named in a warning.

    Args:
        model: The model.
        filepath: Path of the file, of the `.weights.json` of several files, or a file that is open
            in binary mode.
        skip_mismatch: Whether weights that do not fit are skipped with a warning.
        **kwargs: `by_name`: whether layers are matched by name instead of position.
            `objects_to_skip`: a list of layers that keep their weights.

    Raises:
        FileNotFoundError: If there is no such file.
        FileError: If the weights do not fit the model (the message lists all differences, and
            nothing is changed), or the file is damaged.
    """
    by_name = kwargs.pop("by_name", False)
    objects = _objects("load_weights", kwargs)
    _check_flags("load_weights", skip_mismatch=skip_mismatch, by_name=by_name)
    _refuse_options("load_weights", kwargs)
    if kwargs:
        known = ("filepath", "skip_mismatch", "by_name")
        raise errors.unexpected("load_weights", kwargs, known)
    if is_stream(filepath):
        with read_path(filepath) as path:
            load_weights(model, path, skip_mismatch, by_name=by_name, objects_to_skip=objects)
        return
    path, skipped = os.fspath(filepath), parts_of(objects)
    if str(path).endswith(".weights.h5") and not os.path.exists(path):
        path = str(index_of(path)) if index_of(path).exists() else path
    kind = kind_of(path)
    if kind == "unknown" and str(path).endswith(".weights.json"):
        check_built(model, "load_weights")
        with one_error(f"'{os.path.basename(path)}'"), placement_scope(model.distribution):
            load_shards(model, path, skip_mismatch, by_name, skipped)
        return
    if kind == "unknown" and not looks_like_safetensors(path):
        raise FileError(f"'{path}' is neither an `.h5` nor a `.keras` nor a `.safetensors` file.")
    check_built(model, "load_weights")
    with one_error(f"'{os.path.basename(path)}'"), placement_scope(model.distribution):
        if kind == "unknown":
            if skipped:
                raise ValueError("load_weights: `objects_to_skip` needs a '.weights.h5' file.")
            load_safetensors(model, path, skip_mismatch, by_name)
        else:
            load = load_h5_weights if kind == "h5" else load_archive_weights
            if kind == "folder" and orbax_step(path) is not None:
                load = load_orbax_weights
            load(model, path, skip_mismatch, by_name, skipped)


def _objects(function: str, kwargs: dict[str, Any]) -> list[Any]:
    """Return the parts in `objects_to_skip`."""
    objects = list(kwargs.pop("objects_to_skip", None) or ())
    for part in objects:
        if not isinstance(part, (Layer, Optimizer)):
            raise ValueError(
                f"{function}: `objects_to_skip` must hold layers or optimizers, received {part!r}."
                " Pass the objects, such as `model.get_layer(name)`."
            )
    return objects


def _save_shards(
    model: Model, path: FilePath, overwrite: bool, gigabytes: float | None, skipped: frozenset[int]
) -> None:
    if gigabytes is None or not str(path).endswith((".weights.json", ".weights.h5")):
        raise ValueError(
            "save_weights: expected a `filepath` that ends in '.weights.json' together with"
            f" `max_shard_size`, received {str(path)!r} and {gigabytes!r}."
        )
    check("save_weights", "max_shard_size", gigabytes, Positive)
    check_built(model, "save_weights")
    save_shards(model, path, overwrite, gigabytes, skipped)


def _check_flags(function: str, **flags: Any) -> None:
    """Raise `ValueError` for a flag that is not true, false or `None`."""
    for name, value in flags.items():
        if value is not None and value not in (True, False):
            raise ValueError(f"{function}: `{name}` must be True or False, received {value!r}.")


def _check_format(function: str, save_format: Any, known: tuple[str, ...]) -> None:
    """Raise `ValueError` if `save_format`, an argument of Keras 2, is an unknown format."""
    if save_format is not None and str(save_format).lower() not in known:
        raise ValueError(
            f"{function}: `save_format` must be one of {', '.join(map(repr, known))}, received"
            f" {save_format!r}. Leave it out: the extension of `filepath` chooses the format."
        )


def _refuse_options(function: str, kwargs: dict[str, Any]) -> None:
    if kwargs.pop("options", None) is not None:
        raise ValueError(
            f"{function}: `options` belongs to TensorFlow's checkpoints. Leave it out."
        )
