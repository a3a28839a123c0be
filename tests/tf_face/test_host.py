"""Data functions of the `tensorflow` face beyond recorded values: compiled, random, hostile."""

import gzip
import io
import json
import struct
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hornbeam as hb
from hornbeam.errors import FileError
from hornbeam.keras import face_module
from hornbeam.tensorflow.host import as_host
from hornbeam.tensorflow.tfrecord import crc32c

tf = face_module("tensorflow")
RNG = np.random.default_rng(0)
IMAGES = RNG.random((2, 12, 13, 3)).astype("float32")
OTHER = np.clip(IMAGES + 0.1, 0, 1).astype("float32")

# Functions of images that must give the same on the host and in a compiled function.
CALLS = {
    "resize": lambda x: tf.image.resize(x, (5, 20)),
    "bicubic": lambda x: tf.image.resize(x, (20, 5), "bicubic"),
    "antialias": lambda x: tf.image.resize(x, (5, 6), "lanczos3", antialias=True),
    "nearest": lambda x: tf.image.resize(x, (5, 20), "nearest"),
    "resize_with_pad": lambda x: tf.image.resize_with_pad(x, 7, 20),
    "resize_with_crop_or_pad": lambda x: tf.image.resize_with_crop_or_pad(x, 15, 5),
    "central_crop": lambda x: tf.image.central_crop(x, 0.6),
    "crop_to_bounding_box": lambda x: tf.image.crop_to_bounding_box(x, 1, 2, 3, 4),
    "pad_to_bounding_box": lambda x: tf.image.pad_to_bounding_box(x, 1, 2, 15, 16),
    "crop_and_resize": lambda x: tf.image.crop_and_resize(x, [[0.1, 0.1, 0.8, 1.1]], [1], (4, 5)),
    "flip_left_right": lambda x: tf.image.flip_left_right(x),
    "flip_up_down": lambda x: tf.image.flip_up_down(x),
    "rot90": lambda x: tf.image.rot90(x, 1),
    "transpose": lambda x: tf.image.transpose(x),
    "adjust_brightness": lambda x: tf.image.adjust_brightness(x, 0.2),
    "adjust_contrast": lambda x: tf.image.adjust_contrast(x, 1.5),
    "adjust_gamma": lambda x: tf.image.adjust_gamma(x, 0.7),
    "adjust_hue": lambda x: tf.image.adjust_hue(x, 0.1),
    "adjust_saturation": lambda x: tf.image.adjust_saturation(x, 0.3),
    "rgb_to_grayscale": lambda x: tf.image.rgb_to_grayscale(x),
    "grayscale_to_rgb": lambda x: tf.image.grayscale_to_rgb(x[..., :1]),
    "rgb_to_hsv": lambda x: tf.image.rgb_to_hsv(x),
    "hsv_to_rgb": lambda x: tf.image.hsv_to_rgb(x),
    "rgb_to_yuv": lambda x: tf.image.rgb_to_yuv(x),
    "yiq_to_rgb": lambda x: tf.image.yiq_to_rgb(x),
    "per_image_standardization": lambda x: tf.image.per_image_standardization(x),
    "extract_patches": lambda x: tf.image.extract_patches(
        x, [1, 3, 3, 1], [1, 2, 2, 1], [1, 1, 1, 1], "SAME"
    ),
    "psnr": lambda x: tf.image.psnr(x, OTHER, 1.0),
    "ssim": lambda x: tf.image.ssim(x, OTHER, 1.0),
    "ssim_multiscale": lambda x: tf.image.ssim_multiscale(x, OTHER, 1.0, (0.5, 0.5), filter_size=4),
    "total_variation": lambda x: tf.image.total_variation(x),
    "sobel_edges": lambda x: tf.image.sobel_edges(x),
    "image_gradients": lambda x: tf.image.image_gradients(x)[1],
    "convert_image_dtype": lambda x: tf.image.convert_image_dtype(x, "uint8", saturate=True),
    "stateless": lambda x: tf.image.stateless_random_contrast(x, 0.5, 1.5, seed=(1, 2)),
    "combined_non_max_suppression": lambda x: tf.image.combined_non_max_suppression(
        x[:, :, None, 0, :1] * jnp.array([0.3, 0.3, 1, 1]), x[:, :, 0, :2], 4, 6
    )[1],
}


