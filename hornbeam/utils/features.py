"""Features, crosses and layers of a `FeatureSpace`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hornbeam import errors
from hornbeam.core.naming import auto_name
from hornbeam.layers import (
    Concatenate,
    Discretization,
    Hashing,
    Identity,
    IntegerLookup,
    Layer,
    Normalization,
    Rescaling,
    StringLookup,
)
from hornbeam.objects import configuration
from hornbeam.objects.family import Family

__all__ = ["Cross", "Feature", "FeatureMakers", "TFDConcat", "TFDIdentity", "check_mode"]

_MODES = ("int", "one_hot", "float")


def check_mode(owner: str, mode: Any, modes: Sequence[str]) -> str:
    """Return `mode`, or raise an error if it is not one of `modes`."""
    if mode not in modes:
        raise ValueError(
            f"{owner}: `output_mode` must be one of {errors.listed(modes)}, received {mode!r}."
        )
    return mode


class TFDIdentity(Identity):
    """Preprocessor of `FeatureSpace.float`, named as in Keras's files.

    Example:
        >>> TFDIdentity(name="same").name
        'same'
    """


class TFDConcat(Concatenate):
    """Layer that concatenates the encoded features of a `FeatureSpace`, named as in Keras's files.

    Args:
        axis: Axis to concatenate along.

    Example:
        >>> TFDConcat(axis=-1).axis
        -1
    """


class Feature:
    """Encoding of a column. The methods of `FeatureSpace` make features.

    Args:
        dtype: Dtype of the column: `"float32"`, `"int32"` or `"string"`.
        preprocessor: Layer or function that encodes a column of shape (B, 1).
        output_mode: `"one_hot"` to encode the integers that the preprocessor returns as one-hot
            vectors. `"int"` or `"float"` to use its result unchanged.

    Raises:
        ValueError: If `output_mode` is not supported, or `preprocessor` is not callable.

    Example:
        >>> from hornbeam.layers import Rescaling
        >>> Feature("float32", Rescaling(0.5), "float").kind
        'float_rescaled'
    """

    def __init__(self, dtype: str, preprocessor: Layer | Callable[[Any], Any], output_mode: str):
        self.output_mode = check_mode("FeatureSpace.feature", output_mode, _MODES)
        if isinstance(preprocessor, Mapping):
            preprocessor = configuration.deserialize(preprocessor)
        if not callable(preprocessor):
            raise ValueError(
                "FeatureSpace.feature: `preprocessor` must be a layer or a function, received"
                f" {errors.describe(preprocessor)}."
            )
        self.dtype: str = dtype
        self.preprocessor: Any = preprocessor

    @property
    def kind(self) -> str:
        """The name of the `FeatureSpace` method that makes this kind of feature."""
        if type(self.preprocessor) is Hashing:
            return "string_hashed" if self.dtype == "string" else "integer_hashed"
        return _KINDS.get(type(self.preprocessor), "feature")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {
            "dtype": self.dtype,
            "preprocessor": configuration.serialize(self.preprocessor),
            "output_mode": self.output_mode,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Feature:
        """Make a feature from the result of `get_config`."""
        return cls(**config)


_KINDS: dict[type, str] = {
    TFDIdentity: "float",
    Rescaling: "float_rescaled",
    Normalization: "float_normalized",
    Discretization: "float_discretized",
    IntegerLookup: "integer_categorical",
    StringLookup: "string_categorical",
}


class Cross:
    """Cross of features, which hashes each combination of their values to a bin.

    Args:
        feature_names: Names of at least two features of strings, integers or bins.
        crossing_dim: Number of bins.
        output_mode: `"one_hot"` or `"int"`. Default: `"one_hot"`.

    Raises:
        ValueError: If an argument has an invalid value.

    Example:
        >>> Cross(("city", "month"), crossing_dim=32).name
        'city_X_month'
    """

    def __init__(
        self, feature_names: Sequence[str], crossing_dim: int, output_mode: str = "one_hot"
    ):
        self.output_mode = check_mode("FeatureSpace.cross", output_mode, ("int", "one_hot"))
        if isinstance(feature_names, str) or len(feature_names) < 2:
            raise ValueError(
                "FeatureSpace.cross: `feature_names` must be at least two names, received"
                f" {feature_names!r}."
            )
        if isinstance(crossing_dim, bool) or not isinstance(crossing_dim, int) or crossing_dim < 1:
            raise ValueError(
                "FeatureSpace.cross: `crossing_dim` must be a positive integer, received"
                f" {crossing_dim!r}."
            )
        self.feature_names, self.crossing_dim = tuple(feature_names), crossing_dim

    @property
    def name(self) -> str:
        """The names of the features, joined with `_X_`."""
        return "_X_".join(self.feature_names)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            "feature_names": self.feature_names,
            "crossing_dim": self.crossing_dim,
            "output_mode": self.output_mode,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Cross:
        """Make a cross from the result of `get_config`."""
        return cls(**config)


class FeatureMakers:
    """The methods of `FeatureSpace` that make features and crosses."""

    @classmethod
    def cross(
        cls, feature_names: Sequence[str], crossing_dim: int, output_mode: str = "one_hot"
    ) -> Cross:
        """Return a cross of features, which hashes each combination of their values to a bin.

        Args:
            feature_names: Names of at least two features of strings, integers or bins.
            crossing_dim: Number of bins.
            output_mode: `"one_hot"` or `"int"`. Default: `"one_hot"`.
        """
        return Cross(feature_names, crossing_dim, output_mode)

    @classmethod
    def feature(cls, dtype: str, preprocessor: Any, output_mode: str) -> Feature:
        """Return a feature with a custom preprocessing layer or function.

        Args:
            dtype: Dtype of the column: `"float32"`, `"int32"` or `"string"`.
            preprocessor: Layer or function that encodes a column of shape (B, 1). If it is a layer
                that can be adapted, `adapt` of the space adapts it.
            output_mode: `"one_hot"` to encode the integers that the preprocessor returns as one-hot
                vectors. `"int"` or `"float"` to use its result unchanged.
        """
        return Feature(dtype, preprocessor, output_mode)

    @classmethod
    def float(cls, name: str | None = None) -> Feature:
        """Return a feature for numbers that stay unchanged.

        Args:
            name: Name of the preprocessor, without its suffix. Default: `"float"`, numbered.
        """
        return Feature("float32", TFDIdentity(name=_layer_name(name, "float")), "float")

    @classmethod
    def float_rescaled(
        cls, scale: Any = 1.0, offset: Any = 0.0, name: str | None = None
    ) -> Feature:
        """Return a feature for numbers, which become `x * scale + offset`.

        Args:
            scale, offset: Numbers. Default: 1 and 0.
            name: Name of the preprocessor, without its suffix.
        """
        layer = Rescaling(scale, offset, name=_layer_name(name, "float_rescaled"))
        return Feature("float32", layer, "float")

    @classmethod
    def float_normalized(cls, name: str | None = None) -> Feature:
        """Return a feature for numbers, which are normalized to mean 0 and variance 1.

        Args:
            name: Name of the preprocessor, without its suffix.
        """
        layer = Normalization(axis=-1, name=_layer_name(name, "float_normalized"))
        return Feature("float32", layer, "float")

    @classmethod
    def float_discretized(
        cls, num_bins: int | None, bin_boundaries: Sequence[Any] | None = None,
        output_mode: str = "one_hot", name: str | None = None,
    ) -> Feature:  # fmt: skip
        """Return a feature for numbers, which are assigned to bins by their size.

        Args:
            num_bins: Number of bins. `adapt` chooses the boundaries.
            bin_boundaries: The boundaries in ascending order. If given, `num_bins` may be `None`.
            output_mode: `"one_hot"` or `"int"`. Default: `"one_hot"`.
            name: Name of the preprocessor, without its suffix.
        """
        if bin_boundaries is not None and num_bins == len(bin_boundaries) + 1:
            num_bins = None
        layer = Discretization(
            bin_boundaries, num_bins, name=_layer_name(name, "float_discretized")
        )
        return Feature("float32", layer, output_mode)

    @classmethod
    def integer_categorical(
        cls, max_tokens: int | None = None, num_oov_indices: int = 1,
        output_mode: str = "one_hot", name: str | None = None,
    ) -> Feature:  # fmt: skip
        """Return a feature for integers that are categories. `adapt` learns the categories.

        Args:
            max_tokens: Maximum number of categories, including unknown ones. Default: no limit.
            num_oov_indices: Number of categories for unknown integers. Default: 1.
            output_mode: `"one_hot"` or `"int"`. Default: `"one_hot"`.
            name: Name of the preprocessor, without its suffix.
        """
        layer = IntegerLookup(
            max_tokens, num_oov_indices, name=_layer_name(name, "integer_categorical")
        )
        return Feature("int32", layer, output_mode)

    @classmethod
    def string_categorical(
        cls, max_tokens: int | None = None, num_oov_indices: int = 1,
        output_mode: str = "one_hot", name: str | None = None,
    ) -> Feature:  # fmt: skip
        """Return a feature for strings that are categories. `adapt` learns the categories.

        Args:
            max_tokens, num_oov_indices, output_mode, name: As in `integer_categorical`.
        """
        layer = StringLookup(
            max_tokens, num_oov_indices, name=_layer_name(name, "string_categorical")
        )
        return Feature("string", layer, output_mode)

    @classmethod
    def string_hashed(
        cls, num_bins: int, output_mode: str = "one_hot", name: str | None = None
    ) -> Feature:
        """Return a feature for strings, which are assigned to bins by their hash.

        Args:
            num_bins: Number of bins.
            output_mode: `"one_hot"` or `"int"`. Default: `"one_hot"`.
            name: Name of the preprocessor, without its suffix.
        """
        layer = Hashing(num_bins, name=_layer_name(name, "string_hashed"))
        return Feature("string", layer, output_mode)

    @classmethod
    def integer_hashed(
        cls, num_bins: int, output_mode: str = "one_hot", name: str | None = None
    ) -> Feature:
        """Return a feature for integers, which are assigned to bins by their hash.

        Args:
            num_bins, output_mode, name: As in `string_hashed`.
        """
        layer = Hashing(num_bins, name=_layer_name(name, "integer_hashed"))
        return Feature("int32", layer, output_mode)


def _layer_name(name: str | None, kind: str) -> str:
    """Return the name of a preprocessor, as in Keras."""
    return f"{name.replace('/', '_') if name else auto_name(kind)}_preprocessor"


FEATURES = Family(
    "part of a feature space", (Feature, Cross, Layer),
    "keras.src.layers.preprocessing.feature_space", globals(), takes_functions=False,
)  # fmt: skip
