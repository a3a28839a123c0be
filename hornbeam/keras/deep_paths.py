"""Deep modules of Keras, which scripts and libraries import although they are not public.

`DEEP_MODULES` continues `KERAS_MODULES`: module -> Hornbeam modules that are searched for its
attributes. `OLDER_NAMES` holds single names: module -> name -> path below `hornbeam`. Both hold for
all roots (`keras`, `keras.src`, `tensorflow.keras`, ...).
"""

from __future__ import annotations

__all__ = ["DEEP_MODULES", "OLDER_NAMES"]


def _rows(places: tuple[str, ...], names: str, package: str = "") -> dict[str, tuple[str, ...]]:
    return {f"{package}{name}": places for name in names.split()}


DEEP_MODULES: dict[str, tuple[str, ...]] = {
    "layers": ("layers", "legacy.layers", "legacy.keras2_layers"),
    # Keras 1 and 2
    **_rows(
        ("layers", "legacy.layers", "legacy.keras2_layers", "legacy.internals.layers"),
        """advanced_activations convolutional convolutional_recurrent core cudnn_recurrent
        dense_attention einsum_dense embeddings experimental experimental.preprocessing kernelized
        local merge merging multi_head_attention noise normalization normalization_v2 pooling
        preprocessing recurrent recurrent_v2 rnn rnn_cell_wrapper_v2 wrappers attention
        activation regularization reshaping locally_connected""",
        "layers.",
    ),
    **_rows(
        ("layers", "legacy.keras2_layers"),
        """preprocessing.image_preprocessing preprocessing.text_vectorization
        preprocessing.normalization preprocessing.string_lookup preprocessing.integer_lookup
        preprocessing.category_encoding preprocessing.discretization preprocessing.hashing
        normalization.batch_normalization normalization.layer_normalization
        normalization.group_normalization normalization.unit_normalization""",
        "layers.",
    ),
    **_rows(("utils",), "data_utils np_utils vis_utils visualize_util", "utils."),
    "utils.data_utils": ("utils", "legacy.enqueuers"),
    "utils.generic_utils": ("utils", "legacy.internals.generic_utils"),
    "utils.io_utils": ("utils", "legacy.internals.generic_utils", "legacy.helpers"),
    "utils.layer_utils": ("utils", "legacy.internals.layer_utils"),
    "utils.conv_utils": ("legacy.internals.conv_utils",),
    "utils.tf_utils": ("legacy.internals.tf_utils",),
    "utils.losses_utils": ("legacy.internals.losses_utils",),
    "utils.metrics_utils": ("metrics", "legacy.internals.losses_utils"),
    "utils.training_utils": ("legacy.helpers",),
    "utils.multi_gpu_utils": ("legacy.helpers",),
    "utils.test_utils": ("legacy.helpers",),
    "utils": ("utils", "legacy.helpers", "legacy.enqueuers"),
    "engine": ("layers", "models", "legacy.internals.engine"),
    "engine.base_layer": ("layers", "legacy.internals.engine"),
    "engine.base_layer_utils": ("legacy.internals.engine",),
    "engine.base_preprocessing_layer": ("legacy.internals.engine",),
    "engine.functional": ("models", "legacy.internals.engine"),
    "engine.input_layer": ("layers",),
    "engine.input_spec": ("layers",),
    "engine.keras_tensor": ("legacy.internals.engine",),
    "engine.network": ("models", "legacy.internals.engine"),
    "engine.node": ("legacy.internals.engine",),
    "engine.saving": ("saving", "models"),
    "engine.sequential": ("models",),
    "engine.topology": ("layers", "models", "legacy.internals.engine"),
    "engine.training": ("models", "legacy.helpers", "legacy.internals.engine"),
    "engine.training_utils": ("legacy.helpers", "legacy.internals.engine"),
    "engine.data_adapter": ("utils", "legacy.internals.engine"),
    "legacy.interfaces": ("legacy.internals.interfaces",),
    "legacy.layers": ("legacy.layers", "layers"),
    "legacy.models": ("models",),
    "initializations": ("legacy.initializations", "initializers"),
    "initializers": ("initializers",),
    "initializers.initializers_v1": ("initializers",),
    "initializers.initializers_v2": ("initializers",),
    "objectives": ("losses",),
    "metrics": ("metrics", "legacy.metrics"),
    "constraints": ("constraints",),
    "callbacks_v1": ("callbacks",),
    "callbacks.experimental": ("callbacks",),
    "optimizers.experimental": ("optimizers",),
    "optimizers.legacy.optimizer_v2": ("optimizers.legacy",),
    "saving.hdf5_format": ("saving", "models"),
    "saving.saving_utils": ("saving",),
    "saving.save": ("saving", "models"),
    "saving.model_config": ("models",),
    "saving.object_registration": ("utils",),
    "saving.legacy": ("saving", "legacy.saving"),
    "saving.legacy.serialization": ("legacy.saving", "utils"),
    "backend_config": ("backend",),
    "feature_column": ("legacy.keras2_layers",),
    "feature_column.dense_features": ("legacy.keras2_layers",),
    "wrappers.scikit_learn": ("legacy.scikit_learn",),
    "premade": ("models",),
    "mixed_precision.policy": ("mixed_precision",),
    "mixed_precision.loss_scale_optimizer": ("optimizers",),
    "mixed_precision.experimental": ("mixed_precision",),
    # Keras 3's internals
    **_rows(
        ("layers", "legacy.internals.layers"),
        """activations attention attention.attention attention.multi_head_attention
        attention.grouped_query_attention attention.additive_attention convolutional
        convolutional.base_conv convolutional.base_conv_transpose convolutional.base_depthwise_conv
        convolutional.base_separable_conv convolutional.conv1d convolutional.conv2d
        convolutional.conv3d convolutional.depthwise_conv1d convolutional.depthwise_conv2d
        convolutional.separable_conv1d convolutional.separable_conv2d core.dense core.einsum_dense
        core.embedding core.identity core.input_layer core.lambda_layer core.masking core.wrapper
        input_spec layer merging.add merging.average merging.base_merge merging.concatenate
        merging.dot merging.maximum merging.minimum merging.multiply merging.subtract
        normalization.rms_normalization normalization.spectral_normalization pooling.base_pooling
        pooling.base_global_pooling pooling.average_pooling1d pooling.average_pooling2d
        pooling.average_pooling3d pooling.max_pooling1d pooling.max_pooling2d pooling.max_pooling3d
        pooling.global_average_pooling2d pooling.global_max_pooling2d
        preprocessing.tf_data_layer preprocessing.data_layer regularization.dropout
        regularization.spatial_dropout reshaping.flatten reshaping.reshape rnn.rnn rnn.lstm rnn.gru
        rnn.simple_rnn rnn.bidirectional rnn.time_distributed rnn.stacked_rnn_cells
        rnn.dropout_rnn_cell""",
        "layers.",
    ),
    "testing": ("legacy.internals.testing",),
    "testing.test_case": ("legacy.internals.testing",),
    "backend": ("backend", "legacy.backend", "legacy.internals.backend"),
    "backend.common": ("legacy.internals.backend", "backend"),
    "backend.common.variables": ("legacy.internals.backend", "backend"),
    "backend.common.keras_tensor": ("legacy.internals.backend", "backend"),
    "backend.common.global_state": ("legacy.internals.backend",),
    "backend.common.stateless_scope": ("legacy.internals.backend",),
    "backend.common.backend_utils": ("legacy.internals.backend", "legacy.internals.conv_utils"),
    "backend.config": ("backend", "config", "legacy.internals.backend"),
    "backend.jax": ("ops", "legacy.internals.backend"),
    "backend.jax.core": ("ops", "legacy.internals.backend"),
    "backend.jax.random": ("random", "legacy.internals.backend"),
    "backend.random": ("random",),
    "backend.numpy": ("ops",),
    "backend.nn": ("ops",),
    "distribution.distribution_lib": ("distribution",),
    "losses.loss": ("losses", "legacy.internals.losses_utils"),
    "losses.losses": ("losses", "legacy.internals.losses_utils"),
    "metrics.metric": ("metrics",),
    "metrics.reduction_metrics": ("metrics",),
    "metrics.metrics_utils": ("metrics",),
    "models.functional": ("models",),
    "models.model": ("models",),
    "models.sequential": ("models",),
    "models.cloning": ("models",),
    **_rows(("ops", "legacy.internals.operations"), "core math", "ops."),
    **{
        f"ops.{name}": (f"ops.{name}", "legacy.internals.operations")
        for name in ("image", "linalg", "nn", "numpy")
    },
    "ops.function": ("models",),
    "ops.node": ("legacy.internals.engine",),
    "ops.operation": ("",),
    "ops.symbolic_arguments": ("legacy.internals.engine",),
    "ops.operation_utils": ("legacy.internals.conv_utils", "utils"),
    "random.seed_generator": ("random",),
    "random.random": ("random",),
    "saving.saving_api": ("saving",),
    "saving.saving_lib": ("saving", "legacy.internals.saving_lib"),
    "saving.serialization_lib": ("saving", "legacy.internals.saving_lib"),
    "trainers": ("models",),
    "trainers.trainer": ("models", "legacy.internals.engine"),
    "trainers.compile_utils": ("legacy.internals.engine",),
    "trainers.epoch_iterator": ("legacy.internals.engine",),
    "trainers.data_adapters": ("legacy.internals.engine",),
    "trainers.data_adapters.data_adapter_utils": ("utils", "legacy.internals.engine"),
    "trainers.data_adapters.py_dataset_adapter": ("utils",),
    "utils.argument_validation": ("legacy.internals.conv_utils",),
    "utils.backend_utils": ("legacy.internals.backend",),
    "utils.dtype_utils": ("legacy.internals.backend",),
    "utils.file_utils": ("utils", "legacy.internals.generic_utils"),
    "utils.image_utils": ("utils", "preprocessing.image"),
    "utils.module_utils": ("legacy.internals.module_utils",),
    "utils.naming": ("legacy.internals.generic_utils",),
    "utils.numerical_utils": ("utils",),
    "utils.python_utils": ("legacy.internals.generic_utils",),
    "utils.rng_utils": ("utils",),
    "utils.sequence_utils": ("utils",),
    "utils.summary_utils": ("legacy.internals.layer_utils",),
    "utils.traceback_utils": ("legacy.internals.generic_utils",),
    "utils.tracking": ("legacy.internals.generic_utils",),
    "utils.jax_layer": ("layers",),
    "utils.torch_utils": ("layers",),
    "optimizers.base_optimizer": ("optimizers", "legacy.internals.engine"),
    "optimizers.optimizer": ("optimizers",),
    "optimizers.schedules.learning_rate_schedule": ("optimizers.schedules",),
    **_rows(
        ("legacy.optimizers", "optimizers", "optimizers.schedules"),
        "adadelta adafactor adagrad adam adamax adamw ftrl lamb lion loss_scale_optimizer nadam"
        " muon rmsprop sgd",
        "optimizers.",
    ),
    **_rows(
        ("callbacks",),
        "backup_and_restore callback callback_list csv_logger early_stopping history"
        " lambda_callback learning_rate_scheduler model_checkpoint progbar_logger"
        " reduce_lr_on_plateau remote_monitor swap_ema_weights tensorboard terminate_on_nan"
        " monitor_callback",
        "callbacks.",
    ),
    "activations.activations": ("activations",),
    "constraints.constraints": ("constraints",),
    "regularizers.regularizers": ("regularizers",),
    "initializers.initializer": ("initializers",),
    "initializers.random_initializers": ("initializers",),
    "initializers.constant_initializers": ("initializers",),
    "tree.tree_api": ("tree",),
    "dtype_policies.dtype_policy": ("dtype_policies",),
    "api": ("",),
}

OLDER_NAMES: dict[str, dict[str, str]] = {
    "": {"version": "keras.ways.version"},
    "callbacks": {
        "BaseLogger": "legacy.parts.BaseLogger",
        "SidecarEvaluatorModelExport": "legacy.sidecar.SidecarEvaluatorModelExport",
    },
    "constraints": {
        "RadialConstraint": "legacy.parts.RadialConstraint",
        "radial_constraint": "legacy.parts.radial_constraint",
    },
    "losses": {"Reduction": "legacy.parts.Reduction"},
    "experimental": {
        "CosineDecay": "optimizers.schedules.CosineDecay",
        "CosineDecayRestarts": "optimizers.schedules.CosineDecayRestarts",
        "SidecarEvaluator": "legacy.sidecar.SidecarEvaluator",
    },
    "utils": {"SidecarEvaluator": "legacy.sidecar.SidecarEvaluator"},
    "utils.experimental": {"DatasetCreator": "legacy.helpers.DatasetCreator"},
    "backend.experimental": {
        name: f"legacy.backend.{name}"
        for name in (
            "disable_tf_random_generator",
            "enable_tf_random_generator",
            "is_tf_random_generator_enabled",
        )
    },
}