@pytest.fixture(scope="module")
def compiled():
    """Return the results of all calls, in one compiled function."""
    function = jax.jit(lambda x: {name: call(x) for name, call in CALLS.items()})
    return jax.device_get(function(IMAGES))


@pytest.mark.parametrize("name", CALLS)
def test_image_functions_compile(compiled, name):
    on_host = np.asarray(CALLS[name](tf.convert_to_tensor(IMAGES).__array__()))
    assert on_host.shape == compiled[name].shape
    assert on_host.dtype == compiled[name].dtype
    scale = 256 if on_host.dtype == "uint8" else max(np.abs(on_host).max(), 1)
    error = np.abs(on_host.astype("float64") - compiled[name]).max()
    assert error <= (1 if on_host.dtype == "uint8" else 2e-5 * scale)


def test_image_functions_of_symbolic_tensors():
    image = hb.Input((8, 9, 3))
    model = hb.Model(image, tf.image.resize(tf.image.flip_left_right(image), (4, 4)))
    x = IMAGES[:, :8, :9]
    expected = np.asarray(tf.image.resize(x[:, :, ::-1], (4, 4)))
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, atol=1e-5)


STATELESS = [
    "stateless_random_brightness", "stateless_random_contrast", "stateless_random_crop",
    "stateless_random_flip_left_right", "stateless_random_flip_up_down", "stateless_random_hue",
    "stateless_random_saturation",
]  # fmt: skip
RANDOM = {
    "random_brightness": ((0.3,), lambda y, x: np.ptp(y - x) < 1e-5 and abs(y - x).max() <= 0.3001),
    "random_contrast": ((0.5, 0.6), lambda y, x: np.std(y) < np.std(x)),
    "random_saturation": ((0.0, 0.1), lambda y, x: np.std(y, -1).mean() < np.std(x, -1).mean()),
    "random_hue": ((0.2,), lambda y, x: np.allclose(y.max(-1), x.max(-1), atol=1e-5)),
    "random_flip_left_right": ((), lambda y, x: np.array_equal(np.sort(y, -2), np.sort(x, -2))),
    "random_flip_up_down": ((), lambda y, x: np.array_equal(np.sort(y, -3), np.sort(x, -3))),
    "random_crop": (((2, 5, 6, 3),), lambda y, x: y.shape == (2, 5, 6, 3) and np.isin(y, x).all()),
}


