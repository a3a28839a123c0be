"""`Model`: a layer that can be compiled, trained, saved and shown.

What a model is stands here; what training does stands in `hornbeam.training`,
reading and writing files in `hornbeam.saving`. Both are loaded where used.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from hornbeam import errors, tree
from hornbeam.core.tensor import KerasTensor
from hornbeam.core.variable import current_overlay
from hornbeam.layers.call_scope import inside_call
from hornbeam.layers.layer import Layer
from hornbeam.layers.state import changes
from hornbeam.models.files import ModelFiles
from hornbeam.models.generator_loops import GeneratorLoops
from hornbeam.models.state import ModelState

__all__ = ["Model"]


class Model(GeneratorLoops, ModelFiles, ModelState, Layer):
    """A layer with a training loop, an evaluation, a prediction and files.

    Made in three ways: `Model(inputs, outputs)` from a graph of symbolic tensors, a subclass
    with `call`, or `Sequential`.

    Args:
        inputs: Symbolic tensor from `Input`, or a list or dict of them.
        outputs: Symbolic tensor, list or dict of them, computed from `inputs`.
        trainable: Whether optimizers change its variables.
        dtype: Dtype name or policy of layers that have none of their own.
        name: Name.

    Example:
        >>> import hornbeam as hb
        >>> x = hb.Input((4,))
        >>> model = hb.Model(x, hb.layers.Dense(2)(x))
        >>> model.output_shape
        (None, 2)
    """

    _not_children = Layer._not_children | {
        "optimizer",
        "_compiled",
        "_programs",
        "_own_code",
        "_held_metrics",
        "history",
    }

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls is Model and _is_functional_call(args, kwargs):
            from hornbeam.models.functional import Functional

            # Python runs `__init__` itself only where the class asked for is an ancestor.
            return super().__new__(Functional, *args, **kwargs)
        return super().__new__(cls, *args, **kwargs)

    def __init__(self, *args: Any, **kwargs: Any):
        if _is_functional_call(args, kwargs) and not hasattr(self, "_graph_given"):
            # A subclass that calls super().__init__(inputs, outputs) is a functional model.
            from hornbeam.models.functional import become_functional

            become_functional(self, *args, **kwargs)
            return
        if args:
            raise TypeError(
                f"{type(self).__name__}: expected `inputs` and `outputs`, or keyword arguments, "
                f"received {errors.describe(args)}."
            )
        super().__init__(**kwargs)
        self._start()

    def _start(self) -> None:
        """Set what every kind of model has before it is compiled."""
        self.optimizer: Any = None
        self._compiled: Any = None
        self._programs: dict[str, Any] = {}
        self.stop_training = False
        self.history: Any = None
        self.train_function = self.test_function = self.predict_function = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the outputs: compiled where the model runs no code of a user's that could notice."""
        if len(args) == 1 and not (kwargs and (len(kwargs) > 1 or kwargs.get("training", True))):
            if isinstance(args[0], (np.ndarray, jax.Array)) and self._calls_compiled(args[0]):
                from hornbeam.training.loop import call_compiled

                return call_compiled(self, args[0])
        return super().__call__(*args, **kwargs)

    def _calls_compiled(self, x: Any) -> bool:
        if not self.built or self.run_eagerly or isinstance(x, jax.core.Tracer):
            return False
        if current_overlay() is not None or inside_call():
            return False
        known = self.__dict__.get("_own_code")
        if known is None or known[0] != changes.count:
            from hornbeam.training.padding import runs_own_code

            known = (changes.count, runs_own_code(self))
            self._own_code = known
        return known[1]

    # --- structure -----------------------------------------------------------------------

    @property
    def layers(self) -> list[Layer]:
        """Direct layers, in the order in which they were added."""
        return self._layers

    @layers.setter
    def layers(self, _: Any) -> None:
        raise AttributeError("`Model.layers` is reserved; use another name for your own list.")

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return a layer by name or by index.

        Raises:
            ValueError: If none or both are given, or no such layer exists.
        """
        if (name is None) == (index is None):
            raise ValueError("get_layer: give either `name` or `index`.")
        layers = self.layers
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise ValueError(f"get_layer: `index` {index} is out of range; {len(layers)} layers exist.")
            return layers[index]
        for layer in layers:
            if layer.name == name:
                return layer
        raise errors.unknown_name(f"layer in model '{self.name}':", name, [x.name for x in layers])

    def _label(self) -> str:
        return f"Model '{self.path}' ({type(self).__name__})"

    def build(self, input_shape: Any = None) -> None:
        """Create the variables for inputs of a shape, by tracing a call.

        Args:
            input_shape: Shape with the batch axis, or a structure of shapes.

        Raises:
            ValueError: If `call` fails for such inputs.
        """
        from hornbeam.layers.shapes import tensors_of

        if input_shape is not None and type(self).call is not Layer.call and not self._flat_built():
            tensors = tensors_of(input_shape, self.compute_dtype)
            many = isinstance(tensors, list) and len(_positional(type(self).call)) > 1
            self.compute_output_spec(*(tensors if many else [tensors]))
        self.built = True

    def _flat_built(self) -> bool:
        below = self._flatten_layers(include_self=False)
        return bool(below) and all(layer.built for layer in below)

    def _ensure_built(self, args: tuple, kwargs: dict[str, Any]) -> None:
        if not self.built and type(self).build is Model.build:
            # Layers inside `call` build themselves at the first call.
            shapes, _ = self._shapes_for_build(args, kwargs)
            from hornbeam.layers.shapes import shape_to_config

            self._build_shapes = {"input_shape": shape_to_config(shapes[0])} if shapes else None
            self._path = self._path or self.name
            self.built = True
            return
        super()._ensure_built(args, kwargs)

    def summary(
        self,
        line_length: int | None = None,
        positions: Sequence[float] | None = None,
        print_fn: Callable[..., Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Sequence[str] | None = None,
    ) -> None:
        """Print a table of layers, output shapes and numbers of parameters.

        Args:
            line_length: Width in characters. Default: fits the table, at most the terminal.
            positions: Relative or absolute positions of column ends.
            print_fn: Takes each line instead of `print`.
            expand_nested: Whether layers of nested models are listed.
            show_trainable: Whether a column tells what is trainable.
            layer_range: Names (or patterns) of the first and the last layer to list.
        """
        from hornbeam.models.summary import print_summary

        print_summary(self, line_length, positions, print_fn, expand_nested, show_trainable, layer_range)

    # --- compiling -------------------------------------------------------------------------

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        metrics: Any = None,
        loss_weights: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
        **kwargs: Any,
    ) -> None:
        """Choose optimizer, loss and metrics.

        Args:
            optimizer: Name or object.
            loss: Name, function or `Loss`; for several outputs a list or dict of them.
            metrics: List of names, functions or `Metric`s; for several outputs a list of
                lists, or a dict.
            loss_weights: Weight of each output's loss: list or dict of numbers.
            weighted_metrics: Like `metrics`; these take `sample_weight` into account.
            run_eagerly: Whether steps run uncompiled, for debugging.
            steps_per_execution: Steps in one compiled program.
            jit_compile: `"auto"` or true: compiled. False: compiled too, since JAX has no
                other compiled mode; use `run_eagerly` to debug.
            auto_scale_loss: Whether float16 policies get a `LossScaleOptimizer`.

        Raises:
            ValueError: If a name is unknown or a structure does not fit the outputs.
        """
        from hornbeam.training.compile import compile_model

        compile_model(
            self,
            optimizer=optimizer,
            loss=loss,
            metrics=metrics,
            loss_weights=loss_weights,
            weighted_metrics=weighted_metrics,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            jit_compile=jit_compile,
            auto_scale_loss=auto_scale_loss,
            **kwargs,
        )

    @property
    def compiled(self) -> bool:
        return self._compiled is not None

    def _need_compiled(self, what: str) -> Any:
        if self._compiled is None:
            raise ValueError(
                f"{self._label()}: `{what}` needs a compiled model. Call "
                "`model.compile(optimizer=..., loss=...)` first."
            )
        return self._compiled

    @property
    def loss(self) -> Any:
        """The loss as given to `compile`."""
        return self._compiled.arguments["loss"] if self._compiled else None

    @property
    def run_eagerly(self) -> bool:
        return bool(self._compiled and self._compiled.run_eagerly)

    @run_eagerly.setter
    def run_eagerly(self, value: bool) -> None:
        self._need_compiled("run_eagerly").run_eagerly = bool(value)

    @property
    def jit_compile(self) -> bool:
        return not self.run_eagerly

    @property
    def metrics(self) -> list[Any]:
        """Loss tracker, metrics of `compile`, and metrics held by layers."""
        compiled = self._compiled.all_metrics() if self._compiled else []
        known = {id(m) for m in compiled}
        held = self.__dict__.get("_held_metrics")
        if held is None or held[0] != changes.count:
            found = super().metrics
            held = self._held_metrics = (changes.count, found)
        return [*compiled, *(m for m in held[1] if id(m) not in known)]

    @property
    def metrics_names(self) -> list[str]:
        """Names of what `evaluate` returns, in its order."""
        return list(self.get_metrics_result()) if self._compiled else []

    def reset_states(self) -> None:
        """Set the kept states of all recurrent layers with `stateful=True` back to zero, as in Keras 1 and 2."""
        for layer in self._flatten_layers(include_self=False):
            if getattr(layer, "stateful", False) and hasattr(layer, "reset_state"):
                layer.reset_state()

    def reset_metrics(self) -> None:
        """Set all metrics back to their start."""
        for metric in self.metrics:
            metric.reset_state()

    def get_metrics_result(self) -> dict[str, Any]:
        """Return the current value of each metric by name."""
        from hornbeam.training.step import metrics_result

        return metrics_result(self)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None,
        training: bool = True,
    ) -> Any:  # fmt: skip
        """Return the total loss of a batch: the outputs' losses, weighted, plus `self.losses`.

        Override it for a loss that needs more than targets and outputs.
        """
        return self._need_compiled("compute_loss").total_loss(self, y, y_pred, sample_weight)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Update the metrics of `compile` with a batch and return all results by name."""
        self._need_compiled("compute_metrics").update_metrics(self, y, y_pred, sample_weight)
        return self.get_metrics_result()

    # --- steps: override these for custom training --------------------------------------------

    def train_step(self, data: Any) -> dict[str, Any]:
        """Do one step of training; returns results by name.

        Override it for a training step of your own: differentiate with
        `hornbeam.value_and_grad(loss_fn, self.trainable_variables)`, then
        `self.optimizer.apply_gradients(zip(grads, self.trainable_variables))`.

        Args:
            data: The batch as `fit` gets it: `x`, `(x, y)` or `(x, y, sample_weight)`.
        """
        from hornbeam.training.step import train_step

        return train_step(self, data)

    def test_step(self, data: Any) -> dict[str, Any]:
        """Evaluate one batch; returns results by name."""
        from hornbeam.training.step import test_step

        return test_step(self, data)

    def predict_step(self, data: Any) -> Any:
        """Compute the outputs for one batch."""
        from hornbeam.training.step import predict_step

        return predict_step(self, data)

    # --- loops -----------------------------------------------------------------------------------

    def make_train_function(self, force: bool = False) -> Any:
        """Return a function that runs one step of training, and keep it as `train_function`.

        It is `train_function(iterator)`, which takes the next batch and returns results by name; or, in Keras's form
        for JAX, `train_function(state, iterator)`, which returns the new state too. A subclass that overrides this
        method gives `fit` its steps. The state is (trainable, non-trainable, the optimizer's, the metrics') values.

        Args:
            force: Whether it is made anew where it was made before.

        Example:
            >>> import hornbeam as hb
            >>> model = hb.Sequential([hb.Input((3,)), hb.layers.Dense(2)])
            >>> model.compile("sgd", "mse")
            >>> results = model.make_train_function()(iter([(np.ones((4, 3)), np.ones((4, 2)))]))
            >>> list(results)
            ['loss']
        """
        from hornbeam.training.functions import make_function

        return make_function(self, "train", force)

    def make_test_function(self, force: bool = False) -> Any:
        """Return a function that evaluates one batch, and keep it as `test_function`; see `make_train_function`."""
        from hornbeam.training.functions import make_function

        return make_function(self, "test", force)

    def make_predict_function(self, force: bool = False) -> Any:
        """Return a function that predicts one batch, and keep it as `predict_function`; see `make_train_function`."""
        from hornbeam.training.functions import make_function

        return make_function(self, "predict", force)

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = 1,
        resume: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Train for a number of epochs.

        Args:
            x: Inputs: array, list or dict of arrays, pandas frame, generator, or iterable of
                batches `(x, y)` or `(x, y, sample_weight)`.
            y: Targets, like `x`; none where `x` yields them.
            batch_size: Rows a step, default 32.
            epochs: Number of the last epoch.
            verbose: 0 silent, 1 progress bar, 2 a line an epoch; `"auto"`: 1 in a terminal.
            callbacks: List of `Callback`s.
            validation_split: Share of the rows, from the end, kept for validation.
            validation_data: `(x, y)`, `(x, y, sample_weight)`, or an iterable of batches.
            shuffle: Whether rows are shuffled in each epoch.
            class_weight: Weight of the loss by class: `{class: weight}`, or that by output.
            sample_weight: Weight of the loss by row (or row and time step), or that by output.
            initial_epoch: Number of the first epoch.
            steps_per_epoch: Steps that make an epoch. Default: the data's end.
            validation_steps: Steps of a validation.
            validation_batch_size: Default: `batch_size`.
            validation_freq: Epochs from validation to validation, or a list of epochs.
            resume: Folder of backups, from which an interrupted training goes on when the script is run again (see
                `callbacks.BackupAndRestore`); `"auto"`: that of the callback, else one under `.hornbeam`.

        Returns:
            A `History`; its `history` maps names to lists with a value an epoch.

        Raises:
            ValueError: If data, targets and model do not fit, before any step is done.
        """
        from hornbeam.training.loop import fit

        return fit(
            self,
            x,
            y,
            batch_size=batch_size,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_split=validation_split,
            validation_data=validation_data,
            shuffle=shuffle,
            class_weight=class_weight,
            sample_weight=sample_weight,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
            validation_batch_size=validation_batch_size,
            validation_freq=validation_freq,
            resume=resume,
            **kwargs,
        )

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Return loss and metrics on data: a number, a list in the order of `metrics_names`, or a dict.

        Args are those of `fit`; `return_dict` asks for a dict by name.
        """
        from hornbeam.training.loop import evaluate

        return evaluate(self, x, y, batch_size, verbose, sample_weight, steps, callbacks, return_dict, **kwargs)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """Return the outputs for `x` as NumPy arrays, in the structure of the outputs."""
        from hornbeam.training.loop import predict

        return predict(self, x, batch_size, verbose, steps, callbacks)

    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:  # fmt: skip
        """Do one step of training on one batch; returns results as `evaluate` does."""
        from hornbeam.training.loop import on_batch

        return on_batch(self, "train", x, y, sample_weight, class_weight, return_dict)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """Evaluate one batch; returns results as `evaluate` does."""
        from hornbeam.training.loop import on_batch

        return on_batch(self, "test", x, y, sample_weight, None, return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """Return the outputs for one batch as NumPy arrays."""
        from hornbeam.training.loop import predict_on_batch

        return predict_on_batch(self, x)

    # --- quantization -----------------------------------------------------------------------------

    def quantize(
        self, mode: str | None = None, config: Any = None, filters: Any = None, **kwargs: Any
    ) -> None:  # fmt: skip
        """Keep the weights of the layers in fewer bits from now on: those of products and of embeddings.

        Args:
            mode: `"int8"`, `"int4"`, `"float8"`; `"gptq"` and `"awq"` with a `config` that has data to calibrate with.
            config: A `hornbeam.quantizers.QuantizationConfig`. Default: that of the mode.
            filters: A regular expression or a list of them, searched in names and paths of layers, or a function of a
                layer: which layers are quantized. Default: all.
            **kwargs: `type_check=False`: subclasses of layers too, whose `call` may use a weight otherwise.

        Raises:
            ValueError: If the model is not built, a layer is quantized already, or the arguments are no mode.

        Example:
            >>> import hornbeam as hb
            >>> model = hb.Sequential([hb.Input((4,)), hb.layers.Dense(3), hb.layers.Dense(2, name="head")])
            >>> model.quantize("int8", filters="dense")
            >>> [layer.quantization_mode for layer in model.layers]
            ['int8', None]
        """
        from hornbeam.models.quantize import quantize_model

        type_check = kwargs.pop("type_check", True)
        if kwargs:
            raise ValueError(f"{self._label()}: quantize got unexpected arguments {errors.one_of(kwargs)}.")
        quantize_model(self, mode, config, filters, type_check)

    def get_quantization_layer_structure(self, mode: str | None = None) -> dict[str, Any] | None:
        """Return the order of layers for the calibration of `"gptq"` and `"awq"`; a model that has one overrides it.

        Returns:
            A dict of `"pre_block_layers"`, through which inputs go first, and `"sequential_blocks"`; `None` if unknown.
        """
        return None

    @property
    def input_shape(self) -> Any:
        """Shape of the input, `None` where a size is unknown."""
        return _shapes(self.input)

    @property
    def output_shape(self) -> Any:
        """Shape of the output, `None` where a size is unknown."""
        return _shapes(self.output)


def _shapes(tensors: Any) -> Any:
    return tree.map_structure(lambda x: x.shape, tensors)


def _positional(function: Callable[..., Any]) -> list[str]:
    """Names of a method's required arguments."""
    parameters = list(inspect.signature(function).parameters.values())[1:]
    return [p.name for p in parameters if p.kind in (0, 1) and p.default is p.empty]


def _is_functional_call(args: tuple, kwargs: dict[str, Any]) -> bool:
    """Tell whether the arguments of `Model` are a graph, in Keras 1's or today's spelling."""
    inputs = kwargs.get("inputs", kwargs.get("input", args[0] if args else None))
    outputs = kwargs.get("outputs", kwargs.get("output", args[1] if len(args) > 1 else None))
    return _all_symbolic(inputs) and outputs is not None


def _all_symbolic(x: Any) -> bool:
    leaves = tree.flatten(x)
    return bool(leaves) and all(isinstance(leaf, KerasTensor) for leaf in leaves)
