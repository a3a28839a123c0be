"""Under FSDP, the memory of a model with Adam falls with the number of devices."""

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import json
import jax, numpy as np
import hornbeam as hb

x = np.ones((16, 256), "float32")
found = {}
for n in (1, 2, 4, 8):
    fsdp = hb.distribution.FullyShardedDataParallel(devices=[f"cpu:{i}" for i in range(n)])
    with fsdp.scope():
        model = hb.Sequential([hb.Input((256,)), hb.layers.Dense(512), hb.layers.Dense(256)])
    model.compile("adam", "mse", distribution=fsdp)
    before = [v.stored.addressable_shards[0].data.shape for v in model.trainable_variables]
    model.train_on_batch(x, x)
    held = {}
    for v in [*model.weights, *model.optimizer.variables]:
        for part in v.stored.addressable_shards:
            held[part.device.id] = held.get(part.device.id, 0) + part.data.nbytes
    after = [v.stored.addressable_shards[0].data.shape for v in model.trainable_variables]
    assert before == after and len(set(held.values())) == 1 and len(held) == n
    found[n] = held[0]
print(json.dumps(found))
"""


@pytest.mark.slow
def test_memory_per_device_falls_as_one_by_n():
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = {int(n): held for n, held in json.loads(done.stdout.splitlines()[-1]).items()}
    # Biases have fewer than 1024 elements and stay whole: weight, momentum and velocity.
    whole = 3 * 4 * (512 + 256) + 16
    divided = 3 * 4 * 2 * 256 * 512
    for n, held in found.items():
        assert abs(held - (divided / n + whole)) <= 64, (n, held, divided / n + whole)
    print(found)
