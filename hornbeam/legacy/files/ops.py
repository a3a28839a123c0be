"""TensorFlow ops in the graphs of tf.keras models, written with the ops of Keras 3.

tf.keras 2.0 to 2.3 stored an op as `TensorFlowOpLayer` with a piece of a TensorFlow graph. Later
versions stored `TFOpLambda` and `SlicingOpLambda` with the public name of a function. Both forms
become a function's name and its arguments first, and ops of Keras 3 then.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["OP_LAYERS", "modern_op"]

OP_LAYERS = ("TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer")

Calls = Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]]


def modern_op(name: str, calls: Calls) -> list[dict[str, Any]]:
    """Return the entries of Keras 3's ops that compute what an op of TensorFlow computes.

    Args:
        name: Name of the op among `calls`.
        calls: Entry and call of every op of the graph. Tensors in calls have Keras 3's form.

    Returns:
        The entries in order; the last one has the op's name. Empty for the shape of a tensor, which
        is read by the op that uses it.

    Raises:
        ValueError: If the op is not known.

    Example:
        >>> config = {"name": "op", "function": "math.square"}
        >>> entry = {"class_name": "TFOpLambda", "config": config}
        >>> x = {"class_name": "__keras_tensor__", "config": {"keras_history": ["x", 0, 0]}}
        >>> modern_op("op", {"op": (entry, {"args": [x], "kwargs": {}})})[0]["class_name"]
        'Square'
    """
    entry, call = calls[name]
    function, args, kwargs = _normal(entry, call)
    ops = _Writer(name, calls)
    if ops.is_size(_tensor(name)):
        return []
    signature = _SIGNATURES.get(function)
    if signature is None:
        raise ValueError(
            f"The layer '{name}' is the TensorFlow function"
            f" `{entry['config'].get('function', function)}`, which has no counterpart here."
            f" {_REMEDY}"
        )
    parameters, build = signature
    given = dict(zip(parameters, args, strict=False)) | {
        k: v for k, v in kwargs.items() if k in parameters
    }
    ops.finish(build(ops, {key: value for key, value in given.items() if value is not None}))
    return ops.entries


_REMEDY = (
    "Build the model in your program with another layer in its place, and load the weights with"
    " `load_weights`."
)


def _tensor(name: str) -> dict[str, Any]:
    return {"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}}


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("class_name") == "__keras_tensor__"


class _Writer:
    """Collects the entries of the ops that take the place of one op of TensorFlow.

    Args:
        name: Name of that op.
        calls: Entry and call of every op of the graph.
    """

    def __init__(self, name: str, calls: Calls):
        self.name, self._calls = name, calls
        self.entries: list[dict[str, Any]] = []

    def __call__(self, class_name: str, *args: Any, module: str = "numpy", **settings: Any) -> Any:
        """Add an op on the tensors `args` with settings, and return its output."""
        name = f"{self.name}_step_{len(self.entries)}"
        self.entries.append(
            {
                "module": f"keras.src.ops.{module}",
                "class_name": class_name,
                "config": {"name": name, **settings},
                "registered_name": class_name,
                "name": name,
                "inbound_nodes": [{"args": list(args), "kwargs": {}}],
            }
        )
        for x in args:
            if any(self.is_size(y) for y in (x if isinstance(x, list) else [x])):
                raise ValueError(
                    f"The layer '{self.name}' computes with the size of a tensor, which is not"
                    f" supported. {_REMEDY}"
                )
        return _tensor(name)

    def layer(self, class_name: str, x: Any, **config: Any) -> Any:
        """Add a layer without weights in place of an op, and return its output."""
        result = self(class_name, x, **config)
        entry = self.entries[-1]
        del entry["module"], entry["registered_name"]
        entry["config"]["trainable"] = True
        return result

    def finish(self, result: Any) -> None:
        """Give the last entry the name of the op that is translated."""
        last = self.entries[-1]
        last["name"] = last["config"]["name"] = self.name

    def sizes(self, shape: Any) -> list[Any]:
        """Return a shape as a list of numbers and of tensors that are sizes."""
        if _is_tensor(shape) and self._source(shape)[0] == "stack":
            shape = self._source(shape)[1][0]
        return shape if isinstance(shape, list) else [shape]

    def is_size(self, value: Any) -> bool:
        """Return whether a value is the shape of a tensor, one of its sizes, or made of sizes."""
        if not _is_tensor(value):
            return False
        function, args, _ = self._source(value)
        if function == "stack":
            return any(map(self.is_size, args[0]))
        return function == "shape" or (function == "getitem" and self.is_size(args[0]))

    def _source(self, value: Any) -> tuple[str, list[Any], dict[str, Any]]:
        name = value["config"]["keras_history"][0]
        if name not in self._calls:
            return "", [], {}
        return _normal(*self._calls[name])


def _normal(
    entry: Mapping[str, Any], call: Mapping[str, Any]
) -> tuple[str, list[Any], dict[str, Any]]:
    """Return the function name and the positional and keyword arguments of an op, in any form."""
    config, args, kwargs = entry["config"], list(call["args"]), dict(call["kwargs"])
    if entry["class_name"] == "TensorFlowOpLayer":
        return _graph_piece(config, args)
    function = str(config.get("function", "__operators__.getitem"))
    for prefix in (
        "tf.",
        "compat.v1.",
        "compat.v2.",
        "raw_ops.",
        "math.",
        "nn.",
        "linalg.",
        "__operators__.",
        "keras.backend.",
    ):
        function = function.removeprefix(prefix)
    if len(args) == 1 and isinstance(args[0], list) and not _takes_list(function):
        args = args[0]
    return function, args, {key: value for key, value in kwargs.items() if key != "name"}


def _takes_list(function: str) -> bool:
    return function in ("concat", "stack", "add_n", "tuple", "convert_to_tensor", "getitem")


def _graph_piece(
    config: Mapping[str, Any], args: list[Any]
) -> tuple[str, list[Any], dict[str, Any]]:
    """Return the same as `_normal` for a node of a TensorFlow graph.

    The node has attributes and may have constants as inputs.
    """
    node = config["node_def"]
    node = json.loads(node) if isinstance(node, str) else node
    inputs = args[0] if len(args) == 1 and isinstance(args[0], list) else args
    constants = {int(k): v for k, v in (config.get("constants") or {}).items()}
    values, tensors = [], iter(inputs)
    for index in range(len(inputs) + len(constants)):
        values.append(constants[index] if index in constants else next(tensors))
    op = str(node["op"])
    attributes = {
        key: next(iter(value.values())) for key, value in (node.get("attr") or {}).items() if value
    }
    function = _GRAPH_OPS.get(op, op)
    kwargs: dict[str, Any] = {}
    for old, new in (
        ("keep_dims", "keepdims"),
        ("transpose_a", "transpose_a"),
        ("transpose_b", "transpose_b"),
        ("adj_x", "transpose_a"),
        ("adj_y", "transpose_b"),
        ("alpha", "alpha"),
    ):
        if old in attributes:
            kwargs[new] = attributes[old]
    if op == "Cast":
        kwargs["dtype"] = _DTYPES.get(str(attributes.get("DstT")), "float32")
    if op == "ConcatV2":
        return function, [values[:-1], values[-1]], {}
    if op == "Pack":
        return function, [values, int(attributes.get("axis", 0))], {}
    if op == "Squeeze":
        sizes = attributes.get("squeeze_dims")
        axes = sizes.get("i") if isinstance(sizes, Mapping) else sizes
        kwargs["axis"] = [int(i) for i in axes] if axes else None
    if op == "StridedSlice":
        return "getitem", [values[0], _strided(values[1:], attributes)], {}
    return function, values, kwargs


def _strided(values: list[Any], attributes: Mapping[str, Any]) -> list[Any]:
    """Return one slice per axis from the bounds, strides and bit masks of a `StridedSlice`."""
    begin, end, strides = values
    masks = {
        key: int(attributes.get(f"{key}_mask", 0))
        for key in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    }
    spec: list[Any] = []
    for axis, (start, stop, step) in enumerate(zip(begin, end, strides, strict=True)):
        bit = 1 << axis
        if masks["ellipsis"] & bit:
            spec.append(Ellipsis)
        elif masks["new_axis"] & bit:
            spec.append(None)
        elif masks["shrink_axis"] & bit:
            spec.append(start)
        else:
            first = None if masks["begin"] & bit else start
            last = None if masks["end"] & bit else stop
            spec.append({"start": first, "stop": last, "step": step})
    return spec


_DTYPES = {
    "DT_BFLOAT16": "bfloat16", "DT_BOOL": "bool", "DT_DOUBLE": "float64", "DT_FLOAT": "float32",
    "DT_HALF": "float16", "DT_INT32": "int32", "DT_INT64": "int64", "DT_INT8": "int8",
    "DT_UINT8": "uint8",
}  # fmt: skip

# Names of ops in TensorFlow graphs, with the functions that make them.
_GRAPH_OPS = {
    "Abs": "abs", "Add": "add", "AddV2": "add", "BatchMatMul": "matmul", "BatchMatMulV2": "matmul",
    "BiasAdd": "add", "Cast": "cast", "Ceil": "ceil", "ConcatV2": "concat", "Cos": "cos",
    "Div": "divide", "Elu": "elu", "Equal": "equal", "Exp": "exp", "ExpandDims": "expand_dims",
    "Floor": "floor", "FloorDiv": "floordiv", "FloorMod": "floormod", "GatherV2": "gather",
    "Greater": "greater", "GreaterEqual": "greater_equal", "Identity": "identity",
    "LeakyRelu": "leaky_relu", "Less": "less", "LessEqual": "less_equal", "Log": "log",
    "LogSoftmax": "log_softmax", "LogicalAnd": "logical_and", "LogicalNot": "logical_not",
    "LogicalOr": "logical_or", "MatMul": "matmul", "Max": "reduce_max", "Maximum": "maximum",
    "Mean": "reduce_mean", "Min": "reduce_min", "Minimum": "minimum", "Mul": "multiply",
    "Neg": "negative", "NotEqual": "not_equal", "OnesLike": "ones_like", "Pack": "stack",
    "Pow": "pow", "Prod": "reduce_prod", "RealDiv": "divide", "Relu": "relu", "Relu6": "relu6",
    "Reshape": "reshape", "Round": "round", "Rsqrt": "rsqrt", "Selu": "selu", "Shape": "shape",
    "Sigmoid": "sigmoid", "Sign": "sign", "Sin": "sin", "Softmax": "softmax",
    "Softplus": "softplus", "Softsign": "softsign", "Sqrt": "sqrt", "Square": "square",
    "SquaredDifference": "squared_difference", "Squeeze": "squeeze",
    "StopGradient": "stop_gradient", "Sub": "subtract", "Sum": "reduce_sum", "Tanh": "tanh",
    "Tile": "tile", "Transpose": "transpose", "ZerosLike": "zeros_like",
}  # fmt: skip


# --- the functions --------------------------------------------------------------------------------

Builder = Callable[[_Writer, dict[str, Any]], Any]
_SIGNATURES: dict[str, tuple[tuple[str, ...], Builder]] = {}


def _known(names: str, parameters: str) -> Callable[[Builder], Builder]:
    """Return a decorator that adds a translation to `_SIGNATURES`.

    Args:
        names: Names of TensorFlow's functions, separated by spaces.
        parameters: Names of their arguments in order, separated by spaces.
    """

    def add(build: Builder) -> Builder:
        for name in names.split():
            _SIGNATURES[name] = (tuple(parameters.split()), build)
        return build

    return add


def _binary(class_name: str) -> Builder:
    return lambda ops, a: ops(class_name, a["x"], a["y"])


def _unary(class_name: str, module: str = "numpy") -> Builder:
    return lambda ops, a: ops(class_name, a["x"], module=module)


for _names, _class in {
    "add sub_add radd": "Add",
    "subtract sub": "Subtract",
    "multiply mul": "Multiply",
    "divide truediv div realdiv divide_no_nan": "Divide",
    "floordiv floor_div": "FloorDivide",
    "floormod mod": "Mod",
    "pow": "Power",
    "maximum": "Maximum",
    "minimum": "Minimum",
    "equal eq": "Equal",
    "not_equal ne": "NotEqual",
    "greater gt": "Greater",
    "greater_equal ge": "GreaterEqual",
    "less lt": "Less",
    "less_equal le": "LessEqual",
    "logical_and and_": "LogicalAnd",
    "logical_or or_": "LogicalOr",
}.items():
    _known(_names, "x y")(_binary(_class))

for _names, _class in {
    "abs": "Absolute",
    "ceil": "Ceil",
    "cos": "Cos",
    "exp": "Exp",
    "expm1": "Expm1",
    "floor": "Floor",
    "is_finite": "Isfinite",
    "is_inf": "Isinf",
    "is_nan": "Isnan",
    "log": "Log",
    "log1p": "Log1p",
    "logical_not invert": "LogicalNot",
    "negative neg": "Negative",
    "ones_like": "OnesLike",
    "reciprocal": "Reciprocal",
    "round": "Round",
    "sign": "Sign",
    "sin": "Sin",
    "sqrt": "Sqrt",
    "square": "Square",
    "tan": "Tan",
    "tanh": "Tanh",
    "zeros_like": "ZerosLike",
}.items():
    _known(_names, "x")(_unary(_class))

for _names, (_class, _module) in {
    "erf": ("Erf", "math"),
    "rsqrt": ("Rsqrt", "math"),
    "relu": ("Relu", "nn"),
    "relu6": ("Relu6", "nn"),
    "selu": ("Selu", "nn"),
    "elu": ("Elu", "nn"),
    "sigmoid": ("Sigmoid", "nn"),
    "silu swish": ("Silu", "nn"),
    "softplus": ("Softplus", "nn"),
    "softsign": ("Softsign", "nn"),
    "stop_gradient": ("StopGradient", "core"),
}.items():
    _known(_names, "x")(_unary(_class, _module))


def _reduction(class_name: str, module: str = "numpy") -> Builder:
    return lambda ops, a: ops(
        class_name,
        a["x"],
        module=module,
        axis=a.get("axis"),
        keepdims=bool(a.get("keepdims", False)),
    )


for _name, _class in {
    "reduce_all": "All",
    "reduce_any": "Any",
    "reduce_max": "Max",
    "reduce_mean": "Mean",
    "reduce_min": "Min",
    "reduce_prod": "Prod",
    "reduce_std": "Std",
    "reduce_sum": "Sum",
    "reduce_variance": "Var",
}.items():
    _known(_name, "x axis keepdims")(_reduction(_class))
_known("reduce_logsumexp", "x axis keepdims")(_reduction("Logsumexp", "math"))


@_known("argmax", "x axis")
def _argmax(ops: _Writer, a: dict[str, Any]) -> Any:
    return ops("Argmax", a["x"], axis=a.get("axis", 0))


@_known("argmin", "x axis")
def _argmin(ops: _Writer, a: dict[str, Any]) -> Any:
    return ops("Argmin", a["x"], axis=a.get("axis", 0))


@_known("squared_difference", "x y")
def _squared_difference(ops: _Writer, a: dict[str, Any]) -> Any:
    return ops("Square", ops("Subtract", a["x"], a["y"]))


@_known("add_n", "xs")
def _add_n(ops: _Writer, a: dict[str, Any]) -> Any:
    total = a["xs"][0]
    for x in a["xs"][1:]:
        total = ops("Add", total, x)
    return total if ops.entries else ops.layer("Activation", total, activation="linear")


@_known("identity convert_to_tensor", "x")
def _identity(ops: _Writer, a: dict[str, Any]) -> Any:
    return ops.layer("Activation", a["x"], activation="linear")


@_known("leaky_relu", "x alpha")
def _leaky_relu(ops: _Writer, a: dict[str, Any]) -> Any:
    return ops("LeakyRelu", a["x"], module="nn", negative_slope=a.get("alpha", 0.2))


@_known("gelu", "x approximate")
def _gelu(ops: _Writer, a: dict[str, Any]) -> Any:
    return ops("Gelu", a["x"], module="nn", approximate=bool(a.get("approximate", False)))


@_known("softmax softmax_v2", "x axis")
def _softmax(ops: _Writer, a: dict[str, Any]) -> Any:
    return ops("Softmax", a["x"], module="nn", axis=a.get("axis", -1))


@_known("log_softmax log_softmax_v2", "x axis")
def _log_softmax(ops: _Writer, a: dict[str, Any]) -> Any:
    return ops("LogSoftmax", a["x"], module="nn", axis=a.get("axis", -1))


@_known("l2_normalize l2_normalize_v2", "x axis epsilon")
def _l2_normalize(ops: _Writer, a: dict[str, Any]) -> Any:
    squares = ops("Sum", ops("Square", a["x"]), axis=a.get("axis"), keepdims=True)
    return ops(
        "Multiply",
        a["x"],
        ops("Rsqrt", ops("Maximum", squares, a.get("epsilon", 1e-12)), module="math"),
    )


@_known("reshape", "x shape")
def _reshape(ops: _Writer, a: dict[str, Any]) -> Any:
    sizes = ops.sizes(a["shape"])
    computed = ValueError(
        f"The layer '{ops.name}' reshapes to a shape that is computed, which is not supported."
        f" {_REMEDY}"
    )
    if (
        isinstance(sizes, list)
        and sizes
        and ops.is_size(sizes[0])
        and not any(map(ops.is_size, sizes[1:]))
    ):
        if any(map(_is_tensor, sizes[1:])):
            raise computed
        return ops.layer("Reshape", a["x"], target_shape=sizes[1:])  # the batch axis stays as it is
    sizes = [-1 if ops.is_size(size) else size for size in sizes]
    if any(map(_is_tensor, sizes)) or sizes.count(-1) > 1:
        raise computed
    return ops("Reshape", a["x"], newshape=sizes)


@_known("transpose", "x perm")
def _transpose(ops: _Writer, a: dict[str, Any]) -> Any:
    return ops("Transpose", a["x"], axes=a.get("perm"))


@_known("expand_dims expand_dims_v2", "x axis")
def _expand_dims(ops: _Writer, a: dict[str, Any]) -> Any:
    return ops("ExpandDims", a["x"], axis=a["axis"])


@_known("squeeze squeeze_v2", "x axis")
def _squeeze(ops: _Writer, a: dict[str, Any]) -> Any:
    axis = a.get("axis")
    return ops(
        "Squeeze", a["x"], axis=axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    )


@_known("concat", "values axis")
def _concat(ops: _Writer, a: dict[str, Any]) -> Any:
    return ops("Concatenate", a["values"], axis=a["axis"])


@_known("stack", "values axis")
def _stack(ops: _Writer, a: dict[str, Any]) -> Any:
    return ops("Stack", a["values"], axis=a.get("axis", 0))


@_known("unstack", "x num axis")
def _unstack(ops: _Writer, a: dict[str, Any]) -> Any:
    return ops("Unstack", a["x"], module="core", num=a.get("num"), axis=a.get("axis", 0))


@_known("split", "x parts axis num_or_size_splits")
def _split(ops: _Writer, a: dict[str, Any]) -> Any:
    parts = a.get("num_or_size_splits", a.get("parts"))
    if isinstance(parts, list):  # TensorFlow has the sizes of the parts, Keras the places to cut
        parts = [sum(parts[: i + 1]) for i in range(len(parts) - 1)]
    return ops("Split", a["x"], indices_or_sections=parts, axis=a.get("axis", 0))


@_known("tile", "x multiples")
def _tile(ops: _Writer, a: dict[str, Any]) -> Any:
    return ops("Tile", a["x"], repeats=a["multiples"])


@_known("repeat", "x repeats axis")
def _repeat(ops: _Writer, a: dict[str, Any]) -> Any:
    return ops("Repeat", a["x"], repeats=a["repeats"], axis=a.get("axis"))


@_known("reverse", "x axis")
def _reverse(ops: _Writer, a: dict[str, Any]) -> Any:
    axis = a["axis"]
    return ops("Flip", a["x"], axis=axis[0] if isinstance(axis, list) and len(axis) == 1 else axis)


@_known("cumsum", "x axis")
def _cumsum(ops: _Writer, a: dict[str, Any]) -> Any:
    return ops("Cumsum", a["x"], axis=a.get("axis", 0))


@_known("pad pad_v2", "x paddings mode constant_values")
def _pad(ops: _Writer, a: dict[str, Any]) -> Any:
    mode = str(a.get("mode", "CONSTANT")).lower()
    fill = [a.get("constant_values", 0)] if mode == "constant" else []
    return ops("Pad", a["x"], *fill, pad_width=a["paddings"], mode=mode)


@_known("cast saturate_cast", "x dtype")
def _cast(ops: _Writer, a: dict[str, Any]) -> Any:
    dtype = a["dtype"]
    dtype = dtype.get("config", {}).get("name") if isinstance(dtype, Mapping) else dtype
    return ops("Cast", a["x"], module="core", dtype=str(dtype).removesuffix("_ref"))


@_known("clip_by_value clip", "x clip_value_min clip_value_max min_value max_value")
def _clip(ops: _Writer, a: dict[str, Any]) -> Any:
    low, high = (
        a.get("clip_value_min", a.get("min_value")),
        a.get("clip_value_max", a.get("max_value")),
    )
    return ops("Clip", a["x"], x_min=low, x_max=high)


@_known("one_hot", "x depth on_value off_value axis dtype")
def _one_hot(ops: _Writer, a: dict[str, Any]) -> Any:
    return ops(
        "OneHot",
        a["x"],
        module="nn",
        num_classes=a["depth"],
        axis=a.get("axis", -1),
        dtype=a.get("dtype", "float32"),
    )


@_known("gather gather_v2", "params indices validate_indices axis")
def _gather(ops: _Writer, a: dict[str, Any]) -> Any:
    return ops("Take", a["params"], a["indices"], axis=a.get("axis", 0))


@_known("where where_v2", "condition x y")
def _where(ops: _Writer, a: dict[str, Any]) -> Any:
    return ops("Where", a["condition"], a["x"], a["y"])


@_known("matmul", "a b transpose_a transpose_b")
def _matmul(ops: _Writer, a: dict[str, Any]) -> Any:
    left, right = (
        ops("Swapaxes", a[name], axis1=-1, axis2=-2) if a.get(f"transpose_{name}") else a[name]
        for name in "ab"
    )
    return ops("Matmul", left, right)


@_known("tensordot", "a b axes")
def _tensordot(ops: _Writer, a: dict[str, Any]) -> Any:
    return ops("Tensordot", a["a"], a["b"], axes=a["axes"])


@_known("norm norm_v2 reduce_euclidean_norm", "x axis keepdims")
def _norm(ops: _Writer, a: dict[str, Any]) -> Any:
    return ops(
        "Norm",
        a["x"],
        module="linalg",
        ord=None,
        axis=a.get("axis"),
        keepdims=bool(a.get("keepdims", False)),
    )


@_known("image.resize image.resize_v2", "images size method")
def _resize(ops: _Writer, a: dict[str, Any]) -> Any:
    return ops(
        "Resize",
        a["images"],
        module="image",
        size=a["size"],
        interpolation=a.get("method", "bilinear"),
    )


@_known("depth_to_space", "x block_size")
def _depth_to_space(ops: _Writer, a: dict[str, Any]) -> Any:
    return ops("DepthToSpace", a["x"], module="nn", block_size=a["block_size"])


@_known("space_to_depth", "x block_size")
def _space_to_depth(ops: _Writer, a: dict[str, Any]) -> Any:
    return ops("SpaceToDepth", a["x"], module="nn", block_size=a["block_size"])


@_known("getitem", "tensor slice_spec")
def _getitem(ops: _Writer, a: dict[str, Any]) -> Any:
    spec = a.get("slice_spec")
    key = [_step(step) for step in (spec if isinstance(spec, list) else [spec])]
    if any(isinstance(step, Mapping) or step is None for step in key):
        return ops("GetItem", a["tensor"], key)
    x = a["tensor"]
    for index in key:  # one at a time, because a list of integers would choose rows
        x = ops("GetItem", x, index)
    return x


def _step(step: Any) -> Any:
    """Return one index of `getitem` in Keras 3's form."""
    if step is Ellipsis or (
        isinstance(step, Mapping)
        and str(step.get("class_name", "")).lower().strip("_") == "ellipsis"
    ):
        return {"class_name": "__ellipsis__", "config": {}}
    if isinstance(step, Mapping) and "start" in step:
        return {
            "class_name": "__slice__",
            "config": {key: step.get(key) for key in ("start", "stop", "step")},
        }
    if isinstance(step, Mapping) and isinstance(step.get("config"), Mapping):
        return _step(step["config"])
    return step
