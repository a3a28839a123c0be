"""What a transformer costs on many devices: a plan by formulae, and compiled programs.

    python -m bench.scaling plan
    python -m bench.scaling compile --devices 8 --strategy fsdp

`plan` computes bytes, floating-point operations and traffic for models of 7 and 70 billion
parameters. `compile` compiles one training step of a small transformer with the layers of
Hornbeam for N virtual devices and reads the result: collectives in the text of the program, bytes
per device from XLA's memory analysis. Only shapes are compiled, so no device is needed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import re
from typing import Any

__all__ = ["NETWORKS", "TRANSFORMERS", "Transformer", "compiled", "plan"]


@dataclasses.dataclass
class Transformer:
    """Sizes of a transformer that predicts the next token.

    Attributes:
        layers, width, heads, hidden: Blocks; numbers per token; heads; inner width of a block.
        vocabulary, length: Tokens that exist; tokens of a sequence.
    """

    layers: int
    width: int
    heads: int
    hidden: int
    vocabulary: int = 32_000
    length: int = 4096

    @property
    def parameters(self) -> int:
        """Weights: four matrices of attention and two of the block per layer, two embeddings."""
        block = 4 * self.width**2 + 2 * self.width * self.hidden
        return self.layers * block + 2 * self.vocabulary * self.width

    def operations(self, tokens: int) -> float:
        """Floating-point operations of a step.

        Six per weight and token (two forward, four backward), and twelve per layer, token, earlier
        position and width for the scores of attention.
        """
        return tokens * (6 * self.parameters + 12 * self.layers * self.length * self.width)


TRANSFORMERS = {
    "7B": Transformer(32, 4096, 32, 16_384),
    "70B": Transformer(80, 8192, 64, 36_864),
}

NETWORKS = {  # bytes per second that one device sends, and receives at the same time
    "NVLink 4, 8 GPUs": 450e9,
    "InfiniBand NDR, 400 Gb/s per GPU": 50e9,
    "TPU v5p, three axes": 300e9,
    "Ethernet, 100 Gb/s per machine of 8": 12.5e9 / 8,
}

PEAK, SHARE = 989e12, 0.4  # bfloat16 operations per second of an H100, and what is reached
TENSOR = 8  # devices that share one layer in `tensor + fsdp`


def plan(name: str, devices: int, strategy: str, sequences: int = 1) -> dict[str, float]:
    """Return what one device holds, computes and sends in one step.

    Weights are bfloat16 in computations; weights and both moments of Adam are kept in float32, and
    gradients in float32, so 16 bytes per weight are kept. Activations count with `remat`: one
    input of each layer in bfloat16.

    Args:
        name: A key of `TRANSFORMERS`.
        devices: Number of devices N.
        strategy: `"data"`, `"fsdp"` or `"tensor + fsdp"`.
        sequences: Sequences per device and step.
    """
    model = TRANSFORMERS[name]
    weights, tokens = model.parameters, sequences * model.length
    activations = 2 * tokens * model.width * model.layers
    parts = 1 if strategy == "data" else devices
    if strategy == "data":
        sent = 2 * (devices - 1) / devices * 2 * weights  # sums of the gradients
    else:
        group = TENSOR if strategy == "tensor + fsdp" else 1
        rest = devices // group
        # Weights are gathered for the forward and the backward pass, gradients are scattered.
        sent = 3 * (rest - 1) / rest * 2 * weights / group
        # Two sums of activations per layer and pass, of the sequences of the whole group.
        ring = 2 * (group - 1) / group
        sent += 4 * model.layers * ring * 2 * tokens * model.width * (group if group > 1 else 0)
    operations = model.operations(tokens)
    return {
        "state": 16 * weights / parts,
        "activations": activations,
        "operations": operations,
        "compute_seconds": operations / (PEAK * SHARE),
        "sent": sent,
        **{f"seconds: {network}": sent / speed for network, speed in NETWORKS.items()},
    }


def print_plan() -> None:
    """Print the plan as a table."""
    strategies = ("data", "fsdp", "tensor + fsdp")
    short = [network.split(",")[0] for network in NETWORKS]
    print("| model | devices | strategy | state | activations | FLOPs | compute | sent |", end="")
    print("".join(f" {network} |" for network in short))
    print("|---|" + "---|" * (7 + len(short)))
    for name in TRANSFORMERS:
        for devices in (8, 64, 512, 4096):
            for strategy in strategies:
                row = plan(name, devices, strategy)
                seconds = [row[f"seconds: {network}"] for network in NETWORKS]
                print(
                    f"| {name} | {devices} | {strategy} | {row['state'] / 2**30:.1f} GiB |"
                    f" {row['activations'] / 2**30:.2f} GiB | {row['operations'] / 1e12:.0f} T |"
                    f" {row['compute_seconds']:.2f} s | {row['sent'] / 2**30:.1f} GiB |"
                    + "".join(f" {s:.2f} s |" for s in seconds)
                )


# --- compiled programs ----------------------------------------------------------------------------


def compiled(devices: int, strategy: str, model: Transformer, sequences: int = 1) -> dict[str, Any]:
    """Compile a step of training for virtual devices, and return what the program shows.

    Args:
        devices: Number of devices; the process must have as many.
        strategy: `"data"`, `"fsdp"`, `"tensor"` or `"rules"` (a mesh of two axes: batches, and
            groups of 8 devices that share a layer).
        model: Sizes of the model.
        sequences: Sequences per device.
    """
    import jax
    import numpy as np

    import hornbeam as hb
    from hornbeam.core.initial import delayed_values

    with delayed_values():  # no value is ever made
        network = _network(model)
        optimizer = hb.optimizers.Adam()
        optimizer.build(network.trainable_variables)
    layout: Any = _distribution(devices, strategy)

    def shape(variable: Any) -> Any:
        sharding = layout.variable_sharding(variable)
        return jax.ShapeDtypeStruct(variable.shape, variable.stored_dtype, sharding=sharding)

    def step(weights: Any, slots: Any, x: Any, y: Any) -> Any:
        def loss(weights: Any) -> Any:
            logits, _ = network.stateless_call(weights, [], x, training=True)
            return hb.ops.mean(
                hb.losses.sparse_categorical_crossentropy(y, logits, from_logits=True)
            )

        return optimizer.stateless_apply(slots, jax.grad(loss)(weights), weights)

    batch = (devices * sequences, model.length)
    tokens = jax.ShapeDtypeStruct(batch, np.int32, sharding=layout.batch_sharding(batch, 0))
    weights, slots = (
        [shape(v) for v in group] for group in (network.trainable_variables, optimizer.variables)
    )
    results = jax.tree.map(lambda s: s.sharding, (weights, slots))
    program = jax.jit(step, donate_argnums=(0, 1), out_shardings=results)
    done = program.lower(weights, slots, tokens, tokens).compile()
    text, memory = done.as_text(), done.memory_analysis()
    return {
        "devices": devices,
        "strategy": strategy,
        "parameters": sum(math.prod(w.shape) for w in weights),
        "state_bytes": memory.argument_size_in_bytes,
        "temporary_bytes": memory.temp_size_in_bytes,
        "operations": done.cost_analysis().get("flops"),
        "collectives": collectives(text),
    }


COLLECTIVES = ("all-gather", "all-reduce", "reduce-scatter", "all-to-all", "collective-permute")


def collectives(text: str) -> dict[str, int]:
    """Return how often each collective occurs in the text of a compiled program.

    Example:
        >>> collectives("%a = f32[8]{0} all-reduce(%b), replica_groups={}")["all-reduce"]
        1
    """
    return {name: len(re.findall(rf" {name}(?:-start)?\(", text)) for name in COLLECTIVES}


def _network(sizes: Transformer) -> Any:
    import hornbeam as hb

    layers = hb.layers
    tokens = hb.Input((sizes.length,), dtype="int32")
    x = layers.Embedding(sizes.vocabulary, sizes.width, name="embedding")(tokens)
    for i in range(sizes.layers):
        y = layers.LayerNormalization(name=f"norm_a{i}")(x)
        head = sizes.width // sizes.heads
        attention = layers.MultiHeadAttention(sizes.heads, head, name=f"attention{i}")
        x = x + attention(y, y, use_causal_mask=True)
        y = layers.LayerNormalization(name=f"norm_b{i}")(x)
        y = layers.Dense(sizes.hidden, "gelu", name=f"up{i}")(y)
        x = x + layers.Dense(sizes.width, name=f"down{i}")(y)
    x = layers.LayerNormalization(name="norm")(x)
    return hb.Model(tokens, layers.Dense(sizes.vocabulary, name="logits")(x))


def _distribution(devices: int, strategy: str) -> Any:
    import hornbeam as hb

    places = hb.distribution
    if strategy != "rules":
        return places.choose(strategy)
    mesh = places.DeviceMesh((devices // TENSOR, TENSOR), ["batch", "model"])
    rules = places.LayoutMap(mesh)
    rules[r".*/(query|key|value)/kernel"] = (None, "model", None)
    rules[r".*/attention_output/kernel"] = ("model", None, None)
    rules[r".*up\d+/kernel"] = (None, "model")
    rules[r".*down\d+/kernel"] = ("model", None)
    rules[r".*embedding/embeddings"] = ("model", None)
    rules[r".*logits/kernel"] = (None, "model")
    return places.ModelParallel(layout_map=rules)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=["plan", "compile"])
    parser.add_argument("--devices", type=int, default=8)
    parser.add_argument("--strategy", default="fsdp", choices=["data", "fsdp", "tensor", "rules"])
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--length", type=int, default=512)
    options = parser.parse_args()
    if options.action == "plan":
        print_plan()
        return
    os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={options.devices}"
    os.environ["JAX_PLATFORMS"] = "cpu"
    width = options.width
    sizes = Transformer(options.layers, width, max(8, width // 128), 4 * width, 32_768)
    sizes.length = options.length
    print(json.dumps(compiled(options.devices, options.strategy, sizes)))


if __name__ == "__main__":
    main()
