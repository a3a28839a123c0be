"""What all networks share: the check of their arguments, their input, their end, their weights."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from hornbeam import errors
from hornbeam.applications.blocks import torch_conventions
from hornbeam.applications.torch_files import find_torch_file
from hornbeam.applications.weights import Weights, check_weights, load
from hornbeam.config import image_data_format
from hornbeam.core.initial import delayed_values
from hornbeam.core.tensor import KerasTensor
from hornbeam.layers import Dense, GlobalAveragePooling2D, GlobalMaxPooling2D, Input, Layer
from hornbeam.layers.arguments import positive_integer
from hornbeam.models import Model
from hornbeam.typing import Shape, Tensor
from hornbeam.utils.graphs import get_source_inputs

__all__ = ["Network", "height_of", "side_of", "variant"]

_POOLINGS: dict[str, type[Layer]] = {"avg": GlobalAveragePooling2D, "max": GlobalMaxPooling2D}

_DOCUMENTATION = """{summary}

    Args:
        include_top: Whether the network ends with its classifier. Without it, the outputs are the
            features of the last block.
        weights: `"imagenet"` (downloaded once), `None` (random), or the path of a file with
            weights: `.h5`, `.weights.h5`, `.keras` or `.safetensors`, also of torchvision; for some
            families `"hf://owner/name"`, or a folder with `config.json` and `model.safetensors`.
        input_tensor: Symbolic tensor of images. Default: a new `Input`.
        input_shape: Shape of an image, without the batch axis. Default: the network's own size
            with the top, any size without it.
        pooling: `"avg"` or `"max"` pools the features over the image, if there is no top.
        classes: Number of classes of the top.
        classifier_activation: Activation of the top; `None` gives logits.
        name: Name of the model.{others}

    Returns:
        A `Model`.

    Raises:
        ValueError: If an argument is wrong, or the weights do not fit the network.
        OSError: If the weights cannot be downloaded.

    Example:
        >>> model = {title}(weights=None, classes=10)
        >>> model.output_shape
        (None, 10)
    """


def variant(
    family: Callable[..., Model], title: str, others: str = "", **defaults: Any
) -> Callable[..., Model]:
    """Return one network of a family as a public function, with a signature and a docstring.

    Args:
        family: Function that builds a network. Its first argument is the network's `title`; the
            first paragraph of its docstring is the network's.
        title: Public name of the network, such as `"ResNet50"`.
        others: Descriptions of the arguments that only this family has.
        **defaults: Defaults of arguments, where they are other than the family's.
    """
    signature = inspect.signature(family)
    _, *parameters = signature.parameters.values()
    parameters = [p.replace(default=defaults.get(p.name, p.default)) for p in parameters]
    known = [p.name for p in parameters]

    @functools.wraps(family)
    def network(*args: Any, **kwargs: Any) -> Model:
        if not set(known).issuperset(kwargs):
            raise errors.unexpected(title, set(kwargs) - set(known), known)
        options = {**defaults, **dict(zip(known, args, strict=False)), **kwargs}
        if len(args) > len(known):
            return family(title, *args, **kwargs)  # raises
        file = find_torch_file(title, options.get("weights"))
        if file is not None:
            options["weights"] = file
        # Weights from a file replace the random ones, which take longer than the rest.
        with delayed_values(), torch_conventions(file is not None and file.like_torch):
            return family(title, **options)

    network.__name__ = network.__qualname__ = title
    network.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # functions have it
    summary = (family.__doc__ or "").partition("\n\n")[0].strip()
    network.__doc__ = _DOCUMENTATION.format(summary=summary, others=others, title=title)
    return network


class Network:
    """The frame around a network's blocks.

    A family's function makes one of its arguments, builds on `image`, and returns `model(x)` of the
    result. The constructor checks all arguments, so nothing is built if one is wrong.

    Args:
        title: Public name of the network, for errors.
        arguments: The arguments of the family's function by name, its `locals()`.
        size: Height and width of the images that the published weights were trained on.
        smallest: Smallest height and width.
        any_size: Whether the network takes images of any size with the top, too.
        own_size: Whether the default without the top is the network's own size too, because sizes
            decide which layers it has.
        weights: The published weights; `None` if there are none for these arguments.

    Attributes:
        image: Symbolic tensor of images.
        include_top, classes, weights: As in the arguments.
    """

    def __init__(
        self,
        title: str,
        arguments: Mapping[str, Any],
        *,
        size: int,
        smallest: int = 32,
        any_size: bool = False,
        own_size: bool = False,
        weights: Weights | None = None,
    ):
        self.title, self._published = title, weights
        self._any_size, self._own_size = any_size, own_size
        self.include_top: bool = bool(arguments["include_top"])
        self.weights: Any = arguments["weights"]
        self.classes = positive_integer(title, "classes", arguments["classes"])
        self._pooling, self._activation = (
            arguments["pooling"],
            arguments["classifier_activation"],
        )
        self.name: str | None = arguments["name"]
        if self._pooling not in (None, *_POOLINGS):
            raise ValueError(
                f"{title}: `pooling` must be 'avg', 'max' or None, received {self._pooling!r}."
            )
        check_weights(title, self.weights, weights, self.include_top)
        if self.include_top:
            self._check_top()
        self.image = self._image(
            arguments["input_tensor"], arguments["input_shape"], size, smallest
        )

    def _check_top(self) -> None:
        if self.weights == "imagenet" and self.classes != 1000:
            raise ValueError(
                f"{self.title}: the weights 'imagenet' have 1000 classes, received"
                f" `classes={self.classes}`. Pass `include_top=False` and add your own `Dense`"
                " layer, or `weights=None`."
            )
        if self.weights is not None and self._activation not in (None, "softmax"):
            raise ValueError(
                f"{self.title}: `classifier_activation` must be 'softmax' or None for trained"
                f" weights, received {self._activation!r}. Pass None, which gives logits, and apply"
                " your activation to the output."
            )

    def _image(self, tensor: Any, shape: Any, size: int, smallest: int) -> KerasTensor:
        """Return the symbolic images, of a shape that the network can take."""
        first = image_data_format() == "channels_first"
        own = (3, size, size) if first else (size, size, 3)
        if tensor is not None:
            if not isinstance(tensor, KerasTensor):
                raise ValueError(
                    f"{self.title}: `input_tensor` must be symbolic, such as `Input(shape)`,"
                    f" received {errors.describe(tensor)}. Call the finished model on arrays."
                )
            self._check_shape("input_tensor", tensor.shape[1:], own, smallest)
            return tensor
        if shape is None:
            anything: Shape = (3, None, None) if first else (None, None, 3)
            fixed = self.include_top and not self._any_size or self._own_size
            return Input(own if fixed else anything)
        self._check_shape("input_shape", shape, own, smallest)
        shape = tuple(shape)
        fixed = self.include_top and not self._any_size
        if fixed and self.weights == "imagenet" and shape != own:
            raise ValueError(
                f"{self.title}: with `include_top=True` and `weights='imagenet'`, `input_shape`"
                f" must be {own}, received {shape}. Leave it out, or pass `include_top=False`."
            )
        if fixed and None in shape:
            raise ValueError(
                f"{self.title}: with `include_top=True`, all sizes of `input_shape` must be known,"
                f" received {shape}. Pass a size, such as {own}, or `include_top=False`."
            )
        return Input(shape)

    def _check_shape(self, argument: str, shape: Any, own: Shape, smallest: int) -> None:
        """Raise an error if images of a shape do not fit the network or its weights."""
        three = isinstance(shape, (tuple, list)) and len(shape) == 3
        if not three or not all(
            n is None or isinstance(n, (int, np.integer)) and n > 0 for n in shape
        ):
            raise ValueError(
                f"{self.title}: `{argument}` must have three sizes for an image, such as {own},"
                f" received {shape!r}."
            )
        channels, *sides = shape if own[0] == 3 else (shape[2], shape[0], shape[1])
        if any(side is not None and side < smallest for side in sides):
            raise ValueError(
                f"{self.title}: images must have at least {smallest} by {smallest} pixels, received"
                f" `{argument}` of shape {tuple(shape)}. Resize them, for example by `Resizing`."
            )
        if channels is None:
            raise ValueError(
                f"{self.title}: the number of channels must be known, received `{argument}` of"
                f" shape {tuple(shape)}."
            )
        if self.weights == "imagenet" and channels != 3:
            raise ValueError(
                f"{self.title}: the weights 'imagenet' are for 3 channels, received `{argument}` of"
                f" shape {tuple(shape)}. Pass 3 channels, or `weights=None`."
            )

    def pooled(self, x: Tensor, named: bool = True) -> Tensor:
        """Return the features, pooled as `pooling` says.

        Args:
            x: Features of the last block.
            named: Whether the layer is named `avg_pool` or `max_pool`, not by its class.
        """
        if self._pooling is None:
            return x
        return _POOLINGS[self._pooling](name=f"{self._pooling}_pool" if named else None)(x)

    def predictions(self, x: Tensor, **options: Any) -> Tensor:
        """Return the classes' scores for vectors of features."""
        options = {"name": "predictions", **options}
        return Dense(self.classes, activation=self._activation, **options)(x)

    def end(self, x: Tensor, named: bool = True) -> Tensor:
        """Return the classifier of pooled features or, without the top, the pooled features."""
        if not self.include_top:
            return self.pooled(x, named)
        return self.predictions(GlobalAveragePooling2D(name="avg_pool")(x))

    def model(self, outputs: Tensor) -> Model:
        """Return the model that ends with `outputs`, with its weights."""
        model = Model(get_source_inputs(self.image)[0], outputs, name=self.name)
        load(self.title, model, self.weights, self._published, self.include_top)
        return model


def side_of(shape: Any, sides: Sequence[int]) -> int:
    """Return the side of the images whose published weights suit `input_shape`.

    Args:
        shape: The argument `input_shape`.
        sides: Sides of the images that there are weights for. The last is the default.
    """
    if not isinstance(shape, (tuple, list)) or len(shape) != 3:
        return sides[-1]
    height, width = shape[1:] if image_data_format() == "channels_first" else shape[:-1]
    return height if height == width and height in sides else sides[-1]


def height_of(shape: Any, side: int, weights: Any) -> int:
    """Return the height in the name of a MobileNet: of its images, or of those of its weights."""
    if weights == "imagenet" or not isinstance(shape, (tuple, list)) or len(shape) != 3:
        return side
    return shape[1] if image_data_format() == "channels_first" else shape[0]
