"""`FeatureSpace`: encodes the columns of a table as numbers for a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from hornbeam import errors, ops, saving
from hornbeam.core.tensor import KerasTensor
from hornbeam.data.adapters import is_frame
from hornbeam.dtypes import is_float
from hornbeam.layers import (
    CategoryEncoding,
    Discretization,
    HashedCrossing,
    Hashing,
    Input,
    Layer,
)
from hornbeam.layers.preprocessing.index_lookup import IndexLookup
from hornbeam.models.graph import Graph
from hornbeam.objects import configuration
from hornbeam.objects.family import Family
from hornbeam.older_words import older_words
from hornbeam.training.columns import column, named_columns
from hornbeam.typing import Data, FilePath, Structure
from hornbeam.utils.feature_learning import Lesson, batches_of, teach
from hornbeam.utils.feature_proposals import propose, table
from hornbeam.utils.features import Cross, Feature, FeatureMakers, TFDConcat, check_mode

__all__ = ["FeatureSpace"]

_ROWS = 4096  # rows that `adapt` collects before it updates the preprocessors


class FeatureSpace(FeatureMakers, Layer):
    """Layer that encodes the columns of a table as numbers for a model, as in Keras.

    Each feature defines how one column is encoded. `adapt` learns vocabularies, means and bin
    boundaries from data. Afterwards, the space encodes single samples and batches. Its symbolic
    inputs and encoded features can also be the first part of a model that takes raw columns.

    `adapt` ignores missing values (`None`, NaN, `pandas.NA`). When the space encodes data, missing
    text is read as the empty string and a missing integer as -1, so categorical features treat both
    as unknown. `float_normalized` replaces missing numbers with the mean. The other float features
    raise an error for missing numbers.

    Args:
        features: Dictionary from column names to features. A feature is the result of one of the
            methods below, for example `FeatureSpace.float_normalized()`, or the method's name, for
            example `"float_normalized"`.
        output_mode: `"concat"` (one vector of the features and then the crosses, each sorted by
            name) or `"dict"` (a dictionary by name). Default: `"concat"`.
        crosses: Crosses of features, as results of `FeatureSpace.cross` or tuples of feature names.
            Default: none.
        crossing_dim: Number of bins of crosses given as tuples. Default: 32.
        hashing_dim: Number of bins of features given as `"string_hashed"` or `"integer_hashed"`.
            Default: 32.
        num_discretization_bins: Number of bins of features given as `"float_discretized"`. Default:
            32.
        name: Name of the layer. Default: `"feature_space"`, numbered.

    Input: a dictionary of columns by name, a data frame, or a single sample. Columns without a
    feature are ignored. Output: shape (B, C) float32, or a dictionary of arrays.

    Raises:
        ValueError: If an argument has an invalid value.

    Example:
        >>> space = FeatureSpace({"age": "float_normalized", "city": "string_categorical"})
        >>> people = {"age": [20.0, 40.0, 60.0], "city": ["Oslo", "Lima", "Oslo"]}
        >>> space.adapt(people)
        >>> space({"age": 40.0, "city": "Oslo"})
        Array([0., 0., 1., 0.], dtype=float32)
    """

    _not_children = Layer._not_children | {"features", "inputs", "encoded_features", "_graph"}

    def __init__(
        self, features: Mapping[str, Feature | str], output_mode: str = "concat",
        crosses: Sequence[Cross | Sequence[str]] | None = None, crossing_dim: int = 32,
        hashing_dim: int = 32, num_discretization_bins: int = 32, name: str | None = None,
    ):  # fmt: skip
        super().__init__(name=name)
        if not isinstance(features, Mapping) or not features:
            raise ValueError(
                "FeatureSpace: `features` must be a dictionary from column names to features,"
                f" received {features!r:.80}."
            )
        self.output_mode = check_mode("FeatureSpace", output_mode, ("concat", "dict"))
        self.crossing_dim, self.hashing_dim = crossing_dim, hashing_dim
        self.num_discretization_bins = num_discretization_bins
        self._notes: dict[str, str] = {}
        self._given_crosses = [self._as_cross(cross) for cross in crosses or ()]
        self.features = _Features(self)
        for column_name, feature in features.items():
            dict.__setitem__(self.features, column_name, self._as_feature(column_name, feature))
        self._start()

    # --- the features -------------------------------------------------------------------------

    @classmethod
    def from_dataframe(
        cls, df: Any, target: str | Iterable[str] | None = None, max_categories: int = 50,
        **kwargs: Any,
    ) -> FeatureSpace:  # fmt: skip
        """Propose a feature for each column of a data frame.

        Numbers, dates and times are normalized. Text, and integers with few distinct values, become
        categories. Text with more than `max_categories` distinct values is hashed. Booleans become
        1 and 0. Columns with fewer than two distinct values, and columns of other types, are left
        out. `print(space)` shows the proposal and its reasons. To change it, edit `features` before
        `adapt`, for example `space.features["age"] = "float_discretized"` or
        `del space.features["id"]`.

        Args:
            df: A pandas or polars data frame, or a dictionary of columns.
            target: Names of the columns that are not inputs. Default: none.
            max_categories: Maximum number of distinct strings or integers to use as categories.
            **kwargs: Further arguments of `FeatureSpace`, for example `crosses` or `output_mode`.

        Raises:
            ValueError: If `target` is not a column, or no column can be a feature.

        Example:
            >>> people = {"age": [20.5, 40.0, 60.0], "city": ["Oslo", "Lima", "Oslo"]}
            >>> space = FeatureSpace.from_dataframe(people)
            >>> {name: feature.kind for name, feature in space.features.items()}
            {'age': 'float_normalized', 'city': 'string_categorical'}
        """
        kinds, notes = propose(df, target, max_categories)
        space = cls(kinds, **kwargs)
        space._notes = notes
        return space

    def _as_feature(self, name: str, feature: Any) -> Feature:
        """Convert a feature, its name or its configuration to a `Feature`."""
        if isinstance(feature, Mapping):
            feature = configuration.deserialize(feature)
        if isinstance(feature, Feature):
            return feature
        sizes: dict[str, tuple[int, ...]] = dict.fromkeys(_KINDS, ())
        sizes["float_discretized"] = (self.num_discretization_bins,)
        sizes["string_hashed"] = sizes["integer_hashed"] = (self.hashing_dim,)
        if not isinstance(feature, str) or feature not in sizes:
            raise errors.unknown_name(f"feature of column {name!r}:", feature, _KINDS)
        return getattr(type(self), feature)(*sizes[feature], name=name)

    def _as_cross(self, cross: Any) -> Cross:
        if isinstance(cross, Mapping):
            cross = configuration.deserialize(cross)
        if isinstance(cross, Cross):
            return cross
        if not isinstance(cross, (list, tuple)):
            raise ValueError(
                "FeatureSpace: `crosses` must hold results of `FeatureSpace.cross` or tuples of"
                f" feature names, received {cross!r:.80}."
            )
        return Cross(cross, self.crossing_dim)

    @property
    def crosses(self) -> list[Cross]:
        """The crosses of features."""
        return list(self._given_crosses)

    @property
    def crosses_by_name(self) -> dict[str, Cross]:
        """The crosses by name."""
        return {cross.name: cross for cross in self._given_crosses}

    def _start(self) -> None:
        """Make the inputs and layers of the features. Nothing is learned yet."""
        for cross in self._given_crosses:
            unknown = [name for name in cross.feature_names if name not in self.features]
            if unknown:
                raise ValueError(
                    f"{self._label()}: the features of cross {cross.feature_names} must be in"
                    f" `features`, received the unknown names {errors.listed(unknown)}."
                )
        self.inputs = {
            name: Input((1,), dtype=feature.dtype, name=name.replace("/", "_"))
            for name, feature in self.features.items()
        }
        self.preprocessors = {name: f.preprocessor for name, f in self.features.items()}
        self.crossers = {
            cross.name: HashedCrossing(cross.crossing_dim, name=cross.name.replace("/", "_"))
            for cross in self._given_crosses
        }
        self._forget_graph()
        self.built = not self._learners()

    def _forget_graph(self) -> None:
        self.one_hot_encoders: dict[str, Any] = {}
        self.concat: Any = None
        self.encoded_features: Structure = None
        self._graph: Graph | None = None

    def changed(self) -> None:
        """Make the inputs and layers again after a feature was set or removed.

        Raises:
            ValueError: If the space has already been adapted.
        """
        if self.built and self._learners():
            raise ValueError(
                f"{self._label()}: the features cannot be changed after `adapt`. Make a new"
                " `FeatureSpace`."
            )
        self._start()

    # --- learning -----------------------------------------------------------------------------

    def _learners(self) -> dict[str, Any]:
        """Return the preprocessors that learn from data, by feature."""
        return {
            name: feature.preprocessor
            for name, feature in self.features.items()
            if hasattr(feature.preprocessor, "adapt")
            and getattr(feature.preprocessor, "can_adapt", True)
        }

    def adapt(self, dataset: Data) -> None:
        """Learn vocabularies, means and bin boundaries. A later call replaces them.

        Args:
            dataset: A dictionary of columns, a data frame, or a `Dataset`, `PyDataset`, generator
                or other iterable of samples, batches or data frames. If an element is a tuple, its
                first item is used. Missing values are ignored.

        Raises:
            ValueError: If a column is missing, has no values, or has values of a wrong type.
        """
        learners = self._learners()
        lessons = {name: Lesson(layer, self._owner(name)) for name, layer in learners.items()}
        buffer: list[dict[str, np.ndarray]] = []
        rows = 0
        for batch in batches_of(dataset):
            values = self._columns(batch, learners)[0]
            buffer.append(values)
            rows += len(next(iter(values.values()), ()))
            if rows >= _ROWS:
                teach(lessons, buffer)
                buffer, rows = [], 0
        teach(lessons, buffer)
        for lesson in lessons.values():
            lesson.check()
        for lesson in lessons.values():
            lesson.end()
        self._forget_graph()
        self.built = True
        self._encoded()

    def _owner(self, name: str) -> str:
        return f"{self._label()}: column {name!r} ({self.features[name].kind})"

    def _columns(
        self, data: Any, names: Iterable[str], fill: bool = False
    ) -> tuple[dict[str, np.ndarray], bool]:
        """Return columns of shape (B, 1), and whether the data are a single sample.

        Args:
            data: A dictionary or a data frame.
            names: Names of the columns.
            fill: Whether to fill missing values instead of dropping them.
        """
        found: dict[str, np.ndarray] = {}
        shapes: dict[str, tuple[int, ...]] = {}
        for name, values in named_columns(data, names, self._label()).items():
            dtype = "int64" if self.features[name].dtype == "int32" else self.features[name].dtype
            array, missing = column(values, dtype, self._owner(name))
            shapes[name] = array.shape
            if array.ndim > 1 and array.shape[1:] != (1,):
                raise ValueError(
                    f"{self._owner(name)}: expected one value per row, received shape"
                    f" {array.shape}."
                )
            array, missing = array.reshape(-1, 1), missing.reshape(-1)
            if fill and missing.any():
                self._check_missing(name, missing)
            found[name] = array if fill else array[~missing]
        lengths = {name: shape[:1] for name, shape in shapes.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(
                f"{self._label()}: the columns have different numbers of rows: shapes {shapes}."
            )
        return found, all(shape == () for shape in shapes.values())

    def _check_missing(self, name: str, missing: np.ndarray) -> None:
        """Raise an error if missing numbers would make the outputs NaN."""
        feature = self.features[name]
        if feature.kind.startswith("float") and feature.kind != "float_normalized":
            raise ValueError(
                f"{self._owner(name)}: the value in row {int(missing.argmax())} is missing. Fill"
                " missing numbers, or use `float_normalized`, which replaces them with the mean."
            )

    # --- encoding -----------------------------------------------------------------------------

    def __call__(self, data: Any) -> Any:
        """Encode a single sample or a batch.

        Args:
            data: A dictionary of columns or of single values, a data frame, or a dictionary of
                symbolic tensors.

        Returns:
            A vector, or a dictionary by feature. The arrays have a batch axis unless `data` is a
            single sample.

        Raises:
            ValueError: If the space is not adapted, a column is missing, or its values have a wrong
                type.
        """
        return self.call(data)

    @older_words(inputs="data")
    def call(self, data: Any) -> Any:
        """Encode a single sample or a batch, as `__call__` does."""
        if hasattr(data, "to_dict") and not is_frame(data):  # a row of a pandas data frame
            data = data.to_dict()
        if not isinstance(data, Mapping) and not is_frame(data):
            raise ValueError(
                f"{self._label()}: the data must be a dictionary of columns or a data frame,"
                f" received {errors.describe(data)}."
            )
        encoded = self._encoded()
        assert self._graph is not None
        chosen = named_columns(data, self.features, self._label())
        single = False
        if any(isinstance(x, KerasTensor) for x in chosen.values()):
            values: list[Any] = list(chosen.values())
        else:
            columns, single = self._columns(data, self.features, fill=True)
            values = list(columns.values())
        outputs = self._graph.run(values)
        if single:
            outputs = [x[0] for x in outputs]
        return dict(zip(encoded, outputs, strict=True)) if self._is_dict else outputs[0]

    def get_inputs(self) -> dict[str, KerasTensor]:
        """Return the symbolic inputs by column name, for use as the inputs of a model.

        Raises:
            ValueError: If the space is not adapted.
        """
        self._encoded()
        return dict(self.inputs)

    def get_encoded_features(self) -> Any:
        """Return the symbolic encoding of the tensors of `get_inputs`.

        Raises:
            ValueError: If the space is not adapted.
        """
        return self._encoded()

    @property
    def _is_dict(self) -> bool:
        return self.output_mode == "dict"

    def _encoded(self) -> Any:
        """Return the symbolic encoding of the inputs. The first call makes it."""
        if self._graph is None:
            if not self.built:
                raise ValueError(f"{self._label()} is not adapted. Call `adapt` first.")
            found = self._encode(self.inputs)
            self.encoded_features = found
            outputs = list(found.values()) if self._is_dict else [found]
            self._graph = Graph(list(self.inputs.values()), outputs)
        return self.encoded_features

    def _encode(self, inputs: Mapping[str, KerasTensor]) -> Any:
        """Encode symbolic columns, and keep the one-hot encoders."""
        processed = {name: f.preprocessor(inputs[name]) for name, f in self.features.items()}
        crossed: dict[str, Any] = {}
        for cross in self._given_crosses:
            for name in cross.feature_names:
                if is_float(processed[name].dtype):
                    raise ValueError(
                        f"{self._label()}: the cross {cross.name!r} needs categories or bins, but"
                        f" the feature {name!r} ({self.features[name].kind}) returns floats. Use"
                        " `float_discretized`."
                    )
            crossed[cross.name] = self.crossers[cross.name](
                [processed[name] for name in cross.feature_names]
            )
        encoders: dict[str, Any] = {}
        encoded = {
            name: self._form(name, x, self.features[name], encoders)
            for name, x in sorted(processed.items())
        }
        for name, x in sorted(crossed.items()):
            cross = self.crosses_by_name[name]
            part = Feature("int32", self.crossers[name], cross.output_mode)
            encoded[name] = self._form(name, x, part, encoders)
        self.one_hot_encoders = encoders
        return encoded if self._is_dict else self._joined(encoded)

    def _form(self, name: str, x: Any, feature: Feature, encoders: dict[str, Any]) -> Any:
        """Convert a preprocessed column to the feature's `output_mode`."""
        if feature.output_mode != "one_hot":
            # Missing numbers arrive as NaN. The mean is 0.
            return ops.nan_to_num(x) if feature.kind == "float_normalized" else x
        if not str(x.dtype).startswith(("int", "uint")):
            raise ValueError(
                f"{self._label()}: the preprocessor of feature {name!r} must return integers for"
                f" `output_mode='one_hot'`, but it returns {x.dtype}."
            )
        size = _number_of_categories(feature.preprocessor)
        if size is None:
            raise ValueError(
                f"{self._label()}: the feature {name!r} has `output_mode='one_hot'`, but the number"
                " of integers that its preprocessor returns is unknown. Use `output_mode='int'`."
            )
        encoders[name] = CategoryEncoding(size, output_mode="multi_hot")
        return encoders[name](x)

    def _joined(self, encoded: Mapping[str, Any]) -> Any:
        for name, x in encoded.items():
            if not is_float(x.dtype):
                raise ValueError(
                    f"{self._label()}: the features cannot be concatenated, because {name!r}"
                    f" returns integers ({x.dtype}). Use `output_mode='one_hot'` for the feature,"
                    " or `output_mode='dict'` for the space."
                )
        self.concat = TFDConcat(axis=-1)
        return self.concat(list(encoded.values()))

    # --- display and files ----------------------------------------------------------------------

    def __str__(self) -> str:
        return table(self, self._notes)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {
            "features": {name: configuration.serialize(f) for name, f in self.features.items()},
            "output_mode": self.output_mode,
            "crosses": [configuration.serialize(cross) for cross in self._given_crosses],
            "crossing_dim": self.crossing_dim,
            "hashing_dim": self.hashing_dim,
            "num_discretization_bins": self.num_discretization_bins,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> FeatureSpace:
        """Make a space from the result of `get_config`. It is not adapted."""
        return cls(**config)

    def get_build_config(self) -> dict[str, Any]:
        """Return the build configuration of each preprocessor, by feature."""
        return {
            name: getattr(layer, "get_build_config", dict)() or {}
            for name, layer in self.preprocessors.items()
        }

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build the preprocessors. Their learned state is loaded from the file afterwards."""
        for name, build in config.items():
            if build and name in self.preprocessors:
                self.preprocessors[name].build_from_config(build)
        self.built = True

    def save(self, filepath: FilePath) -> None:
        """Save the space with its learned state. `hornbeam.models.load_model` loads the file.

        Args:
            filepath: Path that ends in `.keras`.
        """
        saving.save_model(self, filepath)  # type: ignore[arg-type]  # any layer works


_KINDS = (
    "float", "float_rescaled", "float_normalized", "float_discretized", "integer_categorical",
    "string_categorical", "string_hashed", "integer_hashed",
)  # fmt: skip


class _Features(dict[str, Feature]):
    """Features of a space, which can be set and removed before `adapt`."""

    def __init__(self, space: FeatureSpace):
        super().__init__()
        self._space = space

    def __reduce__(self) -> Any:  # by default, items are set before the space is restored
        return _features, (self._space, dict(self))

    def __setitem__(self, name: str, feature: Any) -> None:
        before = dict(self)
        super().__setitem__(name, self._space._as_feature(name, feature))
        self._changed(before)

    def __delitem__(self, name: str) -> None:
        before = dict(self)
        super().__delitem__(name)
        self._changed(before)

    def _changed(self, before: Mapping[str, Feature]) -> None:
        try:
            self._space.changed()
        except ValueError:
            self.clear()
            super().update(before)
            raise


def _features(space: FeatureSpace, items: Mapping[str, Feature]) -> _Features:
    """Make the features of a copied or unpickled space."""
    features = _Features(space)
    dict.update(features, items)
    return features


def _number_of_categories(layer: Any) -> int | None:
    """Return the number of integers that a preprocessor may return, or `None` if it is unknown."""
    if isinstance(layer, IndexLookup):
        return layer.vocabulary_size()
    if isinstance(layer, Discretization):
        return len(layer.bin_boundaries or ()) + 1
    return layer.num_bins if isinstance(layer, (Hashing, HashedCrossing)) else None


SPACES = Family("feature space", FeatureSpace, "keras.utils", globals(), takes_functions=False)
