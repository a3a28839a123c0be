"""Load mutations of real files, and check that each load succeeds or raises `FileError`.

    python tests/support/fuzz_files.py --count 20000 --seed 1 [--formats .keras .h5 .json ...]
    [--corpus FOLDER]

Each load must stay within limits of time and memory. Bytes are flipped, overwritten, cut or copied.
In JSON, numbers become huge or negative, values change type, members are deleted, and names are
replaced by other names. Backups of trainings get valid checksums. A file that causes a problem is
kept in the folder `--keep` and printed, and the exit status is then 1. The file being loaded is
there as `last` with its extension, in case the process dies.
"""

import argparse
import collections
import faulthandler
import gc
import io
import itertools
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np

os.environ.setdefault("JAX_PLATFORMS", "cpu")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import hornbeam as hb
from hornbeam.saving import checkpoint
from hornbeam.training import resume

FORMATS = (".keras", ".h5", ".weights.h5", ".safetensors", ".json", ".yaml", ".checkpoint")
WEIGHTS = (".weights.h5", ".safetensors")
SECONDS = 20  # limit of processor time; ten times as much wall time
CONSTANT = 256 * 2**20
ODD = (0, 1, 0x7F, 0x80, 0xFF)
NUMBERS = (0, -1, 1, 2, 2**27, 2**31, 2**40, 10**9, 10**30, 1.5, -1e300, float("nan"), float("inf"))
OTHERS = (
    None,
    True,
    [],
    {},
    "",
    "x",
    [None],
    [[]],
    {"class_name": "Dense", "config": {}},
    "linear",
    [1, 2, 3],
)


def models():
    """Return functions that build models of many kinds."""
    layers = hb.layers

    def dense():
        return hb.Sequential(
            [
                hb.Input((3,)),
                layers.Dense(4, "relu"),
                layers.BatchNormalization(),
                layers.Dense(2, name="head"),
            ]
        )

    def images():
        conv = [
            layers.Conv2D(3, 3),
            layers.MaxPooling2D(),
            layers.DepthwiseConv2D(2),
            layers.GlobalAveragePooling2D(),
        ]
        return hb.Sequential([hb.Input((9, 9, 1)), *conv, layers.Dropout(0.1), layers.Dense(2)])

    def sequences():
        x = inputs = hb.Input((5,), dtype="int32")
        x = layers.Embedding(7, 4)(x)
        x = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(x)
        x = layers.MultiHeadAttention(2, 3)(x, x) + hb.ops.expand_dims(x[:, 0], 1)
        return hb.Model(
            inputs, layers.TimeDistributed(layers.Dense(2))(layers.GRU(2, return_sequences=True)(x))
        )

    def nested():
        a, b = hb.Input((3,), name="a"), hb.Input((3,), name="b")
        shared = dense()
        return hb.Model(
            [a, b], layers.Concatenate()([shared(a), shared(b), hb.ops.split(a, 3, axis=-1)[0]])
        )

    return dense, images, sequences, nested


def samples(folder, formats):
    """Write the real files; return each path with the model whose weights the file holds."""
    found = []
    for make in models():
        model = make()
        loss = hb.losses.MeanSquaredError()
        schedule = hb.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
        model.compile(
            hb.optimizers.Adam(schedule), loss, metrics=[hb.metrics.AUC(num_thresholds=5), "mae"]
        )
        for ending in formats:
            path = folder / f"{make.__name__}{ending}"
            if ending == ".checkpoint":
                continue
            if ending in (".json", ".yaml"):
                path.write_text(model.to_json())
            elif ending in WEIGHTS:
                model.save_weights(path)
            else:
                model.save(path)
            found.append((path, model))
            if ending in (".h5", ".weights.h5"):
                for number in range(2):
                    again = folder / f"{make.__name__}_{number}{ending}"
                    in_pieces(path, again, number)
                    found.append((again, model))
    if ".checkpoint" in formats:
        for kind in ("arrays", "generator", "batches"):
            trained(folder / kind, kind)
            (backup,) = (folder / kind).glob("*.checkpoint")
            found.append((backup.rename(folder / f"{kind}.checkpoint"), kind))
    return found


