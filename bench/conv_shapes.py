"""Measure convolutions of well-known networks against PyTorch in channels_last.

    python -m bench.conv_shapes [--cores N] [--seconds S] [--only TEXT] [--cpu-time]

The forward pass and both gradients are measured. `hornbeam-cpu` and `torch` must be installed.
Each library runs in its own process, and the two take turns. So both meet the same load on the
machine, and neither meets the other's threads and memory. The result is the least time of each. A
ratio above 1 means that Hornbeam is faster.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, NamedTuple


class Shape(NamedTuple):
    """One convolution, with "same" padding unless the window is even."""

    network: str
    batch: int
    size: int
    channels: int
    filters: int
    window: int
    stride: int = 1
    groups: int = 1


SHAPES = [
    Shape("ResNet-50", 4, 224, 3, 64, 7, 2),
    Shape("ResNet-50", 8, 56, 64, 64, 1),
    Shape("ResNet-50", 8, 56, 64, 64, 3),
    Shape("ResNet-50", 8, 56, 64, 256, 1),
    Shape("ResNet-50", 8, 56, 256, 64, 1),
    Shape("ResNet-50", 8, 56, 128, 128, 3, 2),
    Shape("ResNet-50", 8, 56, 256, 512, 1, 2),
    Shape("ResNet-50", 8, 28, 128, 128, 3),
    Shape("ResNet-50", 8, 28, 128, 512, 1),
    Shape("ResNet-50", 8, 14, 256, 256, 3),
    Shape("ResNet-50", 8, 14, 256, 1024, 1),
    Shape("ResNet-50", 8, 7, 512, 512, 3),
    Shape("ResNet-50", 8, 7, 2048, 512, 1),
    Shape("MobileNetV2", 8, 224, 3, 32, 3, 2),
    Shape("MobileNetV2", 8, 112, 32, 32, 3, 1, 32),
    Shape("MobileNetV2", 8, 112, 32, 16, 1),
    Shape("MobileNetV2", 8, 112, 96, 96, 3, 2, 96),
    Shape("MobileNetV2", 8, 56, 24, 144, 1),
    Shape("MobileNetV2", 8, 28, 192, 192, 3, 1, 192),
    Shape("MobileNetV2", 8, 14, 576, 96, 1),
    Shape("MobileNetV2", 8, 14, 576, 576, 3, 2, 576),
    Shape("MobileNetV2", 8, 7, 960, 960, 3, 1, 960),
    Shape("VGG16", 2, 224, 3, 64, 3),
    Shape("VGG16", 1, 112, 128, 128, 3),
    Shape("VGG16", 2, 56, 256, 256, 3),
    Shape("VGG16", 2, 28, 512, 512, 3),
    Shape("U-Net", 1, 256, 1, 64, 3),
    Shape("U-Net", 2, 128, 64, 128, 2, 2),
    Shape("U-Net", 2, 32, 512, 256, 3),
    Shape("U-Net", 4, 128, 64, 2, 1),
    Shape("decoder", 64, 28, 32, 1, 3),
    Shape("decoder", 8, 64, 64, 3, 5),
]
PASSES = ("forward", "dX", "dW")


def hornbeam_passes(shape: Shape, arrays: Any) -> list[Callable[[], Any]]:
    """Return functions that run the three passes of a convolution in Hornbeam."""
    import jax

    from hornbeam.ops import conv, routes

    padding = "valid" if shape.window % 2 == 0 else ((shape.window // 2,) * 2,) * 2

    def forward(x: Any, kernel: Any) -> Any:
        return conv(x, kernel, shape.stride, padding)

    inputs, kernel, gradient = (jax.device_put(a) for a in arrays)
    passes = (
        (jax.jit(forward), (inputs, kernel)),
        (
            jax.jit(lambda x, k, g: jax.vjp(lambda x: forward(x, k), x)[1](g)[0]),
            (inputs, kernel, gradient),
        ),
        (
            jax.jit(lambda x, k, g: jax.vjp(lambda k: forward(x, k), k)[1](g)[0]),
            (inputs, kernel, gradient),
        ),
    )
    functions = [lambda f=f, given=given: f(*given).block_until_ready() for f, given in passes]
    functions[0]()
    assert all(route.name == "native" for route in routes.taken().values()), routes.taken()
    return functions


def torch_passes(shape: Shape, arrays: Any) -> list[Callable[[], Any]]:
    """Return functions that run the three passes in PyTorch, with arrays in channels_last."""
    import torch

    inputs, kernel, gradient = (torch.from_numpy(a) for a in arrays)
    inputs, gradient = inputs.permute(0, 3, 1, 2), gradient.permute(0, 3, 1, 2)
    kernel = kernel.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)
    pad = 0 if shape.window % 2 == 0 else shape.window // 2

    def forward() -> Any:
        return torch.conv2d(inputs, kernel, None, shape.stride, pad, 1, shape.groups)

    def backward(*which: bool) -> Any:
        return torch.ops.aten.convolution_backward(
            gradient, inputs, kernel, None, [shape.stride] * 2, [pad] * 2, [1, 1], False, [0, 0],
            shape.groups, [*which, False],
        )  # fmt: skip

    return [forward, lambda: backward(True, False), lambda: backward(False, True)]


def make_arrays(shape: Shape) -> list[Any]:
    """Return inputs, kernel and the gradient of the outputs."""
    import numpy as np

    pad = 0 if shape.window % 2 == 0 else shape.window // 2
    out = (shape.size + 2 * pad - shape.window) // shape.stride + 1
    sizes = (
        (shape.batch, shape.size, shape.size, shape.channels),
        (shape.window, shape.window, shape.channels // shape.groups, shape.filters),
        (shape.batch, out, out, shape.filters),
    )
    rng = np.random.default_rng(0)
    arrays = []
    for size in sizes:
        # Arrays begin at a cache line, so JAX uses NumPy's memory, which is in large pages, without
        # a copy.
        memory = np.empty(math.prod(size) + 16, "float32")
        begin = -memory.ctypes.data % 64 // memory.itemsize
        arrays.append(memory[begin : begin + math.prod(size)].reshape(size))
        rng.standard_normal(dtype="float32", out=arrays[-1])
    return arrays


def serve(library: str, cores: int, cpu_time: bool, connection: Connection) -> None:
    """Answer each request with the least milliseconds of a call; this is the body of a process.

    Each request makes several calls, because at the first one threads still have to wake up.
    """
    # Before JAX or PyTorch count the cores.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    clock = time.process_time if cpu_time else time.perf_counter
    if library == "torch":
        import torch

        torch.set_num_threads(cores)
        torch.set_grad_enabled(False)
    shape, passes = None, []
    while (asked := connection.recv()) is not None:
        if asked[0] != shape:
            shape = asked[0]
            passes = (torch_passes if library == "torch" else hornbeam_passes)(
                shape, make_arrays(shape)
            )
        function = passes[asked[1]]
        function()
        turn, best, calls = time.perf_counter(), float("inf"), 0
        while time.perf_counter() - turn < 0.015 or calls < 3:
            begun = clock()
            function()
            best, calls = min(best, 1e3 * (clock() - begun)), calls + 1
        connection.send(best)


def least(connections: list[Connection], shape: Shape, which: int, seconds: float) -> list[float]:
    """Return the least milliseconds of each process after `seconds` of taking turns."""
    best = [float("inf")] * len(connections)
    start, rounds = time.perf_counter(), 0
    while time.perf_counter() - start < seconds or rounds < 5:
        for i, connection in enumerate(connections):
            connection.send((shape, which))
            best[i] = min(best[i], connection.recv())
            time.sleep(0.01)  # until the spinning threads of the previous process sleep
        rounds += 1
    return best


def main() -> None:
    """Print a row for each shape, then the lowest ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument(
        "--seconds", type=float, default=1.0, help="time for each pass of each shape"
    )
    parser.add_argument("--only", default="", help="part of a network's name")
    parser.add_argument("--cpu-time", action="store_true",
        help="measure processor time, which depends less on other "
                        "load; needs --cores 1")  # fmt: skip
    options = parser.parse_args()
    if options.cpu_time and options.cores != 1:
        parser.error("--cpu-time needs --cores 1, because waiting threads use processor time too")
    processes = multiprocessing.get_context("spawn")
    connections = []
    for library in ("hornbeam", "torch"):
        ours, theirs = processes.Pipe()
        arguments = (library, options.cores, options.cpu_time, theirs)
        processes.Process(target=serve, args=arguments, daemon=True).start()
        theirs.close()  # `recv` then fails if the process ends
        connections.append(ours)
    print(
        f"{options.cores} cores; milliseconds of Hornbeam / PyTorch channels_last, and their ratio"
        " (above 1: Hornbeam is faster)"
    )
    worst = []
    for shape in SHAPES:
        if options.only not in shape.network:
            continue
        cells = []
        for which, name in enumerate(PASSES):
            our_time, their_time = least(connections, shape, which, options.seconds)
            cells.append(f"{name} {our_time:7.2f} /{their_time:7.2f} {their_time / our_time:5.2f}x")
            worst.append((their_time / our_time, name, shape))
        label = (
            f"{shape.network} {shape.batch}x{shape.size}x{shape.size}x{shape.channels} ->"
            f" {shape.filters}"
        )
        label += f", {shape.window}x{shape.window}/{shape.stride}" + (
            " depthwise" if shape.groups > 1 else ""
        )
        print(f"{label:52}", "  ".join(cells), flush=True)
    for connection in connections:
        connection.send(None)
    print(
        f"{sum(ratio >= 0.9 for ratio, *_ in worst)} of {len(worst)} ratios are 0.9x or more. The"
        " lowest:"
    )
    for ratio, name, shape in sorted(worst)[:6]:
        print(f"  {ratio:.2f}x {name} {shape}")


if __name__ == "__main__":
    main()
