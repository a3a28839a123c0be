"""The disk cache of compiled programs: complete, private to the user and limited in size."""

import os
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import pytest
from jax.experimental.compilation_cache import compilation_cache as of_jax

import hornbeam as hb
from hornbeam.core import compile_cache


@pytest.fixture
def folder(tmp_path):
    before = (
        jax.config.jax_compilation_cache_dir,
        jax.config.jax_persistent_cache_min_compile_time_secs,
    )
    place = tmp_path / "programs"
    hb.config.enable_compile_cache(place)
    yield place
    hb.config.disable_compile_cache()
    of_jax.reset_cache()
    jax.config.update("jax_compilation_cache_dir", before[0])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", before[1])


def compute(factor):
    return float(jax.jit(lambda x: jnp.sin(x) * factor + 0.125)(1.0))


def test_kept_read_and_mended(folder):
    assert hb.config.compile_cache() == str(folder)
    value = compute(3.5)
    entries = sorted(folder.iterdir())
    assert [entry.suffix for entry in entries] == [".xla"] * len(entries) != []
    whole = {entry: entry.read_bytes() for entry in entries}
    assert compute(3.5) == value  # a new function with the same program: read from disk
    assert sorted(folder.iterdir()) == entries
    for damage in (
        lambda b: b[: len(b) // 2],
        lambda b: b[:40] + bytes([b[40] ^ 1]) + b[41:],
        lambda b: b"",
    ):
        for entry, content in whole.items():
            entry.write_bytes(damage(content))
        assert compute(3.5) == value
        # The damaged files are written again.
        assert {entry: entry.read_bytes() for entry in entries}.keys() == whole.keys()
        assert all(len(entry.read_bytes()) > 100 for entry in entries)


def test_not_where_others_may_write(tmp_path):
    place = tmp_path / "open"
    place.mkdir()
    place.chmod(0o777)
    assert not compile_cache.enable(place)
    with pytest.raises(ValueError, match="Only you may own it and write to it"):
        hb.config.enable_compile_cache(place)
    (tmp_path / "file").write_text("")
    assert not compile_cache.enable(tmp_path / "file" / "below")


def test_what_was_used_longest_ago_goes_first(tmp_path):
    now = time.time()
    for i in range(10):
        entry = tmp_path / f"{i}.xla"
        entry.write_bytes(b"x" * 100)
        os.utime(entry, (now, now - 1000 + i))
    compile_cache._prune(tmp_path, 1000)
    assert len(list(tmp_path.iterdir())) == 10
    compile_cache._prune(tmp_path, 900)
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"{i}.xla" for i in range(3, 10)]


@pytest.mark.parametrize(("setting", "kept"), [("0", None), ("here", "here")])
def test_the_environment_decides(tmp_path, setting, kept):
    wanted = str(tmp_path / setting) if kept else setting
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")} | {
        "HORNBEAM_COMPILE_CACHE": wanted
    }
    code = "import hornbeam as hb; print(hb.config.compile_cache())"
    out = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == str(wanted if kept else None)