def trained(folder, kind, epochs=1):
    """Train a small model with backups in `folder`, or resume from an existing backup.

    `kind` is the kind of data: `arrays`, `generator` or `batches`.
    """
    resume._finished.clear()
    model = hb.Sequential([hb.Input((2,)), hb.layers.Dense(1)])
    model.compile(hb.optimizers.SGD(momentum=0.9), "mse", metrics=["mae"])
    x, y = np.ones((6, 2), "float32"), np.ones((6, 1), "float32")
    callbacks = hb.callbacks
    kept = callbacks.BackupAndRestore(folder, save_freq=3, delete_checkpoint=False)
    more = [callbacks.EarlyStopping("loss", patience=9), callbacks.ReduceLROnPlateau("loss"), kept]
    arguments = {"epochs": epochs, "verbose": 0, "callbacks": more}
    if kind == "arrays":
        model.fit(x, y, batch_size=2, validation_data=(x, y), **arguments)
    elif kind == "generator":
        model.fit(itertools.repeat((x, y)), steps_per_epoch=4, **arguments)
    else:
        model.fit(
            collections.deque([(x, y)] * 4),
            validation_data=iter([(x, y)] * 40),
            validation_steps=1,
            **arguments,
        )


def in_pieces(path, again, number):
    """Copy a file to the newest form of HDF5.

    Arrays are stored in small chunks, compressed or not, with all kinds of index.
    """
    filters = (
        {},
        {"compression": "lzf"},
        {"compression": "gzip", "shuffle": True, "fletcher32": True},
    )
    with h5py.File(path) as old, h5py.File(again, "w", libver="latest") as new:

        def copy(name, item):
            if isinstance(item, h5py.Group):
                new.require_group(name).attrs.update(item.attrs)
                return
            way = sum(map(ord, name)) + number
            if item.ndim and item.size:
                limits = [item.shape, (None, *item.shape[1:]), (None,) * item.ndim][way % 3]
                chunks = tuple(max(1, size // (2 + way % 4)) for size in item.shape)
                made = new.create_dataset(
                    name, data=item[()], chunks=chunks, maxshape=limits, **filters[way // 3 % 3]
                )
            else:
                made = new.create_dataset(name, data=item[()])
            made.attrs.update(item.attrs)

        new.attrs.update(old.attrs)
        old.visititems(copy)


# --- mutations


def changed_bytes(raw, rng):
    data = bytearray(raw)
    way = rng.random()
    if way < 0.06:
        del data[rng.randrange(len(data)) :]
        return bytes(data)
    if way < 0.12:
        start, size = rng.randrange(len(data)), rng.choice([1, 4, 8, 64, 512])
        where = rng.randrange(len(data))
        data[where : where + size] = data[start : start + size]
        return bytes(data)
    # Bytes that are not zero hold the structure, so they are changed more often.
    for _ in range(rng.choice([1, 1, 1, 2, 4, 16])):
        place = rng.randrange(len(data))
        for _ in range(rng.choice([0, 0, 8])):
            if data[place]:
                break
            place = rng.randrange(len(data))
        if way < 0.5:
            data[place] ^= 1 << rng.randrange(8)
        elif way < 0.9:
            data[place] = rng.choice([*ODD, rng.randrange(256)])
        else:
            number = rng.choice(
                [
                    0,
                    1,
                    2**16,
                    2**31 - 1,
                    2**32 - 1,
                    2**40,
                    2**63 - 1,
                    2**64 - 1,
                    len(data),
                    len(data) - 1,
                ]
            )
            data[place : place + 8] = number.to_bytes(8, "little")
    return bytes(data[: len(raw)])


def changed_json(value, rng, words):
    """Return a JSON value with changes at a few places."""
    value = json.loads(json.dumps(value))
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        places = [(holder, key) for holder in containers(value) for key in keys(holder)]
        if not places:
            break
        holder, key = rng.choice(places)
        old, way = holder[key], rng.random()
        if way < 0.15:
            del holder[key]
        elif way < 0.25 and isinstance(holder, list):
            holder.insert(key, old)
        elif isinstance(old, (int, float)) and not isinstance(old, bool) and way < 0.8:
            holder[key] = rng.choice(NUMBERS)
        elif isinstance(old, str) and way < 0.8:
            holder[key] = rng.choice(words)
        elif way < 0.9:
            other, name = rng.choice(places)
            holder[key] = json.loads(json.dumps(other[name]))
        else:
            holder[key] = rng.choice(OTHERS)
    return value


def containers(value):
    if isinstance(value, (dict, list)):
        yield value
        for item in value.values() if isinstance(value, dict) else value:
            yield from containers(item)


def keys(holder):
    return list(holder) if isinstance(holder, dict) else range(len(holder))


def words_of(value):
    """Return the strings of a JSON value, and names of Hornbeam that could replace them."""
    names = [
        n
        for module in (hb.layers, hb.losses, hb.metrics, hb.optimizers, hb.initializers)
        for n in module.__all__
    ]
    ops = [n.title().replace("_", "") for n in hb.ops.__all__]
    found = {
        item
        for holder in containers(value)
        for item in (holder.values() if isinstance(holder, dict) else holder)
        if isinstance(item, str)
    }
    return [*found, *names, *ops]


def mutated(raw, ending, rng):
    """Return a mutation of a file's bytes."""
    if ending == ".json":
        if rng.random() < 0.2:
            return changed_bytes(raw, rng)
        value = json.loads(raw)
        return json.dumps(changed_json(value, rng, words_of(value))).encode()
    if ending == ".yaml":
        if rng.random() < 0.3:
            return changed_bytes(raw, rng)
        import yaml

        value = changed_json(json.loads(raw), rng, words_of(json.loads(raw)))
        return yaml.safe_dump(value, default_flow_style=rng.choice([True, False, None])).encode()
    if ending == ".checkpoint" and rng.random() < 0.9:
        start = len(checkpoint._MARK) + checkpoint._HEAD.size
        length, _ = checkpoint._HEAD.unpack_from(raw, len(checkpoint._MARK))
        value = changed_json(
            json.loads(raw[start : start + length]),
            rng,
            ["float32", "int8", "array", "tuple", "dict", "epoch"],
        )
        header = json.dumps(value).encode()
        return (
            checkpoint._MARK
            + checkpoint._HEAD.pack(len(header), zlib.crc32(header))
            + header
            + raw[start + length :]
        )
    if ending == ".keras" and raw.startswith(b"PK") and rng.random() < 0.7:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        if rng.random() < 0.5:
            value = json.loads(members["config.json"])
            members["config.json"] = json.dumps(changed_json(value, rng, words_of(value))).encode()
        else:
            members["model.weights.h5"] = changed_bytes(members["model.weights.h5"], rng)
        data = io.BytesIO()
        with zipfile.ZipFile(
            data, "w", rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
        ) as archive:
            for name, member in members.items():
                archive.writestr(name, member)
        return data.getvalue()
    if ending == ".safetensors" and rng.random() < 0.6:
        end = 8 + int.from_bytes(raw[:8], "little")
        value = json.loads(raw[8:end])
        header = json.dumps(
            changed_json(value, rng, [*value, "F64", "BF16", "F8_E4M3", "BOOL", "U64"])
        ).encode()
        return len(header).to_bytes(8, "little") + header + raw[end:]
    return changed_bytes(raw, rng)


# --- outcomes


def attempt(path, ending, model):
    """Load a file and return `loaded` or `error`."""
    try:
        if ending == ".json":
            hb.models.model_from_json(path.read_text(errors="surrogateescape"))
        elif ending == ".yaml":
            hb.models.model_from_yaml(path.read_text(errors="surrogateescape"))
        elif ending == ".checkpoint":
            folder = path.with_suffix("")
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            shutil.copy(path, folder / "training-0-000001.checkpoint")
            return gone_on(folder, model)
        elif ending in WEIGHTS:
            model.load_weights(path)
        else:
            hb.models.load_model(path)
    except hb.saving.FileError:
        return "error"
    return "loaded"


def gone_on(folder, kind):
    """Resume from a backup; a `ValueError` that says it is of another training counts as error."""
    try:
        trained(folder, kind, epochs=2)
    except hb.saving.FileError:
        raise
    except ValueError as error:
        if str(error).startswith("fit: the"):
            return "error"
        raise
    return "loaded"


class Hang(BaseException):
    """A load that does not end; not an `Exception`, so that the load does not handle it."""


def end_hang(number, frame):
    raise Hang(f"more than {SECONDS} seconds")


def peak_memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=20_000, help="mutations of each format")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--formats", nargs="+", default=FORMATS, choices=FORMATS)
    parser.add_argument("--corpus", help="folder with more real files")
    parser.add_argument(
        "--keep", default="fuzz_failures", help="folder for files that cause problems"
    )
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    limit = 12 * 2**30
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    signal.signal(signal.SIGPROF, end_hang)
    failures = 0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        files = samples(folder, options.formats)
        for path in sorted(Path(options.corpus).rglob("*")) if options.corpus else ():
            ending = next(
                (e for e in (".weights.h5", ".keras", ".h5") if path.name.endswith(e)), None
            )
            if (
                ending in options.formats
                and path.stat().st_size < 2**20
                and ending != ".weights.h5"
            ):
                files.append((path, None))
        for ending in options.formats:
            chosen = [(path, model) for path, model in files if path.name.endswith(ending)]
            if ending == ".h5":
                chosen = [(p, m) for p, m in chosen if not p.name.endswith(".weights.h5")]
            failures += fuzz(chosen, ending, options, folder)
    return 1 if failures else 0


def fuzz(files, ending, options, folder):
    """Load mutations of `files`; return the number that caused problems."""
    rng = random.Random(f"{options.seed}{ending}")
    raws = [(path.read_bytes(), model) for path, model in files]
    for raw, model in raws:  # checks the real files, and triggers late imports
        (folder / f"mutant{ending}").write_bytes(raw)
        attempt(folder / f"mutant{ending}", ending, model)
    counts, failures, slowest, start = {"loaded": 0, "error": 0}, 0, 0.0, time.monotonic()
    keep = Path(options.keep)
    keep.mkdir(parents=True, exist_ok=True)
    target = keep / f"last{ending}"
    base = None
    for number in range(options.count):
        raw, model = rng.choice(raws)
        data = mutated(raw, ending, rng)
        target.write_bytes(data)
        if number % 1000 == 0:
            print(
                f"{ending}: {number} so far, {counts}, {failures} problems",
                file=sys.stderr,
                flush=True,
            )
            gc.collect()
        peak, begun = peak_memory(), time.monotonic()
        # Ends the process if code outside Python hangs.
        faulthandler.dump_traceback_later(10 * SECONDS, exit=True)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        problem = None
        try:
            counts[attempt(target, ending, model)] += 1
        except BaseException:
            problem = traceback.format_exc()
        signal.setitimer(signal.ITIMER_PROF, 0)
        faulthandler.cancel_dump_traceback_later()
        seconds = time.monotonic() - begun
        slowest = max(slowest, seconds)
        grown = peak_memory() - peak
        if number == 500:
            base = peak_memory()
        if problem is None and number > 50 and grown > 2 * len(data) + CONSTANT:
            problem = f"peak memory grew by {grown >> 20} MiB"
        if problem is not None:
            failures += 1
            kept = keep / f"{options.seed}-{number}{ending}"
            kept.write_bytes(data)
            print(f"{kept}: {problem}", flush=True)
    target.unlink()
    grown = (peak_memory() - base) >> 20 if base else 0
    print(
        f"{ending}: {options.count} mutations, {counts['loaded']} loaded, {counts['error']}"
        f" refused, {failures} problems; slowest {slowest:.2f} s, {time.monotonic() - start:.0f} s"
        f" in all; memory grew by {grown} MiB after the first 500",
        flush=True,
    )
    return failures


if __name__ == "__main__":
    sys.exit(main())
