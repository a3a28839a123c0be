"""`Trainable`: a layer that is compiled, trained, evaluated and used for predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hornbeam import errors
from hornbeam.callbacks.callback import Callback
from hornbeam.callbacks.history import History
from hornbeam.core.placement import Placement, placement_scope
from hornbeam.core.structure import structure_version
from hornbeam.core.tracebacks import ShortTraceback
from hornbeam.layers.layer import Layer
from hornbeam.losses.loss import Loss
from hornbeam.optimizers.optimizer import Optimizer
from hornbeam.training.batches import on_batch
from hornbeam.training.compile import Compiled, compile_from_config, compile_model
from hornbeam.training.evaluate import evaluate
from hornbeam.training.fit import fit
from hornbeam.training.iterators import make_function
from hornbeam.training.overrides import standard
from hornbeam.training.predict import predict, predict_on_batch
from hornbeam.training.requests import EvaluateRequest, FitRequest, apply_reader_settings
from hornbeam.training.step import metrics_result, predict_step, test_step, train_step
from hornbeam.typing import ClassWeights, Data, FilePath, Identifier, Structure, Tensor

__all__ = ["Trainable"]


class Trainable(Layer):
    """A layer with a training loop, an evaluation and a prediction: the base of `Model`.

    Attributes:
        optimizer: The optimizer; `None` before `compile`.
        distribution: The distribution that `compile` was given; `None`: that of the process.
        stop_training: Set it to true to end `fit` after the step under way.
        history: The `History` of the last `fit`.
        train_function, test_function, predict_function: What `make_train_function` and its siblings
            made.
    """

    # What training keeps with a model, beside the public attributes: `_compiled`: losses and
    # metrics, `None` before `compile`; `_programs`: compiled steps by kind, see `step.steps_for`.
    _not_children = Layer._not_children | {
        "optimizer",
        "_compiled",
        "_programs",
        "_held_metrics",
        "history",
    }

    def _start_training_state(self) -> None:
        """Set what a model has before it is compiled."""
        self.optimizer: Any = None
        self._compiled: Compiled | None = None
        self._programs: dict[Any, Any] = {}
        self._held_metrics: tuple[int, list[Any]] | None = None
        self._warned_of_frozen = False
        self.stop_training = False
        self.history: Any = None
        self._eager_until_compiled = False
        self.distribution: Placement | None = None
        self.train_function = self.test_function = self.predict_function = None

    def __getstate__(self) -> dict[str, Any]:
        """Return what copies and pickles hold: all but compiled steps, which are made again."""
        made_again: dict[str, Any] = {
            "_programs": {}, "_held_metrics": None,
            "train_function": None, "test_function": None, "predict_function": None,
        }  # fmt: skip
        return {key: made_again.get(key, value) for key, value in self.__dict__.items()}

    # --- compiling ------------------------------------------------------------------------------

    def compile(
        self,
        optimizer: Optimizer | Identifier = "rmsprop",
        loss: Loss | Identifier | Sequence[Loss | Identifier] = None,
        metrics: Sequence[Any] | Mapping[str, Any] | None = None,
        loss_weights: Sequence[float | None] | Mapping[str, float] | float | None = None,
        weighted_metrics: Sequence[Any] | Mapping[str, Any] | None = None,
        run_eagerly: bool = False,
        steps_per_execution: int | str = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
        distribution: Placement | str | None = None,
        learning_rates: Mapping[str, float] | None = None,
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
            steps_per_execution: Steps per dispatch, between which no callback runs. `"auto"` is as
                1: the number is then chosen from the time of a step and from what callbacks need.
            jit_compile: Kept for Keras's signature: steps are compiled unless `run_eagerly` is
                true.
            auto_scale_loss: Whether the optimizer of a model with the policy `mixed_float16` scales
                the loss.
            distribution: Where variables and batches lie: a `hornbeam.distribution.Distribution`,
                `"data"`, `"fsdp"` (variables are divided too), `"tensor"`, or `"auto"`, which takes
                one of these if there are several devices. Default: that of `set_distribution`.
            learning_rates: Factors of the learning rate by pattern, such as `{"backbone": 0.1}`: a
                regular expression that is found in the path of a variable. Of several that are
                found, the first counts. Default: the optimizer's own.
            **kwargs: Arguments of earlier Keras versions, which are refused or named in a warning.

        Raises:
            TypeError: If an argument is unknown.
            ValueError: If a name is unknown, a value cannot be meant, or a structure does not fit
                the outputs.
        """
        with ShortTraceback():
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
                distribution=distribution,
                learning_rates=learning_rates,
                **kwargs,
            )

    @property
    def compiled(self) -> bool:
        """Whether `compile` was called."""
        return self._compiled is not None

    def require_compiled(self, what: str) -> Compiled:
        if self._compiled is None:
            raise ValueError(
                f"{self._label()}: `{what}` needs a compiled model. Call "
                "`model.compile(optimizer=..., loss=...)` first."
            )
        return self._compiled

    def get_compile_config(self) -> dict[str, Any] | None:
        """Return the arguments of `compile`, ready for JSON; `None` if the model is not
        compiled.
        """
        return self._compiled.get_config(self.optimizer) if self._compiled else None

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile from what `get_compile_config` returned."""
        compile_from_config(self, config)

    @property
    def loss(self) -> Any:
        """The loss as given to `compile`."""
        return self._compiled.arguments["loss"] if self._compiled else None

    @property
    def run_eagerly(self) -> bool:
        """Whether steps run uncompiled; it can be set. `compile` sets it again."""
        return self._compiled.run_eagerly if self._compiled else self._eager_until_compiled

    @run_eagerly.setter
    def run_eagerly(self, value: bool) -> None:
        if self._compiled is None:
            self._eager_until_compiled = bool(value)
        else:
            self._compiled.run_eagerly = bool(value)

    @property
    def jit_compile(self) -> bool:
        """Whether steps are compiled."""
        return not self.run_eagerly

    @property
    def metrics(self) -> list[Any]:
        """Loss tracker, metrics of `compile`, and metrics held by layers."""
        compiled = self._compiled.all_metrics() if self._compiled else []
        known = {id(m) for m in compiled}
        held = self.__dict__.get("_held_metrics")
        if held is None or held[0] != structure_version.number:
            found = super().metrics
            held = self._held_metrics = (structure_version.number, found)
        return [*compiled, *(m for m in held[1] if id(m) not in known)]

    @property
    def metrics_names(self) -> list[str]:
        """Names of what `evaluate` returns, in its order."""
        return list(self.get_metrics_result()) if self._compiled else []

    def reset_metrics(self) -> None:
        """Set all metrics back to their start."""
        for metric in self.metrics:
            metric.reset_state()

    def get_metrics_result(self) -> dict[str, Any]:
        """Return the current value of each metric by name."""
        return metrics_result(self)

    @standard
    def compute_loss(
        self,
        x: Structure = None,
        y: Structure = None,
        y_pred: Structure = None,
        sample_weight: Structure = None,
        training: bool = True,
    ) -> Tensor:
        """Return the total loss of a batch: the outputs' losses, weighted, plus `self.losses`.

        Override it for a loss that needs more than targets and outputs.
        """
        return self.require_compiled("compute_loss").total_loss(
            self, y, y_pred, sample_weight, training
        )

    @standard
    def compute_metrics(
        self, x: Structure, y: Structure, y_pred: Structure, sample_weight: Structure = None
    ) -> dict[str, Any]:
        """Update the metrics of `compile` with a batch and return all results by name."""
        self.require_compiled("compute_metrics").update_metrics(self, y, y_pred, sample_weight)
        return self.get_metrics_result()

    # --- steps: override these for custom training --------------------------------------------

    @standard
    def train_step(self, data: Data) -> dict[str, Any]:
        """Do one step of training; return results by name.

        Override it for another training step: differentiate with
        `hornbeam.value_and_grad(loss_fn, self.trainable_variables)`, then
        `self.optimizer.apply_gradients(zip(grads, self.trainable_variables))`.

        Args:
            data: The batch as `fit` gets it: `x`, `(x, y)` or `(x, y, sample_weight)`.
        """
        return train_step(self, data)

    @standard
    def test_step(self, data: Data) -> dict[str, Any]:
        """Evaluate one batch; return results by name."""
        return test_step(self, data)

    @standard
    def predict_step(self, data: Data) -> Structure:
        """Compute the outputs for one batch."""
        return predict_step(self, data)

    # --- loops -----------------------------------------------------------------------------------

    @standard
    def make_train_function(self, force: bool = False) -> Callable[..., Any]:
        """Return a function that runs one step of training, and keep it as `train_function`.

        It is `train_function(iterator)`, which takes the next batch and returns results by name;
        or, in Keras's form for JAX, `train_function(state, iterator)`, which returns the new state
        too. A subclass that overrides this method gives `fit` its steps. The state is (trainable,
        non-trainable, the optimizer's, the metrics') values.

        Args:
            force: Whether an existing function is replaced.

        Example:
            >>> import hornbeam as hb, numpy as np
            >>> model = hb.Sequential([hb.Input((3,)), hb.layers.Dense(2)])
            >>> model.compile("sgd", "mse")
            >>> results = model.make_train_function()(iter([(np.ones((4, 3)), np.ones((4, 2)))]))
            >>> list(results)
            ['loss']
        """
        return make_function(self, "train", force)

    @standard
    def make_test_function(self, force: bool = False) -> Callable[..., Any]:
        """Return a function that evaluates one batch, and keep it as `test_function`; see
        `make_train_function`.
        """
        return make_function(self, "test", force)

    @standard
    def make_predict_function(self, force: bool = False) -> Callable[..., Any]:
        """Return a function that predicts one batch, and keep it as `predict_function`; see
        `make_train_function`.
        """
        return make_function(self, "predict", force)

    # The names of the columns of the data frame with which the model was trained last.
    frame_columns: list[Any] | None = None

    def host_layers(self, x: Data = None) -> Callable[[Structure], Structure] | None:
        """Return a function that runs the layers for the host, such as those that take text.

        `None`, if the model has no such layers.

        Args:
            x: The inputs, from which a model may be built. Default: `None`, unknown.
        """
        return None

    def text_outputs(self) -> Callable[[Structure], Structure] | None:
        """Return a function that makes the texts among outputs, or `None` if there are none.

        A compiled step returns numbers instead of texts. The function takes its outputs.
        """
        return None

    def chosen_columns(self, x: Data) -> Data:
        """Return the columns of a data frame that are inputs of the model, by name.

        Other data, and data frames for a model without several named inputs, are returned as they
        are.
        """
        return x

    def fit(
        self,
        x: Data = None,
        y: Structure = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Callback | Sequence[Callback | str] | None = None,
        validation_split: float = 0.0,
        validation_data: Data = None,
        shuffle: bool = True,
        class_weight: ClassWeights = None,
        sample_weight: Structure = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] | set[int] = 1,
        resume: FilePath | bool | None = None,
        **kwargs: Any,
    ) -> History:
        """Train for a number of epochs.

        Args:
            x: Inputs: array, list or dict of arrays, table, generator, or iterable of
                batches `(x, y)` or `(x, y, sample_weight)`.
            y: Targets, like `x`; none where `x` yields them.
            batch_size: Rows per step, default 32. Data that yield batches have their own.
            epochs: Number of the last epoch.
            verbose: 0 silent, 1 progress bar, 2 one line per epoch; `"auto"`: 1 in a terminal, else
                2.
            callbacks: List of `Callback`s.
            validation_split: Fraction of the rows, from the end, used for validation only.
            validation_data: `(x, y)`, `(x, y, sample_weight)`, or an iterable of batches; used over
                `validation_split`.
            shuffle: Whether the rows of arrays are shuffled in each epoch; `"batch"` shuffles whole
                batches.
            class_weight: Weight of the loss by class: `{class: weight}`, or that by output.
            sample_weight: Weight of the loss by row (or row and time step), or that by output.
            initial_epoch: Number of the first epoch.
            steps_per_epoch: Steps per epoch. Default: until the data end.
            validation_steps: Steps per validation. Default: until the data end.
            validation_batch_size: Default: `batch_size`.
            validation_freq: Validate every so many epochs; or a list of epochs, numbered from 1.
            resume: Folder of backups, from which an interrupted training continues when the script
                runs again (see `callbacks.BackupAndRestore`); `"auto"`: the folder of the callback,
                else one under `.hornbeam`.
            **kwargs: `workers`, `use_multiprocessing` and `max_queue_size`, for a `PyDataset`;
                Keras 1's `nb_epoch`.

        Returns:
            A `History`; its `history` maps names to lists with one value per epoch.

        Raises:
            ValueError: If data, targets and model do not fit, before any step is done.
        """
        with ShortTraceback(), placement_scope(self.distribution):
            request = FitRequest(
                x, y, batch_size, epochs, verbose, callbacks, validation_split, validation_data,
                shuffle, class_weight, sample_weight, initial_epoch, steps_per_epoch,
                validation_steps, validation_batch_size, validation_freq, resume, kwargs,
            )  # fmt: skip
            return fit(self, request)

    def evaluate(
        self,
        x: Data = None,
        y: Structure = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Structure = None,
        steps: int | None = None,
        callbacks: Callback | Sequence[Callback | str] | None = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Return loss and metrics on data: a number, a list in the order of `metrics_names`, or a
        dict.

        Args:
            x, y, sample_weight, batch_size, verbose, callbacks, **kwargs: As for `fit`.
            steps: Steps to run. Default: until the data end.
            return_dict: Whether the results are a dict by name.
        """
        with ShortTraceback(), placement_scope(self.distribution):
            request = EvaluateRequest(
                x, y, batch_size, verbose, sample_weight, steps, callbacks, return_dict, kwargs
            )
            return evaluate(self, request)

    def predict(
        self,
        x: Data,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Callback | Sequence[Callback | str] | None = None,
        **kwargs: Any,
    ) -> Structure:
        """Return the outputs for `x` as NumPy arrays, in the structure of the outputs.

        Args:
            x, batch_size, verbose, callbacks, **kwargs: As for `fit`.
            steps: Steps to run. Default: until the data end.
        """
        with ShortTraceback(), placement_scope(self.distribution):
            if kwargs:
                known = ("x", "batch_size", "verbose", "steps", "callbacks")
                apply_reader_settings("predict", x, kwargs, known=known)
            return predict(self, x, batch_size, verbose, steps, callbacks)

    @errors.known_arguments
    def train_on_batch(
        self,
        x: Structure,
        y: Structure = None,
        sample_weight: Structure = None,
        class_weight: ClassWeights = None,
        return_dict: bool = False,
        reset_metrics: bool = True,
    ) -> Any:
        """Do one step of training on one batch; return results as `evaluate` does.

        Args:
            x, y, sample_weight, class_weight: The batch, as for `fit`.
            return_dict: Whether the results are a dict by name.
            reset_metrics: Whether the results are of this batch alone. Otherwise they are of all
                batches since `reset_metrics()`. Default: True, as in Keras 2.
        """
        with ShortTraceback(), placement_scope(self.distribution):
            return on_batch(
                self, "train", x, y, sample_weight, class_weight, return_dict, reset_metrics
            )

    @errors.known_arguments
    def test_on_batch(
        self,
        x: Structure,
        y: Structure = None,
        sample_weight: Structure = None,
        return_dict: bool = False,
        reset_metrics: bool = True,
    ) -> Any:
        """Evaluate one batch; return results as `evaluate` does.

        The arguments are those of `train_on_batch`.
        """
        with ShortTraceback(), placement_scope(self.distribution):
            return on_batch(self, "test", x, y, sample_weight, None, return_dict, reset_metrics)

    @errors.known_arguments
    def predict_on_batch(self, x: Data) -> Structure:
        """Return the outputs for one batch as NumPy arrays."""
        with placement_scope(self.distribution):
            return predict_on_batch(self, x)