@pytest.mark.parametrize("name", RANDOM)
def test_random_changes(name):
    assert f"stateless_{name}" in STATELESS
    settings, is_right = RANDOM[name]
    function = getattr(tf.image, name)
    stateless = getattr(tf.image, f"stateless_{name}")
    drawn = []
    for _ in range(2):
        hb.utils.set_random_seed(7)
        drawn.append([np.asarray(function(IMAGES, *settings)) for _ in range(6)])
    for x, y in zip(*drawn, strict=True):
        assert is_right(x, IMAGES)
        np.testing.assert_array_equal(x, y)
    assert any(not np.array_equal(x, drawn[0][0]) for x in drawn[0])
    first, again, other = (
        [np.asarray(stateless(IMAGES, *settings, seed=(n, 5))) for n in range(k, k + 6)]
        for k in (0, 0, 6)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert is_right(first[0], IMAGES)


def test_random_boxes_cover_what_they_must():
    boxes = [[[0.2, 0.2, 0.6, 0.7]]]
    for seed in range(1, 30):
        begin, size, box = tf.image.sample_distorted_bounding_box(
            (40, 50, 3), boxes, seed=seed, min_object_covered=0.5
        )
        top, left, below, right = np.asarray(box)[0, 0]
        assert begin.tolist()[2] == 0
        assert size.tolist()[2] == -1
        np.testing.assert_allclose(top, begin[0] / 40, atol=1e-6)
        height, width = min(below, 0.6) - max(top, 0.2), min(right, 0.7) - max(left, 0.2)
        assert height * width >= 0.5 * 0.2 - 1e-6
    part = tf.image.stateless_sample_distorted_bounding_box((40, 50, 3), boxes, seed=(1, 2))
    again = tf.image.stateless_sample_distorted_bounding_box((40, 50, 3), boxes, seed=(1, 2))
    assert part[0].tolist() == again[0].tolist()
    with pytest.raises(ValueError, match="use_image_if_no_bounding_boxes"):
        tf.image.sample_distorted_bounding_box((40, 50, 3), np.zeros((1, 0, 4)))


def test_jpeg_quality():
    pixels = (IMAGES[0] * 255).astype("uint8")
    errors = [
        np.abs(
            np.asarray(tf.image.adjust_jpeg_quality(pixels, quality)).astype(int) - pixels
        ).mean()
        for quality in (5, 50, 99)
    ]
    assert errors[0] > errors[1] > errors[2]
    a, b = (tf.image.stateless_random_jpeg_quality(pixels, 5, 90, seed=(3, 4)) for _ in range(2))
    np.testing.assert_array_equal(a, b)
    assert tf.image.random_jpeg_quality(pixels, 5, 90).dtype == "uint8"


def plain_crc(data):
    found = 0xFFFFFFFF
    for byte in data:
        found ^= byte
        for _ in range(8):
            found = found >> 1 ^ (0x82F63B78 if found & 1 else 0)
    return found ^ 0xFFFFFFFF


@pytest.mark.parametrize("length", [0, 1, 9, 511, 512, 513, 1023, 5000])
def test_checksums(length):
    data = RNG.bytes(length)
    assert crc32c(data) == plain_crc(data)


@pytest.mark.parametrize("kind", ["", "GZIP", "ZLIB"])
def test_records_come_back(tmp_path, kind):
    path = tmp_path / "a.tfrecord"
    records = [b"", b"x", RNG.bytes(3000)]
    with tf.io.TFRecordWriter(path, kind) as writer:
        for record in records:
            writer.write(record)
    found = tf.data.TFRecordDataset(str(path), kind)
    assert list(found.as_numpy_iterator()) == records
    assert list(found.repeat(2).skip(3).as_numpy_iterator()) == records
    both = tf.data.TFRecordDataset([str(path)] * 3, kind, num_parallel_reads=2)
    assert sorted(both.as_numpy_iterator()) == sorted(records * 3)


def test_damaged_records(tmp_path):
    path = tmp_path / "a.tfrecord"
    with tf.io.TFRecordWriter(path) as writer:
        writer.write(b"some bytes")
        writer.write(b"more bytes")
    good = path.read_bytes()
    head = struct.pack("<Q", 2**50)
    crc = crc32c(head)
    masked = struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
    cases = [good[:-1], good[:5], good[:40], head + masked + b"x" * 100]
    cases += [good[:i] + bytes([good[i] ^ 1]) + good[i + 1 :] for i in range(0, len(good), 3)]
    for case in cases:
        path.write_bytes(case)
        with pytest.raises(FileError, match=r"a\.tfrecord.*record [01]"):
            list(tf.data.TFRecordDataset(str(path)))
    path.write_bytes(gzip.compress(good)[:-9])
    with pytest.raises(FileError, match="damaged"):
        list(tf.data.TFRecordDataset(str(path), "GZIP"))
    path.write_bytes(zlib.compress(good)[:9] + b"xx")
    with pytest.raises(FileError, match="damaged"):
        list(tf.data.TFRecordDataset(str(path), "ZLIB"))
    with pytest.raises(ValueError, match="GZIP"):
        tf.io.TFRecordWriter(path, "LZ4")


def example():
    train = tf.train
    feature = {
        "i": train.Feature(int64_list=train.Int64List(value=[1, -7, 2**40])),
        "f": train.Feature(float_list=train.FloatList(value=[0.5, 2])),
        "s": train.Feature(bytes_list=train.BytesList(value=[b"text", b""])),
    }
    return train.Example(features=train.Features(feature=feature)).SerializeToString()


FEATURES = {
    "i": tf.io.VarLenFeature("int64"), "f": tf.io.FixedLenFeature([2], "float32"),
    "s": tf.io.RaggedFeature("string"),
}  # fmt: skip
WAV = tf.audio.encode_wav([[0.5], [0.25]], 8000).numpy()
READERS = {
    "example": (example(), lambda data: tf.io.parse_single_example(data, FEATURES)),
    "message": (example(), lambda data: tf.train.Example.FromString(data)),
    "tensor": (
        tf.io.serialize_tensor([[1, 2], [3, 4]]).numpy(),
        lambda data: tf.io.parse_tensor(data, "int32"),
    ),
    "texts": (
        tf.io.serialize_tensor(["a", "bc"]).numpy(),
        lambda data: tf.io.parse_tensor(data, "string"),
    ),
    "sound": (WAV, lambda data: tf.audio.decode_wav(data)),
}


@pytest.mark.parametrize("name", READERS)
def test_hostile_bytes_are_refused_or_read(name):
    data, read = READERS[name]
    read(data)
    random = np.random.default_rng(1)
    for number in range(400):
        case = bytearray(data)
        for _ in range(random.integers(1, 4)):
            case[random.integers(len(case))] = random.integers(256)
        if number % 5 == 0:
            case = case[: random.integers(len(case))]
        try:
            read(bytes(case))
        except (FileError, ValueError):  # and nothing else
            continue


def test_a_small_message_takes_little_memory():
    huge = b"\x08\x03\x12\x0c\x12\x0a\x08" + b"\xff" * 8 + b"\x7f" + b"\x3a\x01\x05"
    with pytest.raises((FileError, ValueError)):
        tf.io.parse_tensor(huge, "int32")


def test_lines_of_compressed_files(tmp_path):
    lines = b"one\r\ntwo\n\nlast"
    (tmp_path / "a.gz").write_bytes(gzip.compress(lines))
    (tmp_path / "a.z").write_bytes(zlib.compress(lines))
    for name, kind in (("a.gz", "GZIP"), ("a.z", "ZLIB")):
        data = tf.data.TextLineDataset(str(tmp_path / name), compression_type=kind)
        assert list(data.as_numpy_iterator()) == [b"one", b"two", b"", b"last"]
    names = tf.data.Dataset.list_files(str(tmp_path / "*.gz"))
    through = names.interleave(lambda name: tf.data.TextLineDataset(name, "GZIP"))
    assert len(list(through)) == 4


def test_files_of_gfile(tmp_path):
    gfile = tf.io.gfile
    folder = gfile.join(str(tmp_path), "a", "b")
    gfile.makedirs(folder)
    with gfile.GFile(gfile.join(folder, "x.txt"), "w") as file:
        file.write("é\n2")
    with gfile.GFile(gfile.join(folder, "x.txt"), "rb") as file:
        assert file.size() == 4
        assert file.read() == "é\n2".encode()
    with gfile.GFile(gfile.join(folder, "x.txt")) as file:
        assert list(file) == ["é\n", "2"]
    gfile.copy(gfile.join(folder, "x.txt"), gfile.join(folder, "y.txt"))
    with pytest.raises(FileExistsError, match="overwrite"):
        gfile.rename(gfile.join(folder, "x.txt"), gfile.join(folder, "y.txt"))
    gfile.rename(gfile.join(folder, "x.txt"), gfile.join(folder, "y.txt"), overwrite=True)
    assert gfile.listdir(folder) == ["y.txt"]
    assert gfile.glob(gfile.join(folder, "*")) == [gfile.join(folder, "y.txt")]
    assert gfile.stat(gfile.join(folder, "y.txt")).length == 4
    assert [names for _, _, names in gfile.walk(folder)] == [["y.txt"]]
    gfile.remove(gfile.join(folder, "y.txt"))
    gfile.mkdir(gfile.join(folder, "c"))
    gfile.rmtree(gfile.join(str(tmp_path), "a"))
    assert not gfile.exists(folder)
    assert not gfile.isdir(folder)
    tf.io.write_file(str(tmp_path / "new" / "z"), "text")
    assert tf.io.read_file(str(tmp_path / "new" / "z")).numpy() == b"text"
    for find in (tf.io.matching_files, tf.io.match_filenames_once):
        found = find(str(tmp_path / "*" / "z")).numpy().tolist()
        assert found == [str(tmp_path / "new" / "z").encode()]
    assert "file" in gfile.get_registered_schemes()


def test_passes_of_shuffled_data_differ_and_can_be_repeated():
    def passes(seed):
        hb.utils.set_random_seed(3)
        data = tf.data.Dataset.range(50).shuffle(50, seed=seed)
        return [[int(x) for x in data] for _ in range(2)]

    for seed in (None, 5):
        first, second = passes(seed)
        assert first != second
        assert sorted(first) == sorted(second) == list(range(50))
        assert passes(seed) == [first, second]
    fixed = tf.data.Dataset.range(50).shuffle(50, reshuffle_each_iteration=False)
    assert list(fixed.as_numpy_iterator()) == list(fixed.as_numpy_iterator())


def test_functions_of_a_pipeline_get_tensors_on_the_host():
    seen = []

    def look(x, text):
        seen.append((type(x).__name__, x.shape.as_list(), x.dtype == tf.float32, text.numpy()))
        y = tf.cast(tf.expand_dims(x, -1), tf.float32) / 255.0
        seen.append(type(tf.reduce_mean(tf.concat([y, y], axis=-1))).__name__)
        return y, tf.strings.upper(text)

    data = tf.data.Dataset.from_tensor_slices((np.ones((1, 2), "uint8"), ["a"]))
    ((y, text),) = data.map(look)
    assert seen == [("HostTensor", [2], False, b"a"), "HostTensor"]
    assert y.dtype == "float32"
    assert text.numpy() == b"A"


def test_arithmetic_on_the_host():
    pixels = as_host(np.array([[51, 255]], "uint8"))
    before = pixels
    pixels /= 255
    pixels += 1
    pixels **= 2
    assert before.numpy().tolist() == [[51, 255]]
    assert pixels.dtype == "float32"
    np.testing.assert_allclose(pixels, [[1.44, 4.0]], rtol=1e-6)
    wide = as_host(np.array([7, -7]), "int64")
    for found, expected, dtype in (
        (wide // 2, [3, -4], "int64"), (wide % 4, [3, 1], "int64"),
        (wide / 2, [3.5, -3.5], "float64"),
        (-wide, [-7, 7], "int64"), (wide > 0, [True, False], "bool"),
        (wide * wide, [49, 49], "int64"),
        (pixels[..., 0] * np.float64(2), [2.88], "float32"), (2 - pixels[0, 1:], [-2], "float32"),
        (pixels[:, tf.newaxis, 0], [[1.44]], "float32"), (wide[tf.constant(1)], -7, "int64"),
    ):  # fmt: skip
        assert type(found).__name__ == "HostTensor"
        assert found.dtype == dtype
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert isinstance(pixels + jnp.ones(2), jax.Array)
    assert isinstance(jnp.ones(2) + pixels, jax.Array)
    assert (f"{pixels[0, 1]:.1f}", int(wide[0]), bool(wide[0] == 7)) == ("4.0", 7, True)
    assert [float(x) for row in pixels for x in row][1] == 4
    with pytest.raises(TypeError, match="cannot be changed"):
        wide[0] = 1
    with pytest.raises(ValueError, match="set_shape"):
        wide.set_shape((3,))


def test_errors_of_a_pipeline_name_the_place():
    def fail(x):
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken") as caught:
        list(tf.data.Dataset.range(2).map(fail))
    assert "Dataset.map" in caught.value.__notes__[0]
    with pytest.raises(IndexError, match="no more"):
        iter(tf.data.Dataset.range(0)).get_next()
    with pytest.raises(TypeError, match=r"Dataset\.scan"):
        list(tf.data.Dataset.range(2).scan(0, lambda s, x: x))
    with pytest.raises(ValueError, match="window_size"):
        tf.data.Dataset.range(2).group_by_window(lambda x: x, lambda k, d: d)
    with pytest.raises(ValueError, match="no file matches"):
        tf.data.Dataset.list_files("/no/such/file*")
    check = tf.data.experimental.assert_cardinality
    assert len(tf.data.Dataset.range(3).filter(lambda x: True).apply(check(3))) == 3
    with pytest.raises(ValueError, match="only 3"):
        list(tf.data.Dataset.range(3).apply(check(4)))


def test_options_are_kept():
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    options.threading.private_threadpool_size = 4
    options.deterministic = False
    data = tf.data.Dataset.range(3).with_options(options)
    assert data.options().threading.private_threadpool_size == 4
    assert len(data) == 3


def test_experimental_names_are_methods():
    experimental = tf.data.experimental
    data = tf.data.Dataset.range(4)
    calls = {
        "unbatch": (), "unique": (), "take_while": (lambda x: x < 9,),
        "scan": (np.int64(0), lambda s, x: (s, x)), "shuffle_and_repeat": (4, 1),
        "snapshot": ("path",), "prefetch_to_device": ("/gpu:0",), "map_and_batch": (lambda x: x, 1),
        "dense_to_ragged_batch": (1,),
        "parallel_interleave": (lambda x: tf.data.Dataset.from_tensors(x), 2),
        "group_by_window": (lambda x: x, lambda k, d: d, 2),
        "bucket_by_sequence_length": (lambda x: 1, [4], [1, 1]),
        "enumerate_dataset": (),
    }  # fmt: skip
    for name, settings in calls.items():
        source = data.batch(1) if name == "unbatch" else data
        found = list(source.apply(getattr(experimental, name)(*settings)))
        assert len(found) == 4, name
    assert len(experimental.from_list([1, 2])) == 2
    assert experimental.get_structure(data).dtype == "int64"
    assert int(experimental.get_single_element(data.take(1))) == 0
    assert len(list(experimental.Counter().take(2))) == 2
    draws = [list(experimental.RandomDataset(seed=1).take(3).as_numpy_iterator()) for _ in "ab"]
    assert draws[0] == draws[1]


def test_tables_that_change():
    for make in (
        lambda: tf.lookup.experimental.MutableHashTable("string", "int64", -1),
        lambda: tf.lookup.experimental.DenseHashTable("string", "int64", -1, "", "$"),
    ):
        table = make()
        table.insert(["a", "b"], [1, 2])
        table.insert_or_assign("a", 5)
        table.remove(["b"])
        assert table.lookup(["a", "b"]).numpy().tolist() == [5, -1]
        assert int(table.size()) == 1
        keys, values = table.export()
        assert (keys.numpy().tolist(), values.numpy().tolist()) == ([b"a"], [5])


def test_tables_of_files_and_in_compiled_functions(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("x\t3\ny\t4\n")
    index = tf.lookup.TextFileIndex
    table = tf.lookup.StaticHashTable(
        tf.lookup.TextFileInitializer(str(path), "string", 0, "int64", 1), -1
    )
    assert table.lookup(["y", "z"]).numpy().tolist() == [4, -1]
    lines = tf.lookup.TextFileInitializer(
        str(path), "string", index.WHOLE_LINE, "int64", index.LINE_NUMBER, delimiter=" "
    )
    assert tf.lookup.StaticHashTable(lines, -1).lookup("y\t4").numpy() == 1
    numbers = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer([3, 1], [30.0, 10.0]), -1.0
    )
    assert jax.jit(numbers.lookup)(jnp.array([1, 2, 3])).tolist() == [10, -1, 30]
    with pytest.raises(TypeError, match="compiled"):
        jax.jit(table.lookup)(jnp.array([1]))


def test_images_of_files():
    pixels = (np.indices((12, 13, 3)).sum(axis=0) * 9).astype("uint8")
    files = {"png": tf.io.encode_png(pixels), "jpeg": tf.io.encode_jpeg(pixels, quality=95)}
    image = pytest.importorskip("PIL.Image").fromarray(pixels)
    for kind in ("bmp", "gif", "webp"):
        file = io.BytesIO()
        image.save(file, kind, **({"lossless": True} if kind == "webp" else {}))
        files[kind] = file.getvalue()
    decoders = {"png": tf.io.decode_png, "bmp": tf.io.decode_bmp, "webp": tf.io.decode_webp}
    for kind, decode in decoders.items():
        np.testing.assert_array_equal(decode(files[kind]), pixels)
    assert tf.io.decode_gif(files["gif"]).shape == [1, 12, 13, 3]
    assert tf.io.decode_image(files["gif"], expand_animations=False).shape == [12, 13, 3]
    decoded = tf.io.decode_jpeg(files["jpeg"])
    assert np.abs(np.asarray(decoded).astype(int) - pixels).mean() < 9
    part = tf.io.decode_and_crop_jpeg(files["jpeg"], [2, 3, 4, 5])
    np.testing.assert_array_equal(part, decoded[2:6, 3:8])
    assert tf.io.decode_jpeg(files["jpeg"], channels=1).shape == [12, 13, 1]
    assert tf.io.decode_jpeg(files["jpeg"], ratio=2).shape == [6, 7, 3]
    assert tf.image.decode_jpeg(files["png"]).shape == [12, 13, 3]


def test_lists_are_plain():
    assert json.dumps(tf.ragged.constant([[1], [2, 3]]).to_list()) == "[[1], [2, 3]]"


def test_batches_of_parsed_examples(tmp_path):
    path = str(tmp_path / "a.tfrecord")
    writer = tf.data.experimental.TFRecordWriter(path)
    writer.write(tf.data.Dataset.from_tensors(example()).repeat(4))
    make = tf.data.experimental.make_batched_features_dataset
    settings = {"num_epochs": 1, "shuffle": False}
    (batch,) = make(path, 4, FEATURES, **settings)
    assert batch["f"].tolist() == [[0.5, 2]] * 4
    (pair,) = make(path, 3, FEATURES, label_key="f", drop_final_batch=True, **settings)
    assert pair[1].shape[0] == 3
    parse = tf.data.experimental.parse_example_dataset(FEATURES)
    (parsed,) = tf.data.TFRecordDataset(path).batch(4).apply(parse)
    assert parsed["s"].to_list() == [[b"text", b""]] * 4


def test_names_of_settings():
    data, experimental = tf.data, tf.data.experimental
    assert (data.INFINITE_CARDINALITY, data.UNKNOWN_CARDINALITY) == (-1, -2)
    for kind in (
        data.Options, data.ThreadingOptions, experimental.AutotuneOptions,
        experimental.DistributeOptions, experimental.OptimizationOptions,
        experimental.ThreadingOptions,
    ):  # fmt: skip
        assert kind().deterministic is None
    windows = data.Dataset.range(4).window(2)
    assert isinstance(windows.element_spec, data.DatasetSpec)
    assert isinstance(iter(windows), data.Iterator)
    kept = data.Dataset.range(4)
    for choose in (experimental.choose_from_datasets, experimental.sample_from_datasets):
        other = data.Dataset.range(1).repeat(4)
        given = [[kept], other] if choose is experimental.choose_from_datasets else [[kept]]
        assert len(list(choose(*given))) == 4
